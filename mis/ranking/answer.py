"""Which release to choose, in words, with statements that hold together after looking at all of them."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from mis.attacks.crossfit import mean_over_networks
from mis.numerics.checks import number, probability, refuse
from mis.ranking.compare import pairwise
from mis.ranking.early import early
from mis.ranking.performance import Performance
from mis.ranking.protocol import Protocol
from mis.ranking.row import mis_of
from mis.results import Interval

__all__ = ["Answer", "answer", "performance_differences"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the measurements say to somebody who has to release a model.

    Parameters
    ----------
    within
        Loss of performance against full precision that is accepted.
    level
        Probability with which all statements hold together.
    least
        The release of ``eligible`` that leaks least; full precision where nothing else is eligible.
    as_good
        Others of ``eligible`` whose advantage cannot be told from that of ``least``.
    eligible
        Releases that perform within ``within`` of full precision beyond their interval, full precision among them.
    undecided
        Those of which it cannot be told whether they do.
    beyond
        Those that perform worse than that beyond their interval.
    dominated
        For each release that has them, those both better and more private beyond their intervals.
    advantage
        Advantage of the strongest attack on ``least``, simultaneous over all releases.
    mis
        What that leaves of MIS: the upper end is a bound, the lower end is 0.
    at_most
        Advantage that the strongest attack may reach; None if nobody asked.
    below
        Releases on which it stays at or below that beyond its interval, simultaneous over all releases, the best
        performing first.
    above
        Those on which it reaches more beyond its interval. Of the others it cannot be told.
    early_measured
        Whether full precision was stopped early, too.
    early
        Advantage of full precision stopped where it performs as ``least`` does; None where that was not measured or no
        stop performs so well.
    early_steps
        The steps that takes.
    """

    within: float
    level: float
    least: str
    as_good: tuple[str, ...]
    eligible: tuple[str, ...]
    undecided: tuple[str, ...]
    beyond: tuple[str, ...]
    dominated: Mapping[str, tuple[str, ...]]
    advantage: Interval
    mis: Interval
    at_most: float | None = None
    below: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    early_measured: bool = False
    early: Interval | None = None
    early_steps: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as ``ranking.json`` has it."""
        plain = asdict(self)
        for name in ("advantage", "mis", "early"):
            found = plain[name]
            plain[name] = found and {k: found[k] for k in ("lower", "value", "upper", "kind", "level")}
        return plain

    def __str__(self) -> str:
        return "\n".join(self.sentences())

    def sentences(self) -> list[str]:
        """Return the answer in words, a sentence or two for each thing that can be acted on."""
        least, others = self.least, [name for name in self.eligible if name != self.least]
        if self.eligible == ("full",) and self.undecided == self.beyond == ():
            first = "Only full precision was measured."
        elif self.eligible == ("full",):
            first = f"No quantizer is sure to perform within {self.within:g} of full precision."
        else:
            first = f"Least leaking within {self.within:g} of full performance: {least}."
        found = [
            f"{first} The strongest attack on {least} reaches an advantage of at least "
            f"{self.advantage.lower:.3f}: MIS at most {self.mis.upper:.3f}."
        ]
        if others:
            same = ", ".join(self.as_good) or "none"
            found.append(f"Statistically as good, of those within {self.within:g}: {same}.")
        if self.at_most is not None:
            found.append(self._bounded())
        if self.undecided:
            names = ", ".join(self.undecided)
            found.append(f"Too few held-out examples to say whether within {self.within:g}: {names}.")
        pairs = [f"{name} (by {', '.join(better)})" for name, better in self.dominated.items()]
        found.append(
            f"Dominated, another is both better and more private: {'; '.join(pairs)}."
            if pairs
            else "No release is dominated: none is both better and more private than another beyond intervals."
        )
        if self.early and self.early_steps is not None and least != "full":
            found.append(
                f"Full precision stopped after {self.early_steps:.0f} steps performs as {least} does, and the "
                f"attack on it reaches {self.early.value:.3f} [{self.early.lower:.3f}, {self.early.upper:.3f}]: "
                f"{self._against_early()}."
            )
        if not self.early_measured:
            found.append(
                "What full precision leaks when it stops where it performs as well is measured with --early."
            )
        found.append(
            f"All of this holds together with {100 * self.level:g}% confidence, for networks trained on this pool "
            "and for these attacks; stronger attacks can only lower MIS."
        )
        return found

    def _bounded(self) -> str:
        """Say on which releases the strongest attack stays below what was asked for."""
        best = f"; {self.below[0]} performs best of these" if len(self.below) > 1 else ""
        return (
            f"The strongest attack stays at or below {self.at_most:g} on: {', '.join(self.below) or 'none'}{best}. "
            f"It reaches more on: {', '.join(self.above) or 'none'}. Of the others it cannot be told."
        )

    def _against_early(self) -> str:
        assert self.early is not None
        if self.early.upper < self.advantage.lower:
            return f"{self.least} leaks more than that"
        if self.early.lower > self.advantage.upper:
            return f"{self.least} leaks less than that"
        return f"{self.least} cannot be told from that"


def answer(
    names: Sequence[str],
    advantages: np.ndarray,
    performances: Sequence[Performance],
    stops: Sequence[tuple[int, float, np.ndarray]] = (),
    *,
    num_folds: int,
    within: float = Protocol.within,
    at_most: float | None = None,
    level: float = 0.95,
) -> Answer:
    """Choose among releases of the same networks, all statements together at the level.

    Parameters
    ----------
    names
        Names of the releases, ``full`` among them.
    advantages
        The strongest attack's advantage on each network, ``(releases, M)``.
    performances
        The performance of each release, by network and by held-out example.
    stops
        Steps, performance and advantage on each network of full precision at each early stop, fewest steps first;
        none if not measured.
    num_folds
        Folds of the cross-fitted attacks.
    within
        Accepted loss of performance.
    at_most
        Accepted advantage of the strongest attack.
    level
        One minus the probability that any statement is wrong.

    Returns
    -------
    Answer

    Raises
    ------
    InvalidInput
        Where ``within`` is no number of at least 0, ``level`` no probability, or ``full`` is not among the names.

    Notes
    -----
    Claim: the probability that any statement of the answer is wrong is at most ``1 - level``, as far as the intervals
    of each family hold. There are three families (four with early stops), each at an equal share of the error
    (Bonferroni): which of two releases has the larger advantage (``pairwise``, paired by network, Holm over all
    pairs); how much better one performs than another (``performance_differences``, paired by network and example);
    the level of each advantage (Bonferroni over releases); the level at each early stop (over stops). A release is
    called dominated if one test of the first and one of the second family reject: a wrong one needs an error in
    either. The choice of the least leaking release is made after looking, so only what is simultaneous over all
    releases is said of it. Direction of error: Bonferroni says too little, never too much; an advantage is a lower
    bound on what the release leaks, so of two releases the one that these attacks find less of may still leak more.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> advantages = np.array([[0.3], [0.1], [0.2]]) + 0.01 * rng.normal(size=(3, 64))
    >>> scores = [Performance(of_networks=p + 0.01 * rng.normal(size=64), of_examples=p + 0.01 * rng.normal(size=99))
    ...           for p in (0.9, 0.7, 0.895)]
    >>> found = answer(["full", "sign", "uniform-4"], advantages, scores, num_folds=8)
    >>> found.least, found.as_good, found.dominated
    ('uniform-4', (), {})
    """
    if number("answer", "within", within) < 0.0:
        raise refuse("answer", "within", "at least 0", within)
    probability("answer", "level", level)
    if "full" not in names:
        raise refuse("answer", "names", "with full among them", list(names))
    error = (1.0 - level) / (4 if stops else 3)
    pairs = pairwise(names, advantages, num_folds=num_folds, level=1.0 - error)
    differences = performance_differences(performances, level=1.0 - error)
    more_private = {
        (pair["first"], pair["second"]) if pair["difference"] < 0.0 else (pair["second"], pair["first"])
        for pair in pairs
        if not pair["tied"]
    }
    better = {(names[i], names[j]) for (i, j), gap in differences.items() if gap.lower > 0.0}
    dominated = {
        name: tuple(other for other in names if (other, name) in more_private & better)
        for name in names
        if any((other, name) in more_private & better for other in names)
    }
    full = list(names).index("full")
    gaps = {name: differences[i, full] for i, name in enumerate(names) if i != full}
    eligible = [name for name in names if name == "full" or gaps[name].lower >= -within]
    value = dict(zip(names, advantages.mean(axis=1), strict=True))
    least = min(eligible, key=lambda name: value[name])
    levels = {
        name: mean_over_networks(each, num_folds, 1.0 - error / len(names))
        for name, each in zip(names, advantages, strict=True)
    }
    performs = {name: float(one.of_networks.mean()) for name, one in zip(names, performances, strict=True)}
    best_first = sorted(names, key=lambda name: -performs[name])
    bound = np.inf if at_most is None else at_most
    reached = [
        (steps, score, mean_over_networks(of_networks, num_folds, 1.0 - error / len(stops)))
        for steps, score, of_networks in stops
    ]
    stopped = early(performs[least], reached)
    return Answer(
        within=within,
        level=level,
        least=least,
        as_good=tuple(
            name for name in eligible if name != least and not {(name, least), (least, name)} & more_private
        ),
        eligible=tuple(eligible),
        undecided=tuple(name for name, gap in gaps.items() if gap.lower < -within <= gap.upper),
        beyond=tuple(name for name, gap in gaps.items() if gap.upper < -within),
        dominated=dominated,
        advantage=levels[least],
        mis=mis_of(levels[least]),
        at_most=at_most,
        below=tuple(name for name in best_first if at_most is not None and levels[name].upper <= bound),
        above=tuple(name for name in best_first if levels[name].lower > bound),
        early_measured=bool(stops),
        early=stopped and stopped[0],
        early_steps=stopped and stopped[1],
    )


def performance_differences(
    performances: Sequence[Performance], *, level: float = 0.95
) -> dict[tuple[int, int], Interval]:
    """Return how much better release ``i`` performs than ``j``, for all ordered pairs, simultaneously.

    Parameters
    ----------
    performances
        Performances of the same networks on the same examples, released in different ways.
    level
        Probability that all intervals hold together.

    Returns
    -------
    dict of Interval
        Kind ``monte-carlo``.

    Notes
    -----
    Paired by network and by held-out example: what networks and what examples have in common cancels. The variance is
    the sum of that over networks and that over examples, which counts their interaction twice: too wide, if anything.
    t quantiles with the fewer degrees of freedom of the two, Bonferroni over the unordered pairs. Covers networks of
    this pool and held-out examples like these.

    Examples
    --------
    >>> one = Performance(of_networks=np.array([0.5, 0.7]), of_examples=np.array([0.6, 0.6, 0.6]))
    >>> two = Performance(of_networks=np.array([0.4, 0.6]), of_examples=np.array([0.5, 0.5, 0.5]))
    >>> round(performance_differences([one, two])[0, 1].lower, 6)
    0.1
    """
    pairs = list(itertools.combinations(range(len(performances)), 2))
    found = {}
    for i, j in pairs:
        one, other = performances[i], performances[j]
        gap = Performance(
            of_networks=one.of_networks - other.of_networks, of_examples=one.of_examples - other.of_examples
        )
        fewest = min(len(gap.of_networks), len(gap.of_examples))
        half = float(stats.t.isf((1.0 - level) / (2 * len(pairs)), fewest - 1) * gap.error())
        value = float(gap.of_networks.mean())
        for sign, pair in ((1.0, (i, j)), (-1.0, (j, i))):
            found[pair] = Interval(
                lower=sign * value - half,
                value=sign * value,
                upper=sign * value + half,
                kind="monte-carlo",
                level=level,
            )
    return found
