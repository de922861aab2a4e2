"""How many networks a ranking trains, on how much, and how they are attacked."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mis.numerics.checks import confidence, integer, number, refuse

__all__ = ["FEWEST_NETWORKS", "Protocol", "taking"]

F = TypeVar("F", bound=Callable)

FEWEST_NETWORKS, QUICK_NETWORKS, NETWORKS = 32, 64, 512


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How releases are measured.

    Parameters
    ----------
    num_networks
        Networks, at least 32; if not given 512, or 64 if ``quick``.
    quick
        64 networks, most of them shadows: attacks reach at least what is printed, more networks find more, and
        intervals are wider.
    seed
        Decides everything random.
    pool
        Examples in the pool, half of which train each network; if not given 512, or of a small task as many as leave
        128 held out, but at least half.
    attacks
        Names from ``mis list`` with commas between; ``whitebox`` joins those on weights and ``combined`` everything;
        ``all`` is every attack that the task can serve, slowly; if not given lira, lira_loss in a regression,
        lira_decoded, whitebox and combined. Or a sequence of names. What is joined is weighted on other networks.
    num_folds
        Folds of the cross-fitted attacks.
    level
        Level of all intervals.
    early
        Also train full precision with fewer steps, and set beside each release what a network leaks that was stopped
        where it performs as well: column ``early``; doubles the time.
    controls
        Also release noise with the squared error of each quantizer, ``noise-like-NAME``, and measure early stops.
    within
        Loss of performance against full precision that is accepted of a release to choose.
    at_most
        Advantage that the strongest attack may reach on a release to choose, from 0 to 1; the answer says which stay
        below, with intervals that hold together.

    Examples
    --------
    >>> Protocol(quick=True).num_networks
    64
    """

    # Once made, a number.
    num_networks: int = None  # type: ignore[assignment]
    quick: bool = False
    seed: int = 0
    pool: int | None = None
    attacks: str | Sequence[str] | None = None
    num_folds: int = 8
    level: float = 0.95
    early: bool = False
    controls: bool = False
    within: float = 0.02
    at_most: float | None = None

    def __post_init__(self):
        count = self.num_networks
        if count is None:
            count = QUICK_NETWORKS if self.quick else NETWORKS
        count = integer("rank", "num_networks", count, at_least=FEWEST_NETWORKS)
        object.__setattr__(self, "num_networks", count)
        object.__setattr__(self, "level", confidence("rank", self.level, statements=1000))
        folds = integer("rank", "num_folds", self.num_folds, at_least=3, at_most=count // 4)
        object.__setattr__(self, "num_folds", folds)
        if number("rank", "within", self.within) < 0.0:
            raise refuse("rank", "within", "at least 0", self.within)
        if self.at_most is not None and not 0.0 <= number("rank", "at_most", self.at_most) <= 1.0:
            raise refuse("rank", "at_most", "in [0, 1]", self.at_most)


def taking(options: Iterable[dataclasses.Field], depends: Sequence[str] = ()) -> Callable[[F], F]:
    """Show fields of specs in the signature of a function that takes them as ``**options``.

    Those whose default ``depends`` on others show None.

    Examples
    --------
    >>> @taking(dataclasses.fields(Protocol))
    ... def f(task, **options): ...
    >>> list(inspect.signature(f).parameters)[:3]
    ['task', 'num_networks', 'quick']
    """
    taken = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if field.name in depends else field.default,
            annotation=field.type,
        )
        for field in options
    ]

    def show(function: F) -> F:
        signature = inspect.signature(function)
        *own, rest = signature.parameters.values()
        function.__signature__ = signature.replace(parameters=[*own, *taken, rest])  # type: ignore[attr-defined]
        return function

    return show
