"""What a norm would have picked: the least of any norm or quasi-norm among the solutions."""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._execution import usual_errors
from .._types import ArrayLike
from ..problems import AbstractProblem, LinearRegression, MatrixCompletion, MatrixSensing
from .base import AbstractReference, Reference, answer, check_kind
from .baselines import FillWithZeros
from .convex import Found, by_cvxpy, by_descent, values_of
from .norms import Norm, norm_of
from .observations import Observations, observations_of
from .one_parameter import certified, on_grid
from .reweighted import reweighted
from .units import ordinary

# Entries of the largest matrix that is given to a general solver.
LARGEST = 160 * 160


@dataclass(frozen=True)
class NormMinimal(AbstractReference):
    """The solution that a norm or quasi-norm would have picked.

    How it is found, and how far it can be trusted, depends on the norm:

    - any norm or quasi-norm by name where the solutions have one free parameter: by a search that leaves out only
      intervals that are proved to hold nothing less; ``"optimal"`` to ``gap``;
    - convex norms by name, and convex expressions: by CVXPY (Schatten with ``1 < p < inf``, ``p != 2``: by descent);
      ``"optimal"`` where the solver says so and a bound of our own is within ``gap``;
    - Schatten and entrywise ``p < 1`` with more parameters: by iteratively reweighted least squares, ``"local"``;
    - any function where the solutions have one parameter: by a grid, ``"grid"``.

    Parameters
    ----------
    norm : str or callable, optional
        As in `rankfall.measures.norm`: ``"nuclear"``, ``"schatten-0.5"``, ``"ky-fan-2"``, ... or a function of one
        matrix that gives a number.
    expression : callable, optional
        In place of ``norm``: from CVXPY's variable to a convex expression of CVXPY.
    tolerance : float
        By how much each observation may be missed (convex norms alone).
    gap : float
        Share of the least value by which an ``"optimal"`` answer may be above it.
    solver : str, optional
        CVXPY's name of one of its solvers.
    seconds : float, optional
        Time that the solver is given (Clarabel and SCS).

    Raises
    ------
    ValueError
        If neither or both of ``norm`` and ``expression`` are given, a name is unknown or a number out of range.

    References
    ----------
    Razin and Cohen (2020), section 3 (minimisers of norms and quasi-norms); Mohan and Fazel (2012) (reweighting).

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.references.NormMinimal("schatten-0.5").solve(rf.two_by_two())
    Reference(optimal: objective 4, residual 0, gap ..., 2 x 2, ... s)
    """

    norm: str | Callable[[Any], Any] | None = None
    expression: Callable[[Any], Any] | None = None
    tolerance: float = 0.0
    gap: float = 1e-6
    solver: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.norm is None) == (self.expression is None):
            raise ValueError("norm and expression are both given or both missing, but one of them must be given.")
        if self.norm is not None:
            norm_of(self.norm)
        elif not callable(self.expression):
            raise ValueError(f"expression is {_checks.shortened(self.expression)}, but must be a function.")
        _checks.not_negative_number("tolerance", self.tolerance)
        _checks.positive_number("gap", self.gap)
        if self.seconds is not None:
            _checks.positive_number("seconds", self.seconds)
        if self.solver is not None and not isinstance(self.solver, str):
            raise ValueError(
                f"solver is {_checks.shortened(self.solver)}, but must be CVXPY's name of a solver, such as 'SCS'."
            )

    @property
    def name(self) -> str:
        """Name of the norm, of the function, or of the expression's function."""
        if self.norm is not None:
            return norm_of(self.norm).name
        return str(getattr(self.expression, "__name__", type(self.expression).__name__))

    def value(self, matrices: ArrayLike) -> Any:
        """Return the norm of matrices.

        Parameters
        ----------
        matrices : array, shape (..., rows, columns)

        Returns
        -------
        array, shape (...)

        Raises
        ------
        ValueError
            If ``matrices`` are no matrices of finite numbers.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.references.NormMinimal("spectral").value(np.stack([np.eye(2), 3 * np.eye(2)]))
        array([1., 3.])
        """
        batch = _checks.real("matrices", matrices)
        if batch.ndim < 2 or 0 in batch.shape:
            raise ValueError(f"matrices has shape {batch.shape}, but must be a matrix, or a batch of them.")
        _checks.finite("matrices", batch)
        if self.norm is not None:
            return norm_of(self.norm).value(batch)
        assert self.expression is not None
        return values_of(self.expression, batch)

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """Find it; ``details`` tells what the solver says.

        Parameters
        ----------
        problem : MatrixCompletion, MatrixSensing or LinearRegression

        Returns
        -------
        Reference

        Raises
        ------
        ValueError
            If the problem is of another kind, too large, or has no solution within the tolerance; if the expression is
            not convex; or if nothing is known to do with this norm on this problem.
        ModuleNotFoundError
            If CVXPY is needed and not installed.
        RuntimeError
            If the solver fails or runs out of time without a solution.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.references.NormMinimal("frobenius").solve(rf.two_by_two()).solution
        array([[0., 1.],
               [1., 0.]])
        """
        check_kind("NormMinimal", problem, (MatrixCompletion, MatrixSensing, LinearRegression))
        if int(np.prod(problem.shape)) > LARGEST:
            rows, columns = problem.shape
            raise ValueError(
                f"problem has shape {rows} x {columns}, but must have at most {LARGEST} entries for a general solver; "
                "NuclearNorm goes to thousands of rows, FillWithZeros and MinimalL2 (Frobenius) too."
            )
        began = time.perf_counter()
        if self.expression is not None:
            expression = self.expression
            found = by_cvxpy(lambda cp, x: expression(x), problem, self.tolerance, self._options(), None)
            value = found.said["value"]
            status = "optimal" if found.reliable else "inaccurate"
            return answer(problem, found.matrix, value, status, began, details=found.said)
        norm = norm_of(self.norm)
        if norm.numbers is None:
            return self._least(norm, problem, began)  # a function, which may know units
        units = ordinary(problem)
        zeros = np.zeros(problem.shape)
        if not np.any(problem.values):
            return answer(problem, zeros, 0.0, "optimal", began, lower_bound=0.0)
        inner = dataclasses.replace(self, tolerance=units.tolerance(self.tolerance))
        least = inner._least(norm, units.problem, began)
        matrix, objective, below = (units.back(x) for x in (least.solution, least.objective, least.lower_bound))
        return answer(problem, matrix, objective, least.status, began, lower_bound=below, details=least.details)

    def _least(self, norm: Norm, problem: AbstractProblem, began: float) -> Reference:
        if self.tolerance > 0 and norm.dual is None:
            raise ValueError(
                f"tolerance is {self.tolerance:g}, but must be 0 for {norm.name}, which is not known to be convex."
            )
        data = None if self.tolerance > 0 else observations_of(problem, 0.0)
        line = None if data is None else data.line()
        if line is not None:
            return self._on_line(norm, problem, line, began)
        if norm.dual is not None:
            return self._convex(norm, problem, began)
        assert data is not None
        return self._not_convex(norm, problem, data, began)

    def _convex(self, norm: Norm, problem: AbstractProblem, began: float) -> Reference:
        if norm.expression is not None:
            found = by_cvxpy(norm.expression, problem, self.tolerance, self._options(norm.spectral), norm.dual)
        else:
            found = by_descent(norm, norm.named.order, observations_of(problem, self.tolerance), self.gap, 10_000)
        return self._answer(norm, problem, found, began)

    def _answer(self, norm: Norm, problem: AbstractProblem, found: Found, began: float) -> Reference:
        matrix = found.matrix
        if self.tolerance == 0:
            # Solvers meet equations to a tolerance of their own.
            matrix = observations_of(problem, 0.0).nearest(matrix)
        value = float(norm.value(matrix))
        close = value - found.below <= self.gap * value
        status = "optimal" if found.reliable and close else "inaccurate"
        return answer(problem, matrix, value, status, began, lower_bound=found.below, details=found.said)

    def _on_line(
        self, norm: Norm, problem: AbstractProblem, line: tuple[np.ndarray, np.ndarray], began: float
    ) -> Reference:
        known = norm.numbers is not None
        found = certified(norm, *line, self.gap) if known else on_grid(norm, *line)
        near = found.below >= found.value * (1 - self.gap)
        status = "grid" if not known else "optimal" if near else "inaccurate"
        matrix = line[0] + found.at * line[1]
        details = {"looked": found.looked}
        return answer(problem, matrix, found.value, status, began, lower_bound=found.below, details=details)

    def _not_convex(self, norm: Norm, problem: AbstractProblem, data: Observations, began: float) -> Reference:
        if norm.numbers is None:
            raise ValueError(
                f"norm is {norm.name}, a function, but must be one by name or a convex expression where the solutions "
                f"have {data.free()} free parameters: nothing else than its values is known."
            )
        if norm.named.family == "entrywise" and problem.observed_indices is not None:
            # A sum over the entries: each that is free is best at zero.
            matrix = FillWithZeros().solve(problem).solution
            value = float(norm.value(matrix))
            return answer(problem, matrix, value, "optimal", began, lower_bound=value)
        matrix, steps = reweighted(norm, problem, data.nearest(np.zeros(data.shape)), 2000)
        return answer(problem, matrix, float(norm.value(matrix)), "local", began, details={"steps": steps})

    def _options(self, spectral: bool = True) -> dict[str, Any]:
        # Interior points take minutes for the semidefinite forms of norms of singular values.
        solver = self.solver or ("SCS" if spectral else "CLARABEL")
        options: dict[str, Any] = {"solver": solver}
        if solver == "SCS":
            options |= {"eps": self.gap / 10, "max_iters": 200_000}
        if self.seconds is not None:
            options["time_limit_secs" if solver == "SCS" else "time_limit"] = self.seconds
        return options
