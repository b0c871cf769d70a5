"""Lanes of a flow integrated together."""

import dataclasses
import threading
import time
from functools import partial
from typing import Any

import jax
import numpy as np

from ..._execution import compiled, double_precision, lanes_together
from ...factorizations import SpectralFactorization
from .. import loop
from ..batch import schedule_of
from ..monitor import Monitor
from ..recording import Record, by_hand, probes
from ..stopping import REASONS, RUNNING, Stop
from .advance import flow

_CHUNK_SECONDS = 0.25
_FIRST_TRIALS, _FEWEST_TRIALS = 32, 4


class FlowBatch:
    """Lanes integrated together in one thread, each with steps of its own."""

    def __init__(
        self,
        problem: Any,
        state: Any,
        given: tuple[Any, ...],
        rule: Any,
        stop: Stop,
        record: Record,
        group: np.ndarray,
    ) -> None:
        self.problem, self.stop, self.record, self.group = problem, stop, record, group
        self.state = jax.tree.map(lambda a: np.asarray(a)[group], state)
        self.given = tuple(np.asarray(a, dtype=problem.dtype)[group] for a in given)
        self.rule = rule
        self.pieces: list[dict[str, np.ndarray]] = []
        self.code = np.full(len(group), RUNNING, dtype=np.int32)

    def run(self, monitor: Monitor) -> None:
        """Integrate until every lane has ended."""
        with double_precision():
            lanes, schedule = self._lanes(), schedule_of(self.stop, self.record, self.problem.dtype)
            form = self._form(lanes)
            rounds, trials, first = loop.most_rounds(len(self.group)), _FIRST_TRIALS, True
            while True:
                began, done = time.monotonic(), self._trials(lanes)
                lanes = self._chunk(lanes, schedule, form, first, rounds, trials)
                seconds, first = time.monotonic() - began, False
                code = np.asarray(lanes.reason)
                verdict = monitor.report(threading.get_ident(), np.asarray(lanes.step), self.pieces[-1]["loss"])
                if verdict != RUNNING and (code == RUNNING).any():
                    self._chunk(lanes, schedule, form, True, 1, 0)
                    code = np.where(code == RUNNING, verdict, code)
                if (code != RUNNING).all():
                    self.code, self.last = code, (lanes.model, lanes.rule_state)
                    return
                speed = (self._trials(lanes) - done) / max(seconds, 1e-6)
                # A chunk of many rounds: so many trials in each that it takes about a quarter second altogether.
                trials = int(np.clip(_CHUNK_SECONDS * speed / 2, _FEWEST_TRIALS, 8 * trials))
                rounds = max(1, min(loop.most_rounds(len(self.group)), 2 * rounds))
                if seconds > 2 * _CHUNK_SECONDS:
                    rounds = max(1, rounds // 4)

    @property
    def reasons(self) -> np.ndarray:
        """Why each lane ended."""
        return np.array([REASONS[c] for c in self.code])

    def final(self) -> Any:
        """Return the factorizations at the end, as lanes."""
        with double_precision():
            model, progress = self.last
            final = jax.tree.map(np.asarray, _view(self.problem, model, progress, rule=self.rule))
        if isinstance(final, SpectralFactorization):
            return dataclasses.replace(final, depth=float(self.given[1][0]))
        return final

    def _form(self, lanes: loop.Lanes) -> loop.Form:
        # Of a compiled function, which remembers what it was traced for: tracing takes longer than a whole short run.
        seen = _view.eval_shape(self.problem, lanes.model, lanes.rule_state, rule=self.rule)
        sample = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), seen)
        return loop.Form(flow, self.rule, probes(self.record, self.problem, sample), 0, False)

    def _lanes(self) -> loop.Lanes:
        count = len(self.group)
        progress = _start(self.problem, self.state, self.given, rule=self.rule)
        whole = np.zeros(count, np.int32)
        return loop.Lanes(self.state, progress, np.zeros(count), np.zeros(count, np.int64), whole, whole, whole)

    def _chunk(self, lanes: Any, schedule: Any, form: Any, first: bool, rounds: int, trials: int) -> loop.Lanes:
        lanes, count, buffer = loop.chunk(
            self.problem, lanes, schedule, first, np.int32(rounds), np.int64(trials), form=form
        )
        kept = {name: np.asarray(value)[: int(count)] for name, value in buffer.items()}
        where = np.nonzero(kept.pop("recorded"))
        values = by_hand(self.record, {name: value[where] for name, value in kept.items()})
        self.pieces.append(values | {"lane": self.group[where[1]]})
        return lanes

    @staticmethod
    def _trials(lanes: loop.Lanes) -> int:
        return int(np.max(np.asarray(lanes.step) + np.asarray(lanes.rule_state.rejected)))


@partial(compiled, static_argnames="rule")
def _start(problem: Any, state: Any, given: Any, *, rule: Any) -> Any:
    return lanes_together(partial(rule.start, problem))(state, given)


@partial(compiled, static_argnames="rule")
def _view(problem: Any, state: Any, progress: Any, *, rule: Any) -> Any:
    return lanes_together(lambda *lane: rule.observe(problem, *lane)[0])(state, progress)
