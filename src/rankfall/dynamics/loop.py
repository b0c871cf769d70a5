"""The one compiled loop: many steps of many lanes, with records taken inside, for every rule.

A *round* runs every lane to its next event: a step to record, a loss level, the end. A lane that is there is held, its
numbers unchanged to the last bit, until the round is over and its record taken. A *chunk* is a number of rounds; Python
is entered once a chunk.
"""

from functools import partial
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from .._execution import alone, compiled, in_one_function, lanes_together
from .._types import Array
from ..problems import AbstractProblem
from .blocks import in_blocks
from .recording import refuse_taken
from .rules import AbstractRule, Limits, choose
from .stopping import DIVERGED, FLOW_TIME, LOSS, RUNNING, STALLED, STATIONARY, STEPS

# Rounds a chunk can record, fewer where a record is large; how many it does run is chosen while training.
_ROUNDS, _FEWEST_ROUNDS, _RECORDED_LANES = 256, 32, 2**15
FAR = 2**62

Records: TypeAlias = dict[str, Array]
# Model, state and step of a lane of a steady rule, and what it is given, its threshold and its last step.
Stepping: TypeAlias = tuple[Any, Any, Array]
Held: TypeAlias = tuple[Any, Array, Array]
# Model, state and step of a lane of another rule, whether it has arrived and by its loss, and why it has ended.
Trying: TypeAlias = tuple[Any, Any, Array, Array, Array, Array]
# A held lane has met its level in the loop's arithmetic, which the record's need not repeat to the last digit.
_SAME_LOSS = 1 + 1e-3


def most_rounds(lanes: int) -> int:
    """Return how many rounds a chunk of so many lanes can record."""
    return min(_ROUNDS, max(_FEWEST_ROUNDS, _RECORDED_LANES // lanes))


class Lanes(NamedTuple):
    """State of all lanes: the model and the rule's state with the lane axis where the loop wants it.

    ``given`` is each lane's own (a step size), ``pace`` the flow time of a steady rule's step. ``ended`` is a reason to
    stop that a round has found, beyond those of steps and losses.
    """

    model: Any
    rule_state: Any
    given: Any
    pace: Any
    step: Any
    level: Any
    ended: Any
    reason: Any


class Schedule(NamedTuple):
    """When lanes have events; all arrays, so that another schedule compiles nothing."""

    every: Any
    steps: Any
    levels: Any
    times: Any
    last_step: Any
    last_loss: Any
    last_time: Any


class Form(NamedTuple):
    """What is compiled: hashable, and equal for runs that share their code.

    ``axis`` is where the lanes are in the model's arrays; ``one_function`` asks for all steps of a round to be compiled
    into a single native function (see `in_one_function`).
    """

    rule: AbstractRule
    probes: Any
    axis: int
    one_function: bool


@partial(compiled, static_argnames="form")
def chunk(
    data: tuple[AbstractProblem, AbstractProblem | None],
    lanes: Lanes,
    schedule: Schedule,
    record_now: Array,
    rounds: Array,
    round_steps: Array,
    *,
    form: Form,
) -> tuple[Lanes, Array, Records]:
    """Run up to ``rounds`` rounds of up to ``round_steps`` steps (trials, of a rule that may refuse them).

    ``data`` are the problem and its held-out observations, or ``None``. With ``record_now`` the first round takes no
    step and records every lane that is running.

    Returns the lanes, the number of rounds run, and the records: arrays ``(most_rounds, lane, ...)`` whose entries
    count where ``records["recorded"]`` is true.
    """
    problem, held_out = data
    advance = _steady_round if form.rule.steady else _adaptive_round

    def more(carry: tuple[Array, Lanes, Records]) -> Array:
        i, lanes, _ = carry
        return (i < rounds) & (lanes.reason == RUNNING).any()

    def one_round(carry: tuple[Array, Lanes, Records]) -> tuple[Array, Lanes, Records]:
        i, lanes, buffer = carry
        at_once = record_now & (i == 0)
        lanes, arrived, held = advance(problem, lanes, schedule, jnp.where(at_once, 0, round_steps), form)
        arrived = jnp.where(at_once, lanes.reason == RUNNING, arrived)

        def take(lanes: Lanes) -> tuple[Lanes, Records]:
            after, values = _record(problem, held_out, lanes, schedule, held, form)
            moved = lanes._replace(
                level=jnp.where(arrived, after.level, lanes.level),
                reason=jnp.where(arrived, after.reason, lanes.reason),
            )
            return moved, {**values, "recorded": arrived}

        def skip(lanes: Lanes) -> tuple[Lanes, Records]:
            return lanes, jax.tree.map(lambda b: jnp.zeros(b.shape[1:], b.dtype), buffer)

        lanes, values = lax.cond(arrived.any(), take, skip, lanes)
        return i + 1, lanes, jax.tree.map(lambda b, v: b.at[i].set(v), buffer, values)

    nobody = jnp.zeros(lanes.reason.shape, bool)
    shapes = jax.eval_shape(lambda lanes: _record(problem, held_out, lanes, schedule, nobody, form)[1], lanes)
    most = most_rounds(nobody.size)
    buffer = {name: jnp.zeros((most, *s.shape), s.dtype) for name, s in shapes.items()}
    buffer["recorded"] = jnp.zeros((most, *nobody.shape), bool)
    count, lanes, buffer = lax.while_loop(more, one_round, (jnp.zeros((), jnp.int32), lanes, buffer))
    return lanes, count, buffer


def _steady_round(
    problem: AbstractProblem, lanes: Lanes, schedule: Schedule, round_steps: Array, form: Form
) -> tuple[Lanes, Array, Array]:
    """Run lanes to their next event or for ``round_steps`` steps; return them, who has arrived, and who by its loss."""
    running = lanes.reason == RUNNING
    last = _steps_until(schedule.last_time, lanes.pace)
    timed = jax.vmap(_next_timed, in_axes=(None, 0, 0))(schedule.times, lanes.pace, lanes.step)
    end = jnp.minimum(jnp.minimum(next_step(lanes.step, schedule), last), timed)
    end = jnp.where(running, end, lanes.step)
    count = jnp.minimum(round_steps, (end - lanes.step).max())
    limits = (lanes.given, threshold_of(lanes, schedule), end)
    state = (lanes.model, lanes.rule_state, lanes.step)
    moved = in_blocks(problem, state, limits, count, form.rule) if form.one_function else None
    if moved is None:
        steps = in_one_function(_steps) if form.one_function else _steps
        moved = steps(problem, state, limits, count, form.rule, form.axis)
    model, rule_state, step = moved
    held = running & (step < end) & (step < lanes.step + count)
    ended = jnp.where(step >= last, FLOW_TIME, RUNNING).astype(lanes.ended.dtype)
    lanes = lanes._replace(model=model, rule_state=rule_state, step=step, ended=ended)
    return lanes, running & (held | (step >= end)), held


def _adaptive_round(
    problem: AbstractProblem, lanes: Lanes, schedule: Schedule, round_steps: Array, form: Form
) -> tuple[Lanes, Array, Array]:
    """Run every lane to its next event, or for ``round_steps`` trials; return what `_steady_round` does."""
    running = lanes.reason == RUNNING
    threshold = threshold_of(lanes, schedule)
    following = next_step(lanes.step, schedule)

    def of_lane(lane: Trying, given: object, threshold: Array, following: Array) -> Trying:
        model, rule_state, step, arrived, held, ended = lane
        at = count_up_to(schedule.times, rule_state.time)
        next_time = jnp.minimum(schedule.times[at], schedule.last_time)
        go = ~arrived
        found = form.rule.step(problem, model, rule_state, given, Limits(threshold, go, next_time, schedule.last_time))
        taken, met = found.taken & go, found.met & go
        final = taken | (found.ended == STALLED) | (found.ended == STATIONARY)
        ended = jnp.where(go & final, found.ended, ended)
        model, rule_state = choose(taken, found.model, model), choose(go, found.state, rule_state)
        step = step + taken
        timed = taken & (rule_state.time >= next_time)
        arrived = arrived | met | timed | (taken & (step >= following)) | (ended != RUNNING)
        return model, rule_state, step, arrived, held | met, ended

    def more(carry: tuple[Array, Trying]) -> Array:
        i, (*_, arrived, _, _) = carry
        return (i < round_steps) & ~arrived.all()

    def trial(carry: tuple[Array, Trying]) -> tuple[Array, Trying]:
        i, lane = carry
        return i + 1, lanes_together(of_lane)(lane, lanes.given, threshold, following)

    nobody = jnp.zeros(running.shape, bool)
    ended = jnp.zeros(running.shape, lanes.ended.dtype)
    start = (lanes.model, lanes.rule_state, lanes.step, ~running, nobody, ended)
    zero = jnp.zeros((), jnp.int64)
    _, (model, rule_state, step, arrived, held, ended) = lax.while_loop(more, trial, (zero, start))
    lanes = lanes._replace(model=model, rule_state=rule_state, step=step, ended=ended)
    return lanes, running & arrived, held


def _steps_until(time: Array, step_size: Array) -> Array:
    """Return the first step at or after a flow time (``FAR`` where the time is infinite or has no step size)."""
    # A time that is a whole number of steps up to rounding is met by that step and not by the next.
    steps = jnp.ceil(time / jnp.where(step_size > 0, step_size, 1) * (1 - 1e-12))
    reached = (step_size > 0) & (steps < FAR)
    return jnp.where(reached, jnp.where(reached, steps, 0).astype(jnp.int64), FAR)


def _next_timed(times: Array, step_size: Array, step: Array) -> Array:
    at = _steps_until(times, step_size)
    return jnp.where(at > step, at, FAR).min()


@partial(jax.jit, static_argnums=(4, 5))
def _steps(
    problem: AbstractProblem, state: Stepping, limits: Held, count: Array, rule: AbstractRule, axis: int
) -> Stepping:
    """Take ``count`` steps with every lane, less those for which it is held."""
    of_lane: Any = partial(_step, problem, rule)
    if axis == 0 and state[-1].size == 1:
        of_lane = alone(of_lane)
    else:
        of_lane = jax.vmap(of_lane, in_axes=((axis, axis, 0), 0), out_axes=(axis, axis, 0))
    return lax.fori_loop(0, count, lambda _, state: of_lane(state, limits), state)


def _step(problem: AbstractProblem, rule: AbstractRule, state: Stepping, limits: Held) -> Stepping:
    """One step of one lane, or none where the rule holds it or its steps are at their end."""
    model, rule_state, step = state
    given, threshold, end = limits
    never = jnp.inf
    found = rule.step(problem, model, rule_state, given, Limits(threshold, step < end, never, never))
    go = found.taken
    model, rule_state = jax.tree.map(
        lambda new, old: lax.select(jnp.broadcast_to(go, new.shape), new, old),
        (found.model, found.state),
        (model, rule_state),
    )
    return model, rule_state, step + go.astype(step.dtype)


def _record(
    problem: AbstractProblem,
    held_out: AbstractProblem | None,
    lanes: Lanes,
    schedule: Schedule,
    held: Array,
    form: Form,
) -> tuple[Lanes, Records]:
    def of_lane(model: object, rule_state: object) -> Records:
        seen, own = form.rule.observe(problem, model, rule_state)
        if held_out is not None:
            missed = held_out.observe(seen) - held_out.values
            own = {**own, "held_out_error": jnp.sqrt(jnp.mean(missed * missed))}
        end_to_end = problem.end_to_end(seen)
        values = {name: probe(problem, seen, end_to_end) for name, probe in form.probes}
        refuse_taken(form.probes, own)
        return {"loss": problem.loss_of(seen), **values, **own}

    values = lanes_together(of_lane, form.axis)(lanes.model, lanes.rule_state)
    loss, threshold = values["loss"], threshold_of(lanes, schedule)
    at_level = held & (loss <= threshold * _SAME_LOSS)
    counted = jnp.where(at_level, jnp.minimum(loss, threshold), loss)
    reason = jnp.where(lanes.step >= schedule.last_step, STEPS, RUNNING)
    reason = jnp.where(counted <= schedule.last_loss, LOSS, reason)
    reason = jnp.where((lanes.ended != RUNNING) & (reason != LOSS), lanes.ended, reason)
    reason = jnp.where(jnp.isfinite(loss) & (at_level | ~held), reason, DIVERGED).astype(lanes.reason.dtype)
    passed = (schedule.levels[None, :] >= counted[:, None]).sum(axis=1).astype(lanes.level.dtype)
    after = lanes._replace(
        level=jnp.maximum(lanes.level, passed), reason=jnp.where(lanes.reason == RUNNING, reason, lanes.reason)
    )
    return after, {**values, "step": lanes.step}


def threshold_of(lanes: Lanes, schedule: Schedule) -> Array:
    """Loss at which each lane has its next event."""
    # Levels are sorted downwards and padded with -1, which no loss reaches.
    return jnp.maximum(schedule.levels[jnp.minimum(lanes.level, schedule.levels.size - 1)], schedule.last_loss)


def next_step(step: Array, schedule: Schedule) -> Array:
    """Return the next step with an event."""
    by_interval = (step // schedule.every + 1) * schedule.every
    listed = schedule.steps[count_up_to(schedule.steps, step)]
    return jnp.minimum(jnp.minimum(by_interval, listed), schedule.last_step)


def count_up_to(values: Array, limit: Array) -> Array:
    """Count the values that do not exceed a limit, of few: a search would be longer to compile than to do without."""
    return jnp.sum(values <= jnp.expand_dims(limit, -1), axis=-1)
