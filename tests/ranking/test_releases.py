"""Releases: their names, whose networks they publish, and what attacks and theory see of them."""

import dataclasses
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
import pytest

from mis.models import MLP, Functions
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.populations.breast_cancer import BreastCancer
from mis.quantizers import Cell, Hat, Quantizer, Sign, Uniform
from mis.quantizers import parse as quantizer
from mis.quantizers.channels import nearest
from mis.quantizers.joint import Joint
from mis.quantizers.laplace import Laplace
from mis.quantizers.observations import joint
from mis.ranking import rank
from mis.ranking.asymptotic import local_fit
from mis.ranking.published import calibration_examples, decoded_outputs
from mis.ranking.releases import Release, Several, parse
from mis.ranking.spec import RankingSpec
from mis.ranking.trained import train_or_load, train_or_load_all
from mis.training import Compression, Learner, Tuning

SMALL: dict[str, Any] = {
    "num_networks": 32,
    "num_steps": 40,
    "pool": 40,
    "num_folds": 4,
    "width": 4,
    "attacks": "lira,lira_decoded",
}


@pytest.mark.parametrize(
    ("name", "release"),
    [
        ("full", Release()),
        ("sign", Release(transform=Sign())),
        ("prune-90+uniform-4", Release(transform=quantizer("prune-90+uniform-4"))),
        ("qat:uniform-4", Release(transform=Uniform(bits=4), qat=True)),
        ("stop-50", Release(num_steps=50)),
        ("stop-50:qat:sign", Release(transform=Sign(), num_steps=50, qat=True)),
        (
            "tune-30:exact-vectors:prune-50",
            Release(transform=quantizer("prune-50"), tuning_steps=30, vectors="exact"),
        ),
        ("from-heldout:gptq-2", Release(transform=quantizer("gptq-2"), source="heldout")),
        ("own-vectors:sign", Release(transform=Sign(), vectors="own")),
        ("full/sign", Several(releases=(Release(), Release(transform=Sign())))),
        ("stop-9/qat:sign", Several(releases=(Release(num_steps=9), Release(transform=Sign(), qat=True)))),
    ],
)
def test_names_and_back(name, release):
    assert parse(name) == release
    assert release.name == name
    assert parse(release) is release


@pytest.mark.parametrize(
    "name",
    [
        "dorefa-4-8",
        "exact-vectors:dorefa-2-2",
        "exact-ends:dorefa-4-4",
        "qat:lsq-4",
        "act-8:uniform-8",
        "qat:dorefa-4",
        "rounds-3:rewind-0:prune-80",
    ],
)
def test_names_of_trained_releases_read_back(name):
    release = parse(name)
    assert release.name == name
    assert parse(release.name) == release
    assert not release.post_training


def test_what_a_name_may_leave_out():
    assert parse("tune:sign") == parse("tune-100:sign")
    assert parse("stop-20:full") == parse("stop-20")
    assert parse("act-4:qat:dorefa-2").name == "dorefa-2-4"
    assert parse(Sign()) == parse("sign")


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("qta:sign", InvalidInput, "expected one of .*qat: .*before the last colon of 'qta:sign', got 'qta'"),
        ("qat:", InvalidInput, "quantizers.parse"),
        ("tune-x:sign", InvalidInput, "got 'tune-x'"),
        ("qat:qat:sign", InvalidInput, "each word once"),
        ("sign/", InvalidInput, "several with a slash between, got 'sign/'"),
        ("sign/sign", InvalidInput, "two releases or more that differ"),
        ("qat:full", UnsupportedSetting, "full precision changes no training"),
        ("qat:gptq-2", UnsupportedSetting, "random or calibrated"),
        ("from-heldout:sign", UnsupportedSetting, "sign is not calibrated; leave from-heldout:"),
        ("exact-ends:full", UnsupportedSetting, "every layer as it is; leave exact-ends:"),
        (
            "prune-50+gptq-2",
            UnsupportedSetting,
            "gptq-2 makes up for errors with every weight, pruned ones too",
        ),
        ("qat:prune-50+lsq-4", UnsupportedSetting, "lsq-4 learns a step for all weights of a tensor"),
        ("from-home:gptq-2", InvalidInput, "expected one of .*from-heldout: .*got 'from-home'"),
        ("from-heldout:from-members:gptq-2", InvalidInput, "each word once"),
        ("qat:stochastic-2", UnsupportedSetting, "random or calibrated"),
        ("rewind-0:sign", UnsupportedSetting, "rounds and rewinding are for pruning, not for sign"),
        ("rounds-0:prune-50", InvalidInput, "Release: expected rounds an integer >= 1, got rounds=0"),
        ("tune:noise-10", UnsupportedSetting, "random or calibrated"),
        ("qat:tune:sign", UnsupportedSetting, "training through it or fine-tuning after it"),
        ("stop-0", InvalidInput, "num_steps"),
        ("exact-vectors:nosuch", InvalidInput, "nosuch"),
    ],
)
def test_what_is_no_release(name, error, message):
    with pytest.raises(error, match=message):
        parse(name)


def test_another_learner_needs_a_title():
    with pytest.raises(InvalidInput, match="expected a title"):
        Release(learner=Learner())
    assert Release(learner=Learner(), title="mine").name == "mine"


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    names = ["sign", "qat:sign", "tune-20:prune-80", "sign/uniform-3"]
    out = tmp_path_factory.mktemp("releases")
    together = []
    with pytest.MonkeyPatch.context() as patch:

        def decoded(published, is_shadow):
            together.append(tuple(one.compression.quantizer.name for one in published))
            return decoded_outputs(published, is_shadow)

        patch.setattr("mis.ranking.evidence.decoded_outputs", decoded)
        found = rank("breast-cancer", names, out=out, **SMALL)
    # Each of several is decoded beside the others, every other release by itself.
    assert {("sign", "uniform-3"), ("uniform-3", "sign"), ("sign",)} <= set(together)
    return found, out


def test_every_kind_of_release_is_a_row(ranking):
    found, out = ranking
    names = {"full", "sign", "qat:sign", "tune-20:prune-80", "sign/uniform-3"}
    assert {row.release for row in found} == names
    # The ranking's networks, those trained through sign, and those fine-tuned after pruning.
    assert len(list((out / "runs").iterdir())) == 3
    assert found["tune-20:prune-80"].zeros == pytest.approx(0.8, abs=0.02)
    # As many scales with three bits a weight as with one.
    assert found["sign/uniform-3"].bits == pytest.approx(2 * found["sign"].bits + 2)


def test_theory_says_what_it_knows_of_a_release_and_what_not(ranking):
    found, _ = ranking
    assert found["sign/uniform-3"].retained_ensemble.value >= found["sign"].retained_ensemble.value
    assert found["sign/uniform-3"].predicted.value >= found["sign"].predicted.value
    assert found["qat:sign"].predicted is None
    assert "trained otherwise" in found["qat:sign"].missing["predicted"]
    assert found["qat:sign"].retained_ensemble is not None
    assert "moved on after their cells" in found["tune-20:prune-80"].missing["retained"]
    # An attack on several is that on each, joined, under its own name.
    assert set(found["sign/uniform-3"].attacks) == {"lira", "lira_decoded"}


def test_several_are_decoded_in_their_intersected_cells(rng):
    one = Cell(lower=np.array([-1.0, 0.0]), upper=np.array([1.0, 2.0]))
    other = Cell(lower=np.array([0.0, -np.inf]), upper=np.array([3.0, 1.0]))
    both = joint([one, other])
    np.testing.assert_array_equal(both.lower, [0.0, 0.0])
    np.testing.assert_array_equal(both.upper, [1.0, 1.0])
    weights = rng.normal(size=200000)
    inside = weights[(weights > 0) & (weights < 1)]
    error = 5 * inside.std() / np.sqrt(len(inside))
    np.testing.assert_allclose(both.posterior_mean(0.0, 1.0), inside.mean(), atol=error)
    hat = Hat(lower=np.array(-1.0), centre=np.array(0.0), upper=np.array(1.0))
    with pytest.raises(UnsupportedSetting, match="only cells"):
        joint([one, hat])


@pytest.mark.parametrize(
    "names", [("sign", "uniform-3"), ("uniform-2-channel", "ternary-50"), ("sign", "full")]
)
def test_codes_side_by_side_tell_what_the_pairs_of_codes_tell(names, rng):
    weights = rng.normal(size=(40, 3))
    both = Joint(quantizers=tuple(map(quantizer, names)))
    assert both.name == "/".join(names)
    spread = np.full(weights.shape, 0.3)
    found = both.fit(weights).information(weights, spread)
    single = [quantizer(name).fit(weights).information(weights, spread) for name in names]
    assert (found >= np.maximum(*single) - 1e-12).all()
    if "full" in names:
        assert (found == 1).all()
        return
    pairs = np.stack([quantizer(name).fit(weights).codes(weights).ravel() for name in names])
    # A channel's edges are its own: pairs are counted as the cells they make, column by column.
    codes = both.fit(weights).codes(weights).ravel()
    column = np.tile(np.arange(3), 40)
    for c in range(3):
        told = {tuple(pair) for pair in pairs[:, column == c].T}
        assert len(np.unique(codes[column == c])) == len(told)
    with pytest.raises(UnsupportedSetting, match="only deterministic"):
        Joint(quantizers=(Sign(), quantizer("noise-10"))).fit(weights)


@dataclass(frozen=True, kw_only=True)
class BestScale(Quantizer):
    """Signs, with the scale whose outputs on calibration examples are nearest those of the weights."""

    family: ClassVar[str] = "best-scale"

    num_levels: ClassVar[float] = 2

    @property
    def num_calibration(self):
        return 12

    def _fit(self, weights):  # noqa: ARG002
        raise UnsupportedSetting("BestScale", "it takes examples")

    def fit_network(self, tensors, calibration):
        outputs, chosen = calibration.outputs, []
        target = outputs(tensors)
        for k, weights in enumerate(tensors):
            scales = jnp.abs(weights).mean() * jnp.linspace(0.5, 2.0, 7)

            def error(scale, k=k, weights=weights):
                moved = [*tensors[:k], jnp.where(weights < 0, -scale, scale), *tensors[k + 1 :]]
                return jnp.sum((outputs(moved) - target) ** 2)

            best = scales[jnp.argmin(jnp.stack([error(scale) for scale in scales]))]
            chosen.append(nearest(jnp.stack([-best, best])))
        return chosen


def test_a_calibrated_quantizer_is_fitted_to_examples_of_the_network(rng):
    model = MLP(input_shape=(5,), num_classes=2, depth=0)
    layers, x = [rng.normal(size=(6, 2)).astype(np.float32)], rng.normal(size=(12, 5)).astype(np.float32)
    errors = {}
    for spec in (BestScale(), Sign()):
        of = Compression(quantizer=spec)
        (channel,) = of.fit(model, layers, x)
        moved = [channel.apply(layers[0])]
        errors[spec] = float(jnp.sum((model.predict(moved, x) - model.predict(layers, x)) ** 2))
    # The scale of Sign is among those it tries.
    assert errors[BestScale()] < errors[Sign()]
    names = [BestScale(), Laplace(), "from-heldout:gptq-2-examples-12"]
    found = rank("breast-cancer", names, **SMALL | {"attacks": "lira"})
    assert found["best-scale"].zeros == 0.0
    assert "calibrated" in found["best-scale"].missing["retained"]
    # What is known of it is what it did, not what it would do to any weight.
    gptq = found["from-heldout:gptq-2-examples-12"]
    assert "depends on the others" in gptq.missing["retained"]
    assert gptq.retained is None
    assert gptq.predicted is None
    assert 0.05 < gptq.weight_error < 2.0
    assert 0.5 < gptq.code_entropy <= 2.0
    # Of noise without a closed form theory is silent; the attack is not.
    assert "no closed form" in found["laplace-10"].missing["retained"]
    assert found["laplace-10"].predicted is None
    assert found["laplace-10"].advantage.kind == "attack"
    with pytest.raises(UnsupportedSetting, match="random or calibrated"):
        Release(transform=BestScale(), qat=True)


@pytest.mark.slow
def test_calibrated_releases_meet_every_attack_and_are_read_again(tmp_path, monkeypatch):
    names = [
        *("gptq-2-examples-12", "exact-vectors:adaround-2-examples-12-steps-50"),
        *("from-nonmembers:brecq-1.58-channel-examples-12-steps-20", "gptq-2-examples-12/sign"),
    ]
    options = SMALL | {"attacks": "lira,lira_decoded,cell_ratio,gradient_norm,whitebox", "out": tmp_path}
    found = rank("breast-cancer", names, **options)
    assert {row.release for row in found} == {"full", *names}
    assert all("calibrated" in found[name].missing["retained"] for name in names)
    assert {"cell_ratio", "whitebox"} <= set(found["gptq-2-examples-12"].attacks)
    monkeypatch.setattr("mis.ranking.run.measure", None)
    again = rank("breast-cancer", names, **options)
    assert [row.to_json() for row in again] == [row.to_json() for row in found]


@pytest.mark.parametrize("source", ["members", "nonmembers", "heldout"])
def test_every_network_is_calibrated_on_examples_of_its_own(source):
    membership = np.arange(12) % 2 == np.arange(3)[:, None] % 2
    networks = SimpleNamespace(
        spec=SPEC,
        split=SimpleNamespace(heldout=range(7)),
        ensemble=SimpleNamespace(indices=np.arange(3), membership=membership),
        trajectories=SimpleNamespace(
            indices=np.arange(2), membership=membership[:2], params=[np.zeros((2, 4, 1, 1))]
        ),
    )
    found = calibration_examples(networks, 5, source)
    assert found.shape == (3 + 2 * 4, 5)
    assert all(len(set(row)) == 5 for row in found)
    # The same run, hence the same examples, whether it is a network or an iterate.
    np.testing.assert_array_equal(found[3:], np.repeat(found[:2], 4, axis=0))
    if source == "heldout":
        assert found.max() < 7
        assert len({tuple(row) for row in found[:3]}) == 3
    else:
        taken = np.take_along_axis(membership, found[:3], axis=1)
        assert (taken == (source == "members")).all()


@pytest.mark.parametrize(
    ("releases", "error", "message"),
    [
        (["stop-3"], InvalidInput, "num_steps an integer >= 6, got num_steps=3"),
        (["sign/stop-3:qat:sign"], InvalidInput, "num_steps an integer >= 6, got num_steps=3"),
        (["gptq-2"], InvalidInput, "at least 32 examples to calibrate gptq-2 on, got 8"),
        (
            ["from-heldout:gptq-2-examples-9999"],
            InvalidInput,
            r"calibrate from-heldout:gptq-2-examples-9999 on, got \d+; ask for fewer with -examples-\d+\.",
        ),
        ([BestScale()], InvalidInput, "at least 12 examples to calibrate best-scale on, got 8"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is(releases, error, message, monkeypatch):
    monkeypatch.setattr("mis.ranking.trained.train_chunk", None)
    with pytest.raises(error, match=message):
        rank("breast-cancer", releases, **SMALL | {"pool": 16})


SPEC = RankingSpec(
    population=BreastCancer(),
    learner=Learner(num_steps=8, batch_size=8),
    model=MLP(input_shape=(30,), num_classes=2, width=2),
    pool=32,
)


def test_what_a_release_asks_of_its_networks():
    """Training through, bits of activations and rounds of pruning reach what trains them, and stand apart there."""
    dorefa = parse("dorefa-2-3").networks(SPEC)
    assert dorefa.model == dataclasses.replace(SPEC.model, activation_bits=3)
    assert dorefa.learner.forward == Compression(quantizer=quantizer("dorefa-2"))
    rounds = parse("rounds-3:rewind-2:prune-80").networks(SPEC)
    expected = Tuning(
        compression=Compression(quantizer=quantizer("prune-80")), num_steps=6, rounds=3, rewind=2
    )
    assert rounds.tuning == expected
    assert (rounds.model, rounds.learner) == (SPEC.model, SPEC.learner)
    assert parse("rounds-3:prune-80").networks(SPEC).tuning == dataclasses.replace(
        expected, num_steps=100, rewind=None
    )
    asked = {
        parse(name): parse(name).networks(SPEC)
        for name in ("act-8:uniform-4", "uniform-4", "act-4:uniform-4")
    }
    made = []

    def fake(spec, **_):
        made.append(spec.model.activation_bits)
        ensemble = SimpleNamespace(indices=np.arange(32))
        networks = SimpleNamespace(spec=spec, ensemble=ensemble, num_folds=4, only=lambda _: networks)
        return SimpleNamespace(networks=networks, excluded=[])

    found, _ = train_or_load_all(asked, fake(SPEC), fake)
    assert made == [None, 8, 4]
    assert [of.spec.model.activation_bits for of in found.values()] == [8, None, 4]


def test_fine_tuning_goes_on_with_more_networks(tmp_path):
    split, of = SPEC.population.split(0, SPEC.pool), parse("tune-4:prune-50")
    rest = {"num_folds": 3, "level": 0.95, "attacks": (), "fresh": False, "shard": (1, 1), "progress": False}

    def tuned(models, out):
        base = train_or_load(SPEC, split, num_networks=models, out=out, **rest).networks
        return train_or_load(
            of.networks(SPEC), split, num_networks=models, out=out, base=base, **rest
        ).networks

    expected = tuned(48, None)
    # The last chunk has 8 networks first, then 16; a second call reads what the first one left.
    for models in (40, 48, 48):
        found = tuned(models, tmp_path).ensemble
        np.testing.assert_array_equal(found.indices, np.arange(models))
        for layer, one in zip(found.params, expected.ensemble.params, strict=True):
            np.testing.assert_array_equal(layer, one[:models])


def test_a_network_that_diverges_in_one_training_takes_part_in_none():
    class Fake(SimpleNamespace):
        def only(self, indices):
            return Fake(spec=self.spec, num_folds=3, ensemble=SimpleNamespace(indices=indices))

    def fake(spec, lacking):
        indices = np.setdiff1d(np.arange(40), lacking)
        return SimpleNamespace(
            networks=Fake(spec=spec, num_folds=3, ensemble=SimpleNamespace(indices=indices)),
            excluded=[f"network {i}" for i in lacking],
        )

    asked = {one: one.networks(SPEC) for one in map(parse, ("full", "sign", "qat:sign", "tune-4:sign"))}
    calls = []

    def obtained(spec, **options):
        calls.append(
            (spec.learner.forward is not None, spec.tuning is not None, options.get("base") is not None)
        )
        return fake(spec, [7, 9] if spec.tuning else [3])

    found, excluded = train_or_load_all(asked, fake(SPEC, [5]), obtained)
    assert excluded == ["network 5", "network 3", "network 7", "network 9"]
    assert all(np.isin([3, 5, 7, 9], of.ensemble.indices).sum() == 0 for of in found.values())
    assert found[parse("full")] is found[parse("sign")]
    # Each training once, and fine-tuning from the networks of the ranking.
    assert calls == [(True, False, False), (False, True, True)]
    with pytest.raises(
        InvalidInput, match=r"converge in every training .* only 31 do; lower the learning rate"
    ):
        train_or_load_all(asked, fake(SPEC, list(range(10, 16))), obtained)


def test_local_asymptotics_are_of_plain_training():
    for name in ("qat:sign", "tune-9:sign"):
        spec = dataclasses.replace(SPEC, model=MLP(input_shape=(30,), num_classes=2, depth=0))
        with pytest.raises(UnsupportedSetting, match="at no minimum of the loss"):
            local_fit(parse(name).networks(spec), None, None)


def test_bits_count_all_that_is_published():
    """By hand: eight weights and two biases, 32 bits for each that is exact and for each scale."""
    model = MLP(input_shape=(4,), num_classes=2, depth=0)
    assert parse("sign").bits(model) == pytest.approx((10 + 32) / 10)
    assert parse("own-vectors:sign").bits(model) == pytest.approx((10 + 2 * 32) / 10)
    assert parse("exact-vectors:sign").bits(model) == pytest.approx((8 + 32 + 2 * 32) / 10)
    assert parse("sign/uniform-4").bits(model) == pytest.approx(1 + 4 + 2 * 3.2)
    assert parse("codebook-4").bits(model) == pytest.approx(2 + 4 * 3.2)
    assert parse("uniform-4-channel").bits(model) == pytest.approx(4 + 2 * 3.2)
    # Of an asymmetric grid a level is zero, of each of two channels' too.
    assert parse("uniform-4-asymmetric-channel").bits(model) == pytest.approx(4 + 2 * 3.6)
    assert parse("gptq-4-channel-examples-8").bits(model) == pytest.approx(4 + 2 * 3.6)
    assert parse("prune-50+uniform-4-channel").bits(model) == pytest.approx(4 + 2 * 3.2)
    assert parse("full").bits(model) == 32


def test_a_release_that_fits_no_tensor_is_refused():
    model = Functions(
        init=lambda _: {"a": jnp.ones(510), "b": jnp.zeros(())},
        apply=lambda p, x: x @ p["a"] + p["b"],
        title="vectors",
    )
    with pytest.raises(UnsupportedSetting, match="vectors has vectors only"):
        rank("solubility", ["exact-vectors:sign"], model=model, num_networks=32, pool=40)


def test_releases_of_one_name_that_differ_are_refused():
    with pytest.raises(InvalidInput, match="releases of different names, got x for two"):
        rank("breast-cancer", [Release(learner=Learner(num_steps=9), title="x"), Release(title="x")], **SMALL)
