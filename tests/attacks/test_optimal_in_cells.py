import numpy as np
import pytest
from scipy.special import erfcx
from scipy.stats import multivariate_normal, norm

from mis import quantizers
from mis.attacks import CellRatio, Optimal, audit, cell_ends
from mis.numerics.checks import InvalidInput, UnsupportedSetting

CORRELATED = np.array([[1.0, 0.7, 0.2], [0.7, 1.0, -0.3], [0.2, -0.3, 1.0]])


def exact_shadows(covariance, mean=0.0):
    """Models whose sample mean and covariance are exactly these."""
    dim = len(covariance)
    corners = np.concatenate([np.eye(dim), -np.eye(dim)]) * np.sqrt(dim - 0.5)
    return corners @ np.linalg.cholesky(covariance).T + mean


def scored(shadows, shifts, lower, upper, membership=None, **options):
    shifts = np.asarray(shifts, float)
    if membership is None:
        membership = np.zeros((len(shadows), len(shifts)), bool)
    return CellRatio(shifts="given", **options).scores(
        shadow_full=shadows,
        shadow_membership=membership,
        shifts=shifts,
        target_lower=lower,
        target_upper=upper,
    )


def test_exact_shadows_are_exact():
    shadows = exact_shadows(CORRELATED, mean=3.0)
    np.testing.assert_allclose(np.cov(shadows.T), CORRELATED, atol=1e-12)
    np.testing.assert_allclose(shadows.mean(axis=0), 3.0)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_independent_coordinates_by_normal_probabilities(share, rng):
    """The laws stand where the share of shadows with the example puts them around the shadows' mean."""
    scale = np.array([0.5, 2.0])
    shadows = exact_shadows(np.diag(scale**2), mean=1.0)
    lower, upper = np.array([[0.0, -np.inf], [1.2, 1.0]]), np.array([[1.2, -1.0], [np.inf, 4.0]])
    shifts = rng.normal(size=(5, 2))
    membership = np.repeat([np.arange(4) < 4 * share], 5, axis=0).T
    expected = np.zeros((2, 5))
    for (t, z), _ in np.ndenumerate(expected):
        for sign, weight in ((1, 1 - share), (-1, -share)):
            law = norm(1.0 + weight * shifts[z], scale)
            expected[t, z] += sign * np.log(law.cdf(upper[t]) - law.cdf(lower[t])).sum()
    np.testing.assert_allclose(scored(shadows, shifts, lower, upper, membership), expected, rtol=1e-10)


RECTANGLES = [
    ((-np.inf, 0, 0.2), (0, np.inf, 1)),
    ((1, 1, -3), (2, 3, -1)),
    ((0, 0, 0), (0.1, 0.1, 0.1)),
    ((-np.inf, -np.inf, -np.inf), (-1, -1, np.inf)),
]


@pytest.mark.parametrize(("lower", "upper"), RECTANGLES)
def test_correlated_coordinates_by_scipys_rectangles(lower, upper):
    shifts = np.array([[0.1, -0.05, 0.2], [0.5, 0.3, -0.2]])

    def log_mass(mean):
        law = multivariate_normal(mean, CORRELATED, maxpts=10**6, abseps=1e-14, releps=1e-7)
        return np.log(law.cdf(np.array(upper, float), lower_limit=np.array(lower, float)))

    expected = [log_mass(s) - log_mass(np.zeros(3)) for s in shifts]
    few, many = (
        scored(exact_shadows(CORRELATED), shifts, lower, upper, covariance="full", num_draws=k)
        for k in (256, 16384)
    )
    np.testing.assert_allclose(many, expected, atol=1e-4)
    np.testing.assert_allclose(few, expected, atol=1e-2)


def test_full_covariance_without_correlation_is_the_diagonal(rng):
    shadows = exact_shadows(np.diag([1.0, 4.0, 0.25]))
    shifts, lower = rng.normal(size=(6, 3)) / 3, np.array([[-0.5, 0, -np.inf], [0, -np.inf, 0.1]])
    upper = lower + 1.0
    upper[~np.isfinite(lower)] = 0.3
    diagonal, full = (
        scored(shadows, shifts, lower, upper, covariance=c, num_draws=4096) for c in ("diagonal", "full")
    )
    np.testing.assert_allclose(full, diagonal, atol=2e-3)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_a_release_as_it_is_has_the_ratio_of_the_densities(covariance, rng):
    cov = np.diag([1.0, 4.0, 0.25]) if covariance == "diagonal" else CORRELATED
    shifts, released = rng.normal(size=(4, 3)) / 3, rng.normal(size=(2, 3))
    expected = np.stack(
        [
            multivariate_normal(s, cov).logpdf(released)
            - multivariate_normal(np.zeros(3), cov).logpdf(released)
            for s in shifts
        ],
        axis=1,
    )
    for width in (0.0, 1e-9, 1e-3):
        found = scored(exact_shadows(cov), shifts, released - width, released + width, covariance=covariance)
        np.testing.assert_allclose(found, expected, atol=1e-10 + 3 * width)


def test_only_part_of_the_coordinates_quantized():
    """A quantized weight beside a scale released as it is: the law of the one given the other."""
    cov, shift = CORRELATED[:2, :2], np.array([0.2, -0.1])
    found = scored(exact_shadows(cov), [shift], [0.0, 0.4], [np.inf, 0.4], covariance="full", num_draws=2**14)
    expected = 0.0
    for sign, mean in ((1, shift), (-1, np.zeros(2))):
        given = norm(mean[0] + 0.7 * (0.4 - mean[1]), np.sqrt(1 - 0.49))
        expected += sign * (norm(mean[1]).logpdf(0.4) + given.logsf(0.0))
    np.testing.assert_allclose(found, [expected], atol=1e-5)


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_far_cells_count_by_their_logarithms(covariance):
    """Cells that no shadow will ever reach, by the scaled complementary error function; and no NaN anywhere."""

    def log_tail(x):
        return np.log(erfcx(x / np.sqrt(2)) / 2) - x**2 / 2

    shadows, shift = exact_shadows(np.eye(1)), 0.1
    for edge in (5.0, 40.0, 3000.0):
        expected = log_tail(edge - shift) - log_tail(edge)
        for sign in (1, -1):
            bounds = sorted((sign * edge, sign * np.inf))
            options = {"lower": [bounds[0]], "upper": [bounds[1]], "covariance": covariance}
            found = scored(shadows, [[sign * shift], [-sign * shift]], **options)
            np.testing.assert_allclose(found[0], expected, rtol=1e-6 if covariance == "diagonal" else 1e-3)
            assert found[1] < 0
    for edge in (1e9, 1e60, 1e200):
        assert np.isfinite(
            scored(shadows, [[shift]], [[edge], [-np.inf]], [[np.inf], [-edge]], covariance=covariance)
        ).all()


def test_estimated_shifts_are_differences_of_means(rng):
    membership = rng.random((50, 4)) < 0.4
    params = rng.normal(size=(50, 3)) + 1e6
    shifts = [params[side].mean(axis=0) - params[~side].mean(axis=0) for side in membership.T]
    cells = {"target_lower": np.full(3, 1e6), "target_upper": np.full(3, np.inf)}
    found = CellRatio().scores(shadow_full=params, shadow_membership=membership, **cells)
    expected = scored(params, shifts, *cells.values(), membership)
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def test_a_coordinate_that_never_varies_is_left_out():
    shadows = np.append(exact_shadows(np.eye(2)), np.full((4, 1), 7.0), axis=1)
    for covariance in ("diagonal", "full"):
        options = {"covariance": covariance, "num_draws": 64}
        found = scored(shadows, [[0.1, 0.2, 5.0]], [0.0, 0.0, 9.0], [1.0, 1.0, 9.0], **options)
        expected = scored(shadows[:, :2], [[0.1, 0.2]], [0.0, 0.0], [1.0, 1.0], **options)
        np.testing.assert_array_equal(found, expected)


def test_as_strong_as_counting_where_both_work(rng):
    """Two correlated means of n normal numbers, released by their signs: the cells' ratio from 400 refits, the counts
    from 40 000."""
    n, num_targets = 30, 60_000
    root = np.linalg.cholesky(CORRELATED[:2, :2])
    examples = rng.normal(size=(12, 2)) @ root.T

    def means(membership):
        rest = np.sqrt(n - membership.sum(axis=1, keepdims=True)) * rng.normal(size=(len(membership), 2))
        return (rest @ root.T + membership @ examples) / n

    def one_member(size):
        """None of the examples, or one."""
        return np.arange(size)[:, None] % 24 == np.arange(12)

    shadow, few, target = (one_member(size) for size in (40_000, 400, num_targets))
    shadow_full, few_params, target_params = means(shadow), means(0 * few), means(target)
    positive = target_params > 0
    ratio = scored(
        few_params,
        examples / n,
        np.where(positive, 0.0, -np.inf),
        np.where(positive, np.inf, 0.0),
        covariance="full",
        num_draws=128,
    )
    counted = Optimal().scores(
        shadow_codes=(shadow_full > 0) @ [1, 2], shadow_membership=shadow, target_codes=positive @ [1, 2]
    )
    # Each example against the refits without any.
    fresh = ~target.any(axis=1)
    found = [
        audit(member=scores[target], nonmember=scores[fresh].ravel(), level=0.99).advantage
        for scores in (ratio, counted)
    ]
    assert found[0].lower > 0.04
    assert found[0].value > found[1].value - 0.01


@pytest.mark.parametrize(
    "name",
    [
        "sign",
        "ternary-33",
        "uniform-3",
        "uniform-4-asymmetric-channel",
        "codebook-8",
        "nf4",
        "power-of-two-3",
    ],
)
def test_cell_bounds_hold_the_weights(name, rng):
    weights = rng.normal(size=(40, 3))
    grid = quantizers.parse(name).fit(weights)
    lower, upper = cell_ends(grid, grid.apply(weights))
    assert ((lower <= weights) & (weights < upper)).all()
    assert np.isinf(lower).any()
    assert np.isinf(upper).any()
    # The cell of a level ends where the next begins.
    assert set(np.unique(lower[np.isfinite(lower)])) <= set(np.unique(grid.edges))


def test_cell_bounds_of_other_releases():
    weights = np.array([0.5, -1.0])
    np.testing.assert_array_equal(cell_ends(quantizers.Full().fit(weights), weights), [weights, weights])
    grid = quantizers.parse("stochastic-4").fit(weights)
    with pytest.raises(UnsupportedSetting, match="where the release is random a weight has no cell"):
        cell_ends(grid, grid.levels)
    with pytest.raises(InvalidInput, match="released finite"):
        cell_ends(quantizers.Sign().fit(weights), [np.nan])


GOOD = {
    "shadow_full": [[0.0, 1.0], [1.0, 0.0], [0.5, 0.7], [2.0, 1.5]],
    "shadow_membership": [[1], [0], [1], [0]],
    "target_lower": [0.0, 0.0],
    "target_upper": [1.0, 1.0],
}
BAD = {
    "upside down": ({"target_upper": [1.0, -1.0]}, {}, r"target_lower <= target_upper.*got 0 and -1 at \(0, 1\)"),
    "nowhere": ({"target_lower": [np.inf, 0.0], "target_upper": [np.inf, 1.0]}, {}, "got inf and inf"),
    "infinite": ({"shadow_full": [[np.inf, 0.0]] * 4}, {}, "shadow_full finite"),
    "no spread": ({"shadow_full": np.ones((4, 2))}, {}, "do not differ, so no spread"),
    "one model": ({"shadow_full": [[1.0, 2.0]], "shadow_membership": [[0]]}, {"shifts": "given"}, "no spread"),
    "all in": ({"shadow_membership": np.ones((4, 1))}, {}, "1 of 1 examples have no 'out' shadow model"),
    "none in": ({"shadow_membership": np.zeros((4, 1))}, {}, "have no 'in' shadow model.*or use shifts='given'"),
    "few": (
        {"shadow_full": [[0.0, 1.0], [1.0, 0.0]], "shadow_membership": [[1], [0]]},
        {"covariance": "full"},
        "2 coordinates needs more than 2 shadow models, got 2",
    ),
    "linear": (
        {"shadow_full": np.arange(4.0)[:, None] * [1.0, 2.0]},
        {"covariance": "full"},
        "linear in others over the shadow models",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "options", "message"), BAD.values(), ids=BAD)
def test_refusals(change, options, message):
    inputs = GOOD | change
    if options.get("shifts") == "given":
        inputs["shifts"] = [[0.1, 0.1]]
    with pytest.raises((InvalidInput, UnsupportedSetting), match=message) as caught:
        CellRatio(**options).scores(**inputs)
    assert "\n" not in str(caught.value)


def test_shifts_are_finite():
    with pytest.raises(InvalidInput, match="shifts finite, got 1 NaN or infinite"):
        CellRatio(shifts="given").scores(**GOOD, shifts=[[np.inf, 0.0]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariance": "none"}, "covariance one of diagonal, full"),
        ({"shifts": "guess"}, "shifts one of"),
        ({"num_draws": 0}, "num_draws an integer >= 1"),
        ({"seed": -1}, "seed an integer >= 0"),
    ],
)
def test_options(options, message):
    with pytest.raises(InvalidInput, match=message):
        CellRatio(**options)
