"""What any completion has to beat: the mean of all observations, and the means of rows and columns."""

import dataclasses
import time

import numpy as np

from .. import _checks
from .._execution import usual_errors
from ..problems import AbstractProblem, MatrixCompletion, TensorCompletion
from .base import AbstractReference, Reference, answer, check_kind
from .coordinates import check_memory
from .units import exponent_of, times_power


class MeanBaseline(AbstractReference):
    """The mean of the observed entries, everywhere: of all constants, that of least squared residuals.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.MatrixCompletion.from_dense([[np.nan, 1.0], [2.0, 3.0]])
    >>> rf.references.MeanBaseline().solve(problem).solution
    array([[2., 2.],
           [2., 2.]])
    """

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """As `AbstractReference.solve`, for completions; the objective is half the sum of squared residuals."""
        check_kind("MeanBaseline", problem, (MatrixCompletion, TensorCompletion))
        check_memory(problem.shape)
        began = time.perf_counter()
        unit = exponent_of(problem.values)
        values = times_power(np.asarray(problem.values, dtype=np.float64), -unit)
        mean = float(values.mean())
        objective = times_power(0.5 * float(np.sum((values - mean) ** 2)), 2 * unit)
        mean = times_power(mean, unit)
        return answer(problem, np.full(problem.shape, mean), objective, "computed", began, details={"mean": mean})


@dataclasses.dataclass(frozen=True)
class BiasBaseline(AbstractReference):
    """Mean of all observations, plus a bias of each row and of each column.

    Biases are least squares with a ridge: least ``1/2 sum (mean + r_i + c_j - b_ij)^2 + ridge/2 (|r|^2 + |c|^2)``. A
    row without observations has none.

    Parameters
    ----------
    ridge : float
        As if each row and column had so many more observations, which are the mean.

    Raises
    ------
    ValueError
        If the ridge is not positive.

    Notes
    -----
    The ridge shrinks biases towards zero: a column of ``n`` equal entries is filled with their value moved by
    ``ridge / (n + ridge)`` of its distance from the mean (with the default of 3 and ten entries, by almost a quarter).
    Where columns are constant or few are observed take a small ridge, such as 1e-9, which keeps constants.

    References
    ----------
    Koren (2010), Factor in the neighbors: scalable and accurate collaborative filtering, section 2.1.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.MatrixCompletion.from_dense([[np.nan, 1.0], [2.0, 3.0]])
    >>> rf.references.BiasBaseline(ridge=1e-9).solve(problem).solution.round(6)
    array([[0., 1.],
           [2., 3.]])
    """

    ridge: float = 3.0

    def __post_init__(self) -> None:
        _checks.positive_number("ridge", self.ridge)

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """As `AbstractReference.solve`, for matrix completion; ``details`` hold ``mean``, ``rows`` and ``columns``."""
        problem = check_kind("BiasBaseline", problem, (MatrixCompletion,))
        check_memory(problem.shape)
        began = time.perf_counter()
        unit, where = exponent_of(problem.values), tuple(problem.indices.T)
        values = times_power(np.asarray(problem.values, dtype=np.float64), -unit)
        mean = float(values.mean())
        import scipy.sparse  # not for everyone who imports the package
        from scipy.sparse.linalg import LinearOperator, cg

        seen = scipy.sparse.csr_array((np.ones(len(values)), where), shape=problem.shape)
        left = scipy.sparse.csr_array((values - mean, where), shape=problem.shape)
        row_counts, column_counts = seen.sum(axis=1) + self.ridge, seen.sum(axis=0) + self.ridge
        row_sums, column_sums = left.sum(axis=1), left.sum(axis=0)

        def eliminated(c: np.ndarray) -> np.ndarray:
            """Apply the columns' normal equations once the rows' are solved: smaller, and better conditioned."""
            return column_counts * c - seen.T @ ((seen @ c) / row_counts)

        size = problem.shape[1]
        columns, _ = cg(
            LinearOperator((size, size), matvec=eliminated, dtype=np.float64),
            column_sums - seen.T @ (row_sums / row_counts),
            rtol=1e-12,
            M=scipy.sparse.diags_array(1 / column_counts),
        )
        rows = (row_sums - seen @ columns) / row_counts
        solution = mean + rows[:, None] + columns
        residual = solution[where] - values
        squares = 0.5 * float(residual @ residual + self.ridge * (rows @ rows + columns @ columns))
        objective, solution = times_power(squares, 2 * unit), times_power(solution, unit)
        found = {"mean": mean, "rows": rows, "columns": columns}
        details = {name: times_power(value, unit) for name, value in found.items()}
        return answer(problem, solution, objective, "computed", began, details=details)
