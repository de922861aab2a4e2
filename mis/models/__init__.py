"""Floor 1: models. To add one: copy ``mlp.py`` (``init``, ``predict``, ``losses``) and register it here."""

from mis.models.mlp import MLP

__all__ = ["MLP", "MODELS"]

MODELS = {"mlp": MLP}
