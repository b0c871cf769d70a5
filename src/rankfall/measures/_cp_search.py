"""The search for a sum of few rank-one terms near a tensor: warm starts, many fits, the best of each rank kept."""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np

from ._cp_fit import (
    MOST_UNKNOWNS,
    Factors,
    Path,
    Target,
    als,
    balanced,
    component_norms,
    full,
    polish,
    random_terms,
    recomputed,
    rounding_bound,
    simultaneous_diagonalisation,
)

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


class Search:
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
