"""Anyone's network, given as two functions of its parameters."""

import hashlib
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from mis.models.base import Model
from mis.numerics.checks import InvalidInput, UnsupportedSetting

__all__ = ["Functions", "imported", "load"]


@dataclass(frozen=True, kw_only=True)
class Functions(Model):
    """A network of a user's own, in whatever library.

    Parameters
    ----------
    init
        ``init(key)`` returns the parameters, any pytree of floating-point arrays.
    apply
        ``apply(params, features)`` returns the outputs for features ``(B, ...)``: logits ``(B, C)``, or ``(B,)`` in a
        regression. Pure, and compiled by ``jax.jit``.
    input_shape, num_classes
        As in ``Model``; a ranking fills them in from its task.
    title
        What tables call it.
    version
        Whatever changes when the functions do. Without one, results are not stored: nobody could tell later which
        functions they belong to.

    Examples
    --------
    Softmax regression on images:

    >>> import jax.numpy as jnp
    >>> def init(key):
    ...     return {"kernel": 0.01 * jax.random.normal(key, (64, 10)), "bias": jnp.zeros(10)}
    >>> def apply(params, images):
    ...     return images.reshape(len(images), -1) @ params["kernel"] + params["bias"]
    >>> model = Functions(init=init, apply=apply, input_shape=(8, 8, 1), num_classes=10)
    >>> model.shapes
    [(65, 10)]
    """

    # Fields where other networks have methods.
    init: Callable[[jax.Array], Any] = None  # type: ignore[assignment]
    apply: Callable[[Any, jax.Array], jax.Array] = None  # type: ignore[assignment]
    input_shape: tuple[int, ...] = ()
    title: str = "functions"
    version: str = ""

    def __post_init__(self):
        super().__post_init__()
        if self.activation_bits is not None:
            raise UnsupportedSetting(
                "Functions", "your own apply rounds its activations itself, or nobody does."
            )
        for name in ("init", "apply"):
            if not callable(getattr(self, name)):
                kind = type(getattr(self, name)).__name__
                raise InvalidInput(f"Functions: expected {name} a function, got a {kind}.")

    @property
    def name(self) -> str:
        return self.title

    def options(self) -> dict[str, Any]:
        """Its version is all that can be told of it."""
        return {"version": self.version}

    @property
    def identity(self) -> dict[str, Any]:
        """What names it in a stored result."""
        if not self.version:
            raise InvalidInput(
                f"Functions: expected a version, so that results on disk are told apart, got none; give "
                f"version='1' to {self.title}, or no folder to store results in."
            )
        kinds = {"input_shape": self.input_shape, "num_classes": self.num_classes}
        return {"name": self.title, "version": self.version, **kinds}


def load(place: str, input_shape: tuple[int, ...], num_classes: int | None) -> Functions:
    """Return the network that a Python file defines; its version is the file's content.

    Parameters
    ----------
    place
        ``FILE.py:NAME``. NAME is a ``Functions``, or a function of ``input_shape`` and ``num_classes`` that returns
        one or a pair ``(init, apply)``.
    input_shape, num_classes
        Those of the task.

    Raises
    ------
    InvalidInput
        Where the file cannot be read or imported, or lacks the name, or what it names is no network.
    """
    found, path, name, text = imported(place)
    if callable(found) and not isinstance(found, Functions):
        try:
            found = found(**_asked(found, input_shape, num_classes))
        except Exception as error:
            raise InvalidInput(f"model: {name} of {path} fails: {type(error).__name__}: {error}.") from error
    if isinstance(found, tuple) and len(found) == 2 and all(map(callable, found)):
        found = Functions(init=found[0], apply=found[1])
    if not isinstance(found, Functions):
        raise InvalidInput(
            f"model: expected {name} of {path} to give mis.models.Functions or (init, apply), "
            f"got a {type(found).__name__}."
        )
    return Functions(
        init=found.init,
        apply=found.apply,
        input_shape=input_shape,
        num_classes=num_classes,
        title=name if found.title == "functions" else found.title,
        version=hashlib.sha256(text).hexdigest()[:16] + found.version,
    )


def imported(place: str) -> tuple[Any, str, str, bytes]:
    """Return what ``FILE.py:NAME`` names, the file, the name, and the file's content.

    Raises
    ------
    InvalidInput
        Where the file cannot be read or imported, or lacks the name.
    """
    path, colon, name = place.rpartition(":")
    if not colon or not path or not name:
        raise InvalidInput(f"model: expected FILE.py:NAME, got model={place!r}.")
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise InvalidInput(f"model: {path} cannot be read: {error.strerror or error}.") from None
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise InvalidInput(f"model: expected a Python file, got {path!r}.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise InvalidInput(f"model: {path} cannot be imported: {type(error).__name__}: {error}.") from error
    if not hasattr(module, name):
        public = [
            word for word in vars(module) if not word.startswith("_") and callable(getattr(module, word))
        ]
        raise InvalidInput(f"model: {path} has no {name}; it has {', '.join(public) or 'no functions'}.")
    return getattr(module, name), path, name, text


def _asked(build, input_shape, num_classes):
    """Return those of the task's numbers that a builder takes by name."""
    offered = {"input_shape": input_shape, "num_classes": num_classes}
    parameters = inspect.signature(build).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return offered
    return {p.name: offered[p.name] for p in parameters if p.name in offered}
