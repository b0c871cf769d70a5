"""Quasi-norms beyond a line of solutions: least squares, reweighted again and again, to a local answer."""

import numpy as np

from ..problems import AbstractProblem
from .norms import Norm

# The smoothing falls by this factor a step, from the size of the data to this share of it. Slowly: at 0.9 most 20 x 20
# completions of rank 2 from 180 entries end near the matrix of rank 2, at 0.97 at it.
_FALL, _LAST = 0.97, 1e-10
# Ends where the smoothing has, and a step changes the matrix by no more than this share.
_STILL = 1e-9


def reweighted(norm: Norm, problem: AbstractProblem, start: np.ndarray, steps: int) -> tuple[np.ndarray, int]:
    """Lower a Schatten or entrywise quasi-norm among what fits, from a matrix that fits; return it and the steps.

    A step minimises ``tr X^T (W W^T + e^2)^(p/2 - 1) X``, or the sum of ``x^2 (w^2 + e^2)^(p/2 - 1)``, which is above
    the smoothed quasi-norm and meets it at the matrix ``W`` before; the smoothing ``e`` falls all the while.
    """
    schatten, p = norm.named.family == "schatten", norm.power
    matrix = start
    size = float(np.linalg.norm(matrix, 2))
    smooth = size
    best, least = matrix, float(norm.value(matrix))
    for count in range(1, steps + 1):
        weights = _inverse_of_rows(matrix, smooth, p) if schatten else (matrix**2 + smooth**2) ** (1 - p / 2)
        moved = _least(problem, weights, schatten)
        change = float(np.linalg.norm(moved - matrix))
        matrix = moved
        value = float(norm.value(matrix))
        if value < least:
            best, least = matrix, value
        if smooth <= _LAST * size and change <= _STILL * float(np.linalg.norm(matrix)):
            return best, count
        smooth = max(_FALL * smooth, _LAST * size)
    return best, steps


def _inverse_of_rows(matrix: np.ndarray, smooth: float, p: float) -> np.ndarray:
    """Inverse of the weight of rows, ``(W W^T + e^2)^(1 - p/2)``, scaled to norm one."""
    u, s, _ = np.linalg.svd(matrix)
    whole = np.concatenate([s, np.zeros(len(u) - len(s))])
    powers = (whole**2 + smooth**2) ** (1 - p / 2)
    return (u * (powers / powers.max())) @ u.T


def _least(problem: AbstractProblem, inverse: np.ndarray, by_rows: bool) -> np.ndarray:
    """Return what fits and is least in the weighted sum of squares, from the inverse of the weight."""
    if problem.observed_indices is not None:
        return _columns(problem, inverse)
    x, y = (np.asarray(a, dtype=np.float64) for a in problem.linear_system())
    if x.shape[1] == problem.shape[0] and y.shape[1] == problem.shape[1]:  # the same equations for every column
        if by_rows:
            return _project(x, y, inverse)
        return np.stack([_project(x, y[:, n], np.diag(inverse[:, n])) for n in range(y.shape[1])], axis=1)
    measurements = x.reshape(-1, *problem.shape)
    flat = (inverse @ measurements if by_rows else inverse * measurements).reshape(len(x), -1)
    return np.asarray((flat.T @ _solve(x @ flat.T, y)).reshape(problem.shape))


def _columns(problem: AbstractProblem, inverse: np.ndarray) -> np.ndarray:
    """Every column by itself: what was not observed follows what was, as in conditional expectations."""
    rows, columns = np.asarray(problem.observed_indices).T
    values, found = np.asarray(problem.values, float), np.zeros(problem.shape)
    order = np.argsort(columns, kind="stable")
    ends = np.searchsorted(columns[order], np.arange(problem.shape[1] + 1))
    for column in range(problem.shape[1]):
        at = order[ends[column] : ends[column + 1]]
        seen = rows[at]
        if len(seen):
            found[:, column] = inverse[:, seen] @ _solve(inverse[np.ix_(seen, seen)], values[at])
            found[seen, column] = values[at]
    return found


def _project(x: np.ndarray, y: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    return np.asarray(inverse @ x.T @ _solve(x @ inverse @ x.T, y))


def _solve(gram: np.ndarray, values: np.ndarray) -> np.ndarray:
    # Weights range over as many orders as the smoothing: what is below rounding of the largest is left out.
    return np.linalg.lstsq(gram, values, rcond=1e-14)[0]
