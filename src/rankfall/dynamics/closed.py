"""Depth 1 in closed form: the flow of a linear model on a linear least-squares problem.

``W' = -A^T (A W - b)`` is solved by the singular value decomposition of ``A``, at any time at once. It covers linear
regression, sensing, and the completion of a matrix that is not factorized, whose unobserved entries never move.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from .._execution import compiled, double_precision, lanes_together
from ..factorizations import MatrixFactorization
from ..factorizations.base import check_factorization
from ..problems import MatrixCompletion
from .base import AbstractDynamics
from .recording import Record, by_hand, probes
from .stopping import Stop

# Beyond this many e-folds of the slowest direction nothing changes in double precision.
_MOST_FOLDS = 40.0


class _Spectrum(NamedTuple):
    """Squared singular values in the loss's units, and the start's residual and matrix in their directions."""

    rates: np.ndarray
    # From numbers in the directions to entries.
    spread: Callable[[np.ndarray], np.ndarray]
    gains: np.ndarray
    residual: np.ndarray
    floor: float
    start: np.ndarray


@dataclasses.dataclass(frozen=True)
class LinearFlow(AbstractDynamics):
    """Gradient flow at depth 1, in closed form.

    Raises
    ------
    ValueError
        On ``train``: if the start has more than one factor.

    Notes
    -----
    Any problem whose residuals are linear in the matrix: ``W(t) = W(0) + V (1 - exp(-s^2 t)) / s U^T (b - A W(0))``
    with ``A = U S V^T`` for the loss ``half_sse``; for ``mse`` time runs at ``2 / observed`` of that. Recorded are the
    loss levels and times asked for, and ``log_steps`` times (200 by default) spaced logarithmically over the flow; a
    run without a stop ends where nothing moves any more, ``"stationary"``.

    References
    ----------
    Ali, Kolter and Tibshirani (2019), arXiv 1810.10082; the warm-up of the talk.

    Examples
    --------
    >>> import rankfall as rf
    >>> start = rf.MatrixFactorization([[[5.0, 0.0], [0.0, 0.0]]])
    >>> run = rf.train(rf.two_by_two(), start, rf.LinearFlow(), stop=rf.Stop(loss=1e-6))
    >>> run.stop_reason, float(run.final.full()[0, 0])
    ('loss', 5.0)
    """

    _default_steps = 200
    _lanes_a_thread = 32

    @property
    def _default_record(self) -> Record:
        """Two hundred times over the flow."""
        return Record(log_steps=200)

    def _prepare(self, problem: Any, start: Any) -> MatrixFactorization:
        """Check that the start is a single factor, and return it as lanes."""
        check_factorization(start, problem.shape)
        if start.depth != 1:
            raise ValueError(f"start has depth {start.depth}, but LinearFlow is for depth 1; take rf.GradientFlow().")
        return start.as_lanes()

    def _batch(self, problem: Any, start: MatrixFactorization, stop: Stop, record: Record, group: np.ndarray) -> Any:
        """Return the lanes of a group, ready to run."""
        return _ClosedBatch(problem, start, stop, record, group)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        return {"dynamics": "LinearFlow"}


class _ClosedBatch:
    """Lanes whose whole path is known beforehand."""

    def __init__(self, problem: Any, start: Any, stop: Stop, record: Record, group: np.ndarray) -> None:
        self.problem, self.stop, self.record, self.group = problem, stop, record, group
        self.starts = np.asarray(start.factors[0], dtype=np.float64)[group]
        self.pieces: list[dict[str, np.ndarray]] = []
        self.ends: list[np.ndarray] = []
        self.code: list[str] = []

    def run(self, monitor: Any) -> None:
        """Evaluate the lanes."""
        del monitor
        with double_precision():
            for lane, w in zip(self.group, self.starts, strict=True):
                self._one(lane, w)

    @property
    def reasons(self) -> np.ndarray:
        """Why each lane ended."""
        return np.array(self.code)

    def final(self) -> MatrixFactorization:
        """Return the matrices at the end, as lanes."""
        return MatrixFactorization([np.stack(self.ends).astype(self.problem.dtype)])

    def _one(self, lane: Any, w: np.ndarray) -> None:
        spectrum = _decompose(self.problem, w)
        end, reason = self._end(spectrum)
        times = self._times(spectrum, end)
        path = np.stack([_at(spectrum, t) for t in times]).astype(self.problem.dtype)
        model = MatrixFactorization([path[0]])
        chosen = probes(self.record, self.problem, model)

        def record(matrix: Any) -> dict[str, Any]:
            return {name: probe(self.problem, MatrixFactorization([matrix]), matrix) for name, probe in chosen}

        values = {name: np.asarray(v) for name, v in compiled(lanes_together(record))(path).items()}
        values["loss"] = np.array([_loss(self.problem, spectrum, t) for t in times]).astype(self.problem.dtype)
        values |= {"time": times, "step": np.arange(len(times)), "lane": np.full(len(times), lane)}
        self.pieces.append(by_hand(self.record, values))
        self.ends.append(path[-1])
        self.code.append(reason)

    def _end(self, spectrum: _Spectrum) -> tuple[float, str]:
        """Return when the lane ends, and why."""
        still = _MOST_FOLDS / spectrum.rates.min() if spectrum.rates.size else 0.0
        ends = [(still, "stationary")]
        if self.stop.flow_time is not None:
            ends.append((float(self.stop.flow_time), "flow_time"))
        if self.stop.loss is not None and (met := _time_of(self.problem, spectrum, self.stop.loss, still)) is not None:
            ends.append((met, "loss"))
        return min(ends, key=lambda end: end[0])

    def _times(self, spectrum: _Spectrum, end: float) -> np.ndarray:
        wanted = [t for t in self.record.times() if t < end]
        for level in self.record.levels():
            met = _time_of(self.problem, spectrum, level, end)
            if met is not None:
                wanted.append(met)
        if end > 0:
            count = self.record.log_steps or (LinearFlow._default_steps if self.record.every else 0)
            first = min(1e-3 / max(spectrum.rates.max(initial=1.0), 1e-300), end / 2)
            wanted += list(np.geomspace(first, end, count)[:-1]) if count > 1 else []
        return np.unique([0.0, *wanted, end])


def _decompose(problem: Any, w: np.ndarray) -> _Spectrum:
    speed = 1.0 if problem.loss_kind == "half_sse" else 2.0 / problem.observed
    residual = np.asarray(problem.residuals(w), dtype=np.float64)
    if isinstance(problem, MatrixCompletion):
        # Entries are orthonormal as they are.
        at, ones = np.ravel_multi_index(tuple(np.asarray(problem.indices).T), problem.shape), np.ones(len(residual))
        return _Spectrum(speed * ones, partial(_placed, at, w.size), ones, residual, 0.0, w)
    flat = w.reshape(-1)
    shape = problem.shape
    matrix = np.asarray(jax.jacfwd(lambda v: problem.residuals(v.reshape(shape)))(flat), dtype=np.float64)
    u, s, vt = np.linalg.svd(matrix, full_matrices=False)
    kept = s > max(matrix.shape) * np.finfo(np.float64).eps * s.max(initial=0.0)
    inside = u[:, kept].T @ residual
    rest = float(np.sum((residual - u[:, kept] @ inside) ** 2))
    return _Spectrum(speed * s[kept] ** 2, vt[kept].T.__matmul__, 1.0 / s[kept], inside, rest, w)


def _placed(at: np.ndarray, size: int, values: np.ndarray) -> np.ndarray:
    found = np.zeros(size)
    found[at] = values
    return found


def _at(spectrum: _Spectrum, time: float) -> np.ndarray:
    moved = np.expm1(-spectrum.rates * time) * spectrum.gains * spectrum.residual
    return spectrum.start + spectrum.spread(moved).reshape(spectrum.start.shape)


def _loss(problem: Any, spectrum: _Spectrum, time: float) -> float:
    # From the residuals in their directions, which do not cancel however small they become.
    inside = np.sum((spectrum.residual * np.exp(-spectrum.rates * time)) ** 2)
    return float(problem._reduce(inside + spectrum.floor))


def _time_of(problem: Any, spectrum: _Spectrum, level: float, last: float) -> float | None:
    """Return when the loss is at a level, ``None`` if it is not by ``last``."""
    from scipy.optimize import brentq  # a fifth of a second: only where a level is asked for

    if _loss(problem, spectrum, 0.0) <= level:
        return 0.0
    if _loss(problem, spectrum, last) > level:
        return None
    return float(brentq(lambda t: np.log(_loss(problem, spectrum, t) / level), 0.0, last, xtol=1e-300, rtol=1e-14))
