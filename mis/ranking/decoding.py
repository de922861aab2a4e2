"""Functions: the networks of a ranking decoded from what each released, with priors from shadows only."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr

from mis.quantizers import Grid
from mis.training import FEW_RUNS

__all__ = ["Cells", "cells_of", "codes", "posterior_mean"]

# Grids of more levels release next to nothing that decoding could add to.
MOST_LEVELS = 64

# Below this mass float32 has no quotient, and the mean is taken for the end of the cell that is nearest.
LEAST_MASS = 1e-30


class Cells(NamedTuple):
    """The cells of one layer's grid; C channels, 1 where the grid has none.

    Edges are in units of the grid's largest level: so those of a fitted scale are the same for all networks.
    """

    unit: jax.Array
    """The largest level, ``(1, C)``."""
    edges: jax.Array
    """``(C, MOST_LEVELS - 1)``, filled up with infinity: one shape for all quantizers compiles once."""


def cells_of(grid: Grid) -> Cells | None:
    """Return the cells of one layer's grid; None where the grid has none, stochastic ones, or too many."""
    if grid.levels is None or grid.stochastic or grid.levels.shape[-1] > MOST_LEVELS:
        return None
    # The last axis of the weights is the channel; a grid without channels has one for all.
    levels, edges = (a.reshape(-1, a.shape[-1]) for a in (grid.levels, grid.edges))
    largest = jnp.abs(levels).max(axis=-1)
    largest = jnp.where(largest > 0.0, largest, 1.0)
    beyond = jnp.full((len(edges), MOST_LEVELS - levels.shape[-1]), jnp.inf)
    return Cells(
        unit=largest[None],
        edges=jnp.concatenate([edges / largest[:, None], beyond], axis=1),
    )


@partial(jax.jit, compiler_options=FEW_RUNS)
def codes(released: jax.Array, cells: Cells) -> jax.Array:
    """Return the number of the cell that each released weight stands for, like ``released``: ``(M, in + 1, out)``."""
    shares = released / cells.unit
    beyond = shares[..., None] >= cells.edges[:, None]
    return jnp.sum(beyond, axis=-1, dtype=jnp.uint8)


@partial(jax.jit, compiler_options=FEW_RUNS)
def posterior_mean(full: jax.Array, codes: jax.Array, cells: Cells, is_shadow: jax.Array) -> jax.Array:
    """Return the mean of every weight of every network given its cell; see ``mis.attacks.decode``.

    A weight's law is normal with the shadows' mean and spread. Edges are the shadows' mean in units of the network's
    own largest level: of a network that is no shadow only what it released is used.

    Parameters
    ----------
    full
        One layer of all networks before the quantizer, ``(M, in + 1, out)``.
    codes
        The cells that its weights were released in, of the same shape.
    cells
        The grids' cells, with a leading axis over networks.
    is_shadow
        Which networks the attacker trained, ``(M,)``.
    """
    shadows = is_shadow.astype(full.dtype)
    mean = (jnp.tensordot(shadows, full, 1) / shadows.sum())[None]
    spread = jnp.sqrt(jnp.tensordot(shadows, (full - mean) ** 2, 1) / (shadows.sum() - 1.0))[None]
    # Not a product with 0 and 1: of infinite edges that would make NaN.
    edges = jnp.mean(cells.edges, axis=0, where=is_shadow[:, None, None])
    ends = jnp.full((len(edges), 1), jnp.inf)
    sides, channel = jnp.concatenate([-ends, edges, ends], axis=1), jnp.arange(len(edges))
    moves = jnp.where(spread > 0.0, spread, 1.0)
    low, high = ((cells.unit * sides[channel, codes.astype(jnp.int32) + k] - mean) / moves for k in (0, 1))
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
