"""What matrix and tensor completion share: observations that are entries."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import _checks
from .._types import Array, ArrayLike
from ..measures._namespace import namespace
from .base import AbstractProblem, M, Model, fitting
from .losses import AbstractLoss

# Entries are compared with the data in blocks of so many: rows gathered from the factors then stay in the cache.
BLOCK = 8192
# A gathered entry costs some fifty times one of a dense array; beyond the second number no dense array is formed.
_DENSE_ENTRIES_AN_OBSERVATION, _LARGEST_DENSE = 50, 2**24

# Indices are looked at when the problem is made.
_INSIDE = lax.GatherScatterMode.PROMISE_IN_BOUNDS

# Places, values and weights of a block of observations, and what is summed over the blocks.
Block: TypeAlias = tuple[Array, Array, Array]
Total = TypeVar("Total")


class AbstractCompletion(AbstractProblem):
    """Some entries of a matrix or tensor are observed."""

    indices: eqx.AbstractVar[Array]
    mask: eqx.AbstractVar[Array | None]
    target: eqx.AbstractVar[Array | None]
    unobserved_entries: eqx.AbstractVar[Array | None]

    @property
    def observed(self) -> int:
        """Number of observed entries."""
        return self.values.shape[-1]

    @property
    def observed_indices(self) -> Array:
        """Observed entries as 0-based ``(observed, order)`` indices in C order."""
        return self.indices

    @property
    def unobserved_indices(self) -> Array | None:
        """Unobserved entries as 0-based ``(n, order)`` indices in C order, ``None`` where there are too many."""
        return self.unobserved_entries

    def predict(self, full: Array) -> Array:
        """Observed entries of a matrix or tensor, shape ``(..., observed)``."""
        full = fitting(full, self.shape)
        if namespace(full) is not jnp:
            return full[self._places]
        batch, ends = full.shape[: -len(self.shape)], tuple(range(full.ndim - len(self.shape), full.ndim))
        numbers = lax.GatherDimensionNumbers(tuple(range(len(batch))), ends, ends)
        # One equation where an index of arrays takes dozens, which are longer to compile than all else of a small loop.
        return lax.gather(full, jnp.asarray(self.indices), numbers, (*batch, *[1] * len(ends)), mode=_INSIDE)

    def adjoint(self, values: Array) -> Array:
        """Put values into the observed places and zeros elsewhere."""
        xp = namespace(values)
        zeros = xp.zeros((*values.shape[:-1], *self.shape), values.dtype)
        if xp is jnp:
            batch, ends = values.ndim - 1, tuple(range(values.ndim - 1, zeros.ndim))
            numbers = lax.ScatterDimensionNumbers(tuple(range(batch)), ends, ends)
            return lax.scatter(zeros, jnp.asarray(self.indices), values, numbers, unique_indices=True, mode=_INSIDE)
        zeros[self._places] = values
        return zeros

    def loss(self, full: Array) -> Array:
        """Loss of a matrix or tensor ``(..., *shape)``, shape ``(...)``."""
        if self.mask is None:
            return super().loss(full)
        full, axes = fitting(full, self.shape), tuple(range(-len(self.shape), 0))
        xp = namespace(full, self.mask)
        if self.least_squares:
            residual = xp.multiply(self.mask, full - self.target)
            return self.require_least_squares("loss").loss((residual * residual).sum(axis=axes))
        values = self.loss_function.value(self._seen(full), self.target)
        return self.loss_function.averaged(xp.multiply(self.mask, values).sum(axis=axes), self._count)

    def gradient(self, full: Array) -> Array:
        """Return the derivative of the loss in a matrix or tensor, zero at the unobserved entries."""
        if self.mask is None:
            return super().gradient(full)
        seen = self._seen(fitting(full, self.shape))
        return self.mask * self.loss_function.slopes(seen, self.target, self._count)

    def observe(self, model: Model) -> Array:
        """Observed entries of a factorization."""
        return self.predict(model.full()) if self._formed(model) else model.entries_at(self.indices)

    def loss_of(self, model: Model) -> Array:
        """Loss of a factorization, by the observed entries alone where the whole is not formed."""
        if self._formed(model):
            return self.loss(model.full())
        if model.lanes is not None or not any(isinstance(w, jax.Array) for w in jax.tree.leaves(model)):
            return self.loss_function.total(self.observe(model), self.values, self._count)
        return self._scan(lambda total, block: total + self._block_loss(model, block), jnp.zeros((), self.dtype))

    def loss_and_gradient(self, model: M) -> tuple[Array, M]:
        """Loss of a factorization and its gradient in the factors (JAX, one lane)."""
        if self._formed(model):
            return super().loss_and_gradient(model)

        def add(total: tuple[Array, M], block: Block) -> tuple[Array, M]:
            return jax.tree.map(jnp.add, total, jax.value_and_grad(self._block_loss)(model, block))

        return self._scan(add, (jnp.zeros((), self.dtype), jax.tree.map(jnp.zeros_like, model)))

    def scaled(self, factor: float) -> Any:
        """Return the completion of a matrix or tensor so many times as large."""
        found = super().scaled(factor)
        return found if self.target is None else eqx.tree_at(lambda p: p.target, found, self.target * factor)

    def part(self, which: Array) -> Any:
        """Return the completion from some of the observed entries."""
        gone: dict[str, Any] = {"mask": None, "target": None}
        return dataclasses.replace(self, indices=self.indices[which], values=self.values[which], **gone)

    def _may_be_held_out(self, order: np.ndarray) -> np.ndarray:
        """All but one observation of each slice: nothing would be said about a slice without one."""
        needed = [order[np.unique(self.indices[order, n], return_index=True)[1]] for n in range(len(self.shape))]
        return order[~np.isin(order, np.concatenate(needed))]

    def _formed(self, model: Model) -> bool:
        """Whether the loss is taken of the whole matrix or tensor."""
        return not model.by_entries

    @property
    def _places(self) -> Any:
        return (..., *(self.indices[:, n] for n in range(len(self.shape))))

    def _seen(self, full: Array) -> Array:
        """Return observed entries, and the target elsewhere: no loss must overflow where it does not count."""
        assert self.mask is not None
        return namespace(full, self.mask).where(self.mask > 0, full, self.target)

    def _block_loss(self, model: Model, block: Block) -> Array:
        indices, values, weight = block
        seen = model.entries_at(indices)
        # What fills the last block up is at its target.
        return self.loss_function.total(jnp.where(weight > 0, seen, values), values, self._count)

    def _scan(self, add: Callable[[Total, Block], Total], start: Total) -> Total:
        """Sum over the observations, block by block."""
        count = self.observed
        size = min(BLOCK, count)
        blocks = -(-count // size)
        spare = blocks * size - count
        indices = jnp.pad(jnp.asarray(self.indices), ((0, spare), (0, 0))).reshape(blocks, size, -1)
        values = jnp.pad(jnp.asarray(self.values), (0, spare)).reshape(blocks, size)
        weight = (jnp.arange(blocks * size) < count).astype(self.dtype).reshape(blocks, size)
        return lax.scan(lambda total, block: (add(total, block), None), start, (indices, values, weight))[0]


def dense_form(
    indices: np.ndarray, values: np.ndarray, shape: tuple[int, ...], fewest: int = 0
) -> dict[str, np.ndarray | None]:
    """Mask and zero-filled target where that is the faster form of the loss (of ``fewest`` entries or more)."""
    entries = math.prod(shape)
    if not fewest <= entries <= min(_LARGEST_DENSE, _DENSE_ENTRIES_AN_OBSERVATION * len(indices)):
        return {"mask": None, "target": None}
    mask, target = np.zeros(shape, values.dtype), np.zeros(shape, values.dtype)
    mask[tuple(indices.T)], target[tuple(indices.T)] = 1, values
    return {"mask": mask, "target": target}


def sorted_observations(
    indices: ArrayLike, values: ArrayLike, shape: tuple[int, ...], loss: AbstractLoss, dtype: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return checked places and values of observed entries, in C order."""
    # An empty list has neither columns nor integers, but one thing is wrong with it.
    empty = isinstance(indices, list | tuple) and not len(indices)
    where = np.empty((0, len(shape)), int) if empty else _checks.indices("indices", indices, shape)
    if not len(where):
        raise ValueError("indices has no observed entry, but at least one is needed; it names the observed ones.")
    data = _checks.real("values", values, dtype)
    _checks.same_shape("values", data.shape, (len(where),), "one value for each row of indices")
    _checks.finite("values", data, "leave unobserved entries out (or NaN in from_dense)")
    loss.check_targets("values", data)
    order = np.lexsort(where.T[::-1])
    where, data = where[order].astype(np.int64), data[order]
    same = (where[1:] == where[:-1]).all(axis=1)
    if same.any():
        twice = where[int(same.argmax())]
        raise ValueError(
            f"indices holds {tuple(int(i) for i in twice)} more than once, but must name each entry once; average "
            "duplicates first."
        )
    return where, data
