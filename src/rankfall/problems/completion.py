"""Matrix completion: some entries are observed, the others are for the training to choose."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._types import Array, ArrayLike, DTypeLike
from .base import Model, check_infima, check_options, check_truth, unobserved_of
from .entries import AbstractCompletion, dense_form, sorted_observations
from .losses import AbstractLoss

# Up to this many entries the loss is written out over a pattern that is part of the compiled code; values stay data.
_WRITTEN_OUT = 16
# How each way to build a problem marks what nobody observed.
_UNOBSERVED = {
    "array": "NaN marks an unobserved one",
    "mask": "it is true where an entry is observed",
    "indices": "it names the observed ones",
}


class MatrixCompletion(AbstractCompletion):
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
    loss_function : AbstractLoss
    dtype : str
        ``"float64"`` or ``"float32"``: the precision that training runs in.
    truth : array, shape (rows, columns), or None
        The full matrix where it is known; it gives the test error.
    infimal_rank, infimal_erank : int, float or None
        Infima over the solution set where they are known or given.
    required_det_sign : int or None
        The sign of the determinant at the start that the theorems ask for, where they apply.
    """

    indices: Array
    values: Array
    mask: Array | None
    target: Array | None
    unobserved_entries: Array | None
    truth: Array | None
    shape: tuple[int, int] = eqx.field(static=True)
    loss_function: AbstractLoss = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    pattern: tuple[tuple[int, int], ...] | None = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    @classmethod
    def from_dense(cls, array: ArrayLike, **options: Any) -> "MatrixCompletion":
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
        if _is_sparse(array):
            raise ValueError(
                f"array is a sparse {type(array).__name__}, but must be dense, with NaN where nothing was observed; "
                "MatrixCompletion.from_sparse takes what is not stored as unobserved."
            )
        dense = _matrix("array", array)
        _checks.finite("array", np.where(np.isnan(dense), 0.0, dense), "NaN marks an unobserved entry")
        indices = _some("array", np.argwhere(~np.isnan(dense)))
        return cls.from_coo(indices, dense[tuple(indices.T)], dense.shape, **options)

    @classmethod
    def from_sparse(cls, matrix: Any, **options: Any) -> "MatrixCompletion":
        """Build the problem from a sparse matrix of SciPy: what is stored is observed, zeros too.

        Parameters
        ----------
        matrix : scipy.sparse matrix or array, shape (rows, columns)
            What is not stored is unobserved, never zero. Of entries that are stored twice SciPy's sum is taken.
        **options
            As in `from_coo`.

        Returns
        -------
        MatrixCompletion

        Raises
        ------
        ValueError
            If it is no sparse matrix, stores nothing, or a stored value is NaN or infinite.

        Examples
        --------
        >>> import rankfall as rf, scipy.sparse
        >>> stored = scipy.sparse.coo_array(([1.0, 1.0, 0.0], ([0, 1, 1], [1, 0, 1])), shape=(2, 2))
        >>> rf.MatrixCompletion.from_sparse(stored).observed
        3
        """
        if not _is_sparse(matrix) or matrix.ndim != 2:
            raise ValueError(
                f"matrix is {_checks.shortened(matrix)}, but must be a sparse matrix of SciPy; from_dense takes arrays "
                "with NaN, from_coo coordinates."
            )
        coo = matrix.tocoo(copy=True)
        coo.sum_duplicates()
        indices = np.stack((coo.row, coo.col), axis=1).astype(np.int64)
        return cls.from_coo(indices, coo.data, tuple(int(n) for n in coo.shape), **options)

    @classmethod
    def from_mask(cls, array: ArrayLike, mask: ArrayLike, **options: Any) -> "MatrixCompletion":
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
        indices: ArrayLike,
        values: ArrayLike,
        shape: tuple[int, ...],
        *,
        loss: str | AbstractLoss = "half_sse",
        dtype: DTypeLike = "float64",
        truth: ArrayLike | None = None,
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
        loss : {"half_sse", "mse", "huber", "logistic", "exponential", "poisson"} or AbstractLoss
            Logistic and exponential are of labels -1 and +1, Poisson of counts.
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
        chosen, dtype = check_options(loss, dtype)
        rank, erank = check_infima(infimal_rank, infimal_erank)
        size = _checks.matrix_shape("shape", shape)
        _checks.room("shape", shape, size[0] * size[1])
        where, data = sorted_observations(indices, values, size, chosen, dtype)
        return cls(
            indices=where,
            values=data,
            truth=check_truth(truth, size, dtype),
            unobserved_entries=unobserved_of(where, size),
            **dense_form(where, data, size, fewest=_WRITTEN_OUT + 1),
            pattern=_pattern(where, size),
            shape=size,
            loss_function=chosen,
            dtype=dtype,
            infimal_rank=rank,
            infimal_erank=erank,
            required_det_sign=_checks.sign("required_det_sign", required_det_sign),
        )

    def part(self, which: Array) -> "MatrixCompletion":
        """Return the completion from some of the observed entries."""
        return dataclasses.replace(super().part(which), pattern=None)

    def _rest(self, which: np.ndarray) -> "MatrixCompletion":
        known = {name: getattr(self, name) for name in ("infimal_rank", "infimal_erank", "required_det_sign", "truth")}
        form: dict[str, Any] = {"loss": self.loss_function, "dtype": self.dtype}
        rest = self.from_coo(self.indices[which], self.values[which], self.shape, **form, **known)
        # What nobody observed is still what is recorded as unobserved.
        return dataclasses.replace(rest, unobserved_entries=self.unobserved_entries)

    def stripped(self, model: Model) -> "MatrixCompletion":
        """Return the same without what only records, theory and the loop of tiny matrices use."""
        known: dict[str, Any] = {"pattern": None, "infimal_rank": None, "infimal_erank": None}
        return dataclasses.replace(self, **known, required_det_sign=None)

    def loss_and_slopes(self, entries: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Return the loss and its derivative in each observed entry, given these entries.

        For the training loop, in which a tiny matrix is never put together.

        Parameters
        ----------
        entries : sequence of arrays, shapes (...)
            The observed entries in the order of ``pattern``.

        Returns
        -------
        loss : array, shape (...)
        slopes : list of arrays, shapes (...)

        Raises
        ------
        ValueError
            If there are not as many entries as observations.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> loss, slopes = rf.two_by_two().loss_and_slopes([np.array(2.0), np.array(1.0), np.array(0.0)])
        >>> float(loss), [float(s) for s in slopes]
        (0.5, [1.0, 0.0, 0.0])
        """
        if not self.least_squares:
            loss, count = self.loss_function, self._count
            pairs = list(zip(entries, self.values, strict=True))
            total = sum((loss.value(e, v) for e, v in pairs[1:]), start=loss.value(*pairs[0]))
            return loss.averaged(total, count), [loss.averaged(loss.slope(e, v), count) for e, v in pairs]
        squares = self.require_least_squares("the training loop")
        residuals = [entry - value for entry, value in zip(entries, self.values, strict=True)]
        total = sum((r * r for r in residuals[1:]), start=residuals[0] * residuals[0])
        return squares.loss(total), [squares.slope(r) for r in residuals]

    def written_out(self) -> tuple[tuple[int, int], ...] | None:
        """Observed places of a matrix so small that training works entry by entry, else ``None``."""
        return self.pattern


def _pattern(indices: np.ndarray, shape: tuple[int, int]) -> tuple[tuple[int, int], ...] | None:
    """Observed positions as plain numbers where the matrix is small, else ``None``."""
    if shape[0] * shape[1] > _WRITTEN_OUT:
        return None
    return tuple((int(i), int(j)) for i, j in indices)


def _is_sparse(value: object) -> bool:
    sparse = sys.modules.get("scipy.sparse")
    return sparse is not None and bool(sparse.issparse(value))


def _matrix(name: str, value: ArrayLike) -> np.ndarray:
    array = _checks.real(name, value)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}, but must be a matrix (rows, columns), one or more of each.")
    return array


def _some(name: str, indices: np.ndarray) -> np.ndarray:
    if not len(indices):
        raise ValueError(f"{name} has no observed entry, but at least one is needed; {_UNOBSERVED[name]}.")
    return indices
