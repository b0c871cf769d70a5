"""Completion by alternating least squares: low rank, a ridge that is lowered step by step, several starts."""

import dataclasses
import math
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _checks
from .._execution import threads_for, usual_errors
from .._types import Array
from ..factorizations.cp import CPFactorization
from ..problems import AbstractProblem, MatrixCompletion, TensorCompletion
from ..problems.entries import AbstractCompletion
from .base import AbstractReference, Reference, answer, check_kind
from .coordinates import check_memory, hold_out, predict, share
from .units import euclidean

# Ridges, for observations whose root mean square is one.
_LADDER = (10.0, 3.0, 1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5, 3e-6, 1e-6)
# Below it the normal equations of a row with fewer observations than the rank are singular to rounding.
_LEAST_RIDGE = 1e-10
# Starts of a matrix end alike, since with a large ridge there is little to choose; those of a tensor do not. From this
# ridge on it is decided where they end, and the better half of them goes on.
_MATRIX_STARTS, _TENSOR_STARTS, _DECIDED = 3, 10, 0.1
# Sweeps between two looks at what they changed, and the most of them with one ridge, and with the last.
_SWEEPS, _MOST, _MOST_LAST = 5, 30, 500
# After so many ranks that lower the held-out error by nothing to speak of, no higher one is tried; and after an error
# so many times the best, no smaller ridge.
_PATIENCE, _BETTER, _WORSE = 2, 0.999, 1.1
# Rows are solved in blocks of so many, or of so many observations, so that normal equations take little memory.
_ROWS, _OBSERVATIONS = 256, 2**15


@dataclasses.dataclass(frozen=True)
class AlternatingLeastSquares(AbstractReference):
    """Least ``1/2 sum_observed (X - b)^2 + ridge/2 sum_n |W_n|^2`` over ``X`` of a given CP rank, one factor at a time.

    From several random starts, with a ridge that begins large and is lowered in steps, each from the factors before:
    what the data say most clearly is learned first. The last ridge is the one that predicts held-out entries best, the
    rank the lowest whose error there is the least one to a standard error; its factors are then improved with all
    entries. Components that have shrunk to nothing are drawn again, since zero is a fixed point.

    Parameters
    ----------
    rank : int, optional
        By default 1, 2, 3, ... are tried until held-out entries are predicted no better.
    ridge : float, optional
        Where the ridge ends, for observations scaled to a root mean square of one; at least 1e-10. By default the best
        of 10, 3, 1, 0.3, ..., 1e-6.
    starts : int, optional
        By default three for a matrix and ten for a tensor.
    held_out : float
        Share of the entries that is held out, unless both rank and ridge are given.
    seed : int
        Chooses them, and draws the starts.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    A matrix has the nuclear norm's problem, with the ridge as penalty, among the matrices of that rank.

    References
    ----------
    Srebro, Rennie and Jaakkola (2004), Maximum-margin matrix factorization; Zhou, Wilkinson, Schreiber and Pan (2008),
    Large-scale parallel collaborative filtering for the Netflix prize.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.low_rank_completion((20, 20), rank=2, observed=200, key=jax.random.key(0))
    >>> found = rf.references.AlternatingLeastSquares().solve(problem)
    >>> found.details["rank"], bool(abs(found.solution - problem.truth).max() < 1e-4)
    (2, True)
    """

    rank: int | None = None
    ridge: float | None = None
    starts: int | None = None
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank is not None:
            _checks.positive_integer("rank", self.rank)
        if self.ridge is not None and _checks.positive_number("ridge", self.ridge) < _LEAST_RIDGE:
            raise ValueError(
                f"ridge is {self.ridge}, but must be at least {_LEAST_RIDGE:g}; with less, rows with few observations "
                "have no solution to rounding."
            )
        if self.starts is not None:
            _checks.positive_integer("starts", self.starts)
        share("held_out", self.held_out)
        _checks.integer("seed", self.seed, 0)

    @usual_errors()
    def solve(self, problem: AbstractProblem) -> Reference:
        """As `AbstractReference.solve`, for completion of matrices and tensors.

        ``details``: as `factorize` returns them, and the ``factors``.
        """
        began = time.perf_counter()
        check_kind("AlternatingLeastSquares", problem, (MatrixCompletion, TensorCompletion))
        check_memory(problem.shape)
        factors, details = self.factorize(problem)
        known = details | {"factors": factors}
        return answer(problem, factors.full(), details["objective"], "local", began, details=known)

    @usual_errors()
    def factorize(self, problem: AbstractProblem) -> tuple[CPFactorization, dict[str, Any]]:
        """Solve without forming the matrix or tensor, for problems where it does not fit in memory.

        Parameters
        ----------
        problem : MatrixCompletion or TensorCompletion

        Returns
        -------
        factors : CPFactorization
            Of a matrix too, which is ``factors[0] factors[1]^T``.
        details : dict
            ``rank``, ``ridge`` (for observations scaled to a root mean square of one), ``objective`` (for the
            observations as they are), ``sweeps`` of the last ridge over all entries, and ``held_out_error`` (root mean
            square) by rank.

        Raises
        ------
        ValueError
            If the problem is of another kind, or has a single observation that cannot be held out.

        Examples
        --------
        >>> import rankfall as rf
        >>> als = rf.references.AlternatingLeastSquares(rank=1, ridge=1e-6)
        >>> factors, details = als.factorize(rf.two_by_two())
        >>> factors.shape, details["rank"]
        ((2, 2), 1)
        """
        completion = check_kind("AlternatingLeastSquares", problem, (MatrixCompletion, TensorCompletion))
        with threads_for(1):  # many small systems
            return self._factorize(completion)

    def _factorize(self, problem: AbstractCompletion) -> tuple[CPFactorization, dict[str, Any]]:
        indices, values = np.asarray(problem.indices), np.asarray(problem.values, dtype=np.float64)
        size = euclidean(values) / math.sqrt(len(values)) or 1.0  # one ladder suits all units
        rng = np.random.default_rng(self.seed)
        everything = _Sweeps(indices, values / size, problem.shape)
        errors: dict[int, float] = {}
        if self.rank is not None and self.ridge is not None:
            found = self._descend(everything, self.rank, rng)
        else:
            held = hold_out(len(values), self.held_out, self.seed)
            part = _Sweeps(indices[~held], values[~held] / size, problem.shape)
            found, errors = self._validated(part, (indices[held], values[held] / size), rng)
        # From the factors that were chosen: other starts may end elsewhere.
        settled = everything.settle([w[None] for w in found.factors], found.ridge, _MOST_LAST, 1e-6)
        factors = CPFactorization([w[0] * size ** (1 / len(problem.shape)) for w in settled.factors])
        details = {
            "rank": found.rank,
            "ridge": found.ridge,
            "objective": float(settled.objectives[0]) * size * size,
            "sweeps": settled.sweeps,
            "held_out_error": {rank: size * error for rank, error in errors.items()},
        }
        return factors, details

    def _validated(
        self, part: "_Sweeps", held: tuple[Array, Array], rng: np.random.Generator
    ) -> tuple["_Found", dict[int, float]]:
        """Lowest rank whose held-out error is the least one, to the standard error of that."""
        most = math.prod(part.shape) // max(part.shape)
        tried: list[_Found] = []
        least, since = np.inf, 0
        for rank in range(1, most + 1) if self.rank is None else [self.rank]:
            tried.append(self._descend(part, rank, rng, held))
            since = 0 if tried[-1].error < _BETTER * least else since + 1
            least = min(least, tried[-1].error)
            if since == _PATIENCE:
                break
        enough = least * (1 + 1 / math.sqrt(2 * len(held[1])))
        found = next(one for one in tried if one.error <= enough)
        return found, {one.rank: one.error for one in tried}

    def _descend(
        self, sweeps: "_Sweeps", rank: int, rng: np.random.Generator, held: tuple[Array, Array] | None = None
    ) -> "_Found":
        """Lower the ridge; of all ridges and starts take what predicts held-out entries best.

        Without held-out entries the objective judges; where a ridge is given, that ridge alone.
        """
        starts = self.starts or (_MATRIX_STARTS if len(sweeps.shape) == 2 else _TENSOR_STARTS)
        ladder = _LADDER if self.ridge is None else (*(r for r in _LADDER if r > self.ridge), self.ridge)
        factors, best = _draw(rng, sweeps.shape, rank, np.ones(starts)), None
        for ridge in ladder:
            settled = sweeps.settle(factors, ridge, _MOST, 1e-3)
            factors, errors = settled.factors, settled.objectives
            if held is not None:
                errors = np.sqrt(np.mean((predict(factors, held[0]) - held[1]) ** 2, axis=-1))
            if self.ridge is None or ridge == ladder[-1]:
                lane = int(errors.argmin())
                found = _Found([w[lane] for w in factors], ridge, float(errors[lane]))
                best = found if best is None or found.error < best.error else best
                if ridge <= _DECIDED and found.error > _WORSE * best.error:
                    break
            if ridge <= _DECIDED:
                kept = np.argsort(settled.objectives, kind="stable")[: -(-len(errors) // 2)]
                factors = [w[kept] for w in factors]
            factors = sweeps.revived(factors, rng)
        assert best is not None
        return best


@dataclasses.dataclass(frozen=True)
class _Found:
    """Factors of one start, the ridge they were found with, and the error they are judged by."""

    factors: list[Array]
    ridge: float
    error: float

    @property
    def rank(self) -> int:
        return int(self.factors[0].shape[-1])


class _Settled(NamedTuple):
    factors: list[Array]
    objectives: Array
    sweeps: int


class _Sweeps:
    """Least squares in one factor at a time, for factors of many lanes, shapes ``(lanes, extent_n, rank)``."""

    def __init__(self, indices: Array, values: Array, shape: tuple[int, ...]) -> None:
        self.indices, self.values, self.shape = indices, values, shape
        self._blocks = [list(_blocks(indices, values, shape, mode)) for mode in range(len(shape))]

    def settle(self, factors: list[Array], ridge: float, most: int, still: float) -> _Settled:
        """Sweep until the best lane predicts as five sweeps before, to a share small beside the ridge's effect."""
        still = min(still, 1e-2 * ridge) * float(np.linalg.norm(self.values))
        before, count, moved = np.inf, 0, np.inf
        while moved > still and count < most:
            for _ in range(_SWEEPS):
                factors = self._sweep(factors, ridge)
            fitted = predict(factors, self.indices)
            off, squares = fitted - self.values, sum(np.sum(w * w, axis=(1, 2)) for w in factors)
            objectives = 0.5 * np.sum(off * off, axis=-1) + 0.5 * ridge * squares
            now = fitted[int(objectives.argmin())]
            before, count, moved = now, count + _SWEEPS, float(np.linalg.norm(now - before))
        return _Settled(factors, objectives, count)

    def revived(self, factors: list[Array], rng: np.random.Generator) -> list[Array]:
        """Draw anew the components that are nothing beside what is left to explain: zero is a fixed point."""
        left = np.sqrt(np.mean((predict(factors, self.indices) - self.values) ** 2, axis=-1))
        rank = factors[0].shape[-1]
        sizes = math.prod(np.linalg.norm(w, axis=1) for w in factors) / math.sqrt(math.prod(self.shape))
        gone = sizes < 1e-2 / rank * left[:, None]
        drawn = _draw(rng, self.shape, rank, left)
        return [np.where(gone[:, None, :], new, w) for new, w in zip(drawn, factors, strict=True)]

    def _sweep(self, factors: list[Array], ridge: float) -> list[Array]:
        factors = list(factors)
        for mode, blocks in enumerate(self._blocks):
            # What a row has fewer observations than its block is wide refers to a row of zeros at the end.
            padded = [np.pad(w, ((0, 0), (0, 1), (0, 0))) for n, w in enumerate(factors) if n != mode]
            solved = np.zeros_like(factors[mode])  # without an observation the ridge says zero
            for rows, places, values in blocks:
                inputs = padded[0][:, places[0]]
                for w, place in zip(padded[1:], places[1:], strict=True):
                    inputs *= w[:, place]
                transposed = inputs.swapaxes(-1, -2)
                normal = transposed @ inputs
                np.einsum("...rr->...r", normal)[...] += ridge
                solved[:, rows] = np.linalg.solve(normal, transposed @ values[..., None])[..., 0]
            factors[mode] = solved
        return _balanced(factors)


def _blocks(
    indices: Array, values: Array, shape: tuple[int, ...], mode: int
) -> Iterator[tuple[Array, list[Array], Array]]:
    """Rows of nearly as many observations each, the other modes' indices of these, and their values.

    Indices ``(rows, most observations)`` are filled up with the extent, one past the last, and values with zeros.
    """
    others = [np.append(indices[:, n], shape[n]) for n in range(len(shape)) if n != mode]
    filled = np.append(values, 0.0)
    order = np.argsort(indices[:, mode], kind="stable")
    counts = np.bincount(indices[:, mode], minlength=shape[mode])
    begins = np.cumsum(counts) - counts
    rows = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
    sorted_counts = -counts[rows]
    first = 0
    while first < len(rows):
        longest = -int(sorted_counts[first])
        # Padding takes a third more work at the most.
        alike = int(np.searchsorted(sorted_counts, -0.75 * longest, side="right"))
        last = min(alike, first + max(1, min(_ROWS, _OBSERVATIONS // longest)))
        chosen, steps = rows[first:last], np.arange(longest)
        there = steps < counts[chosen][:, None]
        at = np.where(there, order[np.where(there, begins[chosen][:, None] + steps, 0)], len(values))
        yield chosen, [other[at] for other in others], filled[at]
        first = last


def _draw(rng: np.random.Generator, shape: tuple[int, ...], rank: int, sizes: Array) -> list[Array]:
    """Gaussian factors of as many lanes as there are sizes, each the root mean square of its tensor's entries."""
    std = (sizes / math.sqrt(rank)) ** (1 / len(shape))
    return [std[:, None, None] * rng.normal(size=(len(sizes), extent, rank)) for extent in shape]


def _balanced(factors: list[Array]) -> list[Array]:
    """Make the vectors of a component equally long, which is where the ridge takes them, slowly."""
    lengths = [np.linalg.norm(w, axis=1, keepdims=True) for w in factors]
    mean = math.prod(lengths) ** (1 / len(factors))
    return [np.divide(w * mean, r, out=np.zeros_like(w), where=r > 0) for w, r in zip(factors, lengths, strict=True)]
