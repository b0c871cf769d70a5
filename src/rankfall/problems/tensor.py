"""Tensor completion and sensing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._types import Array, ArrayLike, DTypeLike
from .base import AbstractProblem, Model, check_options, check_truth, fitting, unobserved_of
from .entries import AbstractCompletion, dense_form, sorted_observations
from .losses import AbstractLoss

# Up to so many of them are recorded one by one.
_FEW = 16


class TensorCompletion(AbstractCompletion):
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
    loss_function : AbstractLoss
    dtype : str
        ``"float64"`` or ``"float32"``: the precision that training runs in.
    truth : array, shape (*shape), or None
        The full tensor where it is known; it gives the test error.
    count : array, shape ()
        Number of observations, as a number that compiled code is given.
    infimal_rank, infimal_erank, required_det_sign : None
        Of matrices only.
    """

    indices: Array
    values: Array
    mask: Array | None
    target: Array | None
    unobserved_entries: Array | None
    truth: Array | None
    count: Array
    shape: tuple[int, ...] = eqx.field(static=True)
    loss_function: AbstractLoss = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    @classmethod
    def from_dense(cls, array: ArrayLike, **options: Any) -> "TensorCompletion":
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
        indices: ArrayLike,
        values: ArrayLike,
        shape: Sequence[int],
        *,
        loss: str | AbstractLoss = "half_sse",
        dtype: DTypeLike = "float64",
        truth: ArrayLike | None = None,
    ) -> "TensorCompletion":
        """Build the problem from coordinates.

        Parameters
        ----------
        indices : array_like of int, shape (observed, order)
            0-based place of each observed entry.
        values : array_like, shape (observed,)
        shape : sequence of int
            Extents of the tensor.
        loss : {"half_sse", "mse", "huber", "logistic", "exponential", "poisson"} or AbstractLoss
            Logistic and exponential are of labels -1 and +1, Poisson of counts.
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
        chosen, dtype = check_options(loss, dtype)
        size = _checks.tensor_shape("shape", shape)
        where, data = sorted_observations(indices, values, size, chosen, dtype)
        _check_slices(where, size)
        known = check_truth(truth, size, dtype)
        return cls(
            indices=where,
            values=data,
            **dense_form(where, data, size),
            unobserved_entries=unobserved_of(where, size),
            truth=known,
            count=np.asarray(len(where), dtype),
            shape=size,
            loss_function=chosen,
            dtype=dtype,
            infimal_rank=None,
            infimal_erank=None,
            required_det_sign=None,
        )

    @property
    def _count(self) -> Array:
        return self.count

    def part(self, which: Array) -> "TensorCompletion":
        """Return the completion from some of the observed entries."""
        part = super().part(which)
        return eqx.tree_at(lambda p: p.count, part, np.asarray(len(which), self.dtype))

    def _rest(self, which: np.ndarray) -> "TensorCompletion":
        form: dict[str, Any] = {"loss": self.loss_function, "dtype": self.dtype, "truth": self.truth}
        rest = self.from_coo(self.indices[which], self.values[which], self.shape, **form)
        # What nobody observed is still what is recorded as unobserved.
        return dataclasses.replace(rest, unobserved_entries=self.unobserved_entries)

    def stripped(self, model: Model) -> "TensorCompletion":
        """Return the same without what is in the dense form: that is of one shape whatever is observed."""
        if not self._formed(model) or self.mask is None:
            return self
        few = self.unobserved_entries is not None and len(self.unobserved_entries) <= _FEW
        gone: dict[str, Any] = {"indices": np.zeros((0, len(self.shape)), np.int64), "values": np.zeros(0, self.dtype)}
        return dataclasses.replace(self, **gone, unobserved_entries=self.unobserved_entries if few else None)

    def _formed(self, model: Model) -> bool:
        return self.mask is not None and not model.by_entries


class TensorSensing(AbstractProblem):
    """Recover a tensor from inner products ``<A_i, W> = b_i``.

    Parameters
    ----------
    measurements : array_like, shape (observed, *shape)
        The tensors ``A_i``.
    values : array_like, shape (observed,)
        The numbers ``b_i``.
    loss : {"half_sse", "mse", "huber", "logistic", "exponential", "poisson"} or AbstractLoss
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
    loss_function: AbstractLoss = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    def __init__(
        self,
        measurements: ArrayLike,
        values: ArrayLike,
        *,
        loss: str | AbstractLoss = "half_sse",
        dtype: DTypeLike = "float64",
        truth: ArrayLike | None = None,
    ) -> None:
        self.loss_function, self.dtype = check_options(loss, dtype)
        stack = _checks.real("measurements", measurements, self.dtype)
        if stack.ndim < 3 or 0 in stack.shape:
            raise ValueError(
                f"measurements has shape {stack.shape}, but must be (observed, *shape), two modes or more."
            )
        data = _checks.real("values", values, self.dtype)
        _checks.same_shape("values", data.shape, (len(stack),), "one value for each measurement")
        _checks.finite("measurements", stack)
        _checks.finite("values", data)
        self.loss_function.check_targets("values", data)
        self.measurements, self.values = stack, data
        self.shape = tuple(int(n) for n in stack.shape[1:])
        self.truth = check_truth(truth, self.shape, self.dtype)
        self.infimal_rank = self.infimal_erank = self.required_det_sign = None

    @property
    def observed(self) -> int:
        """Number of measurements."""
        return self.values.shape[-1]

    def predict(self, full: Array) -> Array:
        """``<A_i, W>``, shape ``(..., observed)``."""
        t = fitting(full, self.shape)
        flat = t.reshape(*t.shape[: t.ndim - len(self.shape)], -1)
        return flat @ self.measurements.reshape(self.observed, -1).T

    def adjoint(self, values: Array) -> Array:
        """``sum_i v_i A_i``."""
        return (values @ self.measurements.reshape(self.observed, -1)).reshape(*values.shape[:-1], *self.shape)

    def linear_system(self) -> tuple[Array, Array]:
        """Return the measurements, each as a row, and the numbers as a column; see `AbstractProblem.linear_system`."""
        return self.measurements.reshape(self.observed, -1), self.values[:, None]

    def part(self, which: Array) -> "TensorSensing":
        """Return the problem of some of the measurements."""
        return eqx.tree_at(lambda p: (p.measurements, p.values), self, (self.measurements[which], self.values[which]))


def _check_slices(where: np.ndarray, shape: tuple[int, ...]) -> None:
    for n, extent in enumerate(shape):
        counts = np.bincount(where[:, n], minlength=extent)
        if not counts.all():
            raise ValueError(
                f"indices has no entry with index {int(counts.argmin())} in mode {n}, but every slice needs an "
                "observed one, or nothing is said about it; leave the index out of the tensor."
            )
