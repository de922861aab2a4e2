"""Every statement of the theory against a second route to the same number."""

# The order of the groups: importing a module registers its claims.
from mis.verify import candidates, cells, several, local, limits, small_laws  # isort: skip
from mis.verify.registry import CLAIMS, claim, claims, groups, run, select
from mis.verify.table import listing, summary, table

# Those of a group together, whichever module they stand in.
_ORDER = groups()
CLAIMS.sort(key=lambda entry: _ORDER.index(entry.group))

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
    "several",
    "small_laws",
    "summary",
    "table",
]
