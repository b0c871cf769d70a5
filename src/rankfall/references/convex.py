"""Convex norms at small size: by CVXPY, or by descent where the norm is smooth, with a bound of our own either way."""

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .._execution import without_warning
from ..problems import AbstractProblem
from .norms import Norm
from .observations import Observations

INSTALL = "CVXPY is not installed, but convex norms need it; install rankfall with the extra 'convex'"


class Found(NamedTuple):
    """A matrix, a lower bound on its norm, and what the solver says."""

    matrix: np.ndarray
    below: float
    said: dict[str, Any]
    reliable: bool


def _cvxpy() -> Any:
    try:
        import cvxpy
    except ImportError:
        raise ModuleNotFoundError(INSTALL) from None
    return cvxpy


def values_of(expression: Callable[[Any], Any], matrices: np.ndarray) -> np.ndarray:
    """Evaluate an expression, given as a function of CVXPY's variable, at matrices (..., rows, columns)."""
    x = _cvxpy().Variable(matrices.shape[-2:])
    aim = expression(x)
    found = np.empty(matrices.shape[:-2])
    for at in np.ndindex(found.shape):
        x.value = matrices[at]
        found[at] = aim.value
    return found


def by_cvxpy(
    expression: Callable[[Any, Any], Any],
    problem: AbstractProblem,
    tolerance: float,
    options: dict[str, Any],
    dual: Callable[[np.ndarray], float] | None,
) -> Found:
    """Minimise an expression, given as a function of CVXPY and its variable, over what fits."""
    cp = _cvxpy()
    x = cp.Variable(problem.shape)
    rows, values = _rows(problem)
    off = rows @ cp.vec(x, order="C") - values
    fits = off == 0 if tolerance == 0 else cp.abs(off) <= tolerance
    aim = expression(cp, x)
    task = cp.Problem(cp.Minimize(aim), [fits])
    if not task.is_dcp():
        raise ValueError(
            f"expression is {aim.curvature.lower() if hasattr(aim, 'curvature') else 'no expression of CVXPY'}, but "
            "must be convex by CVXPY's rules; write it with convex atoms, or pass a function of NumPy as norm."
        )
    try:
        # It is said by the status.
        with without_warning("Solution may be inaccurate", UserWarning):
            task.solve(**options)
    except cp.error.SolverError as problem_met:
        raise RuntimeError(
            f"The solver gave up ({str(problem_met).splitlines()[0]}). Try another: solver='SCS', 'CLARABEL'."
        ) from None
    if task.status in (cp.INFEASIBLE, cp.INFEASIBLE_INACCURATE):
        raise ValueError(
            f"problem has no solution within tolerance {tolerance:g} (solver's status: {task.status}); pass a larger "
            "tolerance."
        )
    if x.value is None or not np.isfinite(x.value).all():
        raise RuntimeError(
            f"The solver ended without a solution (status: {task.status}). Try another solver, or more time."
        )
    stats = task.solver_stats
    said = {"status": task.status, "solver": stats.solver_name, "steps": stats.num_iters, "value": float(task.value)}
    below = -np.inf
    if dual is not None and fits.dual_value is not None:
        below = _bound(rows, values, tolerance, np.ravel(fits.dual_value), off.value, problem.shape, dual)
    return Found(np.asarray(x.value, float), below, said, task.status == cp.OPTIMAL)


def _rows(problem: AbstractProblem) -> tuple[Any, np.ndarray]:
    """Return the observations as rows of a matrix on the entries in C order, and their values."""
    if problem.observed_indices is not None:
        from scipy.sparse import csr_matrix

        at = np.ravel_multi_index(tuple(np.asarray(problem.observed_indices).T), problem.shape)
        ones, count = np.ones(len(at)), int(np.prod(problem.shape))
        return csr_matrix((ones, (np.arange(len(at)), at)), (len(at), count)), np.asarray(problem.values, float)
    rows, values = (np.asarray(a, dtype=np.float64) for a in problem.linear_system())
    return np.kron(rows, np.eye(values.shape[1])), values.ravel()


def _bound(
    rows: Any,
    values: np.ndarray,
    tolerance: float,
    given: np.ndarray,
    off: np.ndarray,
    shape: tuple[int, ...],
    dual: Callable[[np.ndarray], float],
) -> float:
    """Lower bound on the norm of all that fit, from multipliers, made feasible: true whatever the solver's errors."""
    # Of an inequality on the absolute value the sign is that of the side that is met.
    multipliers = given * np.sign(off) if tolerance else given
    best = 0.0
    for y in (multipliers, -multipliers):
        worth = float(values @ y) - tolerance * float(abs(y).sum())
        best = max(best, worth / max(1.0, dual((rows.T @ y).reshape(shape))))
    return best


def by_descent(norm: Norm, p: float, data: Observations, gap: float, steps: int) -> Found:
    """Schatten-p for 1 < p < inf, which is smooth away from zero: quasi-Newton on what is free."""
    import scipy.optimize  # not for everyone who imports the package

    start = data.nearest(np.zeros(data.shape))
    best, count = Found(start, 0.0, {}, True), 0
    assert norm.dual is not None
    least_dual = norm.dual

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        matrix = data.nearest(flat.reshape(data.shape))
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        size = s[0] * float(((s / s[0]) ** p).sum()) ** (1 / p) if s[0] > 0 else 0.0
        if size == 0:
            return 0.0, np.zeros_like(flat)
        slope = (u * (s / size) ** (p - 1)) @ v
        part, worth = data.dual(slope)
        below = max(best.below, worth / max(1.0, least_dual(part)))
        better = size <= float(norm.value(best.matrix))
        best = best._replace(matrix=matrix if better else best.matrix, below=below)
        return size, (slope - part).ravel()

    class _Close(Exception):
        pass

    def look(_: np.ndarray) -> None:
        nonlocal count
        count += 1
        if float(norm.value(best.matrix)) - best.below <= gap * best.below:
            raise _Close

    options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": 20, "ftol": 0.0, "gtol": 0.0}
    with contextlib.suppress(_Close):
        scipy.optimize.minimize(value, start.ravel(), jac=True, method="L-BFGS-B", callback=look, options=options)
    return best._replace(said={"solver": "L-BFGS", "steps": count})
