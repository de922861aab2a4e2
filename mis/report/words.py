"""What readers of results say alike."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mis.report.page import Block, Code, Estimate

__all__ = ["ADVANTAGE", "correct_of_100", "facts", "listed", "made_by", "seen"]

ADVANTAGE = "true positive rate less false positive rate, 0 of a coin, 1 of who is never wrong"


def listed(names: Iterable[Any]) -> str:
    """Return names with commas and an "and".

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', '')
    """
    names = [str(name) for name in names]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def correct_of_100(advantage: Estimate) -> str:
    """Return an advantage as guesses that are right, exact where both answers are equally likely beforehand.

    The probability of a right guess is then (1 + TPR - FPR) / 2.

    Examples
    --------
    >>> correct_of_100(Estimate(value=0.5, lower=0.25, upper=0.75, kind="attack", level=0.95))[:86]
    'Of 100 guesses, half of them about training examples, 75.0 [62.5, 87.5] are right on a'
    """
    right = [50 + 50 * end for end in (advantage.value, advantage.lower, advantage.upper)]
    return (
        f"Of 100 guesses, half of them about training examples, {right[0]:.1f} [{right[1]:.1f}, {right[2]:.1f}] are "
        "right on average (50 + 50 times the advantage); a coin gets 50."
    )


def seen(sees: Iterable[str]) -> str:
    """Return what an attacker sees, in words."""
    words = {
        "outputs": "the outputs of the released network on that record",
        "weights": "the released weights",
        "shadows": "",
    }
    return listed(words[what] for what in words if what in sees and words[what]) or "nothing"


def facts(found: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Return what was asked for as pairs, those within another by the names of both; what was not set is left out."""
    pairs: list[tuple[str, Any]] = []
    for name, value in found.items():
        full = f"{above} {name}".strip()
        if isinstance(value, Mapping):
            pairs += facts(value, full)
        elif value not in (None, ""):
            pairs.append((full, listed(value) if isinstance(value, list) else value))
    return pairs


def made_by(made: Mapping[str, Any]) -> Sequence[Block]:
    """Return the command and the version behind a file."""
    command = made["command"]
    said: list[Block] = [Code(str(command))] if command else ["Made in Python, not on the command line."]
    return [*said, f"By mis {made['version']}."]
