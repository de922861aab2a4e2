import itertools
import math

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from scipy import special, stats

from mis.numerics.checks import InvalidInput
from mis.theory import coordinate
from mis.theory.composition import LARGEST_LATTICE
from mis.theory.full_precision import full_precision_mean
from mis.theory.product import Cells, ToleranceNotMet, product, quantized_mean
from mis.theory.roc import Roc


def given_and_code(edges, n, z):
    """Probabilities of the cells given an example, (len(z), cells), and of the cells; edges in data units."""
    scaled, r = np.append(-np.inf, np.append(np.sqrt(n) * edges, np.inf)), n**-0.5
    conditional = np.diff(special.ndtr((scaled - r * z[:, None]) / math.sqrt(1 - r * r)), axis=1)
    return conditional, np.diff(special.ndtr(scaled))


def pair_by_brute_force(first, second, n, num=90):
    """Joint masses of two coordinates on a fine midpoint grid of both examples: members and others."""
    z = (np.arange(num) + 0.5) / num * 14 - 7
    weight = np.exp(-z * z / 2)
    weight /= weight.sum()
    (p, p0), (q, q0) = given_and_code(first, n, z), given_and_code(second, n, z)
    members = (weight[:, None] * p)[:, None, :, None] * (weight[:, None] * q)[None, :, None, :]
    others = (weight[:, None] * p0)[:, None, :, None] * (weight[:, None] * q0)[None, :, None, :]
    return members / members.sum(), others / others.sum()


def grid(width, offset, reach=6):
    return (np.arange(-reach, reach + 1) - offset) * width


@pytest.mark.parametrize(
    ("n", "width", "offset"),
    [
        (n, w, o)
        for n, w, o in itertools.product([2, 10, 100], [0.5, 1.0, 3.0], [0.0, 0.3, 0.5])
        if w * math.sqrt(n) < 6
    ],
)
def test_two_coordinates_meet_brute_force(n, width, offset):
    edges = grid(width, offset, min(6, math.ceil(6 / width / math.sqrt(n))))
    exact = Roc.discrete(*pair_by_brute_force(edges, edges, n))
    bounds = quantized_mean(n, 2, width, offset, tolerance=5e-5)
    assert bounds.width <= 5e-5
    # The midpoint rule on 90 points errs by this much across the kinks.
    error = 1e-5 + 5e-4 / n
    assert bounds.lower - error <= exact.advantage().value <= bounds.upper + error
    roc = bounds.roc()
    for fpr in (1e-3, 0.05, 0.5):
        at = roc.tpr(fpr)
        assert at.lower - 5 * error <= exact.tpr(fpr).value <= at.upper + 5 * error
        assert at.width < 5e-4
    for epsilon in (-0.1, 0.02, 0.2):
        at = roc.hockey_stick(epsilon)
        assert at.lower - error <= exact.hockey_stick(epsilon).value <= at.upper + error


def test_unlike_coordinates_meet_brute_force():
    n, first, second = 20, np.array([-0.1, 0.25]), np.array([0.05])
    exact = Roc.discrete(*pair_by_brute_force(first, second, n))
    cells = [Cells(edges=(-0.1, 0.25)), Cells(edges=(4.1,), mean=4.0, scale=2.0)]
    bounds = product(cells, n, tolerance=1e-6)
    assert bounds.width <= 1e-6
    assert bounds.value == pytest.approx(exact.advantage().value, abs=1e-5)
    assert bounds.roc().tpr(0.01).value == pytest.approx(exact.tpr(0.01).value, abs=3e-5)


@pytest.mark.parametrize(
    ("dim", "low", "high"), [(1, 0.03186, 0.03191), (10, 0.10047, 0.10092), (100, 0.3092, 0.3127)]
)
def test_certified_values_on_cell_edges(dim, low, high):
    bounds = quantized_mean(100, dim, 0.5)
    assert low <= bounds.lower <= bounds.upper <= high
    assert bounds.width <= 1e-4
    assert bounds.kind == "certified"


@pytest.mark.parametrize("n", [2, pytest.param(17, marks=pytest.mark.slow), 100])
@pytest.mark.parametrize("dim", [1, 3, pytest.param(30, marks=pytest.mark.slow), 1000])
def test_full_precision_meets_the_quadratic_form(n, dim):
    exact = full_precision_mean(dim, n)
    bounds = quantized_mean(n, dim, 0.0, tolerance=4e-3)
    assert bounds.lower <= exact.lower
    assert exact.upper <= bounds.upper
    fpr = np.geomspace(1e-4, 1, 30)
    (low, high), (least, most) = bounds.roc().bounds(fpr), exact.roc().bounds(fpr)
    assert (low <= most).all()
    assert (least <= high).all()


def test_narrow_cells_tend_to_full_precision_from_below():
    exact = full_precision_mean(20, 50).value
    values = [quantized_mean(50, 20, width, 0.2, tolerance=1e-3) for width in (0.5, 0.1, 0.02, 1e-4, 1e-9)]
    assert all(v.lower <= exact for v in values)
    assert all(v.upper >= exact - gap for v, gap in zip(values, [1, 0.1, 1e-3, 0, 0], strict=True))


@pytest.mark.parametrize("dim", [10, 100])
@pytest.mark.parametrize("offset", [0.0, 0.4])
def test_monte_carlo_of_the_likelihood_ratio(rng, dim, offset):
    """E (1 - 1/ratio)^+ under members, 5 standard errors."""
    n, width, draws = 30, 0.5, 20_000
    z = rng.standard_normal((draws, dim))
    mean = z / n + rng.standard_normal((draws, dim)) * math.sqrt(n - 1) / n
    low = (np.floor(mean / width + offset) - offset) * width * math.sqrt(n)
    high, r = low + width * math.sqrt(n), n**-0.5
    sd = math.sqrt(1 - r * r)
    given = special.ndtr((high - r * z) / sd) - special.ndtr((low - r * z) / sd)
    gain = np.maximum(1 - np.exp(-np.log(given / (special.ndtr(high) - special.ndtr(low))).sum(1)), 0)
    bounds = quantized_mean(n, dim, width, offset)
    error = 5 * gain.std() / math.sqrt(draws)
    assert bounds.lower - error <= gain.mean() <= bounds.upper + error
    assert error < 0.1 * bounds.value


@pytest.mark.parametrize(("dim", "offset"), [(1, 0.0), (20, 0.0), (20, 0.35)])
def test_dp_accounting_encloses_it(dim, offset):
    """Their optimistic estimate on what a binned attacker sees, their pessimistic one on the ends of classes."""
    edges, n = grid(0.5, offset, 12) * 10.0, 100
    seen = coordinate.outcomes([coordinate.Coordinate(edges, np.ones(len(edges) + 1, bool))], 0.1, 0.02)

    def composed(others, pessimistic):
        members, others = (dict(enumerate(np.log(mass))) for mass in (seen.members, others))
        loss = pld.from_two_probability_mass_functions(others, members, pessimistic, 1e-4, symmetric=False)
        return loss.self_compose(dim)

    below, above = composed(seen.others, False), composed(seen.members * np.exp(-seen.high), True)
    roc = quantized_mean(n, dim, 0.5, offset, tolerance=1e-5).roc()
    for epsilon in (0.0, 0.1, 0.3):
        # Theirs is the larger of both directions; the ends of the classes bound one of them.
        low, high = (bound.get_delta_for_epsilon(epsilon) for bound in (below, above))
        assert low <= roc.delta(epsilon).lower + 1e-9
        assert roc.hockey_stick(epsilon).upper <= high + 1e-9
    assert above.get_delta_for_epsilon(0.0) - below.get_delta_for_epsilon(0.0) < 0.02


@pytest.mark.parametrize("n", [2, 7, 100, 10**4])
@pytest.mark.parametrize("width", [0.05, 1.0])
@pytest.mark.parametrize("offset", [0.0, 0.23, 0.5])
def test_sound_at_every_tolerance_dimension_and_merge(n, width, offset):
    """Bounds at two tolerances overlap; more coordinates leak no less; halving the cells leaks no less."""
    last = 0.0
    for dim in (1, 40, 2000):
        rough = quantized_mean(n, dim, width, offset, tolerance=1e-2)
        fine = quantized_mean(n, dim, width, offset, tolerance=2e-3)
        assert 0 <= rough.lower <= fine.upper
        assert fine.lower <= rough.upper <= 1
        assert fine.width <= 2e-3
        assert last <= fine.upper
        # offset/width in the finer grid that contains all edges of this one
        halved = quantized_mean(n, dim, width / 2, 2 * offset, tolerance=2e-3)
        assert fine.lower <= halved.upper
        assert fine.lower <= full_precision_mean(dim, n).upper
        last = fine.lower


@pytest.mark.parametrize("dim", [1, 5, 10_000])
def test_tiny_leakage_is_bracketed_by_single_coordinates(dim):
    bounds = quantized_mean(100, dim, 2.0, 0.5)
    alone = coordinate.advantage(np.array([-30.0, -10.0, 10.0, 30.0]), 0.1)
    assert bounds.lower == pytest.approx(alone, rel=1e-9, abs=0)
    assert bounds.upper == pytest.approx(dim * alone, rel=1e-9, abs=0)


def test_in_one_dimension_the_curve_agrees_with_the_relatively_exact_value():
    bounds = quantized_mean(100, 1, 0.5, 0.3, tolerance=1e-6)
    assert bounds.width < 1e-9 * bounds.value
    area = bounds.roc().advantage()
    assert area.lower <= bounds.value <= area.upper
    assert area.width < 1e-6


def test_equal_coordinates_may_be_counted_or_repeated():
    counted = product([Cells(edges=(0.0, 0.2), count=6)], 40)
    repeated = product([Cells(edges=(0.0, 0.2))] * 4 + [Cells(edges=(0.0, 0.2), count=2)], 40)
    shifted = product([Cells(edges=(3.0, 3.4), mean=3.0, scale=2.0, count=6)], 40)
    assert counted == repeated
    assert (counted.lower, counted.upper) == pytest.approx((shifted.lower, shifted.upper), abs=1e-12)
    on_grid = quantized_mean(40, 6, 0.2)
    fine = product([Cells(edges=tuple(0.2 * k for k in range(-30, 31)), count=6)], 40)
    assert (on_grid.lower, on_grid.upper) == pytest.approx((fine.lower, fine.upper), abs=1e-10)


def test_what_is_not_released_leaks_nothing_and_full_precision_may_stand_beside_cells():
    assert product([Cells(edges=(), count=50)], 10).upper < 1e-9
    signs, mixed = ([Cells(edges=(0.0,), count=5)], [Cells(edges=(0.0,), count=5), Cells(edges=None)])
    alone, beside = product(signs, 10, tolerance=1e-3), product(mixed, 10, tolerance=1e-3)
    assert alone.upper < beside.lower
    assert beside.lower <= 0.2 + full_precision_mean(6, 10).value


def test_the_guarantee_reaches_low_false_positive_rates():
    n, dim = 50, 400
    rough, fine = (quantized_mean(n, dim, 0.7, 0.1, tolerance=t).roc() for t in (1e-3, 1e-6))
    fpr = np.geomspace(1e-6, 1, 200)
    (low, high), (least, most) = rough.bounds(fpr), fine.bounds(fpr)
    assert (low <= most).all()
    assert (least <= high).all()
    assert (high - low).max() < 5e-3
    assert fine.tpr(1e-3).width < 1e-5


def test_a_tolerance_out_of_reach_is_told():
    with pytest.warns(
        ToleranceNotMet, match="theory.quantized_mean: the bounds are .* more than tolerance=1e-08"
    ):
        bounds = quantized_mean(100, 10**7, 3.0, 0.1, tolerance=1e-8)
    assert bounds.width > 1e-8


@pytest.mark.parametrize("width", [1e3, 1e100, 1e307])
def test_however_wide_the_cells_an_edge_leaks_the_same(width):
    assert quantized_mean(100, 1, width).value == pytest.approx(math.asin(0.1) / math.pi, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantized_mean(1, 3, 0.5), "theory.quantized_mean: expected n an integer >= 2|in 2.."),
        (lambda: quantized_mean(10, 0, 0.5), "expected dim an integer in 1.."),
        (lambda: quantized_mean(10, 3, -0.5), "expected width >= 0, got width=-0.5"),
        (lambda: quantized_mean(10, 3, math.nan), "expected width a finite number"),
        (
            lambda: quantized_mean(10, 3, 0.5, tolerance=0.0),
            "expected tolerance in 1e-8..0.1, got tolerance=0.0",
        ),
        (lambda: product([], 10), "theory.product: expected cells a non-empty sequence of Cells"),
        (lambda: product(None, 10), "a non-empty sequence of Cells, got cells=None"),
        (lambda: product(3, 10), "a non-empty sequence of Cells, got cells=3"),
        (lambda: product([(0.0,)], 10), "expected cells a non-empty sequence of Cells"),
        (lambda: product([Cells(edges=(0.0,))], 1), "theory.product: expected n an integer"),
        (lambda: Cells(edges=[0.0]), "theory.Cells: expected edges a tuple or None"),
        (lambda: Cells(edges=(1.0, 1.0)), "expected edges ascending"),
        (lambda: Cells(edges=(0.0, math.inf)), "expected edges finite"),
        (lambda: Cells(edges=(0.0,), scale=0.0), "expected scale a finite number > 0"),
        (lambda: Cells(edges=(0.0,), count=0), "expected count an integer in 1.."),
    ],
)
def test_bad_input_is_refused_by_name(call, message):
    with pytest.raises(InvalidInput, match=message):
        call()


@pytest.mark.parametrize("n", [2, 12])
def test_a_release_that_gives_nearly_everything_away_is_bracketed(n):
    """Laws so far apart that those of non-members lie outside the window of members."""
    exact = full_precision_mean(2000, n)
    for width in (0.0, 0.01):
        bounds = quantized_mean(n, 2000, width, tolerance=1e-3)
        assert bounds.width <= 1e-3
        assert bounds.lower <= exact.upper
    assert bounds.upper >= exact.lower - 1e-3


def distinct(dim, rng):
    """Every coordinate with edges, mean and scale of its own."""
    return [
        Cells(
            edges=tuple(np.sort(rng.uniform(-1, 1, rng.integers(1, 17))).tolist()),
            mean=rng.normal() * 0.2,
            scale=math.exp(0.3 * rng.normal()),
        )
        for _ in range(dim)
    ]


def test_distinct_coordinates_meet_simulated_likelihood_ratios(rng):
    n, draws, cells = 60, 20_000, distinct(40, rng)
    r, loss = n**-0.5, np.zeros(20_000)
    for c in cells:
        edges = math.sqrt(n) * (np.array(c.edges) - c.mean) / c.scale
        z = rng.standard_normal(draws)
        y = r * z + math.sqrt(1 - r * r) * rng.standard_normal(draws)
        conditional, plain = given_and_code(edges / math.sqrt(n), n, z)
        code = np.searchsorted(edges, y)
        loss += np.log(conditional[np.arange(draws), code] / plain[code])
    bounds = product(cells, n, tolerance=1e-3)
    for epsilon in (-0.2, 0.0, 0.4):
        gain = np.maximum(1 - np.exp(epsilon - loss), 0)
        at, error = bounds.roc().hockey_stick(epsilon), 5 * gain.std() / math.sqrt(draws)
        assert at.lower - error <= gain.mean() <= at.upper + error
    assert bounds.width <= 1e-3


def test_a_thousand_distinct_coordinates_in_one_go(rng):
    """Bounds at two tolerances overlap, and equal those of the parts where the parts are copies."""
    cells = distinct(1000, rng)
    rough, fine = (product(cells, 100, tolerance=t) for t in (1e-2, 1e-3))
    assert rough.lower <= fine.lower <= fine.upper <= rough.upper
    assert fine.width <= 1e-3
    # Shifts of a few units in the last place make copies distinct.
    shaken = [Cells(edges=(0.2 * (1 + 1e-13 * i), 0.9)) for i in range(200)]
    copies = product([Cells(edges=(0.2, 0.9), count=200)], 50, tolerance=1e-3)
    found = product(shaken, 50, tolerance=1e-3)
    assert (found.lower, found.upper) == pytest.approx((copies.lower, copies.upper), abs=1e-9)


def test_memory_is_bounded_before_the_tolerance_is_met():
    with pytest.warns(ToleranceNotMet, match="more than tolerance=1e-08"):
        bounds = quantized_mean(50, 3, 0.0, tolerance=1e-8)
    exact = full_precision_mean(3, 50)
    assert bounds.lower <= exact.value <= bounds.upper
    assert bounds.width < 1e-4


@pytest.mark.parametrize("edges", [(1e200,), (-1e300, 0.1, 1e9), (0.1, 0.1 + 1e-15, 0.3), (-41.0, 50.0)])
def test_far_and_nearly_equal_edges_are_no_trouble(edges):
    plain = tuple(e for e in edges if abs(e) < 5 and e != 0.1 + 1e-15)
    found, want = (product([Cells(edges=e, count=3)], 20, tolerance=1e-3) for e in (edges, plain))
    assert found.lower <= want.upper
    assert want.lower <= found.upper
    assert found.width <= 1e-3


def test_members_law_and_code_law_of_the_brute_force_are_probabilities():
    members, others = pair_by_brute_force(grid(1, 0), grid(1, 0), 10, num=60)
    assert members.sum() == pytest.approx(others.sum()) == pytest.approx(1.0)
    assert stats.entropy(members.ravel(), others.ravel()) > 0


@pytest.mark.parametrize(("n", "width", "offset"), [(100, 2.0, 0.375), (400, 2.0, 0.1875)])
def test_the_lattice_stays_small_where_next_to_nothing_leaks(n, width, offset):
    """The losses span a billion steps of their own standard deviation: memory must not follow."""
    found = quantized_mean(n, 1, width, offset)
    assert 1e-3 - 1e-8 <= found.roc().tpr(1e-3).lower <= 1e-3 + 1e-8
    assert found.details["size"] <= LARGEST_LATTICE
    assert 0 < found.lower <= found.upper < 1e-8
