"""Files of results in, one page out, as HTML, as Markdown, and its tables as LaTeX. Computes nothing.

To read a further kind of result: write what it is about under ``made`` (``mis.provenance.made``) into its JSON, copy
``inspection.py`` here, write ``read``, which turns the JSON into a ``Part``, and add it to ``READERS``.
"""

from collections.abc import Callable
from typing import Any

from mis.report import attack, audit, inspection, ranking, work
from mis.report.page import Part

__all__ = ["READERS"]

# What reads a file of results, by the name of the result that ``made`` gives.
READERS: dict[str, Callable[[dict[str, Any]], Part]] = {
    "ranking": ranking.read,
    "attack": attack.read,
    "audit": audit.read,
    "inspection": inspection.read,
    "work": work.read,
}
