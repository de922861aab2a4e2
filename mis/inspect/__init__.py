"""What released files are and what they let through; no data, no training.

To recognise another quantizer: a ``Family`` in ``families.py``. To read another format: ``formats/__init__.py``.
"""

from mis.inspect.report import Inspection
from mis.inspect.run import inspect

__all__ = ["Inspection", "inspect"]
