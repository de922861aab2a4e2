"""Spec and functions: attacks, each a lower bound on what the optimal attacker reaches."""

from mis.attacks import statistics
from mis.attacks.base import Attack, Input
from mis.attacks.lira import LiRA

__all__ = ["ATTACKS", "Attack", "Input", "LiRA", "statistics"]

ATTACKS: dict[str, type[Attack]] = {"lira": LiRA}
