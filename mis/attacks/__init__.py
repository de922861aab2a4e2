"""Spec and functions: attacks, each a lower bound on what the optimal attacker reaches."""

from mis.attacks import statistics
from mis.attacks.audit import Audit, audit
from mis.attacks.audit_file import load
from mis.attacks.base import Attack, Input
from mis.attacks.lira import LiRA

__all__ = ["ATTACKS", "Attack", "Audit", "Input", "LiRA", "audit", "load", "statistics"]

ATTACKS: dict[str, type[Attack]] = {"lira": LiRA}
