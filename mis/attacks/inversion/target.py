"""What an attacker matches, and how far a dummy gradient is from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mis.attacks.inversion.gradients import WHERE
from mis.numerics.checks import InvalidInput
from mis.quantizers.laplace import DoubleExponential
from mis.quantizers.observations import Cell, Hat, Normal, Observation

__all__ = ["Target", "adapted", "cosine_distance", "misfit", "naive", "rounded_misfit", "stack"]

# A hat of half-width w has variance w^2 / 6 around its level.
HAT = 6.0
# Pull to the middle of a cell against what leaves it: of all gradients in the cells the middle ones err least. Least
# median error of 0, 0.005, 0.02, 0.1, 0.5 for each of levels-20, levels-120, codebook-16, prune-40, on images and
# networks that nothing is reported of: `mis run leakage --quick --seed 1000 --set pull=0.02`. From 0.005 to 0.1 it
# matters little, and every image is recovered by each.
PULL = 0.005
# Levels are filled up to one length, so that releases with other numbers of them compile to one program.
FILLED = 256
# An absolute value is rounded off below this share of its scale: the attack asks for a second derivative.
CORNER = 0.1


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Target:
    """A released gradient and how it is matched; lists by layer, with an axis for problems once stacked.

    Parameters
    ----------
    centre, lower, upper
        Released values and the cell that is known of each entry, of the layer's shape.
    near, outside
        Weights, a number a layer, of the squared distances to the centre and to the cell.
    sharp, unit
        Weight of the absolute distances to the centre, and their unit, a number a layer.
    levels
        ``(L,)`` ascending, where a release is the nearest of levels; empty elsewhere.
    """

    centre: list[Any]
    lower: list[Any]
    upper: list[Any]
    near: list[Any]
    outside: list[Any]
    sharp: list[Any]
    unit: list[Any]
    levels: list[Any]

    @property
    def degenerate(self) -> bool:
        """Whether a zero gradient lies in every cell, so that leaving the cells costs it nothing."""
        cells = zip(self.near, self.sharp, self.lower, self.upper, strict=True)
        return all(
            not near and not sharp and bool(np.all((low <= 0) & (high >= 0)))
            for near, sharp, low, high in cells
        )


def naive(values: Sequence[Any]) -> Target:
    """Return the target of an attacker who takes what was released for the gradient itself.

    The objective is the squared distance over the squared norm of the release.
    """
    layers = [np.asarray(layer, np.float32) for layer in values]
    one, zero = [np.float32(1.0)] * len(layers), [np.float32(0.0)] * len(layers)
    plain = Target(
        centre=layers, lower=layers, upper=layers, near=one, outside=zero, sharp=zero, unit=one,
        levels=[np.zeros(0, np.float32)] * len(layers),
    )  # fmt: skip
    return _relative(plain)


def adapted(
    values: Sequence[Any], observations: Sequence[Observation], levels: Sequence[Any], *, pull: float = PULL
) -> Target:
    """Return the target of an attacker who knows how the gradient was released.

    A cell: only what leaves it counts, squared, and in units of the layer's typical cell. A hat (stochastic rounding):
    the neighbouring levels are a cell, and within it the squared distance counts with the hat's variance. Normal noise:
    its log likelihood; double exponential noise: its own, rounded off at the corner. All over the value that a zero
    gradient at the released one's distance would have.

    Parameters
    ----------
    values, observations
        By layer: what was released and what it says of the gradient.
    levels
        By layer: levels that a release is the nearest of, empty where there are none.
    pull
        Pull to the middle of a cell against what leaves it, >= 0; 0: the cell is all that counts.
    """
    parts = [_of(np.asarray(v, np.float32), o, pull) for v, o in zip(values, observations, strict=True)]
    lists: dict[str, list[Any]] = {name: [part[name] for part in parts] for name in parts[0]}
    return _relative(Target(levels=[np.asarray(row, np.float32) for row in levels], **lists))


def _of(values: np.ndarray, seen: Observation, pull: float) -> dict[str, Any]:
    zero, one = np.float32(0.0), np.float32(1.0)
    found: dict[str, Any] = {
        "centre": values, "lower": values, "upper": values,
        "near": zero, "outside": zero, "sharp": zero, "unit": one,
    }  # fmt: skip
    if isinstance(seen, Cell | Hat):
        found["lower"], found["upper"] = (
            np.broadcast_to(np.asarray(end, np.float32), values.shape) for end in (seen.lower, seen.upper)
        )
        width, bounded = _typical_width(found["lower"], found["upper"])
        found["outside"] = np.float32(1 / width**2)
        # Not to the level of an unbounded cell, which is as far from its end as from what lies within.
        found["near"] = np.float32(pull / width**2) if bounded else zero
        if isinstance(seen, Hat):
            # Half the width of a hat is one step.
            found["near"] = np.float32(HAT / 2 / (width / 2) ** 2)
            found["outside"] = found["near"]
    elif isinstance(seen, Normal):
        found["near"] = np.float32(0.5 / _spread(seen.sd) ** 2)
    elif isinstance(seen, DoubleExponential):
        found["sharp"], found["unit"] = one, np.float32(_spread(seen.scale))
    else:
        raise InvalidInput(
            f"{WHERE}: expected observations of a kind that is known, got a {type(seen).__name__}."
        )
    return found


def _spread(sizes: Any) -> float:
    """Return the size of noise, in a layer without any a very small one."""
    return max(float(np.max(sizes)), 1e-12)


def _typical_width(lower: np.ndarray, upper: np.ndarray) -> tuple[float, bool]:
    """Return the median width of the bounded cells, and whether there are any; 1 where some are points.

    Where entries are released as they are beside a dead zone, all count alike: the width of a zone says nothing of how
    near the others must be matched.
    """
    with np.errstate(invalid="ignore"):
        width = upper - lower
    bounded = width[np.isfinite(width)]
    if bounded.size and bounded.min() > 0:
        return float(np.median(bounded)), True
    return 1.0, bool(bounded.size)


def _relative(target: Target) -> Target:
    """Return the target with weights divided by what a gradient of zero would cost if there were no cells."""
    total = 0.0
    for centre, near, outside, sharp, unit in zip(
        target.centre, target.near, target.outside, target.sharp, target.unit, strict=True
    ):
        total += float(near + outside) * float(np.square(centre, dtype=np.float64).sum())
        total += float(sharp) * float(np.abs(centre).sum(dtype=np.float64)) / float(unit)
    if not total > 0:
        raise InvalidInput(f"{WHERE}: expected a release that is not zero throughout: nothing to recover.")
    weights = {
        name: [np.float32(weight / total) for weight in getattr(target, name)]
        for name in ("near", "outside", "sharp")
    }
    rest = {name: getattr(target, name) for name in ("centre", "lower", "upper", "unit", "levels")}
    return Target(**rest, **weights)


def stack(targets: Sequence[Target]) -> Target:
    """Return the targets of several problems as one, levels filled up with the largest."""
    length = [
        max(FILLED, len(rows)) if len(rows) else 0
        for rows in (max(layer, key=len) for layer in zip(*(t.levels for t in targets), strict=True))
    ]
    padded = [
        Target(
            **{name: getattr(target, name) for name in Target.__dataclass_fields__ if name != "levels"},
            levels=[_filled(row, size) for row, size in zip(target.levels, length, strict=True)],
        )
        for target in targets
    ]
    return jax.tree.map(lambda *arrays: np.stack(arrays), *padded)


def _filled(levels: np.ndarray, size: int) -> np.ndarray:
    fill = np.float32(levels[-1] if len(levels) else 0.0)
    return np.concatenate([levels, np.full(size - len(levels), fill, np.float32)])


def misfit(target: Target, gradient: Sequence[Any]) -> jax.Array:
    """Return the weighted squared, absolute and outside distances of a gradient from the target."""
    total = jnp.zeros(())
    for k, layer in enumerate(gradient):
        away = layer - target.centre[k]
        leaves = layer - jnp.clip(layer, target.lower[k], target.upper[k])
        corner = jnp.sqrt(jnp.square(away / target.unit[k]) + CORNER**2) - CORNER
        total += target.near[k] * jnp.sum(jnp.square(away)) + target.outside[k] * jnp.sum(jnp.square(leaves))
        total += target.sharp[k] * jnp.sum(corner)
    return total


def rounded_misfit(target: Target, gradient: Sequence[Any]) -> jax.Array:
    """Return the squared distance between the quantized gradient and the release, over the release's squared norm.

    Rounding has no derivative; the straight-through rule takes it for the identity.
    """
    difference = size = jnp.zeros(())
    for k, layer in enumerate(gradient):
        levels = target.levels[k]
        rounded = levels[jnp.searchsorted((levels[1:] + levels[:-1]) / 2, layer, side="right")]
        through = layer + jax.lax.stop_gradient(rounded - layer)
        difference += jnp.sum(jnp.square(through - target.centre[k]))
        size += jnp.sum(jnp.square(target.centre[k]))
    return difference / size


def cosine_distance(target: Target, gradient: Sequence[Any]) -> jax.Array:
    """Return one minus the cosine between a gradient and the nearest one that the release allows."""
    inner = own = other = jnp.zeros(())
    for k, layer in enumerate(gradient):
        allowed = jax.lax.stop_gradient(jnp.clip(layer, target.lower[k], target.upper[k]))
        inner += jnp.sum(layer * allowed)
        own += jnp.sum(jnp.square(layer))
        other += jnp.sum(jnp.square(allowed))
    return 1 - inner / jnp.sqrt(jnp.maximum(own * other, 1e-30))
