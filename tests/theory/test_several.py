"""Several releases against the tuples of their codes, counted one by one; nested ones are free."""

import itertools
import math

import numpy as np
import pytest
from scipy import special, stats

from mis import quantizers, theory
from mis.numerics.checks import InvalidInput, UnsupportedSetting
from mis.quantizers import DeadZone, Exact
from mis.quantizers.joint import CutZone
from mis.theory import Cells, common_refinement, offset_information, offset_releases, product, quantized_mean


def advantage_of_codes(cells, n):
    """Half the mean of sum |p(codes | z) - p(codes)| over all tuples of codes of one coordinate, by quadrature in z.

    ``cells`` holds for each release the edges of its cells, in standard units.
    """
    r, z = 1 / math.sqrt(n), np.linspace(-9, 9, 4001)
    sd, weight = math.sqrt(1 - r * r), stats.norm.pdf(z) * (z[1] - z[0])
    ends = [list(itertools.pairwise([-math.inf, *edges, math.inf])) for edges in cells]
    total = 0.0
    for codes in itertools.product(*ends):
        low, high = max(low for low, _ in codes), min(high for _, high in codes)
        if low < high:
            told = special.ndtr((high - r * z) / sd) - special.ndtr((low - r * z) / sd)
            total += (weight * np.abs(told - (special.ndtr(high) - special.ndtr(low)))).sum() / 2
    return total


@pytest.mark.parametrize("offsets", [(0.5, 0.0), (0.5, 0.2, 0.9), (0.1, 0.1)])
def test_a_mean_released_several_times_tells_what_the_tuples_of_codes_tell(offsets):
    n, width = 16, 0.4
    cells = [(np.arange(-8, 9) - offset) * width * math.sqrt(n) for offset in offsets]
    found = quantized_mean(n, 1, width, offsets)
    assert found.value == pytest.approx(advantage_of_codes(cells, n), abs=2e-7)


@pytest.mark.parametrize("num_releases", [2, 3, 5])
@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_evenly_offset_releases_are_one_with_so_many_more_cells(num_releases, offset):
    offsets = [offset + k / num_releases for k in range(num_releases)]
    found = offset_releases(50, 20, 0.7, num_releases, offset)
    union = quantized_mean(50, 20, 0.7, offsets)
    assert found.value == pytest.approx(union.value, abs=1e-12)
    assert found.kind == union.kind == "certified"


def test_releases_rise_to_full_precision():
    found = [offset_releases(100, 30, 2.0, 2**k, 0.3, tolerance=1e-3).value for k in (0, 2, 6)]
    assert (np.diff(found) > 0).all()
    assert found[0] < 1e-3
    assert found[-1] == pytest.approx(theory.full_precision_mean(30, 100).value, abs=2e-3)


@pytest.mark.parametrize("dim", [1, 40])
@pytest.mark.parametrize(("coarse", "fine"), [(1 / 7, 1 / 63), (0.7, 0.1), (0.9, 0.3)])
def test_nested_grids_are_free(dim, coarse, fine):
    """An odd number of fine steps in a coarse one, levels at the true mean: middles on middles."""
    alone = quantized_mean(30, dim, fine, 0.5)
    both = quantized_mean(30, dim, (coarse, fine), 0.5)
    assert both.value == pytest.approx(alone.value, abs=1e-12)
    assert both.value > quantized_mean(30, dim, coarse, 0.5).value


def test_full_precision_makes_all_others_free():
    alone = quantized_mean(20, 5, 0.0)
    assert quantized_mean(20, 5, (1.0, 0.0), (0.2, 0.0)).value == alone.value
    assert common_refinement([Cells(edges=(0.0,)), Cells(edges=None)]) == Cells(edges=None)


def test_edges_that_only_rounding_tells_apart_are_one():
    once = product([Cells(edges=(-0.1, 0.3), count=8)], 25)
    twice = product([Cells(edges=(-0.1, 0.3, math.nextafter(0.3, 1)), count=8)], 25)
    # Not all that are close: each is compared with the last that was kept.
    few = product([Cells(edges=tuple(0.3 + 4e-16 * np.arange(40)), count=1)], 25)
    assert twice.value == pytest.approx(once.value, abs=1e-13)
    assert few.value == pytest.approx(product([Cells(edges=(0.3,))], 25).value, abs=1e-13)


def test_a_refinement_has_all_edges_of_one_coordinate():
    both = common_refinement([Cells(edges=(-0.2, 0.3), count=3), Cells(edges=(0.1,), count=3)])
    assert both == Cells(edges=(-0.2, 0.1, 0.3), count=3)
    standard = [5 * np.array([-0.2, 0.3]), 5 * np.array([0.1])]
    alone = product([common_refinement([Cells(edges=(-0.2, 0.3)), Cells(edges=(0.1,))])], 25)
    assert alone.value == pytest.approx(advantage_of_codes(standard, 25), abs=2e-7)
    with pytest.raises(InvalidInput, match="one mean, scale and count"):
        common_refinement([Cells(edges=(0.0,)), Cells(edges=(0.0,), mean=1.0)])
    with pytest.raises(InvalidInput, match="non-empty sequence of Cells"):
        common_refinement([])


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((10, 2, (1.0, 2.0), (0.1, 0.2, 0.3)), "2 widths and 3 offsets"),
        ((10, 2, (1.0, -2.0)), "width >= 0"),
        ((10, 2, ()), "expected width not empty"),
    ],
)
def test_a_mean_refuses_releases_that_cannot_be(arguments, match):
    with pytest.raises(InvalidInput, match=match):
        quantized_mean(*arguments)


def test_as_many_releases_as_there_are():
    with pytest.raises(InvalidInput, match="num_releases"):
        offset_releases(10, 2, 1.0, 0)
    with pytest.raises(InvalidInput, match="width"):
        offset_information(0.0, 2)


@pytest.mark.parametrize(("width", "num_releases"), [(0.8, 1), (5.0, 3), (60.0, 2)])
def test_information_of_even_offsets_is_the_mean_over_places(width, num_releases):
    edges = np.arange(-90, 91) * width / num_releases
    places = (np.arange(400) + 0.5) / 400 * width / num_releases
    found = offset_information(width, num_releases)
    grid = quantizers.Grid(levels=np.arange(len(edges) + 1.0), edges=edges)
    mean = grid.information(places, np.ones(400)).mean()
    assert found.value == pytest.approx(mean, abs=1e-9 if width < 50 else 3e-3)


@pytest.mark.parametrize(("width", "num_releases"), [(3.0, 2), (12.0, 5), (300.0, 4)])
def test_information_of_random_offsets_is_the_mean_over_draws(width, num_releases, rng):
    # On a circle, as grids repeat: from each edge to the next.
    offsets = np.sort(rng.uniform(size=(5000, num_releases)))
    gaps = width * np.diff(offsets, append=offsets[:, :1] + 1)
    widths = np.append(np.linspace(1e-3, 20, 200), 1e6)
    told = np.array([one * offset_information(one, 1).value for one in widths])
    of_draws = np.interp(gaps, widths, told).sum(axis=1) / width
    found = offset_information(width, num_releases, random=True)
    assert abs(found.value - of_draws.mean()) < 5 * of_draws.std() / math.sqrt(5000) + 1e-4


def test_limits_of_few_and_of_many_releases():
    for random in (False, True):
        few = offset_information(1e5, 3, random=random).value
        assert few == pytest.approx(1.80639 * 3e-5, rel=1e-2)
    even, random = offset_information(2.0, 400), offset_information(2.0, 400, random=True)
    assert 1 - even.value == pytest.approx(4 / (12 * 400**2), rel=1e-3)
    assert 1 - random.value == pytest.approx(4 / (2 * 401 * 402), rel=1e-3)


# Which releases of one tensor are free beside which: the rule in the docstring of ``Joint``.
FREE = [
    ("uniform-2", "uniform-3"),
    ("uniform-2", "uniform-8"),
    ("uniform-3", "uniform-5"),
    ("uniform-4", "uniform-7"),
    ("uniform-4-asymmetric", "uniform-8-asymmetric"),
    ("prune-90", "prune-60"),
    ("uniform-2", "prune-60"),
    ("sign", "full"),
]
TELLING = [
    ("sign", "uniform-3"),
    ("uniform-3", "uniform-4"),
    ("uniform-4", "uniform-8"),
    ("uniform-4-offset-50", "uniform-4"),
    ("ternary-50", "uniform-4"),
    ("uniform-8", "prune-60"),
]


@pytest.fixture(scope="module")
def tensor():
    # The ends mirror each other: then zero points of asymmetric grids round alike.
    weights = np.random.default_rng(3).normal(size=(400, 5))
    weights[0, 0], weights[1, 0] = 3.5, -3.5
    return weights


def _values(tensor, name):
    quantizer = quantizers.parse(name)
    psi = np.random.default_rng(5).normal(size=(50, tensor.size))
    local = theory.local(
        influence=psi, covariance=np.ones(tensor.size), mean=tensor.ravel(), quantizer=quantizer, n=40
    )
    return theory.retained_information(tensor, 0.1, quantizer).value, local.value


@pytest.mark.parametrize(("free", "beside"), FREE)
def test_nested_releases_are_free_in_every_theory_function(tensor, free, beside):
    both, alone = _values(tensor, f"{free}/{beside}"), _values(tensor, beside)
    np.testing.assert_allclose(both, alone, rtol=0, atol=1e-12)
    assert theory.code_entropy(tensor, quantizers.parse(f"{beside}/{free}")) == pytest.approx(
        theory.code_entropy(tensor, quantizers.parse(beside)), abs=1e-12
    )


@pytest.mark.parametrize(("other", "beside"), TELLING)
def test_unaligned_releases_tell_more_than_each(tensor, other, beside):
    both = _values(tensor, f"{other}/{beside}")
    assert both[0] > max(_values(tensor, name)[0] for name in (other, beside)) + 1e-4


def test_a_dead_zone_is_cut_by_the_cells_of_others(rng):
    """Pruning beside a grid: information by the variance of the posterior mean, simulated."""
    weights = np.append(rng.normal(size=30), 3.0)
    channel = quantizers.parse("prune-50/uniform-3").fit(weights)
    assert isinstance(channel, CutZone)
    place, spread = 0.4, 0.8
    drawn = place + spread * rng.normal(size=200_000)
    released = channel.apply(drawn)
    seen = channel.observation(released)
    assert (seen.lower <= drawn).all()
    assert (drawn <= seen.upper).all()
    means = (seen.posterior_mean(place, spread) - place) / spread
    squares = np.square(means)
    error = 5 * squares.std() / math.sqrt(len(squares))
    assert abs(channel.information([place], [spread])[0] - squares.mean()) < error
    # Codes of both releases, side by side, are what the cells are.
    pairs = np.stack([quantizers.parse(name)(weights) for name in ("prune-50", "uniform-3")])
    assert len(np.unique(pairs, axis=1).T) == len(np.unique(channel.apply(weights)))
    assert isinstance(quantizers.parse("prune-50/full").fit(weights), Exact)
    assert isinstance(quantizers.parse("prune-50/prune-20").fit(weights), DeadZone)


def test_several_releases_have_no_one_error_and_must_be_deterministic(tensor):
    with pytest.raises(UnsupportedSetting, match="no one error"):
        theory.weight_error(tensor, quantizers.parse("sign/uniform-4"))
    with pytest.raises(UnsupportedSetting, match="only deterministic"):
        theory.retained_information(tensor, 0.1, quantizers.parse("sign/stochastic-4"))
    with pytest.raises(UnsupportedSetting, match="depends on the others"):
        quantizers.parse("sign/gptq-4")
    with pytest.raises(InvalidInput, match="two quantizers or more"):
        quantizers.Joint(quantizers=(quantizers.Sign(),))
    with pytest.raises(InvalidInput, match="expected quantizers quantizers, as mis"):
        quantizers.Joint(quantizers=("sign", "uniform-4"))
    both = quantizers.parse("sign/uniform-4")
    assert both.bits == pytest.approx(1 + 4)
    assert quantizers.parse(both.name) == both
