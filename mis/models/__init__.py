"""Networks. To add one: copy ``lenet.py`` (``init``, ``apply``) and register it here."""

import dataclasses
from typing import Any

from mis.models.base import Model, check
from mis.models.butterfly import Butterfly
from mis.models.functions import Functions, imported, load
from mis.models.layout import Group, Layout
from mis.models.lenet import LeNet
from mis.models.mlp import MLP
from mis.models.resnet import ResNet, ResNet8, ResNet18
from mis.numerics.checks import InvalidInput, known

__all__ = [
    "MLP",
    "MODELS",
    "Butterfly",
    "Functions",
    "Group",
    "Layout",
    "LeNet",
    "Model",
    "ResNet",
    "ResNet8",
    "ResNet18",
    "any_options",
    "check",
    "get",
    "imported",
    "load",
    "options",
    "takes_images",
]

MODELS: dict[str, type[Model]] = {
    "mlp": MLP,
    "butterfly": Butterfly,
    "lenet": LeNet,
    "resnet-8": ResNet8,
    "resnet-18": ResNet18,
}

FLAT = ("mlp", "butterfly")

GIVEN = ("input_shape", "num_classes")


def options(model: Any) -> list[str]:
    """Return the names of the options that a network of this name takes.

    Examples
    --------
    >>> options("mlp")
    ['activation_bits', 'width', 'depth']
    """
    spec = MODELS.get(model) if isinstance(model, str) else None
    return [field.name for field in dataclasses.fields(spec) if field.name not in GIVEN] if spec else []


def any_options() -> list[str]:
    """Return the names of the options that any registered network takes.

    Examples
    --------
    >>> any_options()
    ['activation_bits', 'width', 'depth', 'activation', 'norm']
    """
    return list(dict.fromkeys(option for name in MODELS for option in options(name)))


def takes_images(model: Any) -> bool:
    """Return whether a registered network asks for images; a user's own takes what the task has."""
    return (
        model in MODELS and model not in FLAT if isinstance(model, str) else isinstance(model, LeNet | ResNet)
    )


def get(model: str | Model, input_shape: tuple[int, ...], num_classes: int | None, **chosen: Any) -> Model:
    """Return a network for a task.

    Parameters
    ----------
    model
        A key of ``MODELS``, a user's ``FILE.py:NAME``, or a spec, whose shapes are then set to the task's.
    input_shape, num_classes
        Those of the task.
    chosen
        Fields of the spec.

    Examples
    --------
    >>> get("lenet", (28, 28, 1), 10, activation="sigmoid").shapes[-1]
    (589, 10)
    """
    if isinstance(model, Model):
        return dataclasses.replace(model, input_shape=input_shape, num_classes=num_classes, **chosen)
    if not isinstance(model, str):
        raise InvalidInput(
            f"model: expected a name, FILE.py:NAME or a mis.models.Model, got a {type(model).__name__}."
        )
    if ":" in model:
        if chosen:
            raise InvalidInput(f"model: expected no options for {model}, got {', '.join(chosen)}.")
        return load(model, input_shape, num_classes)
    spec = MODELS[known("model", "name", model, MODELS)]
    for option in chosen:
        known(model, "option", option, options(model))
    return spec(input_shape=input_shape, num_classes=num_classes, **chosen)
