"""Matrix completion by the nuclear norm with a penalty, at sizes where no convex solver goes."""

import dataclasses
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _checks
from .._execution import threads_for, usual_errors
from .._types import Array
from ..factorizations.cp import CPFactorization
from ..problems import AbstractProblem, MatrixCompletion
from .base import AbstractReference, Reference, answer, check_kind
from .coordinates import check_memory, hold_out, predict, share
from .units import exponent_of, times_power

# The gap takes some thirty sparse products, an iteration two and the rest of it: so many iterations between two gaps.
_EVERY = 5
_MOST_ITERATIONS = 5000
# Values of the path that the held-out error may rise for, where so many entries are held out: of few it does by chance.
_PATIENCE, _MANY_HELD_OUT = 3, 1000


@dataclasses.dataclass(frozen=True)
class SoftImpute(AbstractReference):
    """Least ``1/2 sum_observed (X - b)^2 + penalty |X|_*``, of one penalty or of a whole path of them.

    Accelerated proximal steps, with ``X`` held as factors and the residual as a sparse matrix: no matrix of the full
    size is decomposed. A step solves ``X = S(P(b) + P_perp(X))``, with ``S`` the soft threshold of singular values,
    for the ``X`` on its left. Singular vectors are carried on from step to step and improved by one power iteration
    each time.

    The residual ``G = P(b - X)``, scaled so that its spectral norm is at most the penalty, is feasible in the dual
    problem; what it says is ``lower_bound``. Iterations end when both the gap and the distance from the fixed point are
    within the tolerance.

    Parameters
    ----------
    penalty : float or "validated"
        ``"validated"``: the value of the path whose solution predicts held-out entries best; all entries are used
        again to solve for it. With a thousand held-out entries or more the path is not followed once their error has
        risen three times.
    values : int
        Number of penalties of the path, the largest first: the spectral norm of the zero-filled matrix, where the
        solution is zero. The others fall geometrically.
    fraction : float
        Smallest penalty of the path as a share of the largest.
    max_rank : int, optional
        The path ends before the first solution of a higher rank; a given penalty whose solution has one is refused.
    tolerance : float
        Largest gap, as a share of the objective, and largest distance from the fixed point, as a share of the norm, of
        a solution that is called ``"optimal"``.
    held_out : float
        Share of the entries that is held out.
    seed : int
        Chooses them.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Mazumder, Hastie and Tibshirani (2010), Spectral regularization algorithms for learning large incomplete matrices;
    Toh and Yun (2010), An accelerated proximal gradient algorithm for nuclear norm regularized linear least squares
    problems; O'Donoghue and Candes (2015), Adaptive restart for accelerated gradient schemes.

    Examples
    --------
    >>> import rankfall as rf
    >>> found = rf.references.SoftImpute(penalty=0.25).solve(rf.two_by_two())
    >>> found.status, found.details["rank"], round(found.objective, 4)
    ('optimal', 2, 0.4375)
    """

    penalty: float | str = "validated"
    values: int = 20
    fraction: float = 1e-2
    max_rank: int | None = None
    tolerance: float = 1e-3
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.penalty, str):
            _checks.one_of("penalty", self.penalty, ["validated"])
        else:
            _checks.positive_number("penalty", self.penalty, "'validated' chooses one")
        _checks.integer("values", self.values, 2)
        share("fraction", self.fraction)
        if self.max_rank is not None:
            _checks.positive_integer("max_rank", self.max_rank)
        _checks.positive_number("tolerance", self.tolerance)
        share("held_out", self.held_out)
        _checks.integer("seed", self.seed, 0)

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """As `AbstractReference.solve`, for matrix completion.

        ``details``: the ``penalty``, ``rank`` and ``factors`` of the solution, ``iterations``, and ``fixed_point``, how
        far the solution is from solving its equation, as a share of its norm; when validated, ``held_out_error`` (root
        mean square) by penalty.
        """
        with threads_for(1):
            return self._solve(problem)

    def _solve(self, problem: AbstractProblem) -> Reference:
        began, seen = time.perf_counter(), self._begin(problem)
        if isinstance(self.penalty, str):
            found, errors = self._validated(seen)
            errors = {times_power(one, seen.unit): times_power(error, seen.unit) for one, error in errors.items()}
            return self._reference(problem, found, seen.unit, began, held_out_error=errors)
        penalty = times_power(float(self.penalty), -seen.unit)
        # Coming down in halves: from zero, the first step would have as many components as the data have.
        halves = seen.largest * 0.5 ** np.arange(max(0.0, np.log2(max(seen.largest, 1e-300) / penalty)))
        start = seen.zero()
        for larger in halves:
            start = seen.minimise(float(larger), start, max(self.tolerance, 1e-2))
        found = seen.minimise(penalty, start, self.tolerance)
        if self.max_rank is not None and found.rank > self.max_rank:
            raise ValueError(
                f"max_rank is {self.max_rank}, but the solution with penalty {self.penalty:g} has rank {found.rank}; "
                "raise max_rank or the penalty."
            )
        return self._reference(problem, found, seen.unit, began)

    @usual_errors()
    def path(self, problem: AbstractProblem) -> list[Reference]:
        """Solve for all penalties of the path, each from the solution before.

        Parameters
        ----------
        problem : MatrixCompletion

        Returns
        -------
        list of Reference
            Largest penalty first; ``details`` as for `solve`.

        Raises
        ------
        ValueError
            If the problem is of another kind, observes nothing but zeros, or so many solutions do not fit in memory.

        Examples
        --------
        >>> import rankfall as rf
        >>> path = rf.references.SoftImpute(values=3).path(rf.two_by_two())
        >>> [(round(one.details["penalty"], 2), one.details["rank"]) for one in path]
        [(1.0, 0), (0.1, 2), (0.01, 2)]
        """
        began, seen, found = time.perf_counter(), self._begin(problem), []
        check_memory(problem.shape, self.values)
        with threads_for(1):  # thin matrices all of them
            for solution in self._follow(seen, self.tolerance):
                found.append(self._reference(problem, solution, seen.unit, began))
                began = time.perf_counter()
        return found

    def _begin(self, problem: AbstractProblem) -> "_Observations":
        problem = check_kind("SoftImpute", problem, (MatrixCompletion,))
        check_memory(problem.shape)
        # An even power, of which factors take the root.
        unit = exponent_of(problem.values) // 2 * 2
        values = times_power(np.asarray(problem.values, dtype=np.float64), -unit)
        return _Observations(problem.indices, values, problem.shape, unit)

    def _follow(self, seen: "_Observations", tolerance: float) -> Iterator["_Solution"]:
        """Solutions of the path, while their rank is admitted."""
        if not seen.largest:
            raise ValueError(
                "problem has only zeros observed (among the entries that are not held out), but a path needs another "
                "value; with any penalty the solution is zero."
            )
        solution = seen.zero()
        for step in range(self.values):
            penalty = seen.largest * self.fraction ** (step / (self.values - 1))
            solution = seen.minimise(penalty, solution, tolerance)
            if self.max_rank is not None and solution.rank > self.max_rank:
                return
            yield solution

    def _validated(self, seen: "_Observations") -> tuple["_Solution", dict[float, float]]:
        """Choose the penalty by held-out entries, then go on from that solution with all of them."""
        held = hold_out(len(seen.values), self.held_out, self.seed)
        part = _Observations(seen.indices[~held], seen.values[~held], seen.shape, seen.unit)
        errors: dict[float, float] = {}
        best, since = part.zero(), 0
        # Predictions differ by less than their own error long before the gap is closed.
        for solution in self._follow(part, max(self.tolerance, 1e-3)):
            off = predict(solution.factors, seen.indices[held]) - seen.values[held]
            error = float(np.sqrt(np.mean(off * off)))
            best, since = (solution, 0) if error < min(errors.values(), default=np.inf) else (best, since + 1)
            errors[solution.penalty] = error
            if since >= _PATIENCE and best.rank and held.sum() >= _MANY_HELD_OUT:
                break
        start = dataclasses.replace(best, fitted=predict(best.factors, seen.indices))
        return seen.minimise(best.penalty, start, self.tolerance), errors

    def _reference(
        self, problem: AbstractProblem, found: "_Solution", unit: int, began: float, **more: object
    ) -> Reference:
        left, right = (times_power(w, unit // 2) for w in found.factors)
        small = found.objective - found.lower_bound <= self.tolerance * found.objective
        details = {
            "penalty": times_power(found.penalty, unit),
            "rank": found.rank,
            "factors": CPFactorization([left, right] if found.rank else [np.zeros((n, 1)) for n in problem.shape]),
            "iterations": found.iterations,
            "fixed_point": found.fixed_point,
        }
        status = "optimal" if small and found.fixed_point <= self.tolerance else "inaccurate"
        objective, below = times_power(found.objective, 2 * unit), times_power(found.lower_bound, 2 * unit)
        return answer(problem, left @ right.T, objective, status, began, below, details | more)


@dataclasses.dataclass(frozen=True)
class _Solution:
    """``X = left diag(sizes) right^T``, what it predicts where there are data, and what is known of it."""

    left: Array
    sizes: Array
    right: Array
    fitted: Array
    basis: Array  # of the right singular vectors that the next step looks among
    penalty: float = 0.0
    objective: float = np.inf
    lower_bound: float = -np.inf
    fixed_point: float = np.inf
    iterations: int = 0

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def factors(self) -> list[Array]:
        root = np.sqrt(self.sizes)
        return [self.left * root, self.right * root]


class _Observations:
    """The observed entries of a matrix, in row-major order, and the problem's proximal step.

    They are as many powers of two smaller than the user's as ``unit`` says.
    """

    def __init__(self, indices: Array, values: Array, shape: tuple[int, int], unit: int = 0) -> None:
        self.indices, self.values, self.shape, self.unit = indices, values, shape, unit
        kind = np.int32 if max(len(values), *shape) < 2**31 else np.int64
        self._columns = indices[:, 1].astype(kind)
        self._ends = np.searchsorted(indices[:, 0], np.arange(shape[0] + 1)).astype(kind)
        # For the starts of subspaces and of Lanczos iterations alone: no answer depends on it.
        self._random = np.random.default_rng(0)
        self.largest = self.norm(values, 0.0)

    def sparse(self, values: Array) -> Any:
        """Matrix of these values at the observed entries, zero elsewhere."""
        import scipy.sparse  # not for everyone who imports the package

        return scipy.sparse.csr_array((values, self._columns, self._ends), shape=self.shape)

    def norm(self, values: Array, tolerance: float) -> float:
        """Spectral norm of such a matrix."""
        if not values.any():
            return 0.0
        matrix, least = self.sparse(values), min(self.shape)
        if least <= 200:
            gram = matrix @ matrix.T if self.shape[0] == least else matrix.T @ matrix
            return float(np.sqrt(np.linalg.eigvalsh(gram.toarray())[-1]))
        import scipy.sparse.linalg

        first = self._random.normal(size=least)
        return float(scipy.sparse.linalg.svds(matrix, 1, tol=tolerance, v0=first, return_singular_vectors=False)[0])

    def zero(self) -> _Solution:
        """Solution for all penalties from the largest on, to start from."""
        rows, columns = self.shape
        nothing = np.zeros(len(self.values))
        return _Solution(np.zeros((rows, 0)), np.zeros(0), np.zeros((columns, 0)), nothing, np.zeros((columns, 0)))

    def minimise(self, penalty: float, start: _Solution, tolerance: float) -> _Solution:
        """Accelerated proximal steps of length one, until gap and distance from the fixed point are small."""
        start = start if penalty < self.largest else self.zero()
        now = before = dataclasses.replace(start, penalty=penalty, objective=self._objective(penalty, start))
        momentum, weight, bound, count, off = 0.0, 1.0, -np.inf, 0, np.inf
        while True:
            if count % _EVERY == 0:
                bound = max(bound, self._bound(penalty, now.fitted, tolerance))
                # Of large penalties the gap is small before the solution is exact, of small ones the other way round.
                small = now.objective - bound <= tolerance * now.objective
                off = self._fixed_point(now) if small or count >= _MOST_ITERATIONS else np.inf
                if off <= tolerance or count >= _MOST_ITERATIONS:
                    break
            before, now = now, self._step(now, before, momentum)
            # Momentum that raises the objective is given up.
            weight = 1.0 if now.objective > before.objective else weight
            momentum, weight = _nesterov(weight)
            count += 1
        return dataclasses.replace(now, lower_bound=bound, fixed_point=off, iterations=count)

    def _objective(self, penalty: float, at: _Solution) -> float:
        return float(0.5 * np.sum((self.values - at.fitted) ** 2) + penalty * at.sizes.sum())

    def _bound(self, penalty: float, fitted: Array, tolerance: float) -> float:
        """Dual objective ``<Y, b> - 1/2 |Y|^2`` at the residual, scaled so that its spectral norm is feasible."""
        residual = self.values - fitted
        # Lanczos iterations come from below; their tolerance is on the safe side.
        norm = (1 + 0.1 * tolerance) * self.norm(residual, 0.1 * tolerance)
        feasible = residual * min(1.0, penalty / norm) if norm else residual
        return float(feasible @ self.values - 0.5 * feasible @ feasible)

    def _step(self, now: _Solution, before: _Solution, momentum: float) -> _Solution:
        """``S(Y + P(b - Y))`` at ``Y = X + momentum (X - X_before)``, which is a product of factors too."""
        left, right = now.left * ((1 + momentum) * now.sizes), now.right
        fitted = now.fitted
        if momentum:
            left = np.hstack([left, before.left * (-momentum * before.sizes)])
            right = np.hstack([right, before.right])
            fitted = fitted + momentum * (fitted - before.fitted)
        residual = self.sparse(self.values - fitted)
        width = min(*self.shape, now.rank + max(10, now.rank // 8))
        spare = self._random.normal(size=(self.shape[1], max(0, width - now.basis.shape[1])))
        known = now.basis[:, :width]
        basis = np.hstack([known, spare - known @ (known.T @ spare)])
        # One power iteration of a matrix that has changed little, from the singular vectors that it had.
        frame, _ = _orthonormal(residual @ basis + left @ (right.T @ basis))
        other, triangle = _orthonormal(residual.T @ frame + right @ (left.T @ frame))
        inner, values, outer = np.linalg.svd(triangle)
        rank = int(np.sum(values > now.penalty))
        vectors = other @ inner
        sizes, left, right = values[:rank] - now.penalty, frame @ outer[:rank].T, vectors[:, :rank]
        fitted = predict([left * sizes, right], self.indices)
        found = _Solution(left, sizes, right, fitted, vectors, now.penalty)
        return dataclasses.replace(found, objective=self._objective(now.penalty, found))

    def _fixed_point(self, at: _Solution) -> float:
        """Distance of ``X`` from ``S(P(b) + P_perp(X))``, as a share of its norm."""
        # Singular vectors as exact as two more power iterations make them.
        nearly = dataclasses.replace(at, basis=self._step(at, at, 0.0).basis)
        image = self._step(nearly, nearly, 0.0)
        # In the frame of the image, where small differences are differences of small numbers.
        inside = image.left.T @ at.left * at.sizes
        difference = image.right * image.sizes - at.right @ inside.T
        outside = at.left * at.sizes - image.left @ inside
        off = np.hypot(np.linalg.norm(difference), np.linalg.norm(outside))
        return float(off / (np.linalg.norm(at.sizes) or at.penalty))


def _orthonormal(columns: Array) -> tuple[Array, Array]:
    """Orthonormal columns and a triangle that multiply out to the given columns.

    Columns that are nearly orthogonal, as singular vectors that are carried on, need a Cholesky factor alone. It is
    made of a few large products, and the triangles of Householder's method of many small ones, which threads slow down.
    """
    sizes = np.linalg.norm(columns, axis=0)
    scaled = columns / np.where(sizes > 0, sizes, 1.0)
    try:
        lower = np.linalg.cholesky(scaled.T @ scaled)
        alike = lower.diagonal().min() < 1e-3  # orthogonal to rounding over the square of this
    except np.linalg.LinAlgError:
        alike = True
    if alike:
        basis, triangle = np.linalg.qr(columns)
        return basis, triangle
    return scaled @ np.linalg.inv(lower).T, lower.T * sizes


def _nesterov(weight: float) -> tuple[float, float]:
    following = (1 + np.sqrt(1 + 4 * weight * weight)) / 2
    return (weight - 1) / following, following
