"""Clocks of a flow: its steps are taken in flow time ``t``, or in the logarithm ``ln(1 + t / unit)``."""

import jax.numpy as jnp

from ..._types import Array

CLOCKS = ("time", "log_time")
_FIRST_ON_LOGARITHM = 0.1


def first_step(clock: str, unit: Array) -> Array:
    """Step to begin with, where the state changes little in a time ``unit``."""
    return unit if clock == "time" else jnp.full_like(unit, _FIRST_ON_LOGARITHM)


def until(clock: str, time: Array, event: Array, unit: Array) -> Array:
    """Length by the clock of the way from one time to another."""
    return event - time if clock == "time" else jnp.log1p((event - time) / (time + unit))


def passes(clock: str, time: Array, h: Array, unit: Array) -> Array:
    """Time that passes in a step."""
    return h if clock == "time" else (time + unit) * jnp.expm1(h)
