"""Floor 3: every statement of the theory against a second route to the same number."""

from mis.verify import candidates, cells, limits, small_laws
from mis.verify.registry import CLAIMS, claim, claims, run
from mis.verify.table import table

__all__ = ["CLAIMS", "candidates", "cells", "claim", "claims", "limits", "run", "small_laws", "table"]
