"""What every problem is: observed data, and the loss on it as a function of the end-to-end matrix."""

import abc
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from .._types import Array, Matrices, Residuals, Scalars
from ..measures._namespace import floating, matrices

LOSSES = ("half_sse", "mse")
# Unobserved entries are listed up to so many entries in all.
_LISTED = 2**20


class AbstractProblem(eqx.Module):
    """Observed data and the loss on it.

    A problem is a pytree: its arrays may be traced by JAX. `residuals` and `loss` take an end-to-end matrix, or a
    batch of them, of NumPy or of JAX and answer in kind.

    The loss is ``1/2 sum residual^2`` (``"half_sse"``, so that ``sqrt(2 loss)`` is the distance of the theorems) or
    the mean of ``residual^2`` (``"mse"``).

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the end-to-end matrix.
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
        Whether the loss is that of `residuals` linear in the matrix, as above; a class with another loss says
        ``False``.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]
    loss_kind: eqx.AbstractVar[str]
    dtype: eqx.AbstractVar[str]
    truth: eqx.AbstractVar[Array | None]
    infimal_rank: eqx.AbstractVar[int | None]
    infimal_erank: eqx.AbstractVar[float | None]
    required_det_sign: eqx.AbstractVar[int | None]
    least_squares: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def observed(self) -> int:
        """Number of observations."""

    @abc.abstractmethod
    def residuals(self, matrix: Matrices) -> Residuals:
        """Prediction minus observation.

        Parameters
        ----------
        matrix : array, shape (..., rows, columns)
            End-to-end matrix, or a batch of them.

        Returns
        -------
        array, shape (..., observed)

        Raises
        ------
        ValueError
            If ``matrix`` is not of the problem's shape.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().residuals(np.array([[7.0, 1.5], [1.0, 0.0]]))
        array([0.5, 0. , 0. ])
        """

    @property
    def unobserved_indices(self) -> Array | None:
        """Unobserved entries as ``(n, 2)`` indices, ``None`` where the problem has no such notion."""
        return None

    def loss(self, matrix: Matrices) -> Scalars:
        """Loss of an end-to-end matrix.

        Parameters
        ----------
        matrix : array, shape (..., rows, columns)
            End-to-end matrix, or a batch of them.

        Returns
        -------
        array, shape (...)
            In the convention ``loss_kind``.

        Raises
        ------
        ValueError
            If ``matrix`` is not of the problem's shape.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> float(rf.two_by_two().loss(np.array([[7.0, 1.5], [1.0, 0.0]])))
        0.125
        """
        return self._reduce((self.residuals(matrix) ** 2).sum(axis=-1))

    def loss_of(self, model: Any) -> Scalars:
        """Loss of a factorization.

        Parameters
        ----------
        model : factorization
            Of this problem's shape.

        Returns
        -------
        array, shape (...)

        Raises
        ------
        ValueError
            If its shape is not the problem's.

        Examples
        --------
        >>> import rankfall as rf
        >>> start = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=1.0)
        >>> float(rf.two_by_two().loss_of(start))
        1.5
        """
        return self.loss(model.full())

    def _loss_and_gradient(self, model: Any) -> Any:
        """Loss of a factorization and its gradient in the factors (JAX)."""
        return jax.value_and_grad(self.loss_of)(model)

    def half_sse(self, loss: Any) -> Array:
        """Convert values of this problem's loss to half the sum of squared residuals, the theorems' convention.

        Parameters
        ----------
        loss : array_like, shape (...)
            As `loss` returns it.

        Returns
        -------
        array, shape (...)

        Raises
        ------
        ValueError
            If ``loss`` is no real number or array of them.

        Examples
        --------
        >>> import rankfall as rf
        >>> float(rf.two_by_two(loss="mse").half_sse(2.0))  # three observed entries
        3.0
        """
        value = floating("loss", loss)
        return value if self.loss_kind == "half_sse" else value * (self.observed / 2)

    def _stripped(self, model: Any) -> "AbstractProblem":
        """Return the same without what training this model does not use: problems of one form share compiled code."""
        return self

    def describe(self) -> dict[str, Any]:
        """Facts about the problem that are written into every result."""
        return {
            "problem": type(self).__name__,
            "shape": list(self.shape),
            "observed": self.observed,
            "loss": self.loss_kind,
            "dtype": self.dtype,
        }

    def _end_to_end(self, matrix: Any) -> Matrices:
        """Check that a matrix, or a batch of them, is of the problem's shape."""
        w = matrices("matrix", matrix)
        if w.shape[-2:] != self.shape:
            rows, columns = self.shape
            raise ValueError(
                f"matrix has shape {tuple(w.shape)}, but must have the problem's, (..., {rows}, {columns})."
            )
        return w

    def _reduce(self, sum_of_squares: Scalars) -> Scalars:
        return sum_of_squares * (0.5 if self.loss_kind == "half_sse" else 1.0 / self.observed)


def unobserved_of(observed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """List the entries not named by indices ``(n, order)``, in C order; ``None`` where there would be too many."""
    if math.prod(shape) > _LISTED:
        return None
    seen = np.zeros(shape, bool)
    seen[tuple(observed.T)] = True
    return np.argwhere(~seen)


def check_options(loss: str, dtype: Any) -> str:
    """Check the options common to all problems; return the name of the dtype."""
    _checks.one_of("loss", loss, LOSSES)
    return _checks.precision("dtype", dtype)


def check_infima(infimal_rank: Any, infimal_erank: Any) -> tuple[int | None, float | None]:
    """Return the infima over the solution set, ``None`` where they are not known."""
    rank = None if infimal_rank is None else _checks.integer("infimal_rank", infimal_rank, 0)
    return rank, None if infimal_erank is None else _checks.effective_rank("infimal_erank", infimal_erank)


def check_truth(truth: Any, shape: tuple[int, ...], dtype: str) -> np.ndarray | None:
    """Return the known full matrix as an array of the problem's dtype."""
    if truth is None:
        return None
    array = _checks.real("truth", truth, dtype)
    _checks.same_shape("truth", array.shape, shape)
    _checks.finite("truth", array)
    return array
