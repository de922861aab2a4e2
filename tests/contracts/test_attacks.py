"""What every attack keeps: direction, equivariance, rows, refusals, infinities, types."""

import collections
import dataclasses

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mis import attacks
from mis.attacks import statistics
from mis.numerics.checks import InvalidInput


def networks(rng, models=16, targets=3, examples=150, classes=3):
    """Logits that favour the true class, more so for members, on examples of different difficulty."""
    labels = rng.integers(0, classes, examples)
    easiness = rng.normal(1, 1, examples)
    membership = rng.random((models + targets, examples)) < 0.5
    membership[:4] = [[True], [False], [True], [False]]
    membership[-targets:] = rng.permutation(np.arange(examples) % 2 == 0)
    boost = easiness + 2.0 * membership
    logits = rng.normal(size=(models + targets, examples, classes))
    logits[..., np.arange(examples), labels] += boost
    scores = statistics.logit_confidence(logits, labels)
    shadow, target = slice(None, models), slice(models, None)
    population = rng.normal(1, 1, 80) + rng.normal(size=(models + targets, 80))
    population_membership = rng.random((models, 80)) < 0.5
    population_membership[:4] = [[True], [False], [True], [False]]
    population[shadow] += 2.0 * population_membership
    return {
        "labels": labels,
        "features": np.stack([easiness, rng.normal(size=examples)], axis=1),
        "shadow_membership": membership[shadow],
        "shadow_labels": labels,
        "shadow_logits": logits[shadow],
        "target_logits": logits[target],
        "shadow_scores": scores[shadow],
        "target_scores": scores[target],
        "shadow_losses": -statistics.log_likelihood(logits[shadow], labels),
        "target_losses": -statistics.log_likelihood(logits[target], labels),
        "shadow_probabilities": expit(scores[shadow]),
        "target_probabilities": expit(scores[target]),
        "population_shadow": expit(population[shadow]),
        "population_target": expit(population[target]),
        "population_membership": population_membership,
        "public_features": np.stack([easiness, rng.normal(size=examples)], axis=1),
        "public_scores": scores[target] - 2.0 * membership[target],
        "truth": membership[target],
    }


def boundary(rng, examples=60):
    """A linear classifier that its members stand further away from."""
    truth = np.arange(examples) % 2 == 0
    features = rng.normal(size=(examples, 2)) * np.where(truth, 3, 1)[:, None]
    return {
        "predict": [lambda x, t=t: (x[:, 0] > t).astype(int) for t in (0.0, 0.2)],
        "features": features,
        "labels": (features[:, 0] > 0).astype(int),
        "truth": np.stack([truth, truth]),
    }


def counts(rng, refits=3000, targets=200, examples=4):
    """A release that says how many of the examples were used."""
    membership = rng.random((refits + targets, examples)) < 0.5
    codes = membership.sum(axis=1)
    return {
        "shadow_codes": codes[:refits],
        "shadow_membership": membership[:refits],
        "target_codes": codes[refits:],
        "truth": membership[refits:],
    }


def regressions(rng, models=40, targets=4, examples=60, weights=15):
    """Least squares on random halves of a pool; the released coefficients are rounded to tenths."""
    features, noise = rng.normal(size=(examples, weights)), rng.normal(size=examples)
    membership = np.argsort(rng.random((models + targets, examples)), axis=1) < examples // 2
    fits = [np.linalg.lstsq(features[half], noise[half], rcond=None)[0] for half in membership]
    full, released = np.array(fits), np.round(fits, 1)
    residuals = features @ released[models:].T - noise[:, None]
    return {
        "shadow_params": released[:models],
        "shadow_full": full[:models],
        "target_params": released[models:],
        "shadow_membership": membership[:models],
        "gradients": -features * noise[:, None],
        "factors": features,
        "target_gradients": residuals.T[..., None] * features,
        "truth": membership[models:],
    }


def estimates(rng, models=400, targets=40, examples=30, dim=12):
    """Normal estimates, each example moving them a little, released as their signs."""
    membership = rng.random((models + targets, examples)) < 0.5
    moves = 0.4 * rng.normal(size=(examples, dim))
    params = rng.normal(size=(models + targets, dim)) + (membership - 0.5) @ moves
    positive = params[models:] > 0
    return {
        "target_lower": np.where(positive, 0.0, -np.inf),
        "target_upper": np.where(positive, np.inf, 0.0),
        "shadow_full": params[:models],
        "shadow_membership": membership[:models],
        "shifts": moves,
        "truth": membership[models:],
    }


CASES = {
    "gap": (attacks.Gap(), networks),
    "loss": (attacks.LossThreshold(), networks),
    "confidence": (attacks.MaxConfidence(), networks),
    "entropy": (attacks.Entropy(), networks),
    "entropy-per-class": (attacks.Entropy(thresholds="per-class"), networks),
    "modified-entropy": (attacks.ModifiedEntropy(), networks),
    "modified-entropy-per-class": (attacks.ModifiedEntropy(thresholds="per-class"), networks),
    "label-only": (attacks.LabelOnly(noise=3.0), boundary),
    "lira": (attacks.LiRA(), networks),
    "lira-offline": (attacks.LiRA(online=False), networks),
    "lira-pooled": (attacks.LiRA(variance="pooled"), networks),
    "bavaria": (attacks.BaVarIA(), networks),
    "bavaria-offline": (attacks.BaVarIA(online=False), networks),
    "rmia": (attacks.RMIA(), networks),
    "rmia-offline": (attacks.RMIA(online=False), networks),
    "trained-logistic": (attacks.Trained(), networks),
    "trained-label": (attacks.Trained(with_label=True), networks),
    "trained-forest": (attacks.Trained(classifier="forest"), networks),
    "trained-network": (attacks.Trained(classifier="network", with_label=True), networks),
    "calibrated-loss": (attacks.CalibratedLoss(), networks),
    "quantile-regression": (attacks.QuantileRegression(), networks),
    "gradient-norm": (attacks.GradientNorm(), regressions),
    "linearised": (attacks.Linearised(), regressions),
    "decoded": (attacks.Decoded(), regressions),
    "ridge": (attacks.Ridge(), regressions),
    "influence": (attacks.Influence(), regressions),
    "optimal": (attacks.Optimal(), counts),
    "cell-ratio": (attacks.CellRatio(), estimates),
    "cell-ratio-full": (attacks.CellRatio(covariance="full", shifts="given"), estimates),
}
parametrize = pytest.mark.parametrize(("attack", "world"), CASES.values(), ids=CASES)


def inputs(attack, arrays):
    return {name: arrays[name] for name in attack.needs}


def test_every_attack_has_a_case():
    assert {type(attack) for attack, _ in CASES.values()} == set(attacks.ATTACKS.values())
    assert all(getattr(attacks, cls.__name__) is cls for cls in attacks.ATTACKS.values())


@parametrize
def test_larger_for_likelier_members(attack, world, rng):
    arrays = world(rng)
    scores = np.atleast_2d(attack.scores(**inputs(attack, arrays)))
    assert scores.shape == arrays["truth"].shape
    assert scores.dtype == np.float64
    assert roc_auc_score(arrays["truth"].ravel(), scores.ravel()) > 0.55


@parametrize
def test_permuting_examples_permutes_scores(attack, world, rng):
    given = inputs(attack, world(rng))
    axes = {name: need.axes.split() for name, need in attack.needs.items()}
    length = next(given[name].shape[a.index("N")] for name, a in axes.items() if "N" in a)
    order = rng.permutation(length)
    permuted = {
        name: np.take(x, order, axis=axes[name].index("N")) if "N" in axes[name] else x
        for name, x in given.items()
    }
    np.testing.assert_allclose(attack.scores(**permuted), attack.scores(**given)[..., order], rtol=1e-9)


@parametrize
def test_rows_are_targets_by_themselves(attack, world, rng):
    given = inputs(attack, world(rng))
    of_target = [name for name, need in attack.needs.items() if need.axes.startswith("T")]
    rows = attack.scores(**given)
    for row in (0, len(rows) - 1):
        alone = attack.scores(**(given | {name: given[name][row] for name in of_target}))
        assert alone.shape == rows.shape[1:]
        np.testing.assert_allclose(alone, rows[row], rtol=1e-9)


@parametrize
def test_refuses_what_it_lacks(attack, world, rng):
    given = inputs(attack, world(rng))
    for name in given:
        lacking = {other: x for other, x in given.items() if other != name}
        with pytest.raises(InvalidInput, match=rf"^{type(attack).__name__}: expected .*, got no {name}\.$"):
            attack.scores(**lacking)
    with pytest.raises(InvalidInput, match="only, got also weights"):
        attack.scores(**given, weights=1)


@parametrize
def test_refuses_nan(attack, world, rng):
    given = inputs(attack, world(rng))
    for name in (name for name, need in attack.needs.items() if need.type is float):
        with_nan = np.array(given[name])
        with_nan.flat[-1] = np.nan
        with pytest.raises(InvalidInput, match=f"expected {name} without NaN, got 1 NaN"):
            attack.scores(**(given | {name: with_nan}))


@parametrize
def test_refuses_unequal_lengths(attack, world, rng):
    given = inputs(attack, world(rng))
    axes = {name: need.axes.split() for name, need in attack.needs.items()}
    shared = collections.Counter(axis for names in axes.values() for axis in names)
    for name, names in axes.items():
        for place, axis in enumerate(names):
            if shared[axis] > 1:
                shorter = np.delete(given[name], 0, axis=place)
                with pytest.raises(
                    InvalidInput, match=f"{type(attack).__name__}: .* with equal {axis}, got "
                ):
                    attack.scores(**(given | {name: shorter}))


@parametrize
def test_infinities_give_no_nan(attack, world, rng):
    given = inputs(attack, world(rng))
    for name, need in attack.needs.items():
        # Scores may be infinite; features, parameters and gradients may not, and are refused.
        if need.type is not float or name.endswith(
            ("features", "params", "full", "gradients", "factors", "shifts")
        ):
            continue
        sure = np.array(given[name])
        if name.startswith("target_") and name[7:] in ("lower", "upper"):
            sure[..., 0] = -np.inf if name == "target_lower" else np.inf
        elif name.endswith("logits"):
            # The largest logit of an example must be finite; here a class is impossible.
            sure[..., 0, :] = [0.0, -np.inf, -np.inf]
            sure[..., 1, :] = [0.0, 0.0, -np.inf]
        else:
            sure[..., 0] = np.inf
            sure[..., 1] = 0.0 if isinstance(attack, attacks.RMIA) else -np.inf
        if isinstance(attack, attacks.RMIA) and not attack.online:
            sure = np.minimum(sure, 1.0)
        assert not np.isnan(attack.scores(**(given | {name: sure}))).any(), name


@parametrize
@pytest.mark.parametrize("dtype", [np.float16, np.float32, object])
def test_other_types_are_read_as_their_values(attack, world, rng, dtype):
    given = inputs(attack, world(rng))
    reals = [name for name, need in attack.needs.items() if need.type is float]
    rounded = given | {name: np.asarray(given[name], np.float16) for name in reals}
    as_given = rounded | {name: rounded[name].astype(dtype) for name in reals}
    as_float64 = rounded | {name: rounded[name].astype(np.float64) for name in reals}
    np.testing.assert_array_equal(attack.scores(**as_given), attack.scores(**as_float64))


@parametrize
def test_is_a_spec(attack, world):
    assert world is not None
    assert dataclasses.is_dataclass(attack)
    assert eval(repr(attack), vars(attacks)) == attack
    assert hash(attack) == hash(dataclasses.replace(attack))
    with pytest.raises(dataclasses.FrozenInstanceError):
        attack.seed = 3


OF_COUNTS = [name for name, (_, world) in CASES.items() if world is networks and CASES[name][0].needs.keys() & {
    "shadow_scores", "shadow_losses", "shadow_probabilities"}]  # fmt: skip


@pytest.mark.parametrize("name", OF_COUNTS)
def test_equal_outputs_tell_nothing_however_many_shadows_had_the_example(name, rng):
    """Not even by a rounding, which a threshold would see."""
    attack, given = CASES[name][0], networks(rng)
    given = {key: np.full(np.shape(x), 0.3) if key.endswith(("scores", "losses", "probabilities", "_target", "_shadow"))
             else x for key, x in given.items()}  # fmt: skip
    assert len(np.unique(attack.scores(**inputs(attack, given)))) == 1
