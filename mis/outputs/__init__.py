"""Attack networks of any framework by their outputs in a file."""

from mis.outputs.read import read_outputs
from mis.outputs.run import attack

__all__ = ["attack", "read_outputs"]
