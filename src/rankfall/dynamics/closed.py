"""Depth 1 in closed form: the flow of a linear model on a linear least-squares problem.

``W' = -A^T (A W - b)`` is solved by the singular value decomposition of ``A``, at any time at once. It covers linear
regression, sensing, and the completion of a matrix that is not factorized, whose unobserved entries never move.
"""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from .._declared import declared
from .._execution import compiled, double_precision, lanes_together
from .._types import Array
from ..factorizations import MatrixFactorization
from ..problems import AbstractProblem
from ..problems.losses import LeastSquares
from .base import AbstractDynamics, factorization
from .batch import Task
from .checkpoint import State
from .linear_path import LinearPath
from .monitor import Monitor
from .recording import Record, by_hand, probes

# Beyond this many e-folds of the slowest direction nothing changes in double precision.
_MOST_FOLDS = 40.0


class _Spectrum(NamedTuple):
    """The problem from a start in its singular directions, and how fast its flow is beside that of half the squares."""

    path: LinearPath
    squares: LeastSquares

    @property
    def rates(self) -> np.ndarray:
        """How fast the residual decays in each direction."""
        return self.squares.rate * self.path.values**2


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "linear-flow")
class LinearFlow(AbstractDynamics[MatrixFactorization]):
    """Gradient flow at depth 1, in closed form.

    Attributes
    ----------
    follows_flow : bool
        True: it is the flow.
    default_steps : int
        Number of times that are recorded unless ``Record`` says otherwise.

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

    follows_flow = True
    default_steps = 200
    _lanes_a_thread = 32

    @property
    def default_record(self) -> Record:
        """Two hundred times over the flow."""
        return Record(log_steps=200)

    def prepare(self, problem: AbstractProblem, start: object) -> MatrixFactorization:
        """Check that the start is a single factor, and return it as lanes."""
        problem.require_least_squares("LinearFlow")
        single = factorization(start, problem)
        if not isinstance(single, MatrixFactorization):
            raise ValueError(
                f"start is a {type(start).__name__}, but LinearFlow is of matrix factorizations; "
                "take rf.GradientFlow()."
            )
        if single.depth != 1:
            raise ValueError(f"start has depth {single.depth}, but LinearFlow is for depth 1; take rf.GradientFlow().")
        return single.as_lanes()

    def batch(self, task: Task, group: np.ndarray) -> Any:
        """Return the lanes of a group, ready to run."""
        return _ClosedBatch(task, group)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        return {"dynamics": "LinearFlow"}


class _ClosedBatch:
    """Lanes whose whole path is known beforehand."""

    def __init__(self, task: Task, group: np.ndarray) -> None:
        self.problem, self.held_out, self.stop, self.record = task.problem, task.held_out, task.stop, task.record
        self.group = group
        self.starts = np.asarray(task.start.factors[0], dtype=np.float64)[group]
        self.pieces: list[dict[str, np.ndarray]] = []
        self.ends: list[np.ndarray] = []
        self.code: list[str] = []

    def run(self, monitor: Monitor) -> None:
        """Evaluate the lanes."""
        del monitor
        with double_precision():
            for lane, w in zip(self.group, self.starts, strict=True):
                self._one(lane, w)

    def state(self) -> None:
        """Nothing: what is evaluated at once is evaluated once more, with the same result."""

    def restore(self, state: State) -> None:
        """Begin anew."""

    @property
    def reasons(self) -> np.ndarray:
        """Why each lane ended."""
        return np.array(self.code)

    def final(self) -> MatrixFactorization:
        """Return the matrices at the end, as lanes."""
        return MatrixFactorization([np.stack(self.ends).astype(self.problem.dtype)])

    def _one(self, lane: np.integer, w: np.ndarray) -> None:
        spectrum = _decompose(self.problem, w)
        end, reason = self._end(spectrum)
        times = self._times(spectrum, end)
        path = np.stack([_at(spectrum, t) for t in times]).astype(self.problem.dtype)
        model = MatrixFactorization([path[0]])
        chosen = probes(self.record, self.problem, model)

        def record(matrix: Array) -> dict[str, Any]:
            return {name: probe(self.problem, MatrixFactorization([matrix]), matrix) for name, probe in chosen}

        values = {name: np.asarray(v) for name, v in compiled(lanes_together(record))(path).items()}
        if self.held_out is not None:
            missed = np.asarray(self.held_out.predict(path) - self.held_out.values)
            values["held_out_error"] = np.sqrt((missed * missed).mean(axis=-1))
        values["loss"] = np.array([_loss(spectrum, t) for t in times]).astype(self.problem.dtype)
        values |= {"time": times, "step": np.arange(len(times)), "lane": np.full(len(times), lane)}
        self.pieces.append(by_hand(self.record, values, chosen))
        self.ends.append(path[-1])
        self.code.append(reason)

    def _end(self, spectrum: _Spectrum) -> tuple[float, str]:
        """Return when the lane ends, and why."""
        still = _MOST_FOLDS / spectrum.rates.min() if spectrum.rates.size else 0.0
        ends = [(still, "stationary")]
        if self.stop.flow_time is not None:
            ends.append((float(self.stop.flow_time), "flow_time"))
        if self.stop.loss is not None and (met := _time_of(spectrum, self.stop.loss, still)) is not None:
            ends.append((met, "loss"))
        return min(ends, key=lambda end: end[0])

    def _times(self, spectrum: _Spectrum, end: float) -> np.ndarray:
        wanted = [t for t in self.record.times() if t < end]
        for level in self.record.levels():
            met = _time_of(spectrum, level, end)
            if met is not None:
                wanted.append(met)
        if end > 0:
            count = self.record.log_steps or (LinearFlow.default_steps if self.record.every else 0)
            first = min(1e-3 / max(spectrum.rates.max(initial=1.0), 1e-300), end / 2)
            wanted += list(np.geomspace(first, end, count)[:-1]) if count > 1 else []
        return np.unique([0.0, *wanted, end])


def _decompose(problem: AbstractProblem, w: np.ndarray) -> _Spectrum:
    squares = problem.require_least_squares("LinearFlow")
    if problem.observed_indices is not None:
        # Entries are orthonormal as they are.
        residual = np.asarray(problem.residuals(w), dtype=np.float64)
        at = np.ravel_multi_index(tuple(np.asarray(problem.observed_indices).T), problem.shape)
        return _Spectrum(LinearPath.of_entries(at, -residual, w), squares)
    matrix, wanted = (np.asarray(a, dtype=np.float64) for a in problem.linear_system())
    return _Spectrum(LinearPath.of(matrix, wanted - matrix @ w.reshape(matrix.shape[1], -1), w), squares)


def _at(spectrum: _Spectrum, time: float) -> np.ndarray:
    return spectrum.path.flow(spectrum.squares.rate * time)


def _loss(spectrum: _Spectrum, time: float) -> float:
    return float(spectrum.squares.loss(spectrum.path.squares(spectrum.squares.rate * time)))


def _time_of(spectrum: _Spectrum, level: float, last: float) -> float | None:
    """Return when the loss is at a level, ``None`` if it is not by ``last``."""
    from scipy.optimize import brentq  # a fifth of a second: only where a level is asked for

    if _loss(spectrum, 0.0) <= level:
        return 0.0
    if _loss(spectrum, last) > level:
        return None
    return float(brentq(lambda t: np.log(_loss(spectrum, t) / level), 0.0, last, xtol=1e-300, rtol=1e-14))
