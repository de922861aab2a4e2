from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from mis import attacks
from mis.attacks import ATTACKS, LiRA, audit, statistics
from mis.attacks.base import Input, read_labels, read_membership, read_scores
from mis.numerics.checks import InvalidInput
from mis.quantizers import Cell, Sign

GOOD = {
    "shadow_scores": [[1.0, 2.0], [2.0, 1.0], [0.0, 0.5], [0.5, 0.25]],
    "shadow_membership": [[1, 0], [1, 0], [0, 1], [0, 1]],
    "target_scores": [0.0, 1.0],
}
BAD = {
    "missing": ({"shadow_scores": None}, "expected shadow_scores, .*, got no shadow_scores"),
    "surplus": ({"logits": [1.0]}, "only, got also logits"),
    "nan": ({"target_scores": [0.0, np.nan]}, r"got 1 NaN, the first target_scores\[1\]"),
    "none": ({"target_scores": [0.0, None]}, "without NaN"),
    "text": ({"target_scores": ["a", "b"]}, "target_scores numeric, got a list"),
    "numbers as text": ({"target_scores": np.array(["1.5", "2"])}, "numeric, got an array of <U3"),
    "numbers as bytes": ({"target_scores": np.array([b"1", b"2"])}, "numeric, got an array of |S1"),
    "text among objects": ({"target_scores": np.array([1.0, "2"], object)}, "numeric, got an array of object"),
    "dates": ({"target_scores": np.array(["2020-01-01"] * 2, "M8[D]")}, "numeric, got an array of datetime64"),
    "records": ({"target_scores": np.zeros(2, [("a", float)])}, "numeric, got an array of"),
    "complex": ({"target_scores": [1j, 0]}, "target_scores real, got complex"),
    "ragged": ({"target_scores": [[1.0], [1.0, 2.0]]}, "numeric, got a list"),
    "long": ({"target_scores": [0.0, 1.0, 2.0]}, "target_scores with N=3 and shadow_scores with N=2"),
    "axes": ({"target_scores": np.zeros((1, 1, 2))}, r"of shape \(T, N\), got target_scores.shape"),
    "empty": ({"target_scores": np.zeros((0, 2))}, "not empty"),
    "membership": ({"shadow_membership": [[2, 0]] * 4}, "boolean, got values other than 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_inputs(change, message):
    with pytest.raises(InvalidInput, match=message):
        LiRA().scores(**(GOOD | change))


def test_rows_and_single_targets():
    single = LiRA().scores(**GOOD)
    rows = LiRA().scores(**(GOOD | {"target_scores": [GOOD["target_scores"]] * 3}))
    assert single.shape == (2,)
    np.testing.assert_array_equal(rows, np.stack([single] * 3))


def test_types_of_other_libraries():
    given = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    np.testing.assert_array_equal(read_scores("here", "scores", given), [1.5, -2.0])
    np.testing.assert_array_equal(
        read_scores("here", "scores", [Fraction(1, 2), Decimal("0.25")]), [0.5, 0.25]
    )


def test_infinities_that_cancel_are_not_nan():
    values = read_scores("here", "scores", [np.inf, -np.inf])
    np.testing.assert_array_equal(values, [np.inf, -np.inf])


def test_membership_from_numbers():
    np.testing.assert_array_equal(read_membership("here", "membership", [1.0, 0.0]), [True, False])


def test_large_labels_keep_all_digits():
    large = np.array([2**60, 2**60 + 1, 0])
    np.testing.assert_array_equal(read_labels("here", "codes", large), large)
    np.testing.assert_array_equal(read_labels("here", "codes", large.astype(np.uint64)), large)
    assert read_labels("here", "codes", [True, False]).dtype == np.int64


@pytest.mark.parametrize("labels", [[0.5], [-1], [np.inf], [2**63], np.array([2**63], np.uint64)])
def test_labels_are_class_numbers(labels):
    with pytest.raises(InvalidInput, match="class numbers 0, 1, 2"):
        read_labels("here", "labels", labels)


def test_callable_inputs():
    class Layers(list):
        """A model that is also a sequence, as some frameworks make them."""

        def __call__(self, x):
            return x

    need = Input("T", Callable)
    for given, expected in ((np.sin, [np.sin]), ([np.sin, np.cos], [np.sin, np.cos])):
        read = need.read("here", "predict", given)
        assert read.shape == (len(expected),)
        assert list(read) == expected
    model = Layers([1, 2])
    assert need.read("here", "predict", model)[0] is model
    for wrong, kind in ((3, "int"), ([], "list"), ([np.sin, 3], "list"), ("sin", "str")):
        with pytest.raises(InvalidInput, match=f"predict callable or a list of callables, got a {kind}"):
            need.read("here", "predict", wrong)


def test_overflow_is_said_and_not_returned():
    tiny = GOOD | {"shadow_scores": np.multiply(GOOD["shadow_scores"], 1e-300), "target_scores": [9e37, 9e37]}
    with np.errstate(over="ignore", invalid="ignore"), pytest.raises(InvalidInput, match="got an overflow"):
        LiRA().scores(**tiny)


def masked(values):
    """The values as a masked array, the last of them hidden."""
    values = np.asarray(values)
    mask = np.zeros(values.shape, bool)
    mask.flat[-1] = True
    return np.ma.array(values, mask=mask)


@pytest.mark.parametrize("name", ATTACKS)
def test_masks_are_refused_by_every_input_of_every_attack(name):
    for given, need in ATTACKS[name]().needs.items():
        if need.type is Callable:
            continue
        values = np.zeros((2,) * len(need.axes.split()), need.type)
        need.read("here", given, np.ma.array(values, mask=False))
        for hidden in (masked(values), list(masked(values)), [masked(row) for row in np.atleast_1d(values)]):
            with pytest.raises(
                InvalidInput, match=f"^here: expected {given} without masked values; leave those"
            ):
                need.read("here", given, hidden)


FLAGS, NUMBERS = np.array([True, False] * 4), np.linspace(0.0, 1.0, 8)
DOORS = {
    "audit member": lambda: audit(member=masked(NUMBERS), nonmember=NUMBERS),
    "audit scores": lambda: audit(scores=masked(NUMBERS), membership=FLAGS),
    "audit membership": lambda: audit(scores=NUMBERS, membership=masked(FLAGS)),
    "audit fprs": lambda: audit(member=NUMBERS, nonmember=NUMBERS, fprs=masked(NUMBERS)),
    "logits": lambda: statistics.log_likelihood(masked(np.eye(2)), [0, 1]),
    "labels": lambda: statistics.log_likelihood(np.eye(2), masked([0, 1])),
    "targets": lambda: statistics.signed_residual(NUMBERS, masked(NUMBERS)),
    "decode lower": lambda: attacks.decode(Cell(lower=masked(NUMBERS), upper=NUMBERS + 1), NUMBERS, NUMBERS),
    "decode upper": lambda: attacks.decode(Cell(lower=NUMBERS, upper=masked(NUMBERS + 1)), NUMBERS, NUMBERS),
    "decode mean": lambda: attacks.decode(Cell(lower=NUMBERS, upper=NUMBERS + 1), masked(NUMBERS), NUMBERS),
    "limit membership": lambda: attacks.linear_limit(np.ones((8, 1)), masked(FLAGS[:, None])),
    "counting": lambda: attacks.counting_advantage(masked([[0], [1]]), [[0], [1]]),
    "cell bounds": lambda: attacks.cell_ends(Sign().fit(NUMBERS), masked(NUMBERS)),
}


@pytest.mark.parametrize("door", DOORS)
def test_masks_are_refused_at_every_door(door):
    with pytest.raises(InvalidInput, match="without masked values; leave those examples out"):
        DOORS[door]()


AROUND = 1_700_000_000_000_000_000
MORE_DIGITS = {
    "int64": np.array([AROUND + 1, AROUND + 300]),
    "uint64": np.array([2**63 + 1, 2**63 + 4096], np.uint64),
    "most negative": np.array([-(2**63) + 1, 0]),
    "list": [AROUND + 1, AROUND],
    "list with fractions": [1.5, AROUND + 1],
    "list of both signs": [2**63 + 1, -5],
    "rows": [[0, AROUND + 1], [0, 0]],
    "objects": np.array([AROUND + 1, 2.5], object),
    "large integers": [10**30, 10**30 + 1],
    "fractions": np.array([Fraction(1, 3), Fraction(1, 3) + Fraction(1, 10**30)], object),
    "decimals": [Decimal(1), Decimal("1.00000000000000000001")],
}


@pytest.mark.parametrize("values", MORE_DIGITS.values(), ids=MORE_DIGITS)
def test_scores_that_float64_cannot_tell_apart_are_refused(values):
    with pytest.raises(
        InvalidInput, match="here: expected s that float64 can tell apart, got numbers of more"
    ):
        read_scores("here", "s", values)


def test_extended_precision_that_float64_merges_is_refused():
    one = np.longdouble(1)
    nearby = np.array([one, one + np.finfo(np.longdouble).eps])
    if np.finfo(np.longdouble).eps < np.finfo(np.float64).eps:
        with pytest.raises(InvalidInput, match="float64 can tell apart"):
            read_scores("here", "s", nearby)
    np.testing.assert_array_equal(read_scores("here", "s", np.array([one, 2 * one])), [1.0, 2.0])


@pytest.mark.parametrize(
    "values",
    [
        np.array([AROUND, AROUND + 256]),
        np.array([2**63, 2**63 + 2048], np.uint64),
        np.array([-(2**63), 2**62]),
        [2**53, 1e300, np.inf],
        [10**30 + 0.5, Decimal("0.1"), Fraction(1, 3), 3],
        np.array([2**53, -(2**53), 7]),
    ],
)
def test_large_scores_that_are_exact_are_read(values):
    np.testing.assert_array_equal(read_scores("here", "s", values), [float(x) for x in values])


def test_integers_beyond_float64_are_refused():
    with pytest.raises(InvalidInput, match="here: expected s that float64 can hold, got larger integers"):
        read_scores("here", "s", np.array([10**400, 1], object))
