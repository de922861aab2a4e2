"""How the parameters of a network, any pytree, become the matrices that are released, and back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from mis.numerics.checks import InvalidInput

__all__ = ["Group", "Layout"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Tensors released together, as one matrix ``(rows, channels)``.

    Parameters
    ----------
    name
        Path of its first tensor in the parameters.
    leaves
        Their numbers among the leaves of the parameters: one tensor, then the vectors that share its grid.
    shape
        Shape of the tensor; of a vector that shares no tensor's grid ``(n,)``.
    first
        Whether the channels are the first axis of the tensor, not its last.
    alone
        Whether it is a vector (a gain, a running mean) with no tensor of its channels beside it.
    """

    name: str
    leaves: tuple[int, ...]
    shape: tuple[int, ...]
    first: bool = False
    alone: bool = False

    @property
    def num_channels(self) -> int:
        """Columns of the matrix: 1 for a vector alone, or a grid for each channel would release it exactly."""
        return 1 if self.alone else self.shape[0 if self.first else -1]

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the tensor itself, and of the vectors below it."""
        return math.prod(self.shape) // self.num_channels, len(self.leaves) - 1


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Parameters as a list of matrices: after training, quantizers, theory and attacks see nothing else.

    A tensor of two or more axes is a matrix whose columns are its channels: the last axis, or the first where only
    that has the length of the vector beside it (a kernel ``(out, in)`` with a bias ``(out,)``). A vector joins the
    nearest tensor in the same container whose channels it matches, the one before it first, as one more row: a bias
    meets the grid of its weights. A vector without such a tensor is a matrix of one column.

    Parameters
    ----------
    treedef
        Structure of the parameters.
    groups
        The matrices, in the order of their tensors.

    Examples
    --------
    >>> params = {"kernel": jnp.ones((3, 3, 1, 8)), "bias": jnp.zeros(8), "gain": jnp.ones(5)}
    >>> layout = Layout.of(params)
    >>> [matrix.shape for matrix in layout.pack(params)]
    [(5, 1), (10, 8)]
    >>> jax.tree.map(jnp.shape, layout.unpack(layout.pack(params))) == jax.tree.map(jnp.shape, params)
    True
    """

    treedef: Any
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, params: Any) -> "Layout":
        """Return the layout of parameters, arrays or their shapes.

        Raises
        ------
        InvalidInput
            Where a leaf is no array of floating-point numbers, or there is none.
        """
        paths, treedef = jax.tree_util.tree_flatten_with_path(params)
        if not paths:
            raise InvalidInput("model: expected parameters with at least one array, got none.")
        for path, leaf in paths:
            _refuse_other(path, leaf)
        shapes = [tuple(leaf.shape) for _, leaf in paths]
        parents = [path[:-1] for path, _ in paths]
        tensors = [i for i, shape in enumerate(shapes) if len(shape) > 1]
        beside: dict[int, list[int]] = {i: [i] for i in tensors}
        first, alone = set(), []
        for i, shape in enumerate(shapes):
            if len(shape) > 1:
                continue
            owner = _owner(i, [t for t in tensors if parents[t] == parents[i]], shapes)
            if owner is None:
                alone.append(i)
                continue
            beside[owner].append(i)
            if shapes[owner][-1] != shape[0]:
                first.add(owner)
        groups = []
        for i in sorted([*tensors, *alone]):
            name = jax.tree_util.keystr(paths[i][0], simple=True, separator="/")
            vector = i in alone
            groups.append(
                Group(
                    name=name,
                    leaves=(i,) if vector else tuple(beside[i]),
                    shape=shapes[i] or (1,),
                    first=i in first,
                    alone=vector,
                )
            )
        return cls(treedef=treedef, groups=tuple(groups))

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Shapes of the matrices."""
        return [(sum(group.rows), group.num_channels) for group in self.groups]

    def pack(self, params: Any) -> list[jax.Array]:
        """Return the matrices of parameters of this structure, in float32."""
        leaves = self.treedef.flatten_up_to(params)
        matrices = []
        for group in self.groups:
            tensor = jnp.asarray(leaves[group.leaves[0]], jnp.float32).reshape(group.shape)
            tensor = jnp.moveaxis(tensor, 0, -1) if group.first else tensor
            vectors = [jnp.asarray(leaves[i], jnp.float32)[None] for i in group.leaves[1:]]
            matrices.append(jnp.concatenate([tensor.reshape(-1, group.num_channels), *vectors]))
        return matrices

    def unpack(self, matrices: Sequence[jax.Array]) -> Any:
        """Undo ``pack``."""
        leaves: dict[int, jax.Array] = {}
        for group, matrix in zip(self.groups, matrices, strict=True):
            size, count = group.rows
            tensor = matrix[:size]
            if group.first:
                tensor = jnp.moveaxis(tensor.reshape(*group.shape[1:], group.num_channels), -1, 0)
            leaves[group.leaves[0]] = tensor.reshape(group.shape)
            for k in range(count):
                leaves[group.leaves[1 + k]] = matrix[size + k]
        return jax.tree.unflatten(self.treedef, [leaves[i] for i in range(len(leaves))])


def _owner(vector, beside, shapes):
    """Return which tensor beside it the vector joins: the nearest with its channels, one before it first."""
    if len(shapes[vector]) != 1:
        return None
    length = shapes[vector][0]
    before = [t for t in reversed(beside) if t < vector]
    after = [t for t in beside if t > vector]
    for axis in (-1, 0):
        for tensor in (*before, *after):
            if shapes[tensor][axis] == length:
                return tensor
    return None


def _refuse_other(path, leaf):
    where = jax.tree_util.keystr(path, simple=True, separator="/") or "."
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise InvalidInput(
            f"model: expected parameters that are arrays, got a {type(leaf).__name__} at {where}."
        )
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        raise InvalidInput(
            f"model: expected parameters of floating-point numbers, got {leaf.dtype} at {where}."
        )
