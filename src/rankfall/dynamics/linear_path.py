"""Linear least squares in closed form: where gradient flow is at any time, direction by direction.

For ``|A w - b|^2 / 2`` the flow is ``w' = -A^T (A w - b)``. It moves along each right singular vector of ``A`` by
itself, and nowhere else, so that the whole path is known beforehand.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np


class LinearPath(NamedTuple):
    """Gradient flow of a linear least-squares problem from a start, in the singular directions of its matrix."""

    # Singular values above rounding.
    values: np.ndarray
    # From numbers in the right singular directions to unknowns.
    spread: Callable[[np.ndarray], np.ndarray]
    # What the start misses, ``b - A w``, in the left singular directions, with a column for each column of ``b`` where
    # it has several; and the square of what no ``w`` can mend.
    residual: np.ndarray
    floor: float
    start: np.ndarray

    @classmethod
    def of(cls, matrix: np.ndarray, residual: np.ndarray, start: np.ndarray) -> "LinearPath":
        """Decompose a matrix ``A``, given what the start misses, shape (equations,) or (equations, columns).

        The start may have any shape of that many unknowns.
        """
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        # Singular values within rounding of 0 carry no information about A; their inverses would be noise.
        kept = values > max(matrix.shape) * np.finfo(np.float64).eps * values.max(initial=0.0)
        inside = left[:, kept].T @ residual
        rest = float(np.sum((residual - left[:, kept] @ inside) ** 2))
        return cls(values[kept], right[kept].T.__matmul__, inside, rest, start)

    @classmethod
    def of_entries(cls, indices: np.ndarray, residual: np.ndarray, start: np.ndarray) -> "LinearPath":
        """Return the same where what is observed are entries, by their places in the flat start: no decomposition."""
        return cls(np.ones(len(residual)), partial(_placed, indices, start.size), residual, 0.0, start)

    def moved(self, gains: np.ndarray) -> np.ndarray:
        """Start plus the residual, each singular direction multiplied by its gain."""
        return np.asarray(self.start + self.spread((gains * self.residual.T).T).reshape(self.start.shape))

    def flow(self, time: float) -> np.ndarray:
        """Point of gradient flow at a time; infinity gives the solution nearest to the start."""
        # expm1 keeps the digits of the slow directions, whose exponent is close to 0.
        return self.moved(-np.expm1(-(self.values**2) * time) / self.values)

    def squares(self, time: float) -> np.float64:
        """Sum of squared residuals of that point, from the directions: it does not cancel however small it becomes."""
        return np.float64(np.sum((self.residual.T * np.exp(-(self.values**2) * time)) ** 2) + self.floor)


def _placed(indices: np.ndarray, size: int, values: np.ndarray) -> np.ndarray:
    found = np.zeros(size)
    found[indices] = values
    return found
