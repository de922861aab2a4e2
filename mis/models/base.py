"""What a network is, two pure functions of its parameters.

To add a network: copy ``lenet.py``, write ``init`` and ``apply``; add it to ``MODELS`` in ``__init__.py``; add one row
to ``CASES`` in ``tests/contracts/test_models.py``. A network with batch statistics also writes ``fit_statistics``.
"""

import abc
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mis.models.layout import Layout
from mis.numerics.checks import InvalidInput, integer

__all__ = ["Model", "check", "cross_entropy", "squared_error"]

# Of XLA's compiler, for what runs once.
UNOPTIMISED = {"xla_backend_optimization_level": 0}


@dataclass(frozen=True, kw_only=True)
class Model(abc.ABC):
    """A network: how its parameters start and what it outputs.

    A spec: frozen and hashable. Parameters are any pytree of floating-point arrays; training, releases and attacks
    meet them as the matrices of ``layout``, which ``pack`` and ``unpack`` go to and from.

    Parameters
    ----------
    input_shape
        Shape of one example's features.
    num_classes
        Number of classes, fitted by cross-entropy in nats; None is regression on one output by squared error.
    activation_bits
        Bits of the hidden layers' values, 1 to 16: rectifiers are then cut at 1 and rounded, gradients straight
        through. None rounds nothing.
    """

    input_shape: tuple[int, ...]
    num_classes: int | None = None
    activation_bits: int | None = None

    # Whether one network after another in a compiled loop is fastest on a CPU. Convolutions there are 4 to 10 times
    # slower than the same step called from Python.
    compiled_loop: ClassVar[bool] = False

    # Steps of Adam after which a network fits half of a pool of some hundred examples.
    default_steps: ClassVar[int] = 300

    def __post_init__(self):
        where = type(self).__name__
        object.__setattr__(self, "input_shape", tuple(int(size) for size in self.input_shape))
        for size in self.input_shape:
            integer(where, "input_shape", size, at_least=1)
        if self.num_classes is not None:
            integer(where, "num_classes", self.num_classes, at_least=2)
        if self.activation_bits is not None:
            integer(where, "activation_bits", self.activation_bits, at_least=1, at_most=16)

    @abc.abstractmethod
    def init(self, key: jax.Array) -> Any:
        """Draw an initial point."""

    @abc.abstractmethod
    def apply(self, params: Any, features: jax.Array) -> jax.Array:
        """Return the outputs for features ``(B, *input_shape)``: ``(B, num_classes)``, or ``(B,)`` in a regression."""

    def fit_statistics(self, params: Any, features: jax.Array) -> tuple[jax.Array, Any]:
        """Return the outputs while training, and the parameters with their running statistics moved on."""
        return self.apply(params, features), params

    def only_trained(self, updates: Any) -> Any:
        """Return an optimiser's updates with those of running statistics set to zero, where there are any."""
        return updates

    @cached_property
    def layout(self) -> Layout:
        """How the parameters become matrices."""
        return Layout.of(jax.eval_shape(self.init, jax.random.key(0)))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the matrices that are released."""
        return self.layout.shapes

    @property
    def tensor_rows(self) -> list[int]:
        """Rows of each matrix that are weights; those below are vectors (biases), and of a vector alone none is."""
        return [0 if group.alone else group.rows[0] for group in self.layout.groups]

    @property
    def name(self) -> str:
        """The registry name, e.g. ``"lenet"``."""
        return type(self).__name__.lower()

    def options(self) -> dict[str, Any]:
        """Return what was chosen of it, by the name of the option."""
        given = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in given.items() if name not in ("input_shape", "num_classes")}

    @property
    def summary(self) -> str:
        """A few words on its size."""
        return f"{sum(rows * channels for rows, channels in self.shapes)} weights"

    @property
    def num_outputs(self) -> int:
        """Outputs per example: classes, or 1."""
        return self.num_classes or 1

    def pack(self, params: Any) -> list[jax.Array]:
        """Return parameters as matrices."""
        return self.layout.pack(params)

    def unpack(self, layers: Sequence[jax.Array]) -> Any:
        """Undo ``pack``."""
        return self.layout.unpack(layers)

    def initial(self, key: jax.Array) -> list[jax.Array]:
        """Draw an initial point, as matrices."""
        return self.pack(self.init(key))

    def predict(self, layers: Sequence[jax.Array], features: jax.Array) -> jax.Array:
        """Return the outputs ``(B, num_classes or 1)`` of the network whose matrices are ``layers``."""
        outputs = self.apply(self.unpack(layers), features)
        return outputs.reshape(len(features), self.num_outputs)

    def losses(self, layers: Sequence[jax.Array], features: jax.Array, targets: jax.Array) -> jax.Array:
        """Return the loss of each example, ``(B,)``: nats, or half the squared error."""
        return self.of_outputs(self.predict(layers, features), targets)

    def of_outputs(self, outputs: jax.Array, targets: jax.Array) -> jax.Array:
        """Return the losses of outputs ``(..., num_classes or 1)``."""
        if self.num_classes is None:
            return squared_error(outputs, targets)
        return cross_entropy(outputs, targets)

    def start(self, layers: Sequence[jax.Array]) -> Any:
        """Return what is trained, from matrices: the parameters, or whatever form of them trains fastest."""
        return self.unpack(layers)

    def finish(self, trained: Any) -> list[jax.Array]:
        """Return matrices from what was trained."""
        return self.pack(trained)

    def training_loss(self, trained: Any, features: jax.Array, targets: jax.Array) -> tuple[jax.Array, Any]:
        """Return the mean loss of a batch, and what is trained with its running statistics moved on."""
        outputs, trained = self.fit_statistics(trained, features)
        outputs = outputs.reshape(len(features), self.num_outputs)
        return jnp.mean(self.of_outputs(outputs, targets)), trained

    def take(self, features: np.ndarray) -> np.ndarray:
        """Return features ``(N, ...)`` in the shape that the network takes, or refuse them."""
        if features.shape[1:] != self.input_shape:
            raise InvalidInput(
                f"{type(self).__name__}: expected features of shape (N, {', '.join(map(str, self.input_shape))}), "
                f"got features.shape={features.shape}."
            )
        return features


def cross_entropy(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return minus the log probability of the true class, nats, for logits ``(..., C)``."""
    # Rows of the identity compile to vector code on every backend; picking single outputs does not.
    chosen = jnp.sum(jnp.eye(outputs.shape[-1])[targets] * outputs, axis=-1)
    return jax.nn.logsumexp(outputs, axis=-1) - chosen


def squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Return half the squared error of outputs ``(..., 1)``."""
    return 0.5 * (outputs[..., 0] - targets) ** 2


def check(model: Model, features: np.ndarray) -> None:
    """Try a network on two examples, or say in one line what is wrong with it.

    Parameters
    ----------
    model
        The network.
    features
        Examples, of which the first two are used.

    Raises
    ------
    InvalidInput
        Where ``init`` or ``apply`` fails, the parameters are no floating-point arrays or change their structure from
        one key to another, or the outputs have another shape than classes ask for or are not finite.
    """
    where = f"model {type(model).__name__}"
    x = jnp.asarray(model.take(features[:2]), jnp.float32)
    expected = f"({len(x)}, {model.num_classes})" if model.num_classes else f"({len(x)},) or ({len(x)}, 1)"
    try:
        # A function of its own, or JAX would not ask again.
        again = Layout.of(jax.eval_shape(lambda key: model.init(key), jax.random.key(0)))
        if again != model.layout:
            raise InvalidInput(f"{where}: expected init to give parameters of one structure, got several.")
        # Compiled, as for training: drawn one by one the tensors of a large network take a quarter of a minute. Once:
        # without optimising that takes a third of the time.
        tried = jax.jit(lambda key: model.apply(model.init(key), x), compiler_options=UNOPTIMISED)
        outputs = tried(jax.random.key(0))
    except InvalidInput:
        raise
    except Exception as error:
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise InvalidInput(f"{where}: fails on features of shape {x.shape}: {first[0]}") from error
    shape = getattr(outputs, "shape", None)
    right = (len(x), model.num_outputs)
    if shape != right and not (model.num_classes is None and shape == (len(x),)):
        raise InvalidInput(
            f"{where}: expected outputs of shape {expected}, got {shape or type(outputs).__name__}."
        )
    if not bool(jnp.isfinite(outputs).all()):
        raise InvalidInput(f"{where}: expected finite outputs, got NaN or infinity at the initial point.")
