"""The sandwich: every attack on every task whose optimal advantage is known exactly.

Rows are all attacks, columns are tasks. On a task each example z under attack has refits of its own with z and
without; z goes through the atoms of the law in its proportions, or is drawn from it. So the advantage of any attack,
thresholds chosen without peeking, is at most the exact one beyond its interval, and at most that of the optimal attack.
"""

import functools
import itertools
from typing import ClassVar, NamedTuple

import numpy as np
import pytest
from scipy import optimize, special

from mis import attacks, theory
from mis.attacks.statistics import logit_confidence
from mis.quantizers import parse
from mis.training import Regression, refit_weighted

# 4.9 standard errors; seeds are never tuned.
LEVEL = 1 - 1e-6


class Size(NamedTuple):
    """Examples under attack where they are drawn; refits to learn from for each; refits under attack, all together."""

    examples: int
    shadows: int
    targets: int


QUICK, THOROUGH = Size(60, 1000, 8000), Size(200, 3000, 60_000)
# Refits that counting learns from, for each example under attack.
COUNTED = 20_000
EVERY = slice(None)
# Attacks that solve one system for all their models, or work long on each target.
FEWER_SHADOWS = {attacks.Ridge: 200}
FEWER_TARGETS = {attacks.Ridge: 2000, attacks.LabelOnly: 400, attacks.QuantileRegression: 40}

ROWS = {
    "gap": attacks.Gap(),
    "loss": attacks.LossThreshold(),
    "confidence": attacks.MaxConfidence(),
    "entropy": attacks.Entropy(),
    "entropy per class": attacks.Entropy(thresholds="per-class"),
    "modified entropy": attacks.ModifiedEntropy(),
    "modified entropy per class": attacks.ModifiedEntropy(thresholds="per-class"),
    "label only": attacks.LabelOnly(noise=3.0, num_draws=20),
    "lira": attacks.LiRA(),
    "lira pooled": attacks.LiRA(variance="pooled"),
    "lira offline": attacks.LiRA(online=False),
    "bavaria": attacks.BaVarIA(),
    "rmia": attacks.RMIA(),
    "rmia offline": attacks.RMIA(online=False),
    "trained logistic": attacks.Trained(),
    "trained with label": attacks.Trained(with_label=True),
    "trained forest": attacks.Trained(classifier="forest"),
    "trained network": attacks.Trained(classifier="network"),
    "calibrated loss": attacks.CalibratedLoss(),
    "quantile regression": attacks.QuantileRegression(),
    "gradient norm": attacks.GradientNorm(),
    "linearised": attacks.Linearised(),
    "decoded": attacks.Decoded(),
    "ridge": attacks.Ridge(),
    "influence": attacks.Influence(damping=1e-3),
    "counting": attacks.Optimal(),
    "cells, shifts estimated": attacks.CellRatio(),
    "cells": attacks.CellRatio(covariance="full", shifts="given", num_draws=64),
}
SLOW = {"trained forest", "trained network"}


class Release(NamedTuple):
    """Of R refits: estimates before the quantizer, as released, its number, bounds of its cells."""

    full: np.ndarray
    params: np.ndarray
    codes: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Task:
    """A learner, its population, and J examples under attack.

    ``shares``: of each example among the records. ``drawn``: whether the examples are draws from the law (and so the
    units of every interval) or its atoms. ``lacks``: inputs that there are none of here, with the reason.
    """

    drawn = False
    lacks: ClassVar[dict[str, str]] = {}

    def inputs(self, columns, shadow, target):
        """What makes each array: models by rows, the examples ``columns`` by columns, the first half members."""
        member = np.arange(len(shadow.params)) < len(shadow.params) // 2

        def output(release, name, where):
            return lambda: self.outputs(release.params, where)[name]

        makes = {
            "shadow_membership": lambda: np.tile(member[:, None], len(columns)),
            "population_membership": lambda: np.tile(member[:, None], len(self.shares)),
            "population_target": output(target, "probabilities", EVERY),
            "population_shadow": output(shadow, "probabilities", EVERY),
            "public_features": lambda: self.features,
            "public_scores": output(target, "scores", EVERY),
            "features": lambda: self.features[columns],
            "labels": lambda: self.labels[columns],
            "shadow_labels": lambda: self.labels[columns],
            "predict": lambda: [functools.partial(self.predict, params) for params in target.params],
            "gradients": lambda: self.gradients(shadow.full.mean(axis=0)[None], columns)[0],
            "target_gradients": lambda: self.gradients(target.params, columns),
            "factors": lambda: self.factors(shadow.full.mean(axis=0)),
            "shifts": lambda: self.shifts[columns],
            "shadow_full": lambda: shadow.full,
            "target_lower": lambda: target.lower,
            "target_upper": lambda: target.upper,
        }
        for who, release in (("target", target), ("shadow", shadow)):
            for name in ("losses", "scores", "probabilities", "logits"):
                makes[f"{who}_{name}"] = output(release, name, columns)
            makes[f"{who}_params"] = lambda release=release: release.params
            makes[f"{who}_codes"] = lambda release=release: release.codes
        return makes


class Candidates(Task):
    """The minimiser of the empirical loss over K parameters; the smallest index wins a tie."""

    lacks = dict.fromkeys(
        ("predict", "target_logits", "shadow_logits"), "candidates known by their losses have no classes"
    ) | dict.fromkeys(
        ("gradients", "target_gradients", "factors", "shadow_full", "target_lower"),
        "an index has no gradient, no value before the quantizer and no cell",
    )  # fmt: skip

    def __init__(self, law, n, columns):
        self.law, self.n, self.truth = law, n, theory.exact(law, n)
        self.drawn = isinstance(law, theory.GaussianLosses)
        if self.drawn:
            rng = np.random.default_rng(8)
            self.features = rng.multivariate_normal(law.mean, law.cov, columns)
            self.shares = np.full(columns, 1 / columns)
        else:
            self.features, self.shares = law.losses.T, law.probs

    def refits(self, rng, j, size):
        """Sums of losses, of which one example's are known."""
        rest = self.n if j is None else self.n - 1
        if self.drawn:
            sums = rng.multivariate_normal(rest * self.law.mean, rest * self.law.cov, size)
        else:
            sums = rng.multinomial(rest, self.shares, size) @ self.features
        sums = sums if j is None else sums + self.features[j]
        codes = np.argmin(np.round(sums, 9), axis=1)
        return Release(None, np.eye(self.law.num_losses)[codes], codes, None, None)

    def outputs(self, params, columns):
        """Losses of the released candidate."""
        losses = params @ self.features[columns].T
        return {"losses": losses, "scores": -losses, "probabilities": special.expit(-losses)}


class Means(Task):
    """The mean of n standard normal vectors, on a grid of some width, or as it is with width 0."""

    drawn = True
    lacks = dict.fromkeys(("predict", "target_logits", "shadow_logits"), "a mean predicts no class")

    def __init__(self, n, dim, width, offset, columns):
        self.n, self.width, self.offset = n, width, offset
        self.truth = (
            theory.quantized_mean(n, dim, width, offset) if width else theory.full_precision_mean(dim, n)
        )
        self.features = np.random.default_rng(9).normal(size=(columns, dim))
        self.shares = np.full(columns, 1 / columns)
        self.shifts = self.features / n
        if not width or dim > 2:
            self.lacks = self.lacks | {"target_codes": "releases that hardly ever repeat cannot be counted"}

    def refits(self, rng, j, size):
        """Means, of which one example is known."""
        noise = rng.normal(size=(size, self.features.shape[1]))
        full = noise / np.sqrt(self.n) if j is None else self._with(noise, self.features[j])
        if not self.width:
            return Release(full, full, None, full, full)
        place = np.floor(full / self.width + self.offset)
        lower = (place - self.offset) * self.width
        codes = None
        if "target_codes" not in self.lacks:
            codes = ((place + 500) @ 1000 ** np.arange(place.shape[1])).astype(int)
        return Release(full, lower + self.width / 2, codes, lower, lower + self.width)

    def _with(self, noise, example):
        return (example + np.sqrt(self.n - 1) * noise) / self.n

    def outputs(self, params, columns):
        """Half the squared distance."""
        losses = np.square(params[:, None] - self.features[columns]).sum(axis=-1) / 2
        return {"losses": losses, "scores": -losses, "probabilities": np.exp(-losses)}

    def gradients(self, params, columns):
        """Of the squared distance."""
        return params[:, None] - self.features[columns]

    def factors(self, centre):
        """Of the identity."""
        return np.sqrt(len(centre)) * np.eye(len(centre))


class Table(Task):
    """A learner on m atoms, known by its estimate for every count of them; released in the cells of a quantizer that
    was fitted to the population's own estimate, or as it is."""

    def __init__(self, probs, n, quantizer=None):
        self.n, self.shares = n, np.array(probs)
        counts = itertools.product(range(n + 1), repeat=len(probs))
        self.counts = np.array([row for row in counts if sum(row) == n])
        *full, centre = self.fit(np.concatenate([self.counts, n * self.shares[None]]))
        full = np.array(full)
        grid = parse(quantizer or "full").fit(centre)
        params = grid.apply(full)
        codes = np.unique(params.round(9), axis=0, return_inverse=True)[1]
        self.table = Release(full, params, codes, *attacks.cell_ends(grid, params))
        number = {tuple(row): code for row, code in zip(self.counts.tolist(), codes, strict=True)}
        self.truth = theory.enumerate_learner(lambda row: number[tuple(row.tolist())], probs, n)
        log_weights = special.xlogy(self.counts, self.shares) - special.gammaln(self.counts + 1)
        weights = special.softmax(log_weights.sum(axis=1))
        # By Bayes: z is one of the n examples with probability counts / n.
        given = weights[:, None] * self.counts / n / self.shares
        self.shifts = given.T @ full - weights @ full

    def refits(self, rng, j, size):
        """Look up what the learner returns on a random sample."""
        counts = rng.multinomial(self.n - (j is not None), self.shares, size)
        if j is not None:
            counts[:, j] += 1
        place = (self.n + 1) ** np.arange(len(self.shares))
        order = np.argsort(self.counts @ place)
        rows = order[np.searchsorted((self.counts @ place)[order], counts @ place)]
        return Release(*(part[rows] for part in self.table))


class SampleMean(Table):
    """The mean of n examples of a finite support, released as it is: it reveals all counts."""

    lacks = dict.fromkeys(("predict", "target_logits", "shadow_logits"), "a mean predicts no class")
    features = np.array([[0.0, 0.3], [1.0, -0.2], [2.7, 1.1], [-1.3, 0.9]])
    outputs, gradients, factors = Means.outputs, Means.gradients, Means.factors

    def fit(self, counts):
        """Weighted means."""
        return counts @ self.features / self.n


class Linear(Table):
    """Ridge regression with two coefficients."""

    lacks = dict.fromkeys(("predict", "target_logits", "shadow_logits"), "a regression predicts no class")
    features = np.array([[1.0, 0.2], [0.6, -1.1], [-0.4, 0.9], [1.3, 1.7]])
    targets = np.array([0.8, -0.9, 0.7, 0.5])
    model = Regression(family="linear", penalty=0.05)

    def fit(self, counts):
        """By the engine of refits."""
        return refit_weighted(self.model, self.features, self.targets, counts).params.astype(float)

    def outputs(self, params, columns):
        """Losses and signed residuals."""
        residuals = params @ self.features[columns].T - self.targets[columns]
        losses = residuals**2 / 2
        return {"losses": losses, "scores": residuals, "probabilities": np.exp(-losses)}

    def gradients(self, params, columns):
        """Of half the squared residual."""
        return self.outputs(params, columns)["scores"][..., None] * self.features[columns]

    def factors(self, _):
        """Atoms in their proportions."""
        return np.sqrt(len(self.shares) * self.shares)[:, None] * self.features


class Classes(Table):
    """Softmax regression, the first class as reference, with an L2 penalty; with two classes logistic regression."""

    features = np.array([[1.0, 0.2], [0.6, -1.1], [-0.4, 0.9], [1.3, 1.7]])
    penalty = 0.05

    def __init__(self, labels, *arguments):
        self.labels = np.array(labels)
        super().__init__(*arguments)

    def logits(self, params, columns):
        """Shape (R, J, C)."""
        free = self.features[columns] @ params.reshape(len(params), 2, -1)
        return np.pad(free, [(0, 0), (0, 0), (1, 0)])

    def fit(self, counts):
        """By the engine of refits, or by SciPy."""
        if max(self.labels) == 1:
            model = Regression(penalty=self.penalty)
            return refit_weighted(model, self.features, self.labels, counts).params.astype(float)
        return np.array([self._minimiser(row) for row in counts])

    def _minimiser(self, counts):
        def objective(params):
            losses = self.outputs(params[None], EVERY)["losses"][0]
            gradients = self.gradients(params[None], EVERY)[0]
            penalised = counts @ losses / self.n + self.penalty / 2 * params @ params
            return penalised, counts @ gradients / self.n + self.penalty * params

        start = np.zeros(2 * max(self.labels))
        return optimize.minimize(objective, start, jac=True, method="BFGS", tol=1e-8).x

    def outputs(self, params, columns):
        """Losses, log-odds of the true class, logits."""
        logits = self.logits(params, columns)
        scores = logit_confidence(logits, self.labels[columns])
        losses = np.logaddexp(0, -scores)
        return {"losses": losses, "scores": scores, "probabilities": np.exp(-losses), "logits": logits}

    def gradients(self, params, columns):
        """Of the cross-entropy."""
        probs = special.softmax(self.logits(params, columns), axis=-1)
        residuals = (probs - np.eye(max(self.labels) + 1)[self.labels[columns]])[..., 1:]
        outer = self.features[columns][None, :, :, None] * residuals[:, :, None]
        return outer.reshape(*outer.shape[:2], -1)

    def factors(self, centre):
        """Atoms in their proportions, times the root of the softmax's covariance."""
        probs = special.softmax(self.logits(centre[None], EVERY)[0], axis=-1)[:, 1:]
        rows = []
        for x, p, share in zip(self.features, probs, self.shares, strict=True):
            values, vectors = np.linalg.eigh(np.diag(p) - np.outer(p, p))
            rows += [
                np.outer(x, v * np.sqrt(share * value)).ravel()
                for v, value in zip(vectors.T, values, strict=True)
            ]
        return np.sqrt(len(rows)) * np.array(rows)

    def predict(self, params, features):
        """Class with the largest logit."""
        free = features @ params.reshape(2, -1)
        return np.pad(free, [(0, 0), (1, 0)]).argmax(axis=1)


PROBS = [0.37, 0.31, 0.21, 0.11]
NORMAL = {
    "two normal candidates": ([0.0, 0.1], [[1.0, 0.3], [0.3, 0.8]], 5),
    "three normal candidates": ([0.0, 0.1, 0.2], [[1.0, 0.3, 0.0], [0.3, 0.8, 0.1], [0.0, 0.1, 1.2]], 5),
}
DISCRETE = {
    "candidates, near tie": ([[0.0, 1.0, 0.4], [0.8, 0.0, 0.5]], [0.4, 0.4, 0.2], 6),
    "candidates, clear": ([[0.0, 1.0, 0.2, 0.1], [0.9, 0.2, 0.6, 0.7]], [0.5, 0.2, 0.2, 0.1], 12),
    "three candidates": ([[0.0, 1.0, 0.5], [0.6, 0.1, 0.7], [0.4, 0.6, 0.1]], [0.4, 0.3, 0.3], 8),
}
MEANS = {
    "mean on edges": (6, 1, 1.0, 0.0),
    "mean in the middle of cells": (6, 1, 1.0, 0.5),
    "means on a fine grid": (12, 2, 0.2, 0.3),
    "means in many cells": (20, 6, 0.3, 0.0),
    "mean as it is": (6, 1, 0.0, 0.0),
    "means as they are": (20, 8, 0.0, 0.0),
}
REFITS = {
    "linear": functools.partial(Linear, PROBS, 7),
    "logistic": functools.partial(Classes, [1, 0, 1, 1], PROBS, 7),
    "softmax": functools.partial(Classes, [0, 1, 2, 1], PROBS, 6),
}
# Each makes the task for a number of examples under attack; those of a finite support are its atoms.
TASKS = (
    {
        name: lambda _, losses=losses, probs=probs, n=n: Candidates(
            theory.DiscreteLosses(losses=losses, probs=probs), n, None
        )
        for name, (losses, probs, n) in DISCRETE.items()
    }
    | {
        name: lambda columns, mean=mean, cov=cov, n=n: Candidates(
            theory.GaussianLosses(mean=mean, cov=cov), n, columns
        )
        for name, (mean, cov, n) in NORMAL.items()
    }
    | {name: functools.partial(Means, *arguments) for name, arguments in MEANS.items()}
    | {"mean of atoms as it is": lambda _: SampleMean(PROBS, 6)}
    | {
        f"{name}, {quantizer}": lambda _, make=make, quantizer=quantizer: make(quantizer)
        for name, make in REFITS.items()
        for quantizer in ("sign", "ternary-50", "uniform-2")
    }
)


@functools.cache
def task_of(name, size):
    return TASKS[name](size.examples)


def releases(task, rng, sizes):
    """For each example under attack, by number: refits with it, then as many without."""
    pairs = [(task.refits(rng, j, size // 2), task.refits(rng, None, size // 2)) for j, size in sizes.items()]
    return [
        Release(*(None if a is None else np.concatenate([a, b]) for a, b in zip(*pair, strict=True)))
        for pair in pairs
    ]


@functools.lru_cache(maxsize=4)
def shadows_of(name, size, num_shadows):
    task = task_of(name, size)
    return releases(task, np.random.default_rng(1), dict.fromkeys(range(len(task.shares)), num_shadows))


@functools.lru_cache(maxsize=4)
def targets_of(name, size, num_targets):
    task = task_of(name, size)
    sizes = np.maximum(np.round(num_targets * task.shares), 4).astype(int)
    return releases(task, np.random.default_rng(2), dict(enumerate(sizes - sizes % 2)))


def missing(attack, task):
    """Why the attack does not apply to the task; empty where it does."""
    return {task.lacks[name] for name in attack.needs if name in task.lacks}


def scored(attack, name, size, targets=None):
    """Scores of members and of non-members, one array for each example under attack."""
    task, kind = task_of(name, size), type(attack)
    shadows = shadows_of(name, size, FEWER_SHADOWS.get(kind, size.shadows))
    if kind is attacks.Optimal:
        # As many as it takes are cheap to draw, and too many to keep.
        shadows = (
            releases(task, np.random.default_rng([1, j]), {j: COUNTED})[0] for j in range(len(task.shares))
        )
    if targets is None:
        targets = targets_of(name, size, FEWER_TARGETS.get(kind, size.targets))
    if kind is attacks.QuantileRegression and task.drawn:
        # Ten draws of an example will do.
        targets = targets[:10]
    scores = []
    for j, (shadow, target) in enumerate(zip(shadows, targets, strict=False)):
        # Where the covariance of the gradients is asked for, those of all examples.
        columns = list(range(len(task.shares))) if "factors" in attack.needs else [j]
        makes = task.inputs(columns, shadow, target)
        found = attack.scores(**{need: makes[need]() for need in attack.needs})
        scores.append(np.split(found[:, columns.index(j)], 2))
    return [list(side) for side in zip(*scores, strict=True)]


def audited(members, others, drawn):
    """The audit of these scores; examples that are draws are the units."""
    join = np.stack if drawn else np.concatenate
    return attacks.audit(member=join(members), nonmember=join(others), level=LEVEL)


def difference(called, false_called, drawn):
    """TPR - FPR of decisions, listed by example, with its standard error."""
    if drawn:
        by_example = [a.mean() - b.mean() for a, b in zip(called, false_called, strict=True)]
        return np.mean(by_example), np.std(by_example, ddof=1) / np.sqrt(len(by_example))
    sides = np.concatenate(called), np.concatenate(false_called)
    return sides[0].mean() - sides[1].mean(), np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides))


@functools.cache
def best_of(name, size):
    """Decisions of the optimal attack, ``score > 0``, by example: no threshold is chosen."""
    optimal = ROWS["cells" if "target_codes" in task_of(name, size).lacks else "counting"]
    return [[scores > 0 for scores in side] for side in scored(optimal, name, size)]


def refuse_outside(name, size, members, others):
    """Assert that these scores lie inside the sandwich.

    Below the exact value, and where the targets are the same below the optimal attack, each beyond the error.
    """
    task = task_of(name, size)
    found = audited(members, others, task.drawn)
    assert found.advantage.lower <= task.truth.upper
    best = best_of(name, size)
    if sum(map(len, members)) == sum(map(len, best[0])):
        records, parts = found.records(), []
        for side, scores, decisions in zip((True, False), (members, others), best, strict=True):
            ends = np.cumsum([len(x) for x in scores])[:-1]
            called = np.split(records["called"][records["member"] == side], ends)
            parts.append([a.astype(float) - b for a, b in zip(called, decisions, strict=True)])
        more, error = difference(*parts, task.drawn)
        assert more <= 5 * error


def test_every_attack_has_a_row():
    """A new attack fails here until it is added, and below until its blanks are given a reason."""
    assert {type(attack) for attack in ROWS.values()} == set(attacks.ATTACKS.values())


BLANKS = {
    "classes": {"gap", "confidence", "entropy", "entropy per class", "modified entropy", "modified entropy per class",
                "label only", "trained logistic", "trained with label", "trained forest", "trained network"},
    "gradients": {"gradient norm", "linearised", "decoded", "influence"},
    "cells": {"cells, shifts estimated", "cells"},
    "counts": {"counting"},
}  # fmt: skip


@pytest.mark.parametrize("name", TASKS)
def test_blanks_of_the_matrix(name):
    """Which attacks do not apply to a task, written out; the task says why."""
    task = task_of(name, QUICK)
    kinds = {Candidates: ["classes", "gradients", "cells"], Classes: []}.get(type(task), ["classes"])
    if name in ("means in many cells", "mean as it is", "means as they are"):
        kinds = [*kinds, "counts"]
    blanks = {row: missing(attack, task) for row, attack in ROWS.items() if missing(attack, task)}
    assert set(blanks) == set().union(*(BLANKS[kind] for kind in kinds))
    assert all(len(reason.split()) > 3 for reasons in blanks.values() for reason in reasons)


SIZES = [pytest.param(QUICK, id="quick"), pytest.param(THOROUGH, id="thorough", marks=pytest.mark.slow)]
# Learners and quantizers each once, not each with each; means with edges, on a grid and without one.
PAIRED = {f"{name}, {q}" for name, q in zip(REFITS, ("ternary-50", "sign", "uniform-2"), strict=True)}
MORE = {name for name in TASKS if name.split(",")[0] in REFITS} - PAIRED
MORE |= {"means in many cells", "mean in the middle of cells", "mean as it is"}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in MORE else n for n in TASKS])
def test_every_attack_stays_inside(name, size):
    for row, attack in ROWS.items():
        if not missing(attack, task_of(name, size)) and (row not in SLOW or size is THOROUGH):
            refuse_outside(name, size, *scored(attack, name, size))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", TASKS)
def test_the_optimal_attack_reaches_the_exact_value(name, size):
    task = task_of(name, size)
    reached, error = difference(*best_of(name, size), task.drawn)
    assert reached <= task.truth.upper + 5 * error
    # The normal law leaves out what the variance given z tells, a share of 1/n.
    short = 0.02 if "target_codes" in task.lacks else 0.005
    assert reached >= task.truth.lower - short - 5 * error


@pytest.mark.parametrize("name", TASKS)
def test_the_estimate_by_counting_meets_the_exact_value(name):
    """``counting_advantage`` on refits with examples drawn from the law, and on refits without."""
    task = task_of(name, QUICK)
    if "target_codes" in task.lacks:
        assert all(release.codes is None for release in targets_of(name, QUICK, 100))
        return
    rng = np.random.default_rng(4)
    examples = rng.choice(len(task.shares), 60, p=task.shares)
    codes_with = np.stack([task.refits(rng, j, 2000).codes for j in examples])
    codes = [codes_with, task.refits(rng, None, 60_000).codes]
    number = np.unique(np.concatenate([x.ravel() for x in codes]), return_inverse=True)[1]
    found = attacks.counting_advantage(
        number[: codes_with.size].reshape(codes_with.shape), number[codes_with.size :], level=LEVEL
    )
    assert found.lower <= task.truth.upper
    assert found.upper >= task.truth.lower
    assert found.width < 0.25


def test_it_can_fail_from_above():
    """An attack that sees the weights before the quantizer, and one that counts on the refits that it scores."""
    name = "logistic, sign"
    targets = targets_of(name, QUICK, QUICK.targets)
    seen = [release._replace(lower=release.full, upper=release.full) for release in targets]
    with pytest.raises(AssertionError):
        refuse_outside(name, QUICK, *scored(ROWS["cells"], name, QUICK, seen))
    name = "means on a fine grid"
    scores = []
    for release in targets_of(name, QUICK, QUICK.targets):
        membership = np.arange(len(release.codes))[:, None] < len(release.codes) // 2
        own = {"shadow_codes": release.codes, "shadow_membership": membership, "target_codes": release.codes}
        scores.append(np.split(attacks.Optimal().scores(**own)[:, 0], 2))
    with pytest.raises(AssertionError):
        refuse_outside(name, QUICK, *zip(*scores, strict=True))


def test_it_can_fail_from_below(monkeypatch):
    """An optimal attack that guesses."""
    name = "candidates, near tie"
    scores = scored(ROWS["lira"], name, QUICK)
    refuse_outside(name, QUICK, *scores)
    rng = np.random.default_rng(0)
    guesses = [[rng.random(len(x)) < 0.5 for x in side] for side in scores]
    monkeypatch.setattr(f"{__name__}.best_of", lambda *_: guesses)
    with pytest.raises(AssertionError):
        refuse_outside(name, QUICK, *scores)
