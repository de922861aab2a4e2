"""Rates and leading terms against closed forms, numerical optimisation, and exact values over ladders of n."""

import math

import mpmath
import numpy as np
import pytest
from scipy import optimize

from mis import theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting

THREE = ([-0.9, 0.15, 0.6], [0.2, 0.5, 0.3])


def gaussian(delta):
    return theory.GaussianLosses(mean=[0.0, delta], cov=[[0.0, 0.0], [0.0, 1.0]])


def discrete(difference, probs, minimiser_first=True):
    zeros = [0.0] * len(probs)
    losses = [zeros, difference] if minimiser_first else [difference, zeros]
    return theory.DiscreteLosses(losses=losses, probs=probs)


def test_rate_of_normal_differences_is_half_the_squared_ratio():
    law = theory.GaussianLosses(mean=[1.0, 1.3, 1.9], cov=[[1.0, 0.5, 0.0], [0.5, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert theory.rate(law).value == pytest.approx(min(0.3**2 / 2, 0.9**2 / 4), rel=1e-14, abs=0)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.49])
def test_rate_of_a_sign_is_chernoffs(p):
    assert theory.rate(discrete([1.0, -1.0], [1 - p, p])).value == pytest.approx(
        -math.log(2 * math.sqrt(p * (1 - p)))
    )


def test_rate_against_an_optimiser(rng):
    losses, probs = rng.normal(size=(4, 6)), rng.dirichlet(np.ones(6))
    law = theory.DiscreteLosses(losses=losses, probs=probs)
    differences = np.delete(losses, law.best(), axis=0) - losses[law.best()]
    found = [
        -optimize.minimize_scalar(
            lambda t, d=d: np.log(np.exp(-t * d) @ probs), bounds=(0, 50), method="bounded"
        ).fun
        for d in differences
    ]
    assert theory.rate(law).value == pytest.approx(min(found), rel=1e-8, abs=0)
    sampled = theory.SampledLosses(losses=np.repeat(losses, [1, 2, 3, 1, 2, 3], axis=1))
    counted = theory.DiscreteLosses(losses=losses, probs=np.array([1, 2, 3, 1, 2, 3]) / 12)
    assert theory.rate(sampled).value == pytest.approx(theory.rate(counted).value, rel=1e-12, abs=0)


def chernoff_by_bisection(values, probs):
    """Minimise the generating function in fifty digits."""
    with mpmath.workdps(50):
        values, probs = [mpmath.mpf(float(x)) for x in values], [mpmath.mpf(float(p)) for p in probs]

        def tilted(t, power):
            return sum(p * x**power * mpmath.exp(-t * x) for x, p in zip(values, probs, strict=True))

        low, high = mpmath.mpf(0), mpmath.mpf(1) / max(abs(x) for x in values)
        while tilted(high, 1) > 0:
            high *= 2
        for _ in range(120):
            middle = (low + high) / 2
            low, high = (middle, high) if tilted(middle, 1) > 0 else (low, middle)
        return float(-mpmath.log(tilted(low, 0) / sum(probs)))


@pytest.mark.parametrize("rarest", [1e-1, 1e-6, 1e-100])
@pytest.mark.parametrize("gap", [1.0, 1e-3, 1e-7])
def test_exact_rates_state_their_rounding_error(rng, rarest, gap):
    for num_atoms in (2, 3, 6):
        probs = np.append(rng.dirichlet(np.ones(num_atoms - 1)) * (1 - rarest), rarest)
        values = rng.normal(size=num_atoms) * 10.0 ** rng.integers(-3, 4)
        values[-1] = -np.abs(values).max()
        # What the others need for a mean of ``gap``; the rare atom stays on the other side of zero.
        values[:-1] += (gap * np.abs(values).max() - probs @ values) / (1 - rarest)
        law = discrete(values, probs)
        found, difference = theory.rate(law), law.difference(1, 0)
        assert found.kind == "exact"
        assert found.lower <= chernoff_by_bisection(values, probs) <= found.upper
        error = 1e-12 + 4e-15 * np.abs(difference.values).max() / difference.mean
        assert found.width <= 2.01 * error * found.value


def test_estimates_and_leading_terms_say_that_they_have_no_bounds():
    sampled = theory.SampledLosses(losses=[[0.0] * 4, [1.0, 2.0, -1.0, 0.5]])
    for found in (theory.rate(sampled), theory.sharp(gaussian(0.3), 10)):
        assert found.kind == "asymptotic"
        assert found.lower == found.value == found.upper
        assert repr(found).endswith("asymptotic, no bounds)")


def rate_to_fifty_digits(values, probs):
    with mpmath.workdps(50):
        values, probs = ([mpmath.mpf(float(x)) for x in numbers] for numbers in (values, probs))
        probs = [p / sum(probs) for p in probs]

        def slope(t):
            return sum(p * v * mpmath.exp(-t * v) for p, v in zip(probs, values, strict=True))

        low, high = mpmath.mpf(0), mpmath.mpf(1e-12)
        while slope(high) > 0:
            high *= 2
        for _ in range(180):
            middle = (low + high) / 2
            low, high = (middle, high) if slope(middle) > 0 else (low, middle)
        return float(-mpmath.log(sum(p * mpmath.exp(-low * v) for p, v in zip(probs, values, strict=True))))


@pytest.mark.parametrize("num_laws", [40, pytest.param(1000, marks=pytest.mark.slow)], ids=["few", "many"])
def test_rate_near_ties_is_what_more_digits_say(sweep_seed, num_laws):
    """Rates down to 1e-25, which a sum of probabilities in float64 makes 1e-16 or negative."""
    rng = np.random.default_rng([sweep_seed, 2])
    tried = 0
    for _ in range(num_laws):
        size = rng.integers(2, 6)
        probs = rng.dirichlet(np.ones(size)) if rng.random() < 0.5 else np.exp(rng.uniform(-25, 0, size))
        values = rng.normal(size=size)
        law = discrete(values - values @ probs / probs.sum() + 10 ** rng.uniform(-12, 0), probs / probs.sum())
        difference = law.difference(1, 0)
        if difference.values.min() < 0 < difference.values.max():
            tried += 1
            error = 1e-12 + 2e-15 * np.abs(difference.values).max() / difference.mean
            truth = rate_to_fifty_digits(difference.values, law.probs)
            found = theory.rate(law)
            assert found.lower <= truth <= found.upper
            assert found.value == pytest.approx(truth, rel=error, abs=0)
    assert tried > num_laws / 2


def test_rate_is_the_limit_of_exact_advantages():
    law = discrete(*THREE)
    gaps = [-math.log(theory.exact(law, n).value) / n - theory.rate(law).value for n in (100, 200, 400, 800)]
    # Down to the factor n**-1/2 of the leading term, the gap is (log n / 2 + constant) / n.
    corrected = [gap * n - math.log(n) / 2 for gap, n in zip(gaps, (100, 200, 400, 800), strict=True)]
    assert np.ptp(corrected) < 0.01


def test_a_competitor_that_never_wins_has_an_infinite_rate():
    assert theory.rate(discrete([0.0, 1.0], [0.5, 0.5])).value == math.inf
    assert theory.exact(discrete([0.0, 1.0], [0.5, 0.5]), 7).value == 0.0


def test_a_competitor_that_wins_by_ties_only():
    law = discrete([0.0, 1.0], [0.3, 0.7], minimiser_first=False)
    assert theory.rate(law).value == pytest.approx(-math.log(0.3), rel=1e-14, abs=0)
    assert theory.exact(law, 20).value == pytest.approx(2 * 0.3**20 * 0.7, rel=1e-12, abs=0)
    with pytest.raises(UnsupportedSetting, match=r"theory.sharp: candidate 0 never has the smaller loss"):
        theory.sharp(law, 20)


def test_slow_convergence_of_the_rate():
    assert -math.log(theory.exact(gaussian(0.3), 100).value) / 100 == pytest.approx(0.0795, abs=5e-5)
    assert theory.rate(gaussian(0.3)).value == pytest.approx(0.045, rel=1e-14, abs=0)
    # The first-order bound exp(-n r_Q), where the competitor wins ties.
    law = discrete(*THREE, minimiser_first=False)
    first_order = [math.exp(-n * theory.indicator(law).value) / theory.exact(law, n).value for n in (5, 400)]
    assert first_order == pytest.approx([7, 54], rel=0.04, abs=0)


@pytest.mark.parametrize(("n", "error"), [(10, 0.017), (300, 5.5e-4)])
def test_checked_accuracy_on_a_normal_law(n, error):
    law = gaussian(0.3)
    assert abs(theory.sharp(law, n).value / theory.exact(law, n).value - 1) == pytest.approx(
        error, rel=0.1, abs=0
    )


# Lattices with zero always on them, sometimes, and (the last two) never at the sizes that are looked at.
LATTICES = [
    THREE,
    ([-1.0, 2 / 3], [0.25, 0.75]),
    ([-1.0, 1.0], [0.3, 0.7]),
    ([-1.0, 0.25, 1.5], [0.4, 0.35, 0.25]),
    ([-1.0, math.sqrt(2)], [0.45, 0.55]),
    ([-1.07, 0.93], [0.3, 0.7]),
    ([-1.0, 1 - 1e-9], [0.3, 0.7]),
]


@pytest.mark.parametrize(("difference", "probs"), LATTICES)
@pytest.mark.parametrize("minimiser_first", [True, False])
def test_lattice_factor_at_every_phase(difference, probs, minimiser_first):
    law = discrete(difference, probs, minimiser_first)
    for start, bound in ((50, 0.06), (400, 0.0075)):
        ratios = [theory.sharp(law, n).value / theory.exact(law, n).value for n in range(start, start + 12)]
        assert np.abs(np.array(ratios) - 1).max() < bound


def test_the_factor_for_flipping_ties_is_wrong_where_ties_do_not_flip():
    # t h / (1 - exp(-t h)) holds where a zero sum counts as an error; its twin is exp(-t h) times smaller.
    law, flipped = discrete(*THREE), discrete(*THREE, minimiser_first=False)
    t, h = law.difference(1, 0).optimal_tilt(), 0.15
    assert theory.sharp(flipped, 400).value / theory.sharp(law, 400).value == pytest.approx(
        math.exp(t * h), rel=1e-9, abs=0
    )
    assert theory.exact(flipped, 400).value / theory.exact(law, 400).value == pytest.approx(
        math.exp(t * h), rel=2e-3, abs=0
    )
    assert math.exp(t * h) > 1.03


def test_error_falls_like_one_over_n_without_a_lattice():
    difference = np.array([-1.0, 0.1, math.sqrt(2) / 2, 0.9])
    law = discrete(difference, [0.25, 0.25, 0.2, 0.3])
    errors = [abs(theory.sharp(law, n).value / theory.exact(law, n).value - 1) for n in (20, 40, 80, 160)]
    assert errors[-1] < 0.02
    gaussian_errors = [
        abs(theory.sharp(gaussian(0.5), n).value / theory.exact(gaussian(0.5), n).value - 1)
        for n in (50, 100, 200)
    ]
    assert np.diff(np.log(gaussian_errors)) == pytest.approx(-math.log(2), abs=0.05)


def test_of_several_competitors_the_strongest_leads():
    law = theory.DiscreteLosses(
        losses=[[0.0, 0.0, 0.0], [-0.9, 0.15, 0.6], [0.3, -0.5, 1.9]], probs=[0.2, 0.5, 0.3]
    )
    assert theory.sharp(law, 400).value == pytest.approx(theory.exact(law, 400).value, rel=0.01, abs=0)


@pytest.mark.parametrize("function", [theory.rate, lambda law: theory.sharp(law, 10)], ids=["rate", "sharp"])
@pytest.mark.parametrize(
    ("law", "reason"),
    [
        (gaussian(0.0), "candidates 0 and 1 share the smallest expected loss"),
        (theory.GaussianLosses(mean=[0, 1], cov=np.ones((2, 2))), "the learner never varies"),
        (
            theory.DiscreteLosses(losses=[[0, 1], [1, 0]], probs=[0.5, 0.5]),
            "share the smallest expected loss",
        ),
        (theory.SampledLosses(losses=[[0, 1], [0, 1]]), "the learner never varies"),
    ],
)
def test_refuses_degenerate_laws(function, law, reason):
    with pytest.raises(UnsupportedSetting, match=reason):
        function(law)


def test_sharp_refuses_twin_competitors_and_bad_sizes():
    twins = theory.GaussianLosses(mean=[0.0, 0.3, 0.3], cov=np.diag([0.0, 1.0, 1.0]))
    assert theory.rate(twins).value == pytest.approx(0.045)
    with pytest.raises(UnsupportedSetting, match="candidates 1 and 2 attain the same smallest exponent"):
        theory.sharp(twins, 10)
    with pytest.raises(InvalidInput, match=r"theory.sharp: expected n an integer >= 1, got n=0"):
        theory.sharp(gaussian(0.3), 0)
