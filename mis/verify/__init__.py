"""Floor 3: every statement of the theory against a second route to the same number."""

# The order of the groups: importing a module registers its claims.
from mis.verify import candidates, cells, local, limits  # isort: skip
from mis.verify.registry import CLAIMS, claim, claims, groups, run, select
from mis.verify.table import listing, summary, table

__all__ = [
    "CLAIMS",
    "candidates",
    "cells",
    "claim",
    "claims",
    "groups",
    "limits",
    "listing",
    "local",
    "run",
    "select",
    "summary",
    "table",
]
