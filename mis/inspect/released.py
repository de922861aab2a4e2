"""What is known of a tensor, of a file, and of several files together."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mis.inspect.information import Shares
from mis.inspect.measure import Measured
from mis.results import Interval

__all__ = ["Release", "Row", "Together"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One tensor.

    Parameters
    ----------
    name, shape, quantizer, per, bits, stored, note
        As of its `Coding`; bits is None where unknown.
    measured
        Sums and shares.
    shares, information
        Share of the information about its weights that passes, where weights were given that spread.
    is_weights
        Whether it counts.
    """

    name: str
    shape: tuple[int, ...]
    quantizer: str
    per: str
    bits: float | None
    stored: float
    measured: Measured
    shares: Shares | None
    information: Interval | None
    is_weights: bool
    note: str

    @property
    def size(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def zeros(self) -> float | None:
        """Share of zeros."""
        return self.measured.zeros

    @property
    def entropy(self) -> float | None:
        """Of the codes, bits a weight."""
        return self.measured.entropy

    @property
    def error(self) -> float | None:
        """Squared error over the squared norm of the weights given."""
        return _ratio([self.measured])

    @property
    def outside(self) -> float | None:
        """Share of weights outside the nearest cell."""
        return self.measured.outside


def _ratio(measured: Sequence[Measured]) -> float | None:
    known = [(one.error, one.norm) for one in measured if one.error is not None and one.norm is not None]
    norm = sum(norm for _, norm in known)
    return sum(error for error, _ in known) / norm if norm > 0 else None


@dataclass(frozen=True, kw_only=True)
class Release:
    """One file: its tensors, and all of them together."""

    path: str
    rows: tuple[Row, ...]
    information: Interval | None

    @property
    def weights(self) -> list[Row]:
        """The tensors that count."""
        return [row for row in self.rows if row.is_weights and row.size]

    @property
    def num_weights(self) -> int:
        """How many weights there are."""
        return sum(row.size for row in self.weights)

    def mean(self, value: Callable[[Row], float | None]) -> float | None:
        """Return a number's mean over the weights of the tensors of which it is known, None where of none."""
        known = [(row.size, number) for row in self.weights if (number := value(row)) is not None]
        return (
            sum(size * number for size, number in known) / sum(size for size, _ in known) if known else None
        )

    @property
    def error(self) -> float | None:
        """Squared error over the squared norm of all weights given."""
        return _ratio([row.measured for row in self.weights])

    @property
    def quantizers(self) -> list[tuple[str, float]]:
        """Names of quantizers and their shares of the weights, the largest first."""
        counts: Counter = Counter()
        for row in self.weights:
            counts[f"{row.quantizer} per {row.per}" if row.per not in ("", "tensor") else row.quantizer] += (
                row.size
            )
        return [(name, count / self.num_weights) for name, count in counts.most_common()]

    @property
    def share_known(self) -> float:
        """Share of the weights of which it is known what passes."""
        return sum(row.size for row in self.weights if row.shares is not None) / max(self.num_weights, 1)


@dataclass(frozen=True, kw_only=True)
class Together:
    """What several releases tell together.

    Parameters
    ----------
    inside
        For each ordered pair whether each cell of the first lies inside a cell of the second, in all tensors.
    entropy, apart, information
        Of the codes together; share of weights whose cells do not meet; share of the information that passes.
    num_weights
        In tensors that all of them have.
    """

    inside: dict[tuple[int, int], bool | None]
    entropy: float | None
    apart: float | None
    information: Interval | None
    num_weights: int
