"""CP rank, which nothing computes in general: a bracket certified on both sides, and exact rules where one holds.

The upper end is an explicit sum of rank-one terms, recomputed; the lower end is how far a flattening is from low rank.
"""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from .. import _checks
from ._cp_exact import exact_rank
from ._cp_fit import (
    MOST_UNKNOWNS,
    Factors,
    Path,
    Target,
    als,
    balanced,
    component_norms,
    full,
    khatri_rao,
    polish,
    random_terms,
    recomputed,
    rounding_bound,
    simultaneous_diagonalisation,
)
from .flattening import flattening, tensor_of_order_two

# All bipartitions of the modes are looked at up to this order, and none with a smaller side than this.
_ALL_BIPARTITIONS, _LARGEST_SIDE = 10, 2048
# Multiplications after which the search for an upper end gives up: some ten seconds of one core.
_WORK = 5e10
# Fits are searched in the mode spaces, cut where this share of the tolerance is lost.
_CUT = 0.03
# Terms this many times larger than their sum cancel one another.
_LARGE = 3
# Terms that grow as the error to the power -1/2, the slowest, round to errors above this: below it there is a minimum.
_ATTAINED = 1e-12
# Fits within this many times the tolerance are worth more steps.
_NEARBY = 30


@dataclasses.dataclass(frozen=True)
class BorderEvidence:
    """A rank whose fits come ever closer while their terms grow and cancel: the infimum is then not attained.

    Attributes
    ----------
    rank : int
        Number of terms.
    errors : tuple of float
        Relative errors along the best fit, each at most a quarter of the one before.
    component_norms : tuple of float
        Frobenius norm of the largest term where each error was reached, over that of the tensor.
    """

    rank: int
    errors: tuple[float, ...]
    component_norms: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class CPRankBracket:
    """Where the smallest CP rank of any tensor within a relative error of a given one lies, and what else is known.

    Only ``lower`` and ``upper`` are the bracket; the other fields tell more and never narrow it.

    Attributes
    ----------
    lower : int
        No tensor within the tolerance has a smaller rank: a flattening of the tensor has none.
    upper : int
        A tensor of this rank within the tolerance was written down, or there is one in any case.
    fits : dict from int to float
        Best relative error found by rank, for all ranks tried; it falls with the rank.
    exact : int, optional
        Rank of the tensor itself (not of its neighbours) where a rule decides, to the rounding of its entries.
    exact_rule : str, optional
        Which rule.
    border : BorderEvidence, optional
        The smallest rank tried at which errors fell while the terms grew. Evidence, no proof.
    """

    lower: int
    upper: int
    fits: dict[int, float]
    exact: int | None
    exact_rule: str | None
    border: BorderEvidence | None


def cp_rank_bracket(
    tensor: Any,
    rtol: float = 1e-3,
    *,
    key: Any,
    max_rank: int | None = None,
    restarts: int = 8,
    sweeps: int = 200,
) -> CPRankBracket:
    """Bracket the smallest CP rank of all tensors within ``rtol`` of the given one, relative to its Frobenius norm.

    From below: the Eckart-Young distance of a flattening from rank ``r`` is at most that of the tensor from CP rank
    ``r``. All bipartitions of the modes are looked at (beyond order 10 single modes and leading blocks ``0, ..., k``;
    none whose smaller side has more than 2048 entries), and rounding counts against the bound.

    From above: sums of rank-one terms, by alternating least squares and Levenberg-Marquardt, from eigenvectors of
    mixed slices, from the best fits of neighbouring ranks, and at random. The number of terms goes up from ``lower``,
    in steps that grow, and back down from the first that suffices. A fit counts when its error, recomputed from the
    factors, is within ``rtol`` in spite of rounding (of some 1e-14: tolerances as small as that are never met). When
    none does, up to ``max_rank`` terms or some 5e10 multiplications, what is left is the rank that any tensor of this
    shape (after the directions that ``rtol`` allows to drop) has at most: the product of all sizes but the largest.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, finite.
    rtol : float
        Positive; the rank of the zero tensor, 0, is within 1.
    key : jax.random key
        For the random starts; the answer depends on nothing else.
    max_rank : int, optional
        Number of terms at which the search ends; by default the product of all sizes but the largest.
    restarts : int
        Random starts for each number of terms near the upper end (elsewhere fewer).
    sweeps : int
        Sweeps of alternating least squares from each start, and steps of Levenberg-Marquardt, at most.

    Returns
    -------
    CPRankBracket

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes, none of its entries or one that is not finite, ``rtol`` is not positive,
        ``key`` is no key, or another number is no integer of at least one.

    References
    ----------
    Kolda and Bader (2009), sections 3.1 and 3.3; Ja'Ja' (1979) and de Silva and Lim (2008) for the exact rules.

    Examples
    --------
    Three terms are needed to write W down, but two come as close as one likes:

    >>> import jax, numpy as np, rankfall as rf
    >>> w = np.zeros((2, 2, 2))
    >>> w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = 1.0
    >>> found = rf.measures.cp_rank_bracket(w, key=jax.random.key(0))
    >>> found.lower, found.exact, found.border.rank
    (2, 3, 2)
    """
    given, t, eps, _ = _tensor(tensor)
    rtol = _checks.positive_number("rtol", rtol)
    trivial = math.prod(t.shape) // max(t.shape)
    limit = trivial if max_rank is None else min(trivial, _checks.positive_integer("max_rank", max_rank))
    restarts = _checks.positive_integer("restarts", restarts)
    sweeps = _checks.positive_integer("sweeps", sweeps)
    rng = _generator(key)
    if not t.any():
        return CPRankBracket(0, 0, {0: 0.0}, 0, "zero tensor", None)
    exact, rule = exact_rank(given, t, eps)
    lower = _lower(t, rtol)
    if lower == 0:
        return CPRankBracket(0, 0, {0: 1.0}, exact, rule, None)
    search = _Search(t, rtol, rng, restarts, sweeps)
    found = search.smallest(lower, limit)
    return CPRankBracket(lower, found, search.fits(), exact, rule, search.border(exact))


def published_rank_estimate(
    tensor: Any, *, key: Any, mse: float = 1e-6, max_rank: int | None = None, sweeps: int = 1000
) -> int:
    """Estimate the CP rank as the released code of Razin and Cohen (2020) did, for comparison with its figures only.

    Binary search for the smallest number of terms whose fit, by plain alternating least squares from one Gaussian
    start, has a mean square error below ``mse``. It is no certificate, for three reasons. The tolerance is per entry,
    not relative: a tensor of norm one is "fitted" with a relative error of 0.023 at size 8x8x8, of 0.064 at size
    8x8x8x8, and whatever it is once its entries are small. One start that ends in a poor minimum, or in a swamp, counts
    as proof that the rank is larger. And binary search takes for granted that more terms never fit worse, which is not
    so for fits that start anew each time. When none fits, ``max_rank`` is returned, tried or not.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, finite.
    key : jax.random key
        For the starts.
    mse : float
        Positive.
    max_rank : int, optional
        The product of all sizes but the largest by default.
    sweeps : int
        Sweeps over all modes for each number of terms, at most.

    Returns
    -------
    int
        The estimate; 0 for a tensor whose entries are all at most 1e-8.

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes, none of its entries or one that is not finite, ``mse`` is not positive,
        ``key`` is no key, or another number is no integer of at least one.

    References
    ----------
    Razin and Cohen (2020), released code of the tensor experiments.

    Examples
    --------
    >>> import jax, numpy as np, rankfall as rf
    >>> rf.measures.published_rank_estimate(np.ones((3, 3, 3)), key=jax.random.key(0))
    1
    """
    given, t, _, norm = _tensor(tensor)
    mse = _checks.positive_number("mse", mse)
    trivial = math.prod(t.shape) // max(t.shape)
    last = best = trivial if max_rank is None else _checks.positive_integer("max_rank", max_rank)
    _checks.room("max_rank", best, best * sum(t.shape))
    sweeps = _checks.positive_integer("sweeps", sweeps)
    rng = _generator(key)
    if np.abs(given).max() <= 1e-8:
        return 0
    goal = math.sqrt(mse * t.size) / norm
    first = 1
    while first <= last:
        middle = (first + last) // 2
        if _plain_als(t, middle, sweeps, goal, rng):
            best, last = middle, middle - 1
        else:
            first = middle + 1
    return best


def _tensor(tensor: Any) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return a tensor in float64, the same over its norm, the precision its entries came in, and the norm."""
    came = np.asarray(tensor_of_order_two("tensor", tensor))
    given = came.astype(np.float64)
    _checks.finite("tensor", given)
    # Twice divided: the sum of squares, and the norm itself, may overflow where all entries are finite.
    top = float(np.abs(given).max()) or 1.0
    norm = float(np.linalg.norm(given / top)) or 1.0
    return given, given / top / norm, float(np.finfo(came.dtype).eps), top * norm


def _generator(key: Any) -> np.random.Generator:
    _checks.key("key", key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())


def _bipartitions(order: int) -> Iterator[tuple[int, ...]]:
    """One side of each bipartition, or of some where there are too many."""
    if order <= _ALL_BIPARTITIONS:
        for size in range(order - 1):
            for rest in itertools.combinations(range(1, order), size):
                yield (0, *rest)
        return
    yield from ((n,) for n in range(order))
    yield from (tuple(range(k)) for k in range(2, order - 1))


def _lower(t: np.ndarray, rtol: float) -> int:
    lower = 0
    for modes in _bipartitions(t.ndim):
        flat = flattening(t, modes)
        if lower < min(flat.shape) <= _LARGEST_SIDE:
            squares, slack = _squared_singular_values(flat, rtol)
            tails = np.append(np.cumsum(squares)[::-1], 0.0)
            lower = max(lower, int(np.argmax(tails <= rtol**2 + slack)))
    return lower


def _squared_singular_values(flat: np.ndarray, rtol: float) -> tuple[np.ndarray, float]:
    """Squares of singular values in increasing order, and a bound on what rounding may have added to their sums."""
    flat = flat if flat.shape[0] <= flat.shape[1] else flat.T
    rows, columns = flat.shape
    eps = float(np.finfo(np.float64).eps)
    # Squaring the matrix rounds as much as its norm does, several times faster: good enough where that is little.
    slack = rows * (rows + columns) * eps
    if slack < 1e-3 * rtol**2:
        return np.maximum(np.linalg.eigvalsh(flat @ flat.T), 0.0), slack
    # Each singular value is off by some epsilons of the largest, and so is the tolerance they are compared with.
    off = 4 * columns * math.sqrt(rows) * eps
    return np.linalg.svd(flat, compute_uv=False)[::-1] ** 2, 2 * rtol * off + off**2


class _Search:
    """Fits of one tensor (of norm one) by number of terms, the best of each kept."""

    def __init__(self, t: np.ndarray, rtol: float, rng: np.random.Generator, restarts: int, sweeps: int) -> None:
        self.t, self.rtol, self.rng = t, rtol, rng
        self.restarts, self.sweeps, self.work = restarts, sweeps, _WORK
        self.bases, core = _cut(t, _CUT * rtol)
        # Modes of one dimension hold nothing; two modes stay in any case, a matrix.
        two = sorted(range(t.ndim), key=lambda n: -core.shape[n])[:2]
        self.kept = [n for n, size in enumerate(core.shape) if size > 1 or n in two]
        self.core = core.reshape([core.shape[n] for n in self.kept])
        # What the cut leaves has an explicit sum of this many terms: a fibre for each position of the other modes.
        loss, rounding = np.linalg.norm(_expanded(core, self.bases) - t), 1e-14 * math.sqrt(t.size)
        trivial = math.prod(core.shape) // max(core.shape)
        self.trivial = trivial if loss + rounding <= rtol else math.prod(t.shape) // max(t.shape)
        self.errors: dict[int, float] = {}
        self.best: dict[int, tuple[float, Factors, Path]] = {}
        self.searched: set[int] = set()
        self.target = Target(self.core)

    def smallest(self, lower: int, limit: int) -> int:
        """Return the smallest number of terms found to suffice, or the one that always does."""
        if self.core.ndim == 2:
            return self._matrix(lower, limit)
        limit = min(limit, self.trivial - 1)
        if self.rtol <= rounding_bound(lower, self.t.ndim, 1.0):
            limit = min(limit, lower)  # no sum can be told to be that close
        failed, rank = lower - 1, lower
        while rank <= limit and not self.try_rank(rank, thorough=rank in (lower, limit)):
            failed, rank = rank, rank + max(1, (rank - lower) // 2)
            rank = min(limit, rank) if failed < limit and self.work > 0 else limit + 1
        if rank > limit:
            return self.trivial
        while rank - failed > 1:
            middle = (rank + failed) // 2
            if self.try_rank(middle):
                rank = middle
            else:
                failed = middle
        # On the way up one random start had to do.
        while rank > lower and rank - 1 not in self.searched and self.try_rank(rank - 1):
            rank -= 1
        return rank

    def try_rank(self, rank: int, thorough: bool = True) -> bool:
        """Fit from one start after another until a fit is within the tolerance."""
        if thorough:
            self.searched.add(rank)
        for start in self.starts(rank, self.restarts if thorough else 1):
            if self.work <= 0:
                return False
            if self.fit(start):
                return True
        # A fit that was stopped nearby may have been in a swamp that some more steps leave behind.
        rounds = 3 if self.errors[rank] < _NEARBY * self.rtol else 0
        return any(self.fit(self.best[rank][1]) for _ in range(rounds) if self.work > 0)

    def starts(self, rank: int, restarts: int) -> Iterator[Factors]:
        """Yield starts with a given number of terms, eigenvectors the first time only: they would be the same."""
        if rank not in self.errors:
            eigenvectors = simultaneous_diagonalisation(self.core, rank, self.rng)
            if eigenvectors is not None:
                yield eigenvectors
        smaller = [r for r in self.best if r < rank]
        if smaller:
            error, factors, _ = self.best[max(smaller)]
            added = random_terms(self.core.shape, rank - max(smaller), self.rng)
            added[0] *= error / math.sqrt(rank)
            yield balanced([np.hstack([f, more]) for f, more in zip(factors, added, strict=True)])
        if rank + 1 in self.best:
            factors = self.best[rank + 1][1]
            yield [np.delete(factor, component_norms(factors).argmin(), axis=1) for factor in factors]
        for _ in range(restarts):
            yield random_terms(self.core.shape, rank, self.rng)

    def fit(self, start: Factors) -> bool:
        """Improve a start, keep it when it is the best of its rank, and say whether it is within the tolerance."""
        return self.keep(*self.improved(start))

    def improved(self, factors: Factors) -> tuple[Factors, Path]:
        """Fit from a start; also the error and the largest term along the way."""
        path: Path = []
        rank = factors[0].shape[1]
        cost, step_cost = self.target.sweep_cost(rank), self.target.step_cost(rank)
        sweeps = min(self.sweeps, max(1, math.ceil(self.work / cost)))
        factors = als(self.target, factors, sweeps, 0.5 * self.rtol, path)
        self.work -= 5 * len(path) * cost
        if rank * sum(self.core.shape) <= MOST_UNKNOWNS and self.work > 0:
            steps = min(self.sweeps, math.ceil(self.work / step_cost))
            factors, tried = polish(self.target, factors, steps, path)
            self.work -= tried * step_cost
        return factors, path

    def keep(self, factors: Factors, path: Path) -> bool:
        rank = factors[0].shape[1]
        error, rounding = recomputed(self.t, self._expanded_factors(factors))
        if error < self.errors.get(rank, np.inf):
            self.errors[rank] = error
            self.best[rank] = (float(np.linalg.norm(full(factors) - self.core)), factors, path)
        return error + rounding <= self.rtol

    def fits(self) -> dict[int, float]:
        """Best error by rank; a term of norm zero makes a fit of one rank a fit of the next."""
        ranks = sorted(self.errors)
        return dict(zip(ranks, itertools.accumulate((self.errors[rank] for rank in ranks), min), strict=True))

    def border(self, exact: int | None) -> BorderEvidence | None:
        """Return the smallest rank at which terms went on growing as the error fell."""
        for rank, (_, factors, path) in sorted(self.best.items()):
            if self.errors[rank] < _ATTAINED or (exact is not None and rank >= exact):
                continue
            evidence = _growth(rank, path)
            if evidence is None and self.core.ndim > 2 and component_norms(factors).max() >= _LARGE and self.work > 0:
                # Eigenvectors may have found such terms at one stroke: watch them grow from a random start.
                _, path = self.improved(random_terms(self.core.shape, rank, self.rng))
                evidence = _growth(rank, path)
            if evidence is not None:
                return evidence
        return None

    def _matrix(self, lower: int, limit: int) -> int:
        """Fit a matrix: its leading singular vectors are the best there is."""
        left, values, right = np.linalg.svd(self.core, full_matrices=False)
        for rank in range(lower, min(limit, len(values)) + 1):
            if self.keep([left[:, :rank] * values[:rank], right[:rank].T], []):
                return rank
        return self.trivial

    def _expanded_factors(self, factors: Factors) -> Factors:
        """Factors of the tensor from those of its core; modes of one dimension hold a one for each term."""
        inner = dict(zip(self.kept, factors, strict=True))
        rank = factors[0].shape[1]
        return [basis @ inner.get(n, np.ones((1, rank))) for n, basis in enumerate(self.bases)]


def _cut(t: np.ndarray, loss: float) -> tuple[list[np.ndarray], np.ndarray]:
    """Bases of the leading mode spaces and the tensor in them; what is left out has a norm of at most the loss."""
    core, bases = t, []
    share = loss**2 / t.ndim
    for n in range(t.ndim):
        flat = np.moveaxis(core, n, 0).reshape(core.shape[n], -1)
        basis, values, _ = np.linalg.svd(flat, full_matrices=False)
        tails = np.append(np.cumsum(values[::-1] ** 2)[::-1], 0.0)
        rank = max(1, int(np.argmax(tails <= share)))
        bases.append(basis[:, :rank])
        core = np.moveaxis(np.tensordot(bases[n].T, core, axes=(1, n)), 0, n)
    return bases, core


def _expanded(core: np.ndarray, bases: list[np.ndarray]) -> np.ndarray:
    for n, basis in enumerate(bases):
        core = np.moveaxis(np.tensordot(basis, core, axes=(1, n)), 0, n)
    return core


def _growth(rank: int, path: Path) -> BorderEvidence | None:
    """Say whether the largest term grew each of the last two times that the error fell to a quarter."""
    marks: Path = []
    for error, size in path:
        if error > 0 and (not marks or error <= marks[-1][0] / 4):
            marks.append((error, size))
    last = marks[-3:]
    # Terms of a fit that is attained stop growing as it is reached; those of W double as the error falls to a quarter.
    if len(marks) < 4 or last[-1][1] < _LARGE or any(b[1] < 1.3 * a[1] for a, b in itertools.pairwise(last)):
        return None
    errors, sizes = zip(*marks[-6:], strict=True)
    return BorderEvidence(rank, errors, sizes)


def _plain_als(t: np.ndarray, rank: int, sweeps: int, goal: float, rng: np.random.Generator) -> bool:
    """Whether plain alternating least squares from one Gaussian start gets its error below a goal."""
    factors = [rng.normal(size=(size, rank)) for size in t.shape]
    flats = [np.moveaxis(t, n, 0).reshape(len(t_n), -1) for n, t_n in enumerate(factors)]
    for _ in range(sweeps):
        for n in range(t.ndim):
            others = factors[:n] + factors[n + 1 :]
            gram = np.prod([factor.T @ factor for factor in others], axis=0)
            factors[n] = flats[n] @ khatri_rao(others) @ np.linalg.pinv(gram)
        factors = balanced(factors)
        if np.linalg.norm(full(factors) - t) < goal:
            return True
    return False
