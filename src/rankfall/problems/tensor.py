"""Tensor completion and sensing."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import _checks
from .._types import Array
from ..measures._namespace import floating
from .base import AbstractProblem, check_options, check_truth, unobserved_of

# Entries are compared with the data in blocks of so many: rows gathered from the factors then stay in the cache.
BLOCK = 8192
# Beyond so many entries, or where so few are observed, the full tensor is never formed in training.
_LARGEST_DENSE, _DENSE_ENTRIES_AN_OBSERVATION = 2**24, 50
# Up to so many of them are recorded one by one.
_FEW = 16


class TensorCompletion(AbstractProblem):
    """Complete a tensor of any order from some of its entries.

    Build one with `from_dense` or `from_coo`.

    Attributes
    ----------
    indices : array of int, shape (observed, order)
        0-based places of the observed entries, in C order.
    values : array, shape (observed,)
    mask, target : array, shape (*shape), or None
        One at the observed entries, and their values there, zero elsewhere, where training forms the full tensor.
    unobserved_entries : array of int, shape (n, order), or None
        Places nobody observed, for tensors of up to a million entries.
    shape : tuple of int
    loss_kind : str
        ``"half_sse"`` or ``"mse"``.
    dtype : str
        ``"float64"`` or ``"float32"``: the precision that training runs in.
    truth : array, shape (*shape), or None
        The full tensor where it is known; it gives the test error.
    weight : array, shape ()
        What the sum of squared residuals is multiplied by: 1/2, or one over the number of observations.
    infimal_rank, infimal_erank, required_det_sign : None
        Of matrices only.
    least_squares : bool
        ``True``; a subclass with another loss than that of `residuals` says ``False``.
    """

    indices: Array
    values: Array
    mask: Array | None
    target: Array | None
    unobserved_entries: Array | None
    truth: Array | None
    weight: Array
    shape: tuple[int, ...] = eqx.field(static=True)
    loss_kind: str = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    @classmethod
    def from_dense(cls, array: Any, **options: Any) -> "TensorCompletion":
        """Build the problem from a tensor with NaN where nothing was observed.

        Parameters
        ----------
        array : array_like, shape (*shape)
        **options
            As in `from_coo`: ``loss``, ``dtype``, ``truth``.

        Returns
        -------
        TensorCompletion

        Raises
        ------
        ValueError
            If the array has fewer than two axes, holds an infinity, or a slice without an observed entry.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> tensor = np.ones((2, 2, 2))
        >>> tensor[0, 0, 0] = np.nan
        >>> rf.TensorCompletion.from_dense(tensor).observed
        7
        """
        dense = _checks.real("array", array)
        if dense.ndim < 2 or not dense.size:
            raise ValueError(f"array has shape {dense.shape}, but must be a tensor of two modes or more.")
        _checks.finite("array", np.where(np.isnan(dense), 0.0, dense), "NaN marks an unobserved entry")
        indices = np.argwhere(~np.isnan(dense))
        return cls.from_coo(indices, dense[tuple(indices.T)], dense.shape, **options)

    @classmethod
    def from_coo(
        cls,
        indices: Any,
        values: Any,
        shape: Sequence[int],
        *,
        loss: str = "half_sse",
        dtype: Any = "float64",
        truth: Any = None,
    ) -> "TensorCompletion":
        """Build the problem from coordinates.

        Parameters
        ----------
        indices : array_like of int, shape (observed, order)
            0-based place of each observed entry.
        values : array_like, shape (observed,)
        shape : sequence of int
            Extents of the tensor.
        loss : {"half_sse", "mse"}
        dtype : {"float64", "float32"}
            The precision that training runs in.
        truth : array_like, shape (*shape), optional

        Returns
        -------
        TensorCompletion
            Where a small part of a tensor is observed, or it is large, training never forms it: memory and time go
            with the observations.

        Raises
        ------
        ValueError
            If nothing is observed, a mode has an index that no observation has, indices repeat or lie outside, values
            are NaN or infinite, or shapes differ.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.TensorCompletion.from_coo([[0, 0, 0], [1, 1, 1]], [1.0, 2.0], (2, 2, 2)).shape
        (2, 2, 2)
        """
        dtype = check_options(loss, dtype)
        size = _checks.tensor_shape("shape", shape)
        where = _places(indices, size)
        data = _checks.real("values", values, dtype)
        _checks.same_shape("values", data.shape, (len(where),), "one value for each row of indices")
        _checks.finite("values", data, "leave unobserved entries out (or NaN in from_dense)")
        order = np.lexsort(where.T[::-1])
        where, data = where[order], data[order]
        _check_repeats(where)
        _check_slices(where, size)
        entries = math.prod(size)
        mask = target = None
        if entries <= _LARGEST_DENSE and entries <= _DENSE_ENTRIES_AN_OBSERVATION * len(where):
            mask, target = np.zeros(size, dtype), np.zeros(size, dtype)
            mask[tuple(where.T)], target[tuple(where.T)] = 1, data
        known = check_truth(truth, size, dtype)
        return cls(
            indices=where,
            values=data,
            mask=mask,
            target=target,
            unobserved_entries=unobserved_of(where, size),
            truth=known,
            weight=np.asarray(0.5 if loss == "half_sse" else 1.0 / len(where), dtype),
            shape=size,
            loss_kind=loss,
            dtype=dtype,
            infimal_rank=None,
            infimal_erank=None,
            required_det_sign=None,
        )

    @property
    def observed(self) -> int:
        """Number of observed entries."""
        return self.values.shape[-1]

    @property
    def unobserved_indices(self) -> Array | None:
        """Unobserved entries as 0-based ``(n, order)`` indices in C order, ``None`` for large tensors."""
        return self.unobserved_entries

    def residuals(self, tensor: Any) -> Array:
        """Entry minus observation at the observed entries, shape ``(..., observed)``."""
        t = self._tensor(tensor)
        return t[(..., *(self.indices[:, n] for n in range(len(self.shape))))] - self.values

    def loss(self, tensor: Any) -> Array:
        """Loss of a tensor ``(..., *shape)``, shape ``(...)``."""
        if self.mask is None:
            return self._reduce((self.residuals(tensor) ** 2).sum(axis=-1))
        residual = self.mask * (self._tensor(tensor) - self.target)
        return self._reduce((residual * residual).sum(axis=tuple(range(-len(self.shape), 0))))

    def loss_of(self, model: Any) -> Array:
        """Loss of a factorization; of large tensors, and of networks, by the observed entries alone."""
        if self._formed(model):
            return self.loss(model.full())
        if model.lanes is not None or not any(isinstance(w, jax.Array) for w in model.factors):
            return self._reduce(((model.entries(self.indices) - self.values) ** 2).sum(axis=-1))
        return self._scan(lambda total, block: total + self._block_loss(model, block), jnp.zeros((), self.dtype))

    def _loss_and_gradient(self, model: Any) -> Any:
        if self._formed(model):
            return super()._loss_and_gradient(model)

        def add(total: Any, block: Any) -> Any:
            return jax.tree.map(jnp.add, total, jax.value_and_grad(self._block_loss)(model, block))

        return self._scan(add, (jnp.zeros((), self.dtype), jax.tree.map(jnp.zeros_like, model)))

    def _formed(self, model: Any) -> bool:
        """Whether the loss is taken of the whole tensor."""
        return not self.least_squares or (self.mask is not None and not model.by_entries)

    def _block_loss(self, model: Any, block: Any) -> Any:
        indices, values, weight = block
        return self._reduce(jnp.sum(weight * (model.entries_at(indices) - values) ** 2))

    def _scan(self, add: Any, start: Any) -> Any:
        """Sum over the observations, block by block."""
        count = self.observed
        size = min(BLOCK, count)
        blocks = -(-count // size)
        spare = blocks * size - count
        indices = jnp.pad(jnp.asarray(self.indices), ((0, spare), (0, 0))).reshape(blocks, size, -1)
        values = jnp.pad(jnp.asarray(self.values), (0, spare)).reshape(blocks, size)
        weight = (jnp.arange(blocks * size) < count).astype(self.dtype).reshape(blocks, size)
        return lax.scan(lambda total, block: (add(total, block), None), start, (indices, values, weight))[0]

    def _reduce(self, sum_of_squares: Any) -> Array:
        return sum_of_squares * self.weight

    def _stripped(self, model: Any) -> "TensorCompletion":
        # The dense form is of one shape whatever is observed; so is the compiled code.
        if not self.least_squares or not self._formed(model):
            return self
        few = self.unobserved_entries is not None and len(self.unobserved_entries) <= _FEW
        gone: dict[str, Any] = {"indices": np.zeros((0, len(self.shape)), np.int64), "values": np.zeros(0, self.dtype)}
        return dataclasses.replace(self, **gone, unobserved_entries=self.unobserved_entries if few else None)

    def _tensor(self, tensor: Any) -> Array:
        return fitting(tensor, self.shape)


class TensorSensing(AbstractProblem):
    """Recover a tensor from inner products ``<A_i, W> = b_i``.

    Parameters
    ----------
    measurements : array_like, shape (observed, *shape)
        The tensors ``A_i``.
    values : array_like, shape (observed,)
        The numbers ``b_i``.
    loss : {"half_sse", "mse"}
    dtype : {"float64", "float32"}
    truth : array_like, shape (*shape), optional

    Raises
    ------
    ValueError
        If shapes differ, nothing is measured, or a number is NaN or infinite.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.TensorSensing(np.eye(8).reshape(8, 2, 2, 2), np.ones(8)).loss(np.ones((2, 2, 2)))
    np.float64(0.0)
    """

    measurements: Array
    values: Array
    truth: Array | None
    shape: tuple[int, ...] = eqx.field(static=True)
    loss_kind: str = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    def __init__(
        self, measurements: Any, values: Any, *, loss: str = "half_sse", dtype: Any = "float64", truth: Any = None
    ) -> None:
        self.dtype = check_options(loss, dtype)
        stack = _checks.real("measurements", measurements, self.dtype)
        if stack.ndim < 3 or 0 in stack.shape:
            raise ValueError(
                f"measurements has shape {stack.shape}, but must be (observed, *shape), two modes or more."
            )
        data = _checks.real("values", values, self.dtype)
        _checks.same_shape("values", data.shape, (len(stack),), "one value for each measurement")
        _checks.finite("measurements", stack)
        _checks.finite("values", data)
        self.measurements, self.values = stack, data
        self.shape = tuple(int(n) for n in stack.shape[1:])
        self.truth = check_truth(truth, self.shape, self.dtype)
        self.loss_kind = loss
        self.infimal_rank = self.infimal_erank = self.required_det_sign = None

    @property
    def observed(self) -> int:
        """Number of measurements."""
        return self.values.shape[-1]

    def residuals(self, tensor: Any) -> Array:
        """``<A_i, W> - b_i``, shape ``(..., observed)``."""
        t = fitting(tensor, self.shape)
        flat = t.reshape(*t.shape[: t.ndim - len(self.shape)], -1)
        return flat @ self.measurements.reshape(self.observed, -1).T - self.values

    def loss(self, tensor: Any) -> Array:
        """Loss of a tensor ``(..., *shape)``, shape ``(...)``."""
        return self._reduce((self.residuals(tensor) ** 2).sum(axis=-1))


def fitting(tensor: Any, shape: tuple[int, ...]) -> Array:
    """Check that a tensor, or a batch of them, is of the problem's shape."""
    t = floating("tensor", tensor)
    if t.shape[-len(shape) :] != shape:
        inner = ", ".join(str(n) for n in shape)
        raise ValueError(f"tensor has shape {tuple(t.shape)}, but must have the problem's, (..., {inner}).")
    return t


def _places(indices: Any, shape: tuple[int, ...]) -> np.ndarray:
    empty = isinstance(indices, list | tuple) and not len(indices)
    where = np.empty((0, len(shape)), int) if empty else _checks.indices("indices", indices, shape)
    if not len(where):
        raise ValueError("indices has no observed entry, but at least one is needed; it names the observed ones.")
    return where.astype(np.int64)


def _check_repeats(where: np.ndarray) -> None:
    same = (where[1:] == where[:-1]).all(axis=1)
    if same.any():
        twice = where[int(same.argmax())]
        raise ValueError(
            f"indices holds {tuple(int(i) for i in twice)} more than once, but must name each entry once; average "
            "duplicates first."
        )


def _check_slices(where: np.ndarray, shape: tuple[int, ...]) -> None:
    for n, extent in enumerate(shape):
        counts = np.bincount(where[:, n], minlength=extent)
        if not counts.all():
            raise ValueError(
                f"indices has no entry with index {int(counts.argmin())} in mode {n}, but every slice needs an "
                "observed one, or nothing is said about it; leave the index out of the tensor."
            )
