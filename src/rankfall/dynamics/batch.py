"""Lanes trained together: where Python meets the compiled loop, once a chunk."""

import abc
import dataclasses
import threading
import time
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import equinox as eqx
import jax
import numpy as np

from .._execution import compiled, double_precision, lanes_together, takes_hint
from .._types import Array
from ..factorizations import SpectralFactorization
from ..factorizations.base import AbstractFactorization
from ..factorizations.entrywise import EntrywiseFactorization, entrywise
from ..problems import AbstractProblem
from . import loop
from .checkpoint import State, restored
from .monitor import Monitor
from .recording import Record, by_hand, probes
from .rules import AbstractRule, Trials
from .stopping import REASONS, RUNNING, STEPS, Stop

# A chunk is made about this long: often enough for Ctrl-C and the progress line, seldom enough to cost nothing.
_CHUNK_SECONDS = 0.25
# A lane at its event waits for the end of the round. A round takes so many steps at least, and later so large a share
# of the steps done: losses fall by powers of time, so that levels are met ever more seldom.
_SHORTEST_ROUND, _ROUND_SHARE = 128, 200
# Steps that a round is allowed before the speed of the machine on this problem is known.
_FIRST_LIMIT = 4096
# Lanes of the entrywise form fill whole vector registers: 8 lanes of float64 take longer than 16.
_LANES_TOGETHER = 16
# Trials of a round of rules that may refuse a step.
_FIRST_TRIALS, _FEWEST_TRIALS = 32, 4

# What each lane is given of its own: arrays with the lanes first.
PerLane: TypeAlias = np.ndarray | tuple[np.ndarray, ...]


class Task(NamedTuple):
    """What is to be trained: a problem, its held-out observations (or ``None``), lanes, when to end, what to record."""

    problem: AbstractProblem
    held_out: AbstractProblem | None
    start: Any
    stop: Stop
    record: Record


class Batch(abc.ABC):
    """Lanes trained together in one thread."""

    form: loop.Form
    lanes: loop.Lanes

    def __init__(self, task: Task, rule: AbstractRule, given: PerLane, group: np.ndarray) -> None:
        self.problem, self.held_out, self.stop, self.record = task.problem, task.held_out, task.stop, task.record
        self.rule, self.group = rule, group
        # Numbers in the precision of the training; keys as they are.
        self.given = jax.tree.map(lambda a: a.astype(self.problem.dtype) if a.dtype.kind == "f" else a, given)
        self.pieces: list[dict[str, np.ndarray]] = []
        self.code = np.full(len(group), RUNNING, dtype=np.int32)
        # The lane of each row of the arrays, -1 for rows that fill registers up.
        self.lane_ids = np.arange(len(group))
        # Where an earlier process has left off.
        self.left: State | None = None

    def run(self, monitor: Monitor) -> None:
        """Train until every lane has ended."""
        with double_precision():
            self.lanes, schedule = self._start(), schedule_of(self.stop, self.record, self.problem.dtype)
            first = self.left is None
            if self.left is not None:
                self._take_up(self.left)
            while len(self.lane_ids):
                began, done = time.monotonic(), self._work(self.lanes)
                self.lanes = self._chunk(self.lanes, schedule, first, *self._size(done))
                seconds, first = time.monotonic() - began, False
                code = np.array(self.lanes.reason)
                verdict = monitor.report(threading.get_ident(), np.asarray(self.lanes.step), self.pieces[-1]["loss"])
                cut = verdict != RUNNING and bool((code == RUNNING).any())
                if cut:
                    # What is added below is of this end alone; whoever goes on does so from before it.
                    monitor.keeper.note(self)
                    # Record where lanes that are ended from outside (wall time, Ctrl-C) have come to.
                    self._chunk(self.lanes, schedule, True, 1, 0)
                    code[code == RUNNING] = verdict
                self._pace(seconds, self._work(self.lanes) - done)
                self.lanes = self._leave(self.lanes, code, seconds)
                if not cut:
                    monitor.keeper.offer(self)

    def state(self) -> State:
        """Return the state between two chunks."""
        lanes = jax.tree.leaves(self.lanes)
        tree = {"lanes": lanes, "lane_ids": self.lane_ids, "code": self.code, "own": self._own()}
        return State(tree, self.pieces[:])

    def restore(self, state: State) -> None:
        """Go on from a state when run."""
        self.left = state

    def _take_up(self, state: State) -> None:
        self.lanes = restored(self.lanes, state.tree["lanes"])
        self.lane_ids, self.code, self.pieces = state.tree["lane_ids"], state.tree["code"], list(state.pieces)
        for name, value in state.tree["own"].items():
            setattr(self, name, value)

    @property
    def reasons(self) -> np.ndarray:
        """Why each lane ended."""
        return np.array([REASONS[c] for c in self.code])

    @abc.abstractmethod
    def final(self) -> Any:
        """Return the factorizations at the end, as lanes."""

    @abc.abstractmethod
    def _start(self) -> loop.Lanes:
        """Return the lanes at the start, and set ``form``."""

    @abc.abstractmethod
    def _size(self, done: int) -> tuple[int, int]:
        """Return how many rounds the next chunk may run, and how many steps or trials each may take."""

    @abc.abstractmethod
    def _pace(self, seconds: float, done: int) -> None:
        """Learn from the time that a chunk has taken."""

    @abc.abstractmethod
    def _leave(self, lanes: loop.Lanes, code: np.ndarray, seconds: float) -> loop.Lanes:
        """Take lanes that have ended out where it pays, and from ``lane_ids``."""

    @abc.abstractmethod
    def _own(self) -> dict[str, Any]:
        """Return what else the batch goes on from, by the names of its attributes."""

    @abc.abstractmethod
    def _work(self, lanes: loop.Lanes) -> int:
        """Return the largest number of steps, or of trials, that a lane has made."""

    def _chunk(self, lanes: loop.Lanes, schedule: loop.Schedule, first: bool, rounds: int, steps: int) -> loop.Lanes:
        """Run a chunk and keep its records."""
        most = loop.most_rounds(len(self.lane_ids))
        lanes, count, buffer = loop.chunk(
            (self.problem, self.held_out),
            lanes,
            schedule,
            first,
            np.int32(min(rounds, most)),
            np.int64(steps),
            form=self.form,
        )
        kept = {name: np.asarray(value)[: int(count)] for name, value in buffer.items()}
        where = np.nonzero(kept.pop("recorded"))
        if not len(where[0]):
            # Of no matrix at all nobody knows the shape of what a function of the user's makes.
            return lanes
        values = by_hand(self.record, {name: value[where] for name, value in kept.items()}, self.form.probes)
        ids = self.lane_ids[where[1]]
        self.pieces.append(self._timed(values, ids) | {"lane": self.group[ids]})
        return lanes

    def _timed(self, values: dict[str, np.ndarray], ids: np.ndarray) -> dict[str, np.ndarray]:
        return values


class SteadyBatch(Batch):
    """Lanes of a rule that takes every step; finished ones leave once half have."""

    def __init__(self, task: Task, rule: AbstractRule, given: PerLane, group: np.ndarray) -> None:
        super().__init__(task, rule, given, group)
        start: AbstractFactorization = task.start
        self.factors = [np.asarray(w)[group].astype(self.problem.dtype) for w in start.factors]
        self.like = start.maker
        self.entrywise = rule.entrywise and entrywise(start, self.problem)
        pace = np.broadcast_to(np.asarray(rule.pace(given), dtype=np.float64), len(group))
        self.step_time = np.where(pace > 0, pace, np.nan)
        if not (pace > 0).all() and (self.stop.flow_time is not None or self.record.times().size):
            raise ValueError(
                "stop or record names a flow time, but this rule has none; give steps, or take a fixed step size."
            )
        self.form = loop.Form(
            rule=rule,
            probes=probes(self.record, self.problem, self.like([w[0] for w in self.factors])),
            # The lane axis is last for entries, which are the loop's numbers, and first for matrix products.
            axis=-1 if self.entrywise else 0,
            one_function=self.entrywise and rule.one_function and takes_hint(),
        )
        self.rounds, self.limit = 8, _FIRST_LIMIT
        self.compiled = self.spent = 0.0
        self.fresh = True

    def final(self) -> AbstractFactorization:
        """Return the factors at the end, as lanes."""
        found: AbstractFactorization = self.like(self.factors)
        return found

    def _start(self) -> loop.Lanes:
        count = len(self.group)
        spare = -count % _LANES_TOGETHER if self.entrywise and count > 1 else 0
        # Spare lanes are copies of the last one that have ended before they begin.
        self.lane_ids = np.append(self.lane_ids, np.full(spare, -1))
        reason = np.append(np.full(count, RUNNING, np.int32), np.full(spare, STEPS, np.int32))
        padded = [_padded_lanes(w, spare) for w in self.factors]
        model: Any = EntrywiseFactorization.split(padded) if self.entrywise else self.like(padded)
        given = jax.tree.map(partial(_padded_lanes, spare=spare), self.given)
        axis = self.form.axis
        state = _init(self.problem, model, given, rule=self.rule, axis=axis)
        whole = np.zeros(count + spare, np.int32)
        pace = np.nan_to_num(_padded_lanes(self.step_time, spare)).astype(self.problem.dtype)
        return loop.Lanes(model, state, given, pace, np.zeros(count + spare, np.int64), whole, whole, reason)

    def _size(self, done: int) -> tuple[int, int]:
        return self.rounds, self._round_steps(done)

    def _round_steps(self, done: int) -> int:
        """Return how many steps a round may take: lanes at an event wait for the others that long."""
        if self.record.every is not None and not len(self.record.levels()):
            return min(self.record.every, self.limit)
        return min(max(_SHORTEST_ROUND, done // _ROUND_SHARE), self.limit)

    def _pace(self, seconds: float, done: int) -> None:
        # The first chunk of a shape compiles. Another shape is worth compiling once the steps of this one have taken as
        # long as its compilation.
        self.compiled, self.spent = (seconds, 0.0) if self.fresh else (self.compiled, self.spent + seconds)
        # As many steps as fill a chunk's time. A chunk that compiled gives too few; the next one corrects that.
        self.limit = max(int(min(_CHUNK_SECONDS / max(seconds, 1e-6) * done, 8 * self.limit)), _SHORTEST_ROUND)
        if seconds < _CHUNK_SECONDS / 2:
            self.rounds = min(2 * self.rounds, loop.most_rounds(1))
        elif seconds > 2 * _CHUNK_SECONDS:
            self.rounds = max(self.rounds // 2, 1)

    def _leave(self, lanes: loop.Lanes, code: np.ndarray, seconds: float) -> loop.Lanes:
        """Take finished lanes out when half are and it pays."""
        worthwhile, self.fresh = self.spent >= self.compiled, False
        running = np.flatnonzero(code == RUNNING)
        if len(running) and (len(running) > len(code) // 2 or len(code) <= 2 * _LANES_TOGETHER or not worthwhile):
            return lanes
        gone = np.flatnonzero(code != RUNNING)
        self._store(lanes, gone, code)
        # A power of two, refilled with finished lanes, so that few shapes are ever compiled.
        size = max(_LANES_TOGETHER, 1 << int(np.ceil(np.log2(len(running))))) if len(running) else 0
        keep = np.concatenate([running, gone[: max(0, size - len(running))]]).astype(int)
        self.lane_ids, self.fresh = self.lane_ids[keep], True
        moved = {"model": self.form.axis, "rule_state": self.form.axis}
        chosen = {
            name: jax.tree.map(partial(_take, which=keep, axis=moved.get(name, 0)), value)
            for name, value in lanes._asdict().items()
        }
        return loop.Lanes(**chosen)

    def _store(self, lanes: loop.Lanes, which: np.ndarray, code: np.ndarray) -> None:
        which = which[self.lane_ids[which] >= 0]
        ids = self.lane_ids[which]
        # Copies: what a checkpoint has been given stays as it is.
        self.code, self.factors = self.code.copy(), [w.copy() for w in self.factors]
        self.code[ids] = code[which]
        final = lanes.model.factors if not self.entrywise else jax.tree.map(np.asarray, lanes.model).factors
        for whole, part in zip(self.factors, final, strict=True):
            whole[ids] = np.asarray(part)[which]

    def _own(self) -> dict[str, Any]:
        return {"factors": self.factors, "rounds": self.rounds, "limit": self.limit}

    def _work(self, lanes: loop.Lanes) -> int:
        return int(np.max(np.asarray(lanes.step)))

    def _timed(self, values: dict[str, np.ndarray], ids: np.ndarray) -> dict[str, np.ndarray]:
        return {"time": values["step"] * self.step_time[ids], **values}


class AdaptiveBatch(Batch):
    """Lanes of a rule that tries steps, each with steps of its own; they stay until all have ended."""

    def __init__(self, task: Task, rule: AbstractRule, state: eqx.Module, given: PerLane, group: np.ndarray) -> None:
        super().__init__(task, rule, given, group)
        self.begin = jax.tree.map(lambda a: np.asarray(a)[group], state)
        self.rounds, self.trials = loop.most_rounds(len(group)), _FIRST_TRIALS

    def final(self) -> Any:
        """Return the factorizations at the end, as lanes."""
        with double_precision():
            model, progress = self.lanes.model, self.lanes.rule_state
            final = jax.tree.map(np.asarray, _view(self.problem, model, progress, rule=self.rule))
        if isinstance(final, SpectralFactorization):
            return dataclasses.replace(final, depth=float(self.given[1][0]))
        return final

    def _start(self) -> loop.Lanes:
        count = len(self.group)
        progress = _init(self.problem, self.begin, self.given, rule=self.rule, axis=0)
        # Asked of a compiled function, which remembers its traces: tracing takes longer than a whole short run.
        seen = _view.eval_shape(self.problem, self.begin, progress, rule=self.rule)
        sample = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), seen)
        self.form = loop.Form(self.rule, probes(self.record, self.problem, sample), 0, False)
        whole = np.zeros(count, np.int32)
        # The state knows what it was given; the loop need not carry it.
        return loop.Lanes(self.begin, progress, (), np.zeros(count), np.zeros(count, np.int64), whole, whole, whole)

    def _size(self, done: int) -> tuple[int, int]:
        return self.rounds, self.trials

    def _pace(self, seconds: float, done: int) -> None:
        speed = done / max(seconds, 1e-6)
        # A chunk of many rounds: so many trials in each that it takes about a quarter second altogether.
        self.trials = int(np.clip(_CHUNK_SECONDS * speed / 2, _FEWEST_TRIALS, 8 * self.trials))
        self.rounds = max(1, min(loop.most_rounds(len(self.group)), 2 * self.rounds))
        if seconds > 2 * _CHUNK_SECONDS:
            self.rounds = max(1, self.rounds // 4)

    def _leave(self, lanes: loop.Lanes, code: np.ndarray, seconds: float) -> loop.Lanes:
        """Let all go once all have ended."""
        if (code != RUNNING).all():
            self.code, self.lane_ids = code, self.lane_ids[:0]
        return lanes

    def _own(self) -> dict[str, Any]:
        return {"rounds": self.rounds, "trials": self.trials}

    def _work(self, lanes: loop.Lanes) -> int:
        return int(np.max(np.asarray(lanes.step) + np.asarray(lanes.rule_state.rejected)))


@partial(compiled, static_argnames=("rule", "axis"))
def _init(
    problem: AbstractProblem, model: eqx.Module, given: Array | tuple[Array, ...], *, rule: AbstractRule, axis: int
) -> Any:
    if axis == 0:
        return lanes_together(partial(rule.init, problem))(model, given)
    return jax.vmap(partial(rule.init, problem), in_axes=(axis, 0), out_axes=axis)(model, given)


@partial(compiled, static_argnames="rule")
def _view(problem: AbstractProblem, state: eqx.Module, progress: Trials, *, rule: AbstractRule) -> Any:
    return lanes_together(lambda *lane: rule.observe(problem, *lane)[0])(state, progress)


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


def _padded_lanes(values: np.ndarray, spare: int) -> np.ndarray:
    return np.concatenate([values, np.repeat(values[-1:], spare, axis=0)])


def _take(value: Array, which: np.ndarray, axis: int) -> np.ndarray:
    """In NumPy: JAX would compile a program for each number of lanes."""
    return np.take(np.asarray(value), which, axis=axis)
