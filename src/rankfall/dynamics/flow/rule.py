"""The rule of the flows: adaptive steps of an integrator, which land on events exactly."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from ..._types import Array
from ...problems import AbstractProblem
from ..rules import AbstractRule, Limits, Step, choose
from ..stopping import CERTIFICATE, FLOW_TIME, RUNNING, STALLED, STATIONARY
from .clock import first_step, passes, until
from .system import AbstractSystem, State

# A loss level is met when the loss is within this share of it.
_AT_LEVEL = 1e-12
_NO_TIME = 1e-9
# Trials to meet a level, which rounding may blur, and trials in a row to find a step that can be taken at all.
_MOST_CROSSINGS, _MOST_FAILURES = 40, 60
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
# Stationary: over another e-fold of time the loss would fall by less than this share, and the gradient has cancelled to
# this share of what its parts allow, which a saddle's has not.
_STILL, _CANCELLED = 1e-12, 1e-10
# And nothing that is small would grow by more than this share.
_GROWS = 1e-6


class Progress(NamedTuple):
    """What a lane knows beside its state."""

    time: Any
    # Time in which the start changes a little, where the logarithm of time begins.
    unit: Any
    # Next step, by the clock.
    h: Any
    # Step before it was cut to meet an event; taken up again afterwards.
    free_h: Any
    solver: Any
    # Trials in a row that would have passed a level, and all that would have passed this one.
    crossings: Any
    tries: Any
    failures: Any
    rejected: Any
    constants: Any
    errors: Any


@dataclasses.dataclass(frozen=True)
class FlowRule(AbstractRule[State, Progress, tuple[Array, ...]]):
    """A system, a solver and a clock."""

    system: AbstractSystem[State]
    solver: Any
    rtol: float
    certify: bool
    clock: str

    steady = False

    def init(self, problem: AbstractProblem, model: State, given: tuple[Array, ...]) -> Progress:
        """Progress of a lane at the start."""
        state = model
        constants = self.system.constants(problem, state, given)
        flat, scale = (ravel_pytree(s)[0] for s in (state, self.system.scale(problem, state, constants)))
        slope = ravel_pytree(self.system.velocity(problem, state, constants))[0]
        size, speed = _norm(flat / scale), _norm(slope / scale)
        # A first step that is small against the time in which the state changes; the solver corrects it.
        unit = 1e-3 * jnp.maximum(size, 1e-3) / jnp.where(speed > 0, speed, 1.0)
        # Times are in double precision, also where the state is not: events are met exactly.
        unit, zero, none = unit.astype(jnp.float64), jnp.zeros((), jnp.float64), jnp.zeros((), jnp.int32)
        h = first_step(self.clock, unit)
        errors, _ = self.system.watch(problem, state, constants.loss, constants)
        begun = Progress(zero, unit, h, h, None, none, none, none, none, constants, errors)
        field, y, _, _ = self._flat(problem, state, begun)
        wide = y.astype(jnp.float64)
        return begun._replace(solver=self.solver.init(lambda v: field(v.astype(y.dtype)).astype(jnp.float64), wide))

    def observe(self, problem: AbstractProblem, model: State, state: Progress) -> tuple[Any, dict[str, Any]]:
        """State as a factorization, and what the flow knows on top."""
        progress = state
        view = self.system.view(problem, model, progress.constants)
        own = {
            "loss": self.system.loss(problem, model, progress.constants),
            "time": progress.time,
            "dissipated": model.dissipated,
            "rejected_steps": progress.rejected,
            "velocity_error": self.system.velocity_error(problem, model, progress.constants, view),
        }
        return view, {**own, **progress.errors}

    def step(
        self, problem: AbstractProblem, model: State, state: Progress, given: tuple[Array, ...], limits: Limits
    ) -> Step:
        """Try one step; the model is the system's state, the rule's state its progress."""
        threshold, next_time = limits.threshold, limits.next_time
        system, p = self.system, state
        field, y, scale, unravel = self._flat(problem, model, p)
        left = until(self.clock, p.time, next_time, p.unit)
        # A step that would leave a sliver before an event goes to it in two.
        h = jnp.where(p.h >= left, left, jnp.where(2 * p.h > left, left / 2, p.h))
        lands, passed = h == left, passes(self.clock, p.time, h, p.unit)
        # The solver works in double precision; only the equation is evaluated in that of the problem.
        wide, kind = y.astype(jnp.float64), y.dtype
        moving = field if kind == wide.dtype else lambda v: field(v.astype(kind)).astype(jnp.float64)
        end, error, solver, room = self.solver.step(moving, wide, h, p.solver, self.rtol * scale)
        size = _norm(error / (self.rtol * scale))
        fine = (room > 0) & jnp.isfinite(size) & jnp.all(jnp.isfinite(end))
        factor = jnp.clip(_SAFETY * size ** (-1.0 / self.solver.error_order), _SHRINK, jnp.minimum(_GROW, room))
        factor = jnp.where(fine, factor, jnp.clip(-room, _SHRINK, 0.5))
        # After a failure no growth at once: it would only fail again.
        factor = jnp.where(p.failures > 0, jnp.minimum(factor, 1.0), factor)
        good = fine & (size <= 1)
        moved = unravel(end.astype(kind))
        before, after = (system.loss(problem, s, p.constants) for s in (model, moved))
        beyond = good & (after < threshold * (1 - _AT_LEVEL)) & (p.tries < _MOST_CROSSINGS)
        taken = good & ~beyond
        # Rounding in the loss may keep it from the level for good: then it is met where no time is left to go.
        at_it = (p.crossings > 0) & (h <= _NO_TIME * p.free_h)
        met = taken & ((after <= threshold * (1 + _AT_LEVEL)) | at_it)
        # Where the logarithm of the loss, taken to be linear in the step, meets the level.
        share = jnp.log(before / threshold) / jnp.log(before / after)
        to_level = h * jnp.clip(jnp.where(jnp.isfinite(share), share, 0.5), 1e-6, 1 - 1e-9)
        grown = h * factor
        # A step cut for an event says nothing against the longer one before it.
        resumed = jnp.where(taken & ((p.crossings > 0) | (h < p.h)), jnp.maximum(grown, p.free_h), grown)
        failures = jnp.where(good, 0, p.failures + 1)
        rate = (moved.dissipated - model.dissipated) / passed
        moved, constants = system.settle(problem, moved, p.constants)
        progress = Progress(
            time=jnp.where(taken, jnp.where(lands, next_time, p.time + passed), p.time),
            unit=p.unit,
            h=jnp.where(beyond, to_level, resumed),
            free_h=jnp.where(beyond, jnp.maximum(p.free_h, h), jnp.where(taken, resumed, p.free_h)),
            solver=choose(taken, solver, p.solver),
            crossings=jnp.where(beyond, p.crossings + 1, jnp.where(taken, 0, p.crossings)),
            tries=jnp.where(beyond, p.tries + 1, jnp.where(met, 0, p.tries)),
            failures=failures,
            rejected=p.rejected + ~good,
            constants=choose(taken, constants, p.constants),
            errors=p.errors,
        )
        reason = jnp.where(failures > _MOST_FAILURES, STALLED, RUNNING)
        # The loss falls no more, at a rate that has cancelled to rounding (near a saddle it is small, not cancelled).
        whole = (p.crossings == 0) & ~lands
        still = whole & ((before - after) * progress.time <= _STILL * after * passed)
        still = still & (rate <= _CANCELLED**2 * system.gain(moved, p.constants) * after)
        still = still & (system.escape(problem, moved, constants) * progress.time <= _GROWS)
        reason = jnp.where(still, STATIONARY, reason)
        reason = jnp.where(progress.time >= limits.last_time, FLOW_TIME, reason)
        errors, lost = system.watch(problem, moved, after, progress.constants)
        reason = jnp.where(lost & self.certify, CERTIFICATE, reason)
        return Step(moved, progress._replace(errors=choose(taken, errors, p.errors)), taken, met, reason)

    def _flat(self, problem: AbstractProblem, state: State, p: Progress) -> tuple[Any, Array, Array, Any]:
        """Return the velocity by the clock, the vector that it moves, the scale of that, and the state from it."""
        system, constants = self.system, p.constants
        scale = system.scale(problem, state, constants)
        if self.clock == "time":
            y, unravel = ravel_pytree(state)

            def field(v: Array) -> Array:
                return ravel_pytree(system.velocity(problem, unravel(v), constants))[0]

            return field, y, ravel_pytree(scale)[0], unravel
        age = (p.time + p.unit).astype(state.dissipated.dtype)
        y, unravel = ravel_pytree((state, age))

        def by_logarithm(v: Array) -> Array:
            state, age = unravel(v)
            return age * ravel_pytree((system.velocity(problem, state, constants), jnp.ones_like(age)))[0]

        return by_logarithm, y, ravel_pytree((scale, age))[0], lambda v: unravel(v)[0]


def _norm(values: Array) -> Array:
    return jnp.sqrt(jnp.mean(values * values))
