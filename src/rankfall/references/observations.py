"""The observations of a problem as the set of matrices that fit them."""

import abc

import numpy as np
import scipy.linalg

from ..problems import AbstractProblem

# Inverse of a condition number: below it rows are looked at by their singular values.
_WELL_CONDITIONED = 1e-6


class Observations(abc.ABC):
    """The observations, as a set of matrices."""

    shape: tuple[int, ...]

    @abc.abstractmethod
    def nearest(self, matrix: np.ndarray) -> np.ndarray:
        """Return the nearest matrix that fits."""

    @abc.abstractmethod
    def dual(self, subgradient: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the part of a subgradient that the observations make up, and what it is worth."""

    @abc.abstractmethod
    def free(self) -> int:
        """Return the dimension of the set."""

    def line(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return a matrix that fits and a direction that keeps it so, where there is only one; else ``None``."""
        if self.free() != 1:
            return None
        start = self.nearest(np.zeros(self.shape))
        # The projection of a matrix on the one direction; of the unit matrices, the one that keeps most of itself.
        units = np.eye(start.size).reshape(-1, *self.shape)
        kept = max((self.nearest(unit) - start for unit in units), key=np.linalg.norm)
        return start, kept / np.linalg.norm(kept)


class Entries(Observations):
    """Some entries, exactly or within a tolerance."""

    def __init__(self, problem: AbstractProblem, tolerance: float) -> None:
        self.shape = problem.shape
        self.at = np.ravel_multi_index(tuple(np.asarray(problem.observed_indices).T), self.shape)
        self.values, self.tolerance = np.asarray(problem.values, float), tolerance

    def free(self) -> int:
        """Return how many entries were not observed."""
        return int(np.prod(self.shape)) - len(self.at)

    def nearest(self, matrix: np.ndarray) -> np.ndarray:
        """Put the observations in their places."""
        found = matrix.copy()
        if self.tolerance:
            low, high = self.values - self.tolerance, self.values + self.tolerance
            found.flat[self.at] = np.clip(matrix.flat[self.at], low, high)
        else:
            found.flat[self.at] = self.values
        return found

    def dual(self, subgradient: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the observed entries, zeros elsewhere."""
        part, y = np.zeros(self.shape), subgradient.flat[self.at]
        part.flat[self.at] = y
        return part, float(self.values @ y - self.tolerance * abs(y).sum())


class Measurements(Observations):
    """Inner products, exactly."""

    def __init__(self, problem: AbstractProblem) -> None:
        self.shape = problem.shape
        rows, values = (np.asarray(a, dtype=np.float64) for a in problem.linear_system())
        self.outer = values.shape[1]
        self.rows, self.values = _orthonormal(rows, values)
        missed = float(abs(rows @ (self.rows.T @ self.values) - values).max())
        if missed > 1e-8 * float(abs(values).max()):
            raise ValueError(
                f"problem has measurements that contradict each other (the best fit misses one by {missed:.3g}), but "
                "must have a solution; NormMinimal takes a tolerance, MinimalL2 fits as well as possible."
            )

    def free(self) -> int:
        """Return how many numbers are not determined."""
        return (self.rows.shape[1] - self.rows.shape[0]) * self.outer

    def nearest(self, matrix: np.ndarray) -> np.ndarray:
        """Project."""
        flat = matrix.reshape(-1, self.outer)
        return (flat + self.rows.T @ (self.values - self.rows @ flat)).reshape(self.shape)

    def dual(self, subgradient: np.ndarray) -> tuple[np.ndarray, float]:
        """Project on the span of the measurements."""
        y = self.rows @ subgradient.reshape(-1, self.outer)
        return (self.rows.T @ y).reshape(self.shape), float((self.values * y).sum())


def _orthonormal(rows: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return orthonormal rows of the same span, and the values there: to project on them is two products."""
    if rows.shape[0] <= rows.shape[1]:
        # Ten times faster than singular values, where no row is nearly one of the others.
        q, r = scipy.linalg.qr(rows.T, mode="economic")
        if scipy.linalg.lapack.dtrcon(r)[0] > _WELL_CONDITIONED:
            return q.T, scipy.linalg.solve_triangular(r, values, trans="T")
    left, s, right = scipy.linalg.svd(rows, full_matrices=False)
    there = s > max(rows.shape) * np.finfo(float).eps * s[0]
    return right[there], (left[:, there].T @ values) / s[there, None]


def observations_of(problem: AbstractProblem, tolerance: float) -> Observations:
    """Return the set of matrices that fit."""
    if problem.observed_indices is not None:
        return Entries(problem, tolerance)
    if tolerance > 0:
        raise ValueError(
            f"tolerance is {tolerance:g}, but must be 0 for {type(problem).__name__}; NormMinimal takes one."
        )
    return Measurements(problem)
