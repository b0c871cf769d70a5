"""``train``: one call from a problem and a start to a run."""

import concurrent.futures
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .._precision import double_precision
from .._version import __version__
from ..factorizations import MatrixFactorization
from ..factorizations.matrix import check_factorization
from ..factorizations.products import small
from . import loop
from .descent import GradientDescent, OptaxRule
from .recording import Record, probes
from .run import Run, assemble
from .stopping import INTERRUPTED, REASONS, RUNNING, SECONDS, Stop

# A chunk is made about this long: often enough for Ctrl-C and the progress line, seldom enough to cost nothing.
_CHUNK_SECONDS = 0.25
# Lanes are shared out to threads (one compiled loop each) when every thread gets at least this many.
_LANES_A_THREAD = 32


def train(
    problem: Any,
    start: MatrixFactorization,
    dynamics: Any,
    *,
    stop: Stop | None = None,
    record: Record | None = None,
    progress: bool = True,
) -> Run:
    """Train from a start, or from many at once.

    Parameters
    ----------
    problem : AbstractProblem
        What is observed, and the loss on it; its ``dtype`` is the precision of the training.
    start : MatrixFactorization
        A single start, or lanes; lanes are trained as one compiled batch, each until its own end.
    dynamics : GradientDescent
        How the factors move.
    stop : Stop, optional
        ``Stop()`` by default: ten million steps.
    record : Record, optional
        ``Record(log_steps=200)`` by default.
    progress : bool
        Show loss and steps per second on stderr; silent anyway where stderr is no terminal.

    Returns
    -------
    Run
        Also after Ctrl-C (``stop_reason`` ``"interrupted"``), with what was recorded so far. Losses that are not
        finite end a lane with ``"diverged"``.

    Raises
    ------
    ValueError
        If the start does not fit the problem or a step size is given per lane for another number of lanes.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.two_by_two()
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-2, det_sign=1,
    ...                                     key=jax.random.key(0))
    >>> run = rf.train(problem, start, rf.GradientDescent(1e-2), stop=rf.Stop(loss=1e-2))
    >>> run.stop_reason, bool(abs(run.final.full()[0, 0]) > 6.9)
    ('loss', True)
    """
    check_factorization(start, problem.shape)
    if not isinstance(dynamics, GradientDescent):
        raise ValueError(f"dynamics is {dynamics!r}, but must be a dynamics such as rf.GradientDescent(1e-2).")
    stop, record = stop or Stop(), record or Record(log_steps=200)
    began = time.monotonic()
    laned = start.as_lanes()
    step_sizes = dynamics.step_sizes(laned.lanes or 1)
    with _interrupts() as interrupted:
        monitor = _Monitor(laned.lanes or 1, progress, began, stop, interrupted)
        parts = [
            _Batch(problem, laned, dynamics, step_sizes, stop, record, group) for group in _groups(laned.lanes or 1)
        ]
        if len(parts) == 1:
            parts[0].run(monitor)
        else:
            with concurrent.futures.ThreadPoolExecutor(len(parts)) as pool:
                for future in [pool.submit(part.run, monitor) for part in parts]:
                    future.result()
        monitor.close()
    reasons = np.concatenate([part.reasons for part in parts])
    final = MatrixFactorization.stack([part.final() for part in parts])
    trajectory = assemble([r for part in parts for r in part.records()], problem, record, step_sizes, reasons)
    seconds = time.monotonic() - began
    trajectory.attrs = {
        "rankfall_version": __version__,
        **{k: str(v) if isinstance(v, bool | type(None)) else v for k, v in problem.describe().items()},
        **start.describe(),
        **dynamics.describe(),
        "device": jax.devices()[0].platform,
        "jax_version": jax.__version__,
    }
    return Run(problem, dynamics, final if start.lanes is not None else final.lane(0), trajectory, seconds)


def _groups(lanes: int) -> list[np.ndarray]:
    threads = max(
        1, min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, lanes // _LANES_A_THREAD)
    )
    return np.array_split(np.arange(lanes), threads)


class _Batch:
    """Lanes trained together in one thread; finished ones leave once half have."""

    def __init__(
        self,
        problem: Any,
        start: MatrixFactorization,
        dynamics: GradientDescent,
        step_sizes: np.ndarray,
        stop: Stop,
        record: Record,
        group: np.ndarray,
    ) -> None:
        self.problem, self.stop, self.record = problem, stop, record
        self.factors = [np.asarray(w)[group].astype(problem.dtype) for w in start.factors]
        self.step_sizes = step_sizes[group]
        self.rule = (
            OptaxRule(dynamics.rule) if isinstance(dynamics.rule, optax.GradientTransformation) else dynamics.rule
        )
        single = MatrixFactorization([w[0] for w in self.factors])
        self.probes = probes(record, problem, single)
        # The lane axis is last for small matrices, where the entries are the loop's scalars, and first for products.
        self.axis = -1 if small(single.factors) else 0
        self.pieces: list[dict[str, np.ndarray]] = []
        self.lane_ids = np.arange(len(group))
        self.code = np.zeros(len(group), dtype=np.int32)

    def run(self, monitor: "_Monitor") -> None:
        """Train until every lane has ended."""
        with double_precision():
            lanes, schedule = self._start()
            options = {"rule": self.rule, "probes": self.probes, "axis": self.axis}
            lanes, values = loop.first_record(self.problem, lanes, schedule, **options)
            self._keep(values, np.ones((1, len(self.lane_ids)), bool), expand=True)
            rounds, seconds = 8, 0.0
            while True:
                lanes = self._leave(lanes, monitor)
                if not len(self.lane_ids):
                    return
                began = time.monotonic()
                lanes, count, buffer = loop.chunk(
                    self.problem, lanes, schedule, rounds, self._round_steps(lanes), **options
                )
                count = int(count)
                kept = {name: np.asarray(value[:count]) for name, value in buffer.items()}
                self._keep(kept, kept.pop("recorded"))
                seconds = time.monotonic() - began
                if seconds < _CHUNK_SECONDS / 2:
                    rounds = min(2 * rounds, loop.ROUNDS)
                elif seconds > 2 * _CHUNK_SECONDS:
                    rounds = max(rounds // 2, 1)

    def _start(self) -> tuple[loop.Lanes, loop.Schedule]:
        dtype = self.problem.dtype
        lanes_first = MatrixFactorization(self.factors)
        model = jax.tree.map(lambda w: jnp.asarray(np.moveaxis(w, 0, self.axis)), lanes_first)
        state = jax.vmap(self.rule.init, in_axes=self.axis, out_axes=self.axis)(model)
        count = len(self.step_sizes)
        lanes = loop.Lanes(
            model,
            state,
            jnp.asarray(np.nan_to_num(self.step_sizes).astype(dtype)),
            jnp.zeros(count, jnp.int64),
            jnp.zeros(count, jnp.int32),
            jnp.full(count, RUNNING, jnp.int32),
        )
        steps = np.append(self.record.steps(self.stop.steps), loop._FAR)
        schedule = loop.Schedule(
            every=jnp.asarray(self.record.every or loop._FAR // 2, jnp.int64),
            steps=jnp.asarray(steps, jnp.int64),
            levels=jnp.asarray(np.append(self.record.levels(), -1.0).astype(dtype)),
            last_step=jnp.asarray(self.stop.steps, jnp.int64),
            last_loss=jnp.asarray(-1.0 if self.stop.loss is None else self.stop.loss, dtype),
        )
        return lanes, schedule

    def _round_steps(self, lanes: loop.Lanes) -> int:
        """Return how long lanes at an event wait for the others: one interval, or a small share of the steps done."""
        if self.record.every is not None and not len(self.record.levels()):
            return self.record.every
        return max(loop.SHORTEST_BLOCK, int(np.asarray(lanes.step).max()) // 200)

    def _leave(self, lanes: loop.Lanes, monitor: "_Monitor") -> loop.Lanes:
        """Take finished lanes out of the batch when half of it is idle; end all when time is up or Ctrl-C came."""
        code = np.asarray(lanes.reason).copy()
        verdict = monitor.report(threading.get_ident(), lanes, self.pieces, code)
        if verdict != RUNNING:
            code[code == RUNNING] = verdict
        running = np.flatnonzero(code == RUNNING)
        if len(running) and (len(running) > len(code) // 2 or len(code) < 16):
            return lanes
        gone = np.flatnonzero(code != RUNNING)
        self._store(lanes, gone, code)
        # A power of two, refilled with finished lanes, so that few shapes are ever compiled.
        size = 1 << int(np.ceil(np.log2(len(running)))) if len(running) else 0
        keep = np.concatenate([running, gone[: max(0, size - len(running))]]).astype(int)
        self.lane_ids = self.lane_ids[keep] if len(running) else self.lane_ids[:0]
        along = {"model": self.axis, "rule_state": self.axis}
        return loop.Lanes(
            **{
                name: jax.tree.map(partial(jnp.take, indices=keep, axis=along.get(name, 0)), value)
                for name, value in lanes._asdict().items()
            }
        )

    def _store(self, lanes: loop.Lanes, which: np.ndarray, code: np.ndarray) -> None:
        ids = self.lane_ids[which]
        self.code[ids] = code[which]
        for whole, part in zip(self.factors, lanes.model.factors, strict=True):
            whole[ids] = np.moveaxis(np.asarray(part), self.axis, 0)[which]
        self._close(lanes, which, code)

    def _close(self, lanes: loop.Lanes, which: np.ndarray, code: np.ndarray) -> None:
        """Record the end of lanes that were ended from outside (wall time, Ctrl-C) between two records."""
        outside = which[np.isin(code[which], (SECONDS, INTERRUPTED))]
        if not len(outside):
            return
        schedule = self._start()[1]
        _, values = loop.first_record(self.problem, lanes, schedule, rule=self.rule, probes=self.probes, axis=self.axis)
        mask = np.zeros((1, len(self.lane_ids)), bool)
        mask[0, outside] = True
        self._keep(values, mask, expand=True)

    def _keep(self, values: dict[str, Any], recorded: np.ndarray, expand: bool = False) -> None:
        where = np.nonzero(recorded)
        piece = {n: (np.asarray(v)[None] if expand else np.asarray(v))[where] for n, v in values.items()}
        self.pieces.append({**piece, "_lane": self.lane_ids[where[1]]})

    @property
    def reasons(self) -> np.ndarray:
        return np.array([REASONS[c] for c in self.code])

    def final(self) -> MatrixFactorization:
        return MatrixFactorization(self.factors)

    def records(self) -> list[dict[str, np.ndarray]]:
        """Return the records of each lane in the order of steps, without repetitions."""
        joined = {name: np.concatenate([p[name] for p in self.pieces]) for name in self.pieces[0]}
        lane = joined.pop("_lane")
        result = []
        for i in range(len(self.code)):
            mine = np.flatnonzero(lane == i)
            _, first = np.unique(joined["step"][mine], return_index=True)
            result.append({name: value[mine[first]] for name, value in joined.items()})
        return result


class _Monitor:
    """The progress line, the wall clock and Ctrl-C, shared by all batches of a run."""

    def __init__(self, lanes: int, progress: bool, began: float, stop: Stop, interrupted: threading.Event) -> None:
        self.lanes, self.began, self.stop, self.interrupted = lanes, began, stop, interrupted
        self.show = progress and sys.stderr.isatty()
        self.lock, self.last = threading.Lock(), 0.0
        self.work: dict[int, np.ndarray] = {}

    def report(self, batch: int, lanes: loop.Lanes, pieces: list[dict[str, np.ndarray]], code: np.ndarray) -> int:
        """Note how far a batch is; return the reason to end it now, if there is one."""
        now = time.monotonic()
        if self.interrupted.is_set():
            return INTERRUPTED
        if self.stop.seconds is not None and now - self.began >= self.stop.seconds:
            return SECONDS
        if self.show:
            with self.lock:
                self.work[batch] = np.asarray(lanes.step)
                if now - self.last > 0.1:
                    self._draw(now, pieces)
        return RUNNING

    def _draw(self, now: float, pieces: list[dict[str, np.ndarray]]) -> None:
        steps = np.concatenate(list(self.work.values()))
        losses = next((p["loss"] for p in reversed(pieces) if len(p["loss"])), np.array([np.nan]))
        rate = steps.sum() / max(now - self.began, 1e-9)
        line = f"step {steps.max():,}  loss {np.max(losses):.2e}  {rate / 1e6:.2f} M lane-steps/s  {self.lanes} lanes"
        sys.stderr.write(f"\r{line:<76}")
        sys.stderr.flush()
        self.last = now

    def close(self) -> None:
        if self.show and self.last:
            sys.stderr.write("\r" + " " * 76 + "\r")
            sys.stderr.flush()


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event (a second one interrupts as usual); outside the main thread, do nothing."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.getsignal(signal.SIGINT)

    def handler(number: int, frame: Any) -> None:
        if event.is_set() and callable(previous):
            previous(number, frame)
        event.set()

    signal.signal(signal.SIGINT, handler)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, previous)
