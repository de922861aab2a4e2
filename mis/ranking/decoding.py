"""The networks of a ranking decoded from what each released, with priors from shadows only."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mis.quantizers import Blocks, Cell, Channel, Grid
from mis.quantizers.channels import nearest
from mis.quantizers.observations import joint
from mis.training import FEW_RUNS

__all__ = ["CodeTable", "cells_of", "codes", "posterior_mean"]

# Grids of more levels release next to nothing that decoding could add to.
MOST_LEVELS = 64


class CodeTable(NamedTuple):
    """The cells of one layer's grid; C channels, 1 where the grid has none.

    Edges are in units of the grid's largest level: so those of a fitted scale are the same for all networks.
    """

    unit: jax.Array
    """The largest level, ``(1, C)``."""
    edges: jax.Array
    """``(C, MOST_LEVELS - 1)``, filled up with infinity: one shape for all quantizers compiles once."""
    middles: jax.Array
    """Midpoints of the levels, alike; they tell which level a released weight is on."""


def cells_of(channel: Channel) -> CodeTable | Channel | None:
    """Return what decoding starts from: the cells of one layer, or the channel itself where it has none.

    None where it adds nothing: released as it is, or on too many levels.
    """
    if isinstance(channel, Blocks):
        return channel if len(channel.table) <= MOST_LEVELS else None
    if not channel.is_sharp:
        return channel
    if not isinstance(channel, Grid) or channel.levels.shape[-1] > MOST_LEVELS:
        return None
    # The last axis of the weights is the channel; a grid without channels has one for all.
    levels, edges, middles = (
        a.reshape(-1, a.shape[-1]) for a in (channel.levels, channel.edges, nearest(channel.levels).edges)
    )
    largest = jnp.abs(levels).max(axis=-1)
    largest = jnp.where(largest > 0.0, largest, 1.0)
    beyond = jnp.full((len(edges), MOST_LEVELS - levels.shape[-1]), jnp.inf)
    edges, middles = (jnp.concatenate([a / largest[:, None], beyond], axis=1) for a in (edges, middles))
    return CodeTable(unit=largest[None], edges=edges, middles=middles)


@partial(jax.jit, compiler_options=FEW_RUNS)
def codes(released: jax.Array, cells: CodeTable | Channel) -> jax.Array:
    """Return the number of the cell that each released weight stands for, like ``released``: ``(M, in + 1, out)``.

    Where there are no cells, what was released.
    """
    if isinstance(cells, Channel):
        return released
    shares = released / cells.unit
    beyond = shares[..., None] >= cells.middles[:, None]
    return jnp.sum(beyond, axis=-1, dtype=jnp.uint8)


@partial(jax.jit, compiler_options=FEW_RUNS)
def posterior_mean(
    full: jax.Array, seen: Sequence[tuple[jax.Array, CodeTable | Channel]], is_shadow: jax.Array
) -> jax.Array:
    """Return the mean of every weight of every network given what was released of it; see ``mis.attacks.decode``.

    A weight's law is normal with the shadows' mean and spread. Edges are the shadows' mean in units of the network's
    own largest level: of a network that is no shadow only what it released is used. Of a channel without cells all
    is released (levels, the smallest survivor) or known (the size of the noise).

    Parameters
    ----------
    full
        One layer of all networks before the quantizer, ``(M, in + 1, out)``.
    seen
        For each release of them the cells that its weights were released in, of the same shape, or what was released,
        with the grids' cells, or the channels, which have a leading axis over networks.
    is_shadow
        Which networks the attacker trained, ``(M,)``.
    """
    shadows = is_shadow.astype(full.dtype)
    mean = (jnp.tensordot(shadows, full, 1) / shadows.sum())[None]
    spread = jnp.sqrt(jnp.tensordot(shadows, (full - mean) ** 2, 1) / (shadows.sum() - 1.0))[None]
    return joint([_observation(*one, is_shadow) for one in seen]).posterior_mean(mean, spread)


def _observation(codes, cells, is_shadow):
    if isinstance(cells, Channel):
        return jax.vmap(lambda channel, released: channel.observation(released))(cells, codes)
    return _cells(codes, cells, is_shadow)


def _cells(codes, cells, is_shadow):
    """Return the cells that codes stand for, as far as the attacker knows them."""
    # Not a product with 0 and 1: of infinite edges that would make NaN.
    edges = jnp.mean(cells.edges, axis=0, where=is_shadow[:, None, None])
    ends = jnp.full((len(edges), 1), jnp.inf)
    sides, channel = jnp.concatenate([-ends, edges, ends], axis=1), jnp.arange(len(edges))
    lower, upper = (cells.unit * sides[channel, codes.astype(jnp.int32) + k] for k in (0, 1))
    return Cell(lower=lower, upper=upper)
