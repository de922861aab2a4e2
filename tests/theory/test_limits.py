"""The worst learner on finitely many values: closed form against enumeration, simulation and bounds."""

import itertools
import math

import mpmath
import numpy as np
import pytest
from scipy import stats

from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.theory.limits import (
    enumerate_learner,
    finite_support_asymptote,
    finite_support_bound,
    finite_support_limit,
)

LAWS = {
    "coin": [0.5, 0.5],
    "skewed": [0.9, 0.07, 0.03],
    "thirds": [1 / 3, 1 / 3, 1 / 3],
    "with-zero": [0.4, 0.0, 0.6],
    "certain": [1.0],
    "five": [0.3, 0.25, 0.2, 0.15, 0.1],
}


def naive(learner, probs, n):
    """Advantage by the definition, over every ordered sample: TV(Law(theta, z_1), Law(theta) x P)."""
    joint, marginal = {}, {}
    for sample in itertools.product(range(len(probs)), repeat=n):
        prob = math.prod(probs[z] for z in sample)
        theta = learner(np.bincount(sample, minlength=len(probs)))
        joint[theta, sample[0]] = joint.get((theta, sample[0]), 0.0) + prob
        marginal[theta] = marginal.get(theta, 0.0) + prob
    pairs = itertools.product(marginal, range(len(probs)))
    return sum(abs(joint.get((t, z), 0.0) - marginal[t] * probs[z]) for t, z in pairs) / 2


def dense(counts):
    return tuple(counts.tolist())


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("probs", LAWS.values(), ids=LAWS)
def test_limit_is_the_definition_for_released_counts(probs, n):
    truth = naive(dense, probs, n)
    assert finite_support_limit(probs, n).value == pytest.approx(truth, rel=1e-12, abs=1e-15)
    assert enumerate_learner(dense, probs, n).value == pytest.approx(truth, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("n", [1, 7, 30, 1000, 10_000])
@pytest.mark.parametrize("probs", LAWS.values(), ids=LAWS)
def test_limit_is_half_the_mean_absolute_deviation(probs, n):
    counts = np.arange(n + 1)
    truth = sum(np.abs(counts / n - p) @ stats.binom.pmf(counts, n, p) for p in probs) / 2
    assert finite_support_limit(probs, n).value == pytest.approx(truth, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize("n", [3, 10**3, 10**6, 10**9, 10**12])
@pytest.mark.parametrize("p", [1e-9, 1e-6, 1e-3, 0.2, 1 / 3, 0.5, 0.7, 1 - 1e-6, 1 - 1e-9])
def test_limit_keeps_its_digits_at_any_size(p, n):
    with mpmath.workdps(50):
        atoms = [mpmath.mpf(p), mpmath.mpf(1 - p)]
        truth = 0
        for atom in atoms:
            k = mpmath.floor(n * atom)
            log = mpmath.loggamma(n) - mpmath.loggamma(k + 1) - mpmath.loggamma(n - k)
            truth += (
                (1 - atom)
                * atom
                * mpmath.exp(log + k * mpmath.log(atom) + (n - 1 - k) * mpmath.log(1 - atom))
            )
        interval = finite_support_limit([p, 1 - p], n)
        assert interval.lower <= truth <= interval.upper


@pytest.mark.parametrize("probs", [LAWS["five"], LAWS["skewed"]])
def test_limit_by_simulation(probs, rng):
    n, repeats = 400, 20_000
    deviations = np.abs(rng.multinomial(n, probs, size=repeats) / n - probs).sum(axis=1) / 2
    error = deviations.std() / math.sqrt(repeats)
    assert abs(deviations.mean() - finite_support_limit(probs, n).value) <= 5 * error


@pytest.mark.parametrize("n", [1, 2, 10, 137, 10**4, 10**8])
@pytest.mark.parametrize("probs", [*LAWS.values(), [1e-3] * 1000, np.full(10**6, 1e-6)])
def test_bound_holds_at_every_n(probs, n):
    limit = finite_support_limit(probs, n)
    assert limit.value <= finite_support_bound(probs, n).value * (1 + 1e-12)
    assert limit.details == {
        "bound": finite_support_bound(probs, n).value,
        "asymptote": finite_support_asymptote(probs, n).value,
    }


@pytest.mark.parametrize("probs", [*LAWS.values(), [1e-3] * 1000])
def test_bound_and_asymptote_say_what_they_are(probs):
    bound, asymptote = finite_support_bound(probs, 7), finite_support_asymptote(probs, 7)
    assert (bound.kind, bound.lower, bound.level) == ("certified", 0.0, 1.0)
    with mpmath.workdps(40):
        weights = [mpmath.mpf(float(p)) for p in probs]
        truth = sum(mpmath.sqrt(p * (1 - p)) for p in weights) / (2 * mpmath.sqrt(7))
        assert bound.value <= bound.upper
        assert truth <= bound.upper <= truth * (1 + mpmath.mpf(1e-11))
    assert asymptote.kind == "asymptotic"
    assert asymptote.lower == asymptote.value == asymptote.upper


def test_bound_is_reached():
    # One coin flip deviates by exactly its standard deviation.
    assert finite_support_limit([0.5, 0.5], 1).value == finite_support_bound([0.5, 0.5], 1).value == 0.5


@pytest.mark.parametrize("probs", [LAWS["coin"], LAWS["skewed"], LAWS["five"], LAWS["with-zero"]])
def test_asymptote_is_approached_like_one_over_n(probs):
    ladder = np.array([10**3, 10**4, 10**5, 10**6])
    gaps = [
        abs(finite_support_limit(probs, n).value / finite_support_asymptote(probs, n).value - 1)
        for n in ladder
    ]
    assert np.polyfit(np.log(ladder), np.log(gaps), 1)[0] == pytest.approx(-1, abs=0.15)


def test_spread_out_data_are_all_revealed():
    limits = [finite_support_limit(np.full(m, 1 / m), 50).value for m in (10, 10**3, 10**5, 10**6)]
    assert limits == sorted(limits)
    # Nothing repeats: a value seen in the counts is a member's, but for a fresh draw of the same value.
    assert limits[-1] == pytest.approx((1 - 1e-6) ** 50, rel=1e-12, abs=0)


@pytest.mark.parametrize(("probs", "n"), [([0.5, 0.3, 0.2], 6), ([0.25] * 4, 4), (LAWS["five"], 3)])
def test_post_processing_never_helps_the_attacker(probs, n):
    """Released mean, then coarser and coarser quantizers of it: each a function of the one before."""
    values = np.arange(len(probs))
    chain = [
        dense,
        lambda counts: int(counts @ values),
        lambda counts: int(counts @ values) // 2,
        lambda counts: int(counts @ values) // 4,
        lambda counts: int(counts @ values) // 8,
        lambda _: 0,
    ]
    advantages = [enumerate_learner(learner, probs, n).value for learner in chain]
    assert all(finer >= coarser - 1e-14 for finer, coarser in itertools.pairwise(advantages))
    assert advantages[0] == pytest.approx(finite_support_limit(probs, n).value, rel=1e-12, abs=0)
    assert advantages[1] > advantages[2] > 0.01
    assert advantages[-1] == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("name", ["majority", "memoriser", "mean", "parity"])
def test_no_learner_exceeds_the_limit_and_each_is_its_definition(name):
    learner = {
        "majority": lambda counts: int(counts.argmax()),
        "memoriser": lambda counts: tuple((counts > 0).tolist()),
        "mean": lambda counts: int(counts @ np.arange(len(counts))),
        "parity": lambda counts: tuple((counts % 2).tolist()),
    }[name]
    for probs, n in ([0.5, 0.3, 0.2], 5), ([0.1, 0.2, 0.3, 0.4], 4):
        interval = enumerate_learner(learner, probs, n)
        assert interval.value == pytest.approx(naive(learner, probs, n), rel=1e-12, abs=0)
        assert 0 < interval.value <= finite_support_limit(probs, n).upper
        assert interval.roc().advantage().value == pytest.approx(interval.value, rel=1e-12, abs=0)


def test_num_releases():
    assert enumerate_learner(dense, [0.5, 0.3, 0.2], 5).details["num_releases"] == math.comb(7, 2)


def test_a_quantized_minimiser_is_one_of_the_learners():
    from mis import theory

    law = theory.DiscreteLosses(losses=[[0.0, 1.0, 2.0], [1.1, 0.2, 0.9]], probs=[0.5, 0.2, 0.3])
    losses = np.asarray(law.losses)
    for n in (1, 4, 9, 25):
        value = enumerate_learner(
            lambda counts: int(np.argmin(np.round(losses @ counts, 9))), law.probs, n
        ).value
        assert theory.exact(law, n).value == pytest.approx(value, rel=1e-9, abs=0)


@pytest.mark.parametrize("n", [1, 20, 300])
def test_roc_of_the_counts(n):
    probs = LAWS["five"]
    limit, roc = finite_support_limit(probs, n), finite_support_limit(probs, n).roc()
    assert roc.advantage().value == pytest.approx(limit.value, rel=1e-10, abs=0)
    # The attacker who sees the counts c calls z a member where c_z/n is large against p_z: simulated.
    rng = np.random.default_rng(8)
    repeats = 40_000
    members = rng.multinomial(n - 1, probs, size=repeats)
    z = rng.choice(5, size=(2, repeats), p=probs)
    rows = np.arange(repeats)
    inside = (members[rows, z[0]] + 1) / (n * np.take(probs, z[0]))
    outside = rng.multinomial(n, probs, size=repeats)[rows, z[1]] / (n * np.take(probs, z[1]))
    for threshold in (1.05, 1.2):
        tpr, fpr = (inside > threshold).mean(), (outside > threshold).mean()
        error = math.sqrt((0.25 + 0.25 * threshold**2) / repeats)
        assert abs(tpr - threshold * fpr - roc.hockey_stick(math.log(threshold)).value) <= 5 * error


@pytest.mark.parametrize("function", [finite_support_limit, finite_support_bound, finite_support_asymptote])
@pytest.mark.parametrize(
    ("probs", "n", "message"),
    [
        ([0.5, 0.6], 3, "expected probs non-negative with sum 1"),
        ([1.5, -0.5], 3, "expected probs non-negative with sum 1"),
        ([0.5, np.nan], 3, "expected probs finite, got 1 NaN"),
        ([], 3, "expected probs not empty"),
        ([[1.0]], 3, "expected probs with 1 axes"),
        ([0.5, 0.5], 0, r"expected n an integer in 1\.\.1000000000000, got n=0"),
        ([0.5, 0.5], 2.0, r"expected n an integer in 1\.\."),
        ([0.5, 0.5], 10**13, r"expected n an integer in 1\.\."),
    ],
)
def test_refuses(function, probs, n, message):
    with pytest.raises(InvalidInput, match=f"theory.{function.__name__}: {message}"):
        function(probs, n)


def test_refuses_a_learner_that_is_none():
    with pytest.raises(
        InvalidInput, match=r"enumerate_learner: expected learner a function of the counts, got .*=3"
    ):
        enumerate_learner(3, [0.5, 0.5], 5)
    with pytest.raises(InvalidInput, match="expected learner to release something hashable, got"):
        enumerate_learner(list, [0.5, 0.5], 5)


def test_refuses_what_is_too_large():
    with pytest.raises(
        UnsupportedSetting, match=r"n=50 examples on 5 atoms make .* samples, more than 200000"
    ):
        enumerate_learner(dense, LAWS["five"], 50)
    with pytest.raises(UnsupportedSetting, match=r"the ROC of 5 atoms and n=1000000 has 5e\+06 corners"):
        finite_support_limit(LAWS["five"], 10**6).roc()


def training_losses(key, num_steps, num_runs=200, n=6, width=32):
    """Loss of a fresh example and of a member at each step of training a wide network on coin-flip labels."""
    import jax
    import jax.numpy as jnp

    def losses(params, x, y):
        return (jnp.maximum(x @ params[0], 0) @ params[1] / math.sqrt(width) - y) ** 2

    def one(key):
        data_key, label_key, *weight_keys = jax.random.split(key, 4)
        x = jax.random.normal(data_key, (n + 1, 4))
        y = jax.random.rademacher(label_key, (n + 1,), dtype=jnp.float32)
        params = (
            jax.random.normal(weight_keys[0], (4, width)),
            jax.random.normal(weight_keys[1], (width,)) / 8,
        )

        def step(params, _):
            gradient = jax.grad(lambda p: losses(p, x[1:], y[1:]).sum())(params)
            return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient), losses(params, x[:2], y[:2])

        return jax.lax.scan(step, params, length=num_steps)[1]

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(key, num_runs)))


def test_an_interpolating_network_reveals_its_sample():
    """Loss-threshold attack while a network overfits: a lower bound on the advantage, from nothing to nearly
    all."""
    import jax

    losses = training_losses(jax.random.key(2), 1001)
    advantages = []
    for fresh, member in losses[:, [0, 10, 100, 1000]].transpose(1, 2, 0):
        thresholds = np.quantile(np.concatenate([member[::2], fresh[::2]]), np.linspace(0, 1, 201))
        gain = [(member[::2] <= t).mean() - (fresh[::2] <= t).mean() for t in thresholds]
        best = thresholds[int(np.argmax(gain))]
        # Scored on other runs than those that chose the threshold.
        advantages.append((member[1::2] <= best).mean() - (fresh[1::2] <= best).mean())
    assert abs(advantages[0]) <= 5 * math.sqrt(0.5 / 100)
    assert advantages[1] < advantages[2] < advantages[3]
    assert advantages[3] >= 0.9


def test_the_least_norm_interpolator_reveals_everything(rng):
    """With more features than examples a member is fitted exactly, a fresh one almost surely not: MIS 0."""
    for _ in range(50):
        x, y = rng.normal(size=(11, 20)), rng.normal(size=11)
        theta = np.linalg.lstsq(x[:10], y[:10])[0]
        residuals = np.abs(x @ theta - y)
        assert residuals[:10].max() < 1e-9 < residuals[10]
