"""A JAX function that turns weights and features into outputs, with the gradients that attacks use."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.models import imported
from mis.numerics.checks import InvalidInput

__all__ = ["Network"]

# Numbers of a gradient held at a time, and of outputs.
BLOCK = 2**24


@dataclass(frozen=True, eq=False)
class Network:
    """A function of weights and features, with the examples.

    Parameters
    ----------
    place
        ``FILE.py:NAME`` of ``apply(weights, features)``, which returns outputs ``(N, C)``, or ``(N,)`` of a
        regression.
    layout
        Shape of each tensor by its name, in the order in which they lie in a row of weights; then ``apply`` is given
        a dict of them. None: it is given the row itself, ``(P,)``.
    features, labels
        Of the examples, ``(N, …)`` and ``(N,)``.
    """

    place: str
    layout: Mapping[str, tuple[int, ...]] | None
    features: np.ndarray
    labels: np.ndarray

    @cached_property
    def _apply(self) -> Callable[..., Any]:
        found, path, name, _ = imported(self.place)
        if not callable(found):
            raise InvalidInput(f"model: expected {name} of {path} a function, got a {type(found).__name__}.")
        return found

    def _outputs(self, row, features):
        """Apply to one row of weights."""
        weights, start = row, 0
        if self.layout is not None:
            weights = {}
            for name, shape in self.layout.items():
                stop = start + int(np.prod(shape))
                weights[name] = row[start:stop].reshape(shape)
                start = stop
        found = self._apply(weights, features)
        return found[:, 0] if found.ndim == 2 and found.shape[1] == 1 else found

    def outputs(self, weights: np.ndarray) -> np.ndarray:
        """Return the outputs of every network ``(R, P)``: logits ``(R, N, C)``, or predictions ``(R, N)``.

        Raises
        ------
        InvalidInput
            In one line, where the function fails or returns another shape.
        """
        run, _ = jax.jit(self._outputs), self._apply
        try:
            found = [np.asarray(run(jnp.asarray(row, jnp.float32), self._features)) for row in weights]
        except InvalidInput:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200].rstrip(".")
            raise InvalidInput(f"model: {self.place} fails: {type(error).__name__}: {said}.") from error
        if found[0].ndim not in (1, 2) or len(found[0]) != len(self.features):
            raise InvalidInput(
                f"model: expected {self.place} to return outputs ({len(self.features)}, C), or "
                f"({len(self.features)},) of a regression, got shape {found[0].shape}."
            )
        return np.stack(found)

    def gradients(self, row: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield gradients of the examples' losses at one network, block by block, ``(B, P)``."""
        yield from self._by_block(self._gradient, row, self.labels)

    def mean_gradients(self, weights: np.ndarray) -> np.ndarray:
        """Return their mean over these networks, ``(N, P)``."""
        total = np.zeros((len(self.features), weights.shape[1]))
        for row in weights:
            for part, gradients in self.gradients(row):
                total[part] += gradients
        return total / len(weights)

    def factors(self, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return factors of the Hessian's Gauss-Newton part at one network, one drawn for each example, ``(N, P)``.

        In a classification the gradient of the loss of a class drawn from the network's own prediction: its second
        moment is the Fisher information. In a regression the gradient of the output, times the root of 2 for the
        squared error.
        """
        outputs = self.outputs(row[None])[0].astype(np.float64)
        if outputs.ndim == 1:
            # The gradient of (f - y)^2 where y = f - 1/sqrt(2) is sqrt(2) times that of f.
            drawn = outputs - np.sqrt(0.5)
        else:
            drawn = (outputs + rng.gumbel(size=outputs.shape)).argmax(axis=1)
        return np.concatenate([part for _, part in self._by_block(self._gradient, row, drawn)])

    @cached_property
    def _features(self):
        return jnp.asarray(self.features)

    @cached_property
    def _gradient(self):
        def loss(row, features, label):
            output = self._outputs(row, features[None])[0]
            if output.ndim == 0:
                return jnp.square(output - label)
            return jax.nn.logsumexp(output) - output[label]

        return jax.jit(jax.vmap(jax.grad(loss), in_axes=(None, 0, 0)))

    def _by_block(self, function, row, labels):
        row = jnp.asarray(row, jnp.float32)
        kind = np.int32 if labels.dtype.kind in "iu" else np.float32
        size = max(1, BLOCK // len(row))
        for start in range(0, len(labels), size):
            part = slice(start, min(start + size, len(labels)))
            yield (
                part,
                np.asarray(function(row, self._features[part], jnp.asarray(labels[part].astype(kind)))),
            )
