"""The solution of least nuclear norm, for thousands of rows: splitting with partial decompositions, and a gap."""

import time
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from .. import _checks
from .._execution import threads_for, usual_errors
from ..problems import AbstractProblem, LinearRegression, MatrixCompletion, MatrixSensing
from .base import AbstractReference, Reference, answer, check_kind
from .observations import Observations, observations_of
from .units import ordinary

# Steps that Anderson's acceleration looks back, at first and in cases that turn out hard, and how far the residual may
# grow before it begins anew.
_MEMORY, _LONGER, _GROWTH = 5, 10, 2.0
_REGULAR = 1e-10
# Moves below this share of the solution are rounding: it comes no closer.
_ROUNDING = 1e-15
# The step is this share of the mean singular value of the iterate, adjusted once it is off by that factor. While the
# rank still falls, small values that are to vanish count little: the mean is weighted by the values themselves.
_SHARE, _OFF, _SETTLED = 0.25, 2.0, 0.9
# Cases that are not done after so many steps (few observations beyond the least, or bounds) are sooner done with
# smaller ones: the share falls with the inverse of the count, to the second number.
_HARD, _LEAST_SHARE = 300, 0.01
# A look at the gap costs two decompositions: one each time the residual has fallen so far, or after so many steps.
_FALL, _SELDOM = 0.5, 50
# Singular vectors carried beside those in use, and the share of all beyond which a whole decomposition is cheaper.
_SPARE, _PARTIAL = 8, 0.2
_REFRESH = 25


@dataclass(frozen=True)
class NuclearNorm(AbstractReference):
    """The solution of least nuclear norm, with a certificate.

    Douglas and Rachford's splitting between the nuclear norm and the observations, accelerated by Anderson's method. An
    iterate made to fit the observations bounds the least value from above, the subgradient, made feasible for the dual,
    from below; their difference is the gap.

    Parameters
    ----------
    tolerance : float
        By how much an entry may differ from its observation. Above 0 for completions only.
    gap : float
        Duality gap, as a share of the norm, at which to end.
    steps : int
        Most steps; the answer is ``"inaccurate"`` where they do not suffice.
    seconds : float, optional
        Wall time after which it ends likewise.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    Memory is that of some fifteen matrices of the problem's shape.

    References
    ----------
    Fazel (2002), Candes and Recht (2009) (the problem); Lions and Mercier (1979) (the splitting); Walker and Ni (2011)
    (the acceleration).

    Examples
    --------
    >>> import rankfall as rf
    >>> reference = rf.references.NuclearNorm().solve(rf.two_by_two())
    >>> reference.status, round(reference.objective, 6)
    ('optimal', 2.0)
    """

    tolerance: float = 0.0
    gap: float = 1e-7
    steps: int = 20_000
    seconds: float | None = None

    def __post_init__(self) -> None:
        _checks.not_negative_number("tolerance", self.tolerance)
        _checks.positive_number("gap", self.gap)
        _checks.positive_integer("steps", self.steps)
        if self.seconds is not None:
            _checks.positive_number("seconds", self.seconds)

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """Find it; ``details`` tells ``steps`` and ``rank``.

        Parameters
        ----------
        problem : MatrixCompletion, MatrixSensing or LinearRegression

        Returns
        -------
        Reference
            Its solution fits the observations to rounding (completion: exactly, or within ``tolerance``).

        Raises
        ------
        ValueError
            If the problem is of another kind, or measurements contradict each other, or ``tolerance`` is positive for
            one that is no completion.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> problem = rf.MatrixSensing(np.diag([1.0, 2.0])[None], [1.0])
        >>> rf.references.NuclearNorm().solve(problem).solution.round(6) + 0.0
        array([[0. , 0. ],
               [0. , 0.5]])
        """
        check_kind("NuclearNorm", problem, (MatrixCompletion, MatrixSensing, LinearRegression))
        began, units = time.perf_counter(), ordinary(problem)
        with threads_for(min(problem.shape)):
            best = _split(self, observations_of(units.problem, units.tolerance(self.tolerance)), began)
        status = "optimal" if best.gap <= self.gap else "inaccurate"
        details = {"steps": best.steps, "rank": best.rank}
        matrix, above, below = (units.back(x) for x in (best.matrix, best.above, best.below))
        return answer(problem, matrix, above, status, began, lower_bound=below, details=details)


@dataclass
class _Best:
    """The best solution and the best bound so far."""

    matrix: np.ndarray
    above: float
    below: float
    rank: int = 0
    steps: int = 0

    @property
    def gap(self) -> float:
        return (self.above - self.below) / self.above if self.above > 0 else 0.0


def _split(method: NuclearNorm, data: Observations, began: float) -> _Best:
    z = data.nearest(np.zeros(data.shape))
    s = scipy.linalg.svdvals(z)
    best = _Best(z, float(s.sum()), 0.0)
    if not best.above:
        return best
    step, shrink, mixing = s[0] / 2, _Shrinking(data.shape), _Mixing()
    looked, since, rank = np.inf, 0, 0
    for count in range(1, method.steps + 1):
        fits = data.nearest(z)
        reflected = 2 * fits - z
        low = shrink(reflected, step)
        move = low - fits
        size, since = float(np.linalg.norm(move)), since + 1
        late = method.seconds is not None and time.perf_counter() - began > method.seconds
        last = late or count == method.steps or size <= _ROUNDING * float(np.linalg.norm(fits))
        if size < _FALL * looked or since >= _SELDOM or last:
            looked, since = min(size, looked), 0
            _look(best, data, low, (reflected - low) / step, shrink, method.gap if not last else np.inf, count)
            if best.gap <= method.gap or last:
                return best
            settled, rank = shrink.rank >= _SETTLED * rank, shrink.rank
            share = max(_LEAST_SHARE, _SHARE * min(1.0, _HARD / count))
            wanted = share * (shrink.total / max(rank, 1) if settled else shrink.typical)
            if wanted and not 1 / _OFF < wanted / step < _OFF:
                # At the limit z is a solution less the step times a dual solution: only that part is scaled.
                z = fits + wanted / step * (z - fits)
                step, looked = wanted, np.inf
                mixing.forget()
                continue
        z = mixing(z, move, _MEMORY if count < _HARD else _LONGER)
    return best


def _look(
    best: _Best,
    data: Observations,
    low: np.ndarray,
    subgradient: np.ndarray,
    shrink: "_Shrinking",
    gap: float,
    count: int,
) -> None:
    """Improve the best bound by that of an iterate, and the best solution where that might close the gap."""
    part, worth = data.dual(subgradient)
    small = part.T @ part if part.shape[0] >= part.shape[1] else part @ part.T
    # The largest singular value loses nothing in the smaller product.
    longest = np.sqrt(scipy.linalg.eigvalsh(small, subset_by_index=[len(small) - 1] * 2)[0])
    below = worth / max(1.0, float(longest))
    best.below, best.steps = max(best.below, below), count
    if shrink.total - best.below > 3 * gap * shrink.total:
        return
    matrix = data.nearest(low)
    above = float(scipy.linalg.svdvals(matrix).sum())
    if above < best.above:
        best.matrix, best.above, best.rank = matrix, above, shrink.rank


class _Shrinking:
    """Singular values made smaller by a number, those below it zero: the proximal map of the nuclear norm.

    While few are above it, from the singular vectors of the step before, improved by a power step. What that misses
    does no harm to the answer: the gap is computed from whole decompositions.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.turned = shape[0] < shape[1]
        self.rank, self.total, self.typical = 0, 0.0, 0.0
        self.basis: np.ndarray | None = None
        self.age = 0

    def __call__(self, matrix: np.ndarray, by: float) -> np.ndarray:
        a = matrix.T if self.turned else matrix
        found = self._partial(a, by)
        if found is None:
            # All of them, by divide and conquer, are found sooner than some by other methods.
            values, vectors = np.linalg.eigh(a.T @ a)
            found = self._kept(a, np.sqrt(np.maximum(values, 0.0)), vectors, by)
            self.age = 0
        return found.T if self.turned else found

    def _partial(self, a: np.ndarray, by: float) -> np.ndarray | None:
        self.age += 1
        if self.basis is None or self.age > _REFRESH:
            return None
        basis = scipy.linalg.qr(a.T @ (a @ self.basis), mode="economic")[0]
        image = a @ basis
        values, turn = scipy.linalg.eigh(image.T @ image)
        if values[0] > by * by:
            return None  # no spare vector is left: there may be more
        return self._kept(a, np.sqrt(np.maximum(values, 0.0)), basis @ turn, by)

    def _kept(self, a: np.ndarray, s: np.ndarray, vectors: np.ndarray, by: float) -> np.ndarray:
        above = s > by
        left = s[above] - by
        self.rank, self.total = len(left), float(left.sum())
        self.typical = float(left @ left) / self.total if self.rank else 0.0
        few = self.rank + _SPARE
        self.basis = vectors[:, -few:] if few <= _PARTIAL * a.shape[1] else None
        v = vectors[:, above]
        return ((a @ v) * (1 - by / s[above])) @ v.T


class _Mixing:
    """Anderson's acceleration of ``z + move(z)``, begun anew where the moves grow."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.before: tuple[np.ndarray, np.ndarray] | None = None
        self.moves: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []
        self.least = np.inf

    def __call__(self, z: np.ndarray, move: np.ndarray, memory: int) -> np.ndarray:
        size = float(np.linalg.norm(move))
        if size > _GROWTH * self.least:
            self.forget()
        self.least = min(self.least, size)
        if self.before is not None:
            change = move - self.before[1]
            self.moves, self.sums = self.moves[1 - memory :], self.sums[1 - memory :]
            self.moves.append(change)
            self.sums.append(z - self.before[0] + change)
        self.before = z, move
        following = z + move
        if self.moves:
            flat = [m.ravel() for m in self.moves]
            gram = np.array([[a @ b for b in flat] for a in flat])
            # Moves that do not change would be followed to the end of the numbers; what was gone so far is the measure.
            lengths = sum(float(np.vdot(total, total)) for total in self.sums)
            gram += (_REGULAR * (np.trace(gram) + lengths) + np.finfo(float).tiny) * np.eye(len(flat))
            weights = np.linalg.solve(gram, [a @ move.ravel() for a in flat])
            for weight, total in zip(weights, self.sums, strict=True):
                following -= weight * total
        return following
