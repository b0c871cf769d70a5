"""Matrix completion: some entries are observed, the others are for the training to choose."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._types import Array, Matrices, Residuals, Scalars
from ..measures._namespace import namespace
from .base import AbstractProblem, check_infima, check_options, check_truth, unobserved_of

# Up to this many entries the loss is written out over a pattern that is part of the compiled code; values stay data.
_WRITTEN_OUT = 16
# How each way to build a problem marks what nobody observed.
_UNOBSERVED = {
    "array": "NaN marks an unobserved one",
    "mask": "it is true where an entry is observed",
    "indices": "it names the observed ones",
}


class MatrixCompletion(AbstractProblem):
    """Complete a matrix from some of its entries.

    Build one with `from_dense`, `from_mask` or `from_coo`.

    Attributes
    ----------
    indices : array of int, shape (observed, 2)
        0-based rows and columns of the observed entries, in row-major order.
    values : array, shape (observed,)
    mask, target : array, shape (rows, columns), or None
        One at the observed entries, and their values there, zero elsewhere, where that is the faster form of the loss.
    unobserved_entries : array of int, shape (n, 2), or None
        See `unobserved_indices`.
    pattern : tuple of pairs of int, or None
        The indices as plain numbers where the matrix is so small that the loss is written out entry by entry.
    shape : tuple of int
        Rows and columns.
    loss_kind : str
        ``"half_sse"`` or ``"mse"``.
    dtype : str
        ``"float64"`` or ``"float32"``: the precision that training runs in.
    truth : array, shape (rows, columns), or None
        The full matrix where it is known; it gives the test error.
    infimal_rank, infimal_erank : int, float or None
        Infima over the solution set where they are known or given.
    required_det_sign : int or None
        The sign of the determinant at the start that the theorems ask for, where they apply.
    least_squares : bool
        ``True``; a subclass with another loss than that of `residuals` says ``False``.
    """

    indices: Array
    values: Array
    mask: Array | None
    target: Array | None
    unobserved_entries: Array | None
    truth: Array | None
    shape: tuple[int, int] = eqx.field(static=True)
    loss_kind: str = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    pattern: tuple[tuple[int, int], ...] | None = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    @classmethod
    def from_dense(cls, array: Any, **options: Any) -> "MatrixCompletion":
        """Build the problem from a matrix with NaN where nothing was observed.

        Parameters
        ----------
        array : array_like, shape (rows, columns)
        **options
            As in `from_coo`: ``loss``, ``dtype``, ``truth``, ``infimal_rank``, ``infimal_erank``,
            ``required_det_sign``.

        Returns
        -------
        MatrixCompletion

        Raises
        ------
        ValueError
            If the array is not a matrix, holds an infinity, or has no observed entry.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.MatrixCompletion.from_dense([[np.nan, 1.0], [1.0, 0.0]]).observed
        3
        """
        dense = _matrix("array", array)
        _checks.finite("array", np.where(np.isnan(dense), 0.0, dense), "NaN marks an unobserved entry")
        indices = _some("array", np.argwhere(~np.isnan(dense)))
        return cls.from_coo(indices, dense[tuple(indices.T)], dense.shape, **options)

    @classmethod
    def from_mask(cls, array: Any, mask: Any, **options: Any) -> "MatrixCompletion":
        """Build the problem from a full matrix and a mask, true where the entry is observed.

        Parameters
        ----------
        array : array_like, shape (rows, columns)
            What stands at unobserved positions is not looked at.
        mask : array_like of bool, shape (rows, columns)
        **options
            As in `from_coo`.

        Returns
        -------
        MatrixCompletion

        Raises
        ------
        ValueError
            If the shapes differ, an observed value is NaN or infinite, or nothing is observed.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.MatrixCompletion.from_mask([[9.0, 1.0], [1.0, 0.0]], [[False, True], [True, True]]).values
        array([1., 1., 0.])
        """
        dense = _matrix("array", array)
        chosen = _checks.array("mask", mask, "an array of booleans, true where the entry is observed")
        _checks.same_shape("mask", chosen.shape, dense.shape, "a mask has one entry for each entry of the array")
        if chosen.dtype.kind != "b":
            raise ValueError(f"mask has dtype {chosen.dtype}, but must be boolean; convert it with mask.astype(bool).")
        _checks.finite("array", np.where(chosen, dense, 0.0), "the mask is false at unobserved entries")
        indices = _some("mask", np.argwhere(chosen))
        return cls.from_coo(indices, dense[tuple(indices.T)], dense.shape, **options)

    @classmethod
    def from_coo(
        cls,
        indices: Any,
        values: Any,
        shape: tuple[int, ...],
        *,
        loss: str = "half_sse",
        dtype: Any = "float64",
        truth: Any = None,
        infimal_rank: int | None = None,
        infimal_erank: float | None = None,
        required_det_sign: int | None = None,
    ) -> "MatrixCompletion":
        """Build the problem from coordinates.

        Parameters
        ----------
        indices : array_like of int, shape (observed, 2)
            0-based row and column of each observed entry.
        values : array_like, shape (observed,)
        shape : tuple of int
            Rows and columns.
        loss : {"half_sse", "mse"}
        dtype : {"float64", "float32"}
            The precision that training runs in.
        truth : array_like, shape (rows, columns), optional
        infimal_rank, infimal_erank : int, float, optional
            Infima over the solution set, where you know them.
        required_det_sign : {-1, 1}, optional

        Returns
        -------
        MatrixCompletion

        Raises
        ------
        ValueError
            If nothing is observed, indices repeat or lie outside, values are NaN or infinite, or shapes differ.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.MatrixCompletion.from_coo([[0, 1], [1, 0], [1, 1]], [1.0, 1.0, 0.0], (2, 2)).shape
        (2, 2)
        """
        dtype = check_options(loss, dtype)
        rank, erank = check_infima(infimal_rank, infimal_erank)
        size = _checks.matrix_shape("shape", shape)
        _checks.room("shape", shape, size[0] * size[1])
        where = _indices(indices, size)
        data = _checks.real("values", values, dtype)
        _checks.same_shape("values", data.shape, (len(where),), "one value for each row of indices")
        _checks.finite("values", data, "leave unobserved entries out (or NaN in from_dense)")
        order = np.lexsort((where[:, 1], where[:, 0]))
        where, data = where[order], data[order]
        return cls(
            indices=where,
            values=data,
            truth=check_truth(truth, size, dtype),
            unobserved_entries=unobserved_of(where, size),
            **_dense_form(where, data, size),
            pattern=_pattern(where, size),
            shape=size,
            loss_kind=loss,
            dtype=dtype,
            infimal_rank=rank,
            infimal_erank=erank,
            required_det_sign=_checks.sign("required_det_sign", required_det_sign),
        )

    @property
    def observed(self) -> int:
        """Number of observed entries."""
        return self.values.shape[-1]

    @property
    def unobserved_indices(self) -> Array | None:
        """Unobserved entries as 0-based ``(n, 2)`` indices in row-major order, ``None`` for large matrices."""
        return self.unobserved_entries

    def residuals(self, matrix: Matrices) -> Residuals:
        """Entry minus observation at the observed entries, shape ``(..., observed)``."""
        return self._end_to_end(matrix)[..., self.indices[:, 0], self.indices[:, 1]] - self.values

    def loss(self, matrix: Matrices) -> Scalars:
        """Loss of an end-to-end matrix ``(..., rows, columns)``, shape ``(...)``."""
        if self.mask is None:
            return super().loss(matrix)
        residual = namespace(matrix, self.mask).multiply(self.mask, self._end_to_end(matrix) - self.target)
        return self._reduce((residual * residual).sum(axis=(-2, -1)))

    def _stripped(self, model: Any) -> "MatrixCompletion":
        known: dict[str, Any] = {"pattern": None, "infimal_rank": None, "infimal_erank": None}
        return dataclasses.replace(self, **known, required_det_sign=None)

    def loss_and_slopes(self, entries: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Loss and its derivative in each observed entry, given these entries in the order of ``pattern``.

        For the training loop, in which a tiny matrix is never put together.
        """
        residuals = [entry - value for entry, value in zip(entries, self.values, strict=True)]
        loss = self._reduce(sum((r * r for r in residuals[1:]), start=residuals[0] * residuals[0]))
        # The derivative of r^2 is 2 r; with half_sse the 2 and the 1/2 cancel without a multiplication.
        return loss, residuals if self.loss_kind == "half_sse" else [r * (2.0 / self.observed) for r in residuals]


def _pattern(indices: np.ndarray, shape: tuple[int, int]) -> tuple[tuple[int, int], ...] | None:
    """Observed positions as plain numbers where the matrix is small, else ``None``."""
    if shape[0] * shape[1] > _WRITTEN_OUT:
        return None
    return tuple((int(i), int(j)) for i, j in indices)


def _dense_form(indices: np.ndarray, values: np.ndarray, shape: tuple[int, int]) -> dict[str, np.ndarray | None]:
    """Mask and zero-filled target where that is the faster form of the loss, else ``None``."""
    entries = shape[0] * shape[1]
    # A scattered gradient costs some fifty times a dense element, and the dense form three arrays of the full size.
    if entries <= _WRITTEN_OUT or 50 * len(indices) < entries or entries > 2**24:
        return {"mask": None, "target": None}
    mask, target = np.zeros(shape, values.dtype), np.zeros(shape, values.dtype)
    mask[tuple(indices.T)], target[tuple(indices.T)] = 1, values
    return {"mask": mask, "target": target}


def _matrix(name: str, value: Any) -> np.ndarray:
    array = _checks.real(name, value)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}, but must be a matrix (rows, columns), one or more of each.")
    return array


def _some(name: str, indices: np.ndarray) -> np.ndarray:
    if not len(indices):
        raise ValueError(f"{name} has no observed entry, but at least one is needed; {_UNOBSERVED[name]}.")
    return indices


def _indices(indices: Any, shape: tuple[int, int]) -> np.ndarray:
    # An empty list has neither two columns nor integers, but one thing is wrong with it.
    empty = isinstance(indices, list | tuple) and not len(indices)
    where = _some("indices", np.empty((0, 2)) if empty else _checks.indices("indices", indices, shape))
    flat = where[:, 0].astype(np.int64) * shape[1] + where[:, 1]
    _, first_seen, counts = np.unique(flat, return_index=True, return_counts=True)
    if (counts > 1).any():
        twice = where[first_seen[np.argmax(counts > 1)]]
        raise ValueError(
            f"indices holds {tuple(int(i) for i in twice)} more than once, but must name each entry once; average "
            "duplicates first."
        )
    return where.astype(np.int64)
