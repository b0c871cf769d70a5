"""Lanes trained together: where Python meets the compiled loop, once a chunk."""

import threading
import time
from functools import partial
from typing import Any

import jax
import numpy as np
import optax

from .._execution import double_precision, takes_hint
from ..factorizations.base import AbstractFactorization
from ..factorizations.entrywise import EntrywiseFactorization, entrywise
from . import loop
from .descent import GradientDescent, OptaxRule
from .monitor import Monitor
from .recording import Record, by_hand, probes
from .stopping import REASONS, RUNNING, STEPS, Stop

# A chunk is made about this long: often enough for Ctrl-C and the progress line, seldom enough to cost nothing.
_CHUNK_SECONDS = 0.25
# While lanes have events at steps of their own, the shortest time the first one there waits, in steps; and later, as
# a share of the steps done (losses fall by powers of time, so levels are met ever more seldom).
_SHORTEST_ROUND, _ROUND_SHARE = 128, 200
# Steps that a round is allowed before the speed of the machine on this problem is known.
_FIRST_LIMIT = 4096
# Lanes of the entrywise form fill whole vector registers: 4 lanes of float64 take longer than 8.
_LANES_TOGETHER = 8


class Batch:
    """Lanes trained together in one thread; finished ones leave once half have."""

    def __init__(
        self,
        problem: Any,
        start: AbstractFactorization,
        dynamics: GradientDescent,
        step_sizes: np.ndarray,
        stop: Stop,
        record: Record,
        group: np.ndarray,
    ) -> None:
        self.problem, self.stop, self.record, self.group = problem, stop, record, group
        self.factors = [np.asarray(w)[group].astype(problem.dtype) for w in start.factors]
        self.like = start.maker
        self.step_sizes = step_sizes[group]
        self.entrywise = entrywise(start, problem)
        self.form = self._form(dynamics)
        self.pieces: list[dict[str, np.ndarray]] = []
        self.lane_ids = np.arange(len(group))
        self.code = np.zeros(len(group), dtype=np.int32)

    def _form(self, dynamics: GradientDescent) -> loop.Form:
        plain = not isinstance(dynamics.rule, optax.GradientTransformation)
        return loop.Form(
            advance=loop.descend,
            rule=dynamics.rule if plain else OptaxRule(dynamics.rule, self.like),
            probes=probes(self.record, self.problem, self.like([w[0] for w in self.factors])),
            # The lane axis is last for entries, which are the loop's numbers, and first for matrix products.
            axis=-1 if self.entrywise else 0,
            one_function=self.entrywise and plain and takes_hint(),
        )

    def run(self, monitor: Monitor) -> None:
        """Train until every lane has ended."""
        with double_precision():
            lanes, schedule = self._start(), self._schedule()
            rounds, limit = 8, _FIRST_LIMIT
            compiled = spent = 0.0
            fresh = first = True
            while True:
                began, done, width = time.monotonic(), int(lanes.step.max()), len(self.lane_ids)
                lanes = self._chunk(lanes, schedule, first, rounds, self._round_steps(done, limit))
                seconds, steps = time.monotonic() - began, int(lanes.step.max()) - done
                # The first chunk of a shape compiles; another shape is worth that once as much time went into this one.
                compiled, spent = (seconds, 0.0) if fresh else (compiled, spent + seconds)
                lanes = self._leave(lanes, monitor, spent >= compiled)
                if not len(self.lane_ids):
                    return
                fresh, first = len(self.lane_ids) != width, False
                # So many steps as a chunk may take; a chunk that compiles says too little.
                limit = max(int(min(_CHUNK_SECONDS / max(seconds, 1e-6) * steps, 8 * limit)), _SHORTEST_ROUND)
                if seconds < _CHUNK_SECONDS / 2:
                    rounds = min(2 * rounds, loop.most_rounds(1))
                elif seconds > 2 * _CHUNK_SECONDS:
                    rounds = max(rounds // 2, 1)

    @property
    def reasons(self) -> np.ndarray:
        """Why each lane ended."""
        return np.array([REASONS[c] for c in self.code])

    def final(self) -> AbstractFactorization:
        """Return the factors at the end, as lanes."""
        return self.like(self.factors)

    def _start(self) -> loop.Lanes:
        count = len(self.step_sizes)
        spare = -count % _LANES_TOGETHER if self.entrywise and count > 1 else 0
        # Spare lanes are copies of the last one that have ended before they begin.
        self.lane_ids = np.append(self.lane_ids, np.full(spare, -1))
        reason = np.append(np.full(count, RUNNING, np.int32), np.full(spare, STEPS, np.int32))
        padded = [np.concatenate([w, np.repeat(w[-1:], spare, axis=0)]) for w in self.factors]
        model: Any = EntrywiseFactorization.split(padded) if self.entrywise else self.like(padded)
        sizes = np.append(self.step_sizes, np.full(spare, self.step_sizes[-1]))
        return loop.Lanes(
            model,
            jax.vmap(self.form.rule.init, in_axes=self.form.axis, out_axes=self.form.axis)(model),
            np.nan_to_num(sizes).astype(self.problem.dtype),
            np.zeros(count + spare, np.int64),
            np.zeros(count + spare, np.int32),
            np.zeros(count + spare, np.int32),
            reason,
        )

    def _schedule(self) -> loop.Schedule:
        return schedule_of(self.stop, self.record, self.problem.dtype)

    def _chunk(self, lanes: loop.Lanes, schedule: loop.Schedule, first: bool, rounds: int, steps: int) -> loop.Lanes:
        """Run a chunk and keep its records."""
        lanes, count, buffer = loop.chunk(
            self.problem,
            lanes,
            schedule,
            first,
            np.int32(min(rounds, loop.most_rounds(len(self.lane_ids)))),
            np.int64(steps),
            form=self.form,
        )
        kept = {name: np.asarray(value)[: int(count)] for name, value in buffer.items()}
        where = np.nonzero(kept.pop("recorded"))
        values = by_hand(self.record, {name: value[where] for name, value in kept.items()})
        ids = self.lane_ids[where[1]]
        values["time"] = values["step"] * self.step_sizes[ids]
        self.pieces.append(values | {"lane": self.group[ids]})
        return lanes

    def _round_steps(self, done: int, limit: int) -> int:
        """Return how many steps a round may take: lanes at an event wait for the others that long."""
        if self.record.every is not None and not len(self.record.levels()):
            return min(self.record.every, limit)
        return min(max(_SHORTEST_ROUND, done // _ROUND_SHARE), limit)

    def _leave(self, lanes: loop.Lanes, monitor: Monitor, worthwhile: bool) -> loop.Lanes:
        """Take finished lanes out when half are and it pays; end all when time is up or Ctrl-C came."""
        code = np.asarray(lanes.reason).copy()
        verdict = monitor.report(threading.get_ident(), np.asarray(lanes.step), self.pieces[-1]["loss"])
        if verdict != RUNNING:
            self._record_now(lanes, code)
            code[code == RUNNING] = verdict
        running = np.flatnonzero(code == RUNNING)
        if len(running) and (len(running) > len(code) // 2 or len(code) <= 2 * _LANES_TOGETHER or not worthwhile):
            return lanes
        gone = np.flatnonzero(code != RUNNING)
        self._store(lanes, gone, code)
        # A power of two, refilled with finished lanes, so that few shapes are ever compiled.
        size = max(_LANES_TOGETHER, 1 << int(np.ceil(np.log2(len(running))))) if len(running) else 0
        keep = np.concatenate([running, gone[: max(0, size - len(running))]]).astype(int)
        self.lane_ids = self.lane_ids[keep]
        taken = {"model": self.form.axis, "rule_state": self.form.axis}
        chosen = {
            name: jax.tree.map(partial(_take, which=keep, axis=taken.get(name, 0)), value)
            for name, value in lanes._asdict().items()
        }
        return loop.Lanes(**chosen)

    def _record_now(self, lanes: loop.Lanes, code: np.ndarray) -> None:
        """Record where lanes that are ended from outside (wall time, Ctrl-C) have come to."""
        if (code == RUNNING).any():
            self._chunk(lanes, self._schedule(), True, 1, 0)

    def _store(self, lanes: loop.Lanes, which: np.ndarray, code: np.ndarray) -> None:
        which = which[self.lane_ids[which] >= 0]
        ids = self.lane_ids[which]
        self.code[ids] = code[which]
        final = lanes.model.factors if not self.entrywise else jax.tree.map(np.asarray, lanes.model).factors
        for whole, part in zip(self.factors, final, strict=True):
            whole[ids] = np.asarray(part)[which]


def schedule_of(stop: Stop, record: Record, dtype: str) -> loop.Schedule:
    """Return when lanes have events, for the compiled loop; ``stop`` says how many steps there are at most."""
    kind, last_step = np.dtype(dtype), stop.steps or loop.FAR
    return loop.Schedule(
        every=np.int64(record.every or loop.FAR // 2),
        steps=_padded(record.steps(last_step), loop.FAR),
        levels=_padded(record.levels(), -1.0).astype(kind),
        times=_padded(record.times(), np.inf),
        last_step=np.int64(last_step),
        last_loss=kind.type(-1.0 if stop.loss is None else stop.loss),
        last_time=np.float64(np.inf if stop.flow_time is None else stop.flow_time),
    )


def _padded(values: np.ndarray, never: float) -> np.ndarray:
    """Append what is never met, up to a power of two: few lengths, so few programs to compile."""
    size = 16 << max(0, int(len(values) / 16).bit_length())
    return np.append(values, np.full(size - len(values), never, values.dtype))


def _take(value: Any, which: np.ndarray, axis: int) -> np.ndarray:
    """In NumPy: JAX would compile a program for each number of lanes."""
    return np.take(np.asarray(value), which, axis=axis)
