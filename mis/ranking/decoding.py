"""Functions: the networks of a ranking decoded from what each released, with priors from shadows only."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from mis.quantizers import Grid

__all__ = ["Layer", "decoded", "in_cells"]

# Grids of more levels release next to nothing that decoding could add to.
MOST_LEVELS = 64

# Below this mass float32 has no quotient, and the mean is taken for the end of the cell that is nearest.
LEAST_MASS = 1e-30


class Layer(NamedTuple):
    """One layer of all networks and the cells it was released in; shapes for C channels, 1 for a grid without.

    Edges are in units of the grid's largest level: so those of a fitted scale are the same for all networks.
    """

    full: jax.Array
    """Weights before the quantizer, ``(M, in + 1, out)``."""
    codes: jax.Array
    """Numbers of the cells, like ``full``."""
    unit: jax.Array
    """The largest level, ``(M, 1, C)``."""
    edges: jax.Array
    """``(M, C, L - 1)``, in units."""


def in_cells(
    full: Sequence[jax.Array], released: Sequence[jax.Array], grids: Sequence[Grid]
) -> list[Layer | None]:
    """Return each layer with its cells; None where the grid has none, stochastic ones, or too many.

    Parameters
    ----------
    full
        Weights before the quantizer, ``(M, in + 1, out)`` by layer.
    released
        What the quantizer made of them.
    grids
        One by layer, with a leading axis over networks.
    """
    return [
        None
        if grid.levels is None or grid.stochastic or grid.levels.shape[-1] > MOST_LEVELS
        else _layer(*each, grid)
        for *each, grid in zip(full, released, grids, strict=True)
    ]


@jax.jit
def _layer(full, released, grid):
    # The last axis of the weights is the channel; a grid without channels has one for all.
    levels, edges = (a.reshape(len(full), -1, a.shape[-1]) for a in (grid.levels, grid.edges))
    codes = jax.lax.map(lambda each: Grid.codes(*each), (grid, released))
    largest = jnp.abs(levels).max(axis=-1)
    largest = jnp.where(largest > 0.0, largest, 1.0)
    return Layer(full=full, codes=codes, unit=largest[:, None], edges=edges / largest[..., None])


@jax.jit
def decoded(layer: Layer, is_shadow: jax.Array) -> jax.Array:
    """Return the mean of every weight of every network given its cell, like ``layer.full``; see ``mis.attacks.decode``.

    A weight's law is normal with the shadows' mean and spread. Edges are the shadows' mean in units of the network's
    own largest level: of a network that is no shadow only what it released is used.
    """
    shadows = is_shadow.astype(layer.full.dtype)
    mean = (jnp.tensordot(shadows, layer.full, 1) / shadows.sum())[None]
    spread = jnp.sqrt(jnp.tensordot(shadows, (layer.full - mean) ** 2, 1) / (shadows.sum() - 1.0))[None]
    edges = jnp.tensordot(shadows, layer.edges, 1) / shadows.sum()
    ends = jnp.full((len(edges), 1), jnp.inf)
    sides, channel = jnp.concatenate([-ends, edges, ends], axis=1), jnp.arange(len(edges))
    moves = jnp.where(spread > 0.0, spread, 1.0)
    low, high = ((layer.unit * sides[channel, layer.codes + k] - mean) / moves for k in (0, 1))
    inside = mean + moves * _cell_mean(low, high)
    return jnp.where(spread > 0.0, inside, jnp.clip(mean, mean + low, mean + high))


def _cell_mean(low, high):
    """``mis.numerics.normal.cell_mean`` in float32, to about 1e-5, less far out."""
    # In the lower tail, where small masses keep their digits.
    mirrored = low > 0.0
    low, high = jnp.where(mirrored, -high, low), jnp.where(mirrored, -low, high)
    mass = ndtr(high) - ndtr(low)
    density = (jnp.exp(-0.5 * low**2) - jnp.exp(-0.5 * high**2)) / np.sqrt(2.0 * np.pi)
    mean = jnp.where(mass > LEAST_MASS, density / jnp.where(mass > LEAST_MASS, mass, 1.0), high)
    mean = jnp.clip(mean, low, high)
    return jnp.where(mirrored, -mean, mean)
