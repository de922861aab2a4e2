"""Floor 1: networks. To add one: copy ``lenet.py`` (``init``, ``apply``) and register it here."""

import dataclasses
from typing import Any

from mis.models.base import Model, check
from mis.models.functions import Functions, load
from mis.models.layout import Group, Layout
from mis.models.lenet import LeNet
from mis.models.mlp import MLP
from mis.models.resnet import ResNet, ResNet8, ResNet18
from mis.numerics.checks import InvalidInput, known

__all__ = [
    "MLP",
    "MODELS",
    "Functions",
    "Group",
    "Layout",
    "LeNet",
    "Model",
    "ResNet",
    "ResNet8",
    "ResNet18",
    "check",
    "get",
    "load",
]

MODELS: dict[str, type[Model]] = {"mlp": MLP, "lenet": LeNet, "resnet-8": ResNet8, "resnet-18": ResNet18}

GIVEN = ("input_shape", "num_classes")


def get(model: str | Model, input_shape: tuple[int, ...], num_classes: int | None, **options: Any) -> Model:
    """Return a network for a task.

    Parameters
    ----------
    model
        A key of ``MODELS``, a user's ``FILE.py:NAME``, or a spec, whose shapes are then set to the task's.
    input_shape, num_classes
        Those of the task.
    options
        Fields of the spec.

    Examples
    --------
    >>> get("lenet", (28, 28, 1), 10, activation="sigmoid").shapes[-1]
    (589, 10)
    """
    if isinstance(model, Model):
        return dataclasses.replace(model, input_shape=input_shape, num_classes=num_classes, **options)
    if not isinstance(model, str):
        raise InvalidInput(
            f"model: expected a name, FILE.py:NAME or a mis.models.Model, got a {type(model).__name__}."
        )
    if ":" in model:
        if options:
            raise InvalidInput(f"model: expected no options for {model}, got {', '.join(options)}.")
        return load(model, input_shape, num_classes)
    spec = MODELS[known("model", "name", model, MODELS)]
    fields = [field.name for field in dataclasses.fields(spec) if field.name not in GIVEN]
    for option in options:
        known(model, "option", option, fields)
    return spec(input_shape=input_shape, num_classes=num_classes, **options)
