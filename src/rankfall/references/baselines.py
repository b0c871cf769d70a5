"""The plainest ways to fill in what was not observed: zeros, the least sum of squares."""

import time

import numpy as np

from .._execution import usual_errors
from ..problems import (
    AbstractProblem,
    LinearRegression,
    MatrixCompletion,
    MatrixSensing,
    TensorCompletion,
    TensorSensing,
)
from .base import AbstractReference, Reference, answer, check_kind
from .units import euclidean, ordinary


class FillWithZeros(AbstractReference):
    """Observed entries as they are, zeros elsewhere: where descent on the entries themselves ends, from zero.

    It is the talk's linear baseline, and of all solutions the one of least Frobenius norm.

    References
    ----------
    Razin and Cohen (2020), section 6 (the linear method of figure 2).

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.references.FillWithZeros().solve(rf.two_by_two()).objective ** 2
    2.0000000000000004
    """

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """As `AbstractReference.solve`, for completions; the objective is the Frobenius norm."""
        check_kind("FillWithZeros", problem, (MatrixCompletion, TensorCompletion))
        began = time.perf_counter()
        filled = np.zeros(problem.shape)
        filled[tuple(np.asarray(problem.observed_indices).T)] = problem.values
        norm = euclidean(problem.values)
        return answer(problem, filled, norm, "optimal", began, lower_bound=norm)


class MinimalL2(AbstractReference):
    """Least squares of least Frobenius norm: where descent from zero ends without factors (depth 1).

    Where no solution fits, it is the one of least norm among those that fit best, and ``residual`` tells.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.LinearRegression([[1.0, 2.0]], [5.0])
    >>> rf.references.MinimalL2().solve(problem).solution.round(12)
    array([[1.],
           [2.]])
    """

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """As `AbstractReference.solve`, for completion, sensing and regression."""
        kinds = (MatrixCompletion, TensorCompletion, MatrixSensing, TensorSensing, LinearRegression)
        check_kind("MinimalL2", problem, kinds)
        if problem.observed_indices is not None:
            return FillWithZeros().solve(problem)
        began = time.perf_counter()
        units = ordinary(problem)
        left, right = (np.asarray(a, dtype=np.float64) for a in units.problem.linear_system())
        found, _, rank, _ = np.linalg.lstsq(left, right, rcond=None)
        norm = units.back(float(np.linalg.norm(found)))
        found = units.back(found.reshape(problem.shape))
        return answer(problem, found, norm, "optimal", began, lower_bound=norm, details={"rank": int(rank)})
