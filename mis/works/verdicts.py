"""A verdict on a published claim, computed from an interval."""

from typing import Any

from mis.numerics.checks import InvalidInput
from mis.results import Interval

__all__ = ["CANNOT_BE_TOLD", "FALLS", "HOLDS", "judged", "verdict"]

HOLDS, FALLS, CANNOT_BE_TOLD = "holds", "falls", "cannot be told"


def judged(quantity: Interval, *, above: float | None = None, below: float | None = None) -> str:
    """Return the verdict on the claim that a quantity is above, or below, a border.

    It holds where the whole interval is beyond the border, falls where the whole interval is at or before it, and
    cannot be told otherwise; right with the interval's confidence. A limit formula (``asymptotic``) has no bounds and
    decides nothing.

    Examples
    --------
    >>> share = Interval(lower=0.6, value=0.7, upper=0.9, kind="monte-carlo", level=0.95)
    >>> judged(share, above=0.5), judged(share, below=0.5), judged(share, above=0.8)
    ('holds', 'falls', 'cannot be told')
    """
    if (above is None) == (below is None):
        raise InvalidInput("works.judged: expected one of above and below.")
    if quantity.kind == "asymptotic":
        return CANNOT_BE_TOLD
    if above is not None:
        return HOLDS if quantity.lower > above else FALLS if quantity.upper <= above else CANNOT_BE_TOLD
    assert below is not None
    return HOLDS if quantity.upper < below else FALLS if quantity.lower >= below else CANNOT_BE_TOLD


def verdict(
    claim: str, what: str, quantity: Interval, *, above: float | None = None, below: float | None = None
) -> dict[str, Any]:
    """Return a row for a claim: what is claimed, the verdict, the quantity it rests on and in which words.

    Parameters
    ----------
    claim
        A sentence.
    what
        What the quantity is, in a few words.
    quantity, above, below
        As of ``judged``.

    Examples
    --------
    >>> share = Interval(lower=0.6, value=0.7, upper=0.9, kind="monte-carlo", level=0.95)
    >>> row = verdict("Most images are recovered.", "share recovered", share, above=0.5)
    >>> row["verdict"], row["rests_on"]
    ('holds', 'share recovered 0.7 [0.6, 0.9], claimed above 0.5')
    """
    found = judged(quantity, above=above, below=below)
    border = f"above {above:g}" if above is not None else f"below {below:g}"
    ends = f"{quantity.value:.3g} [{quantity.lower:.3g}, {quantity.upper:.3g}]"
    return {
        "claim": claim, "verdict": found, "rests_on": f"{what} {ends}, claimed {border}",
        "quantity": quantity, "above": above, "below": below,
    }  # fmt: skip
