"""The one compiled loop: many steps of many lanes, with records taken inside.

A *round* runs every lane to its next event: a step to record, a loss level, the end. Lanes that are there wait for the
others. Inside a round, *blocks* of steps run with nothing but a running minimum of the loss beside the step; only a
block in which a lane met its level is run again, step by step, with that lane held at the very step. (Holding lanes
by a mask at every step would halve the speed.) A *chunk* is a number of rounds; Python is entered once a chunk.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .stopping import DIVERGED, LOSS, RUNNING, STEPS

# Steps between two looks at the loss levels: long enough to make the look free, short enough to be run twice. It grows
# with the steps done, since losses fall by powers of time and levels are met ever more seldom.
SHORTEST_BLOCK, LONGEST_BLOCK, BLOCK_SHARE = 128, 8192, 5000
# Rounds a chunk can record; how many it does run is chosen while training.
ROUNDS = 256
_FAR = 2**62


class Lanes(NamedTuple):
    """State of all lanes: the model and optimiser state with the lane axis where the loop wants it."""

    model: Any
    rule_state: Any
    step_size: jax.Array
    step: jax.Array
    level: jax.Array
    reason: jax.Array


class Schedule(NamedTuple):
    """When lanes have events; all arrays, so that another schedule compiles nothing."""

    every: jax.Array
    steps: jax.Array
    levels: jax.Array
    last_step: jax.Array
    last_loss: jax.Array


@partial(jax.jit, static_argnames=("rule", "probes", "axis"))
def first_record(problem: Any, lanes: Lanes, schedule: Schedule, *, rule: Any, probes: Any, axis: int) -> Any:
    """Record the start; lanes that are already at the end are marked so."""
    del rule
    return _record(problem, lanes, schedule, probes, axis)


@partial(jax.jit, static_argnames=("rule", "probes", "axis"))
def chunk(
    problem: Any, lanes: Lanes, schedule: Schedule, rounds: Any, round_steps: Any, *, rule: Any, probes: Any, axis: int
) -> Any:
    """Run up to ``rounds`` rounds of up to ``round_steps`` steps.

    Returns the lanes, the number of rounds run, and the records: arrays ``(ROUNDS, lane, ...)`` whose entries count
    where ``records["recorded"]`` is true.
    """

    def more(carry: Any) -> Any:
        i, lanes, _ = carry
        return (i < rounds) & (lanes.reason == RUNNING).any()

    def one_round(carry: Any) -> Any:
        i, lanes, buffer = carry
        lanes, arrived = _round(problem, lanes, schedule, round_steps, rule, axis)

        def take(lanes: Lanes) -> Any:
            after, values = _record(problem, lanes, schedule, probes, axis)
            moved = lanes._replace(
                level=jnp.where(arrived, after.level, lanes.level),
                reason=jnp.where(arrived, after.reason, lanes.reason),
            )
            return moved, {**values, "recorded": arrived}

        def skip(lanes: Lanes) -> Any:
            return lanes, jax.tree.map(lambda b: jnp.zeros(b.shape[1:], b.dtype), buffer)

        lanes, values = lax.cond(arrived.any(), take, skip, lanes)
        return i + 1, lanes, jax.tree.map(lambda b, v: b.at[i].set(v), buffer, values)

    shapes = jax.eval_shape(lambda lanes: _record(problem, lanes, schedule, probes, axis)[1], lanes)
    buffer = {name: jnp.zeros((ROUNDS, *s.shape), s.dtype) for name, s in shapes.items()}
    buffer["recorded"] = jnp.zeros((ROUNDS, *lanes.reason.shape), bool)
    count, lanes, buffer = lax.while_loop(more, one_round, (jnp.zeros((), jnp.int32), lanes, buffer))
    return lanes, count, buffer


def _round(problem: Any, lanes: Lanes, schedule: Schedule, round_steps: Any, rule: Any, axis: int) -> Any:
    """Run lanes to their next event or for ``round_steps`` steps; return them and who has arrived."""
    target = _next_step(lanes.step, schedule)
    # Levels are sorted downwards and padded with -1, which no loss reaches.
    threshold = jnp.maximum(schedule.levels[jnp.minimum(lanes.level, schedule.levels.size - 1)], schedule.last_loss)
    step_of = jax.vmap(partial(_step, problem, rule), in_axes=(axis, axis, 0), out_axes=(0, axis, axis))
    finished = lanes.reason != RUNNING
    longest = jnp.clip(lanes.step.max() // BLOCK_SHARE, SHORTEST_BLOCK, LONGEST_BLOCK)

    def more(carry: Any) -> Any:
        done, _, waiting = carry
        return (done < round_steps) & ~waiting.all()

    def block(carry: Any) -> Any:
        done, lanes, waiting = carry
        # Every lane that runs can run this long without meeting its next recorded step.
        count = jnp.minimum(jnp.where(waiting, _FAR, target - lanes.step).min(), longest)

        def fast(_: Any, c: Any) -> Any:
            model, state, low = c
            loss, model, state = step_of(model, state, lanes.step_size)
            # A loss that is not finite counts as "level met": the block is run again and stops right there.
            return model, state, jnp.minimum(low, jnp.where(loss < jnp.inf, loss, -jnp.inf))

        def held(_: Any, c: Any) -> Any:
            model, state, step = c
            loss, new_model, new_state = step_of(model, state, lanes.step_size)
            go = ~waiting & (loss > threshold) & (loss < jnp.inf)
            return _where(go, new_model, model, axis), _where(go, new_state, state, axis), step + go

        low = jnp.full_like(threshold, jnp.inf)
        model, state, low = lax.fori_loop(0, count, fast, (lanes.model, lanes.rule_state, low))
        met = (~waiting & (low <= threshold)).any()
        model, state, step = lax.cond(
            met,
            lambda: lax.fori_loop(0, count, held, (lanes.model, lanes.rule_state, lanes.step)),
            lambda: (
                _where(waiting, lanes.model, model, axis),
                _where(waiting, lanes.rule_state, state, axis),
                lanes.step + jnp.where(waiting, 0, count),
            ),
        )
        waiting = waiting | (step < lanes.step + count) | (step >= target)
        return done + count, lanes._replace(model=model, rule_state=state, step=step), waiting

    start = (jnp.zeros((), lanes.step.dtype), lanes, finished)
    _, lanes, waiting = lax.while_loop(more, block, start)
    return lanes, waiting & ~finished


def _step(problem: Any, rule: Any, model: Any, state: Any, step_size: Any) -> Any:
    """One step of one lane; the loss is that of the model before the step."""
    loss, gradient = model.loss_and_gradient(problem)
    model, state = rule.step(gradient, state, model, step_size)
    return loss, model, state


def _record(problem: Any, lanes: Lanes, schedule: Schedule, probes: Any, axis: int) -> Any:
    def of_lane(model: Any) -> Any:
        end_to_end = model.full()
        values = {name: probe(problem, model, end_to_end) for name, probe in probes}
        return {"loss": problem.loss(end_to_end), **values}

    values = jax.vmap(of_lane, in_axes=axis)(lanes.model)
    loss = values["loss"]
    reason = jnp.where(lanes.step >= schedule.last_step, STEPS, RUNNING)
    reason = jnp.where(loss <= schedule.last_loss, LOSS, reason)
    reason = jnp.where(jnp.isfinite(loss), reason, DIVERGED).astype(lanes.reason.dtype)
    passed = (schedule.levels[None, :] >= loss[:, None]).sum(axis=1).astype(lanes.level.dtype)
    after = lanes._replace(
        level=jnp.maximum(lanes.level, passed), reason=jnp.where(lanes.reason == RUNNING, reason, lanes.reason)
    )
    return after, {**values, "step": lanes.step}


def _next_step(step: Any, schedule: Schedule) -> Any:
    by_interval = (step // schedule.every + 1) * schedule.every
    listed = schedule.steps[jnp.searchsorted(schedule.steps, step, side="right")]
    return jnp.minimum(jnp.minimum(by_interval, listed), schedule.last_step)


def _where(condition: Any, yes: Any, no: Any, axis: int) -> Any:
    def pick(a: Any, b: Any) -> Any:
        shape = [1] * a.ndim
        shape[axis] = -1
        return jnp.where(condition.reshape(shape), a, b)

    return jax.tree.map(pick, yes, no)
