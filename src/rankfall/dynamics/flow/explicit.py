"""diffrax's Runge-Kutta methods, explicit and implicit, in the form the flow loop asks for."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp

from ... import _checks
from ..._types import Array


class Diffrax(NamedTuple):
    """An adaptive solver of diffrax, stepped by the flow loop, which has its own step size control and events."""

    solver: Any
    error_order: int
    name: str

    @classmethod
    def of(cls, solver: object, rtol: float) -> "Diffrax":
        """Wrap a solver; refuse what is none, or estimates no error."""
        import diffrax  # half a second: only where a flow runs

        if not isinstance(solver, diffrax.AbstractSolver):
            raise ValueError(
                f"solver is {_checks.shortened(solver)}, but must be 'auto', 'radau' or a diffrax solver such as "
                "diffrax.Dopri8()."
            )
        if not isinstance(solver, diffrax.AbstractAdaptiveSolver):
            raise ValueError(
                f"solver is {type(solver).__name__}, which estimates no error, but must be adaptive; take "
                "diffrax.Tsit5() or diffrax.Dopri8()."
            )
        if isinstance(solver, diffrax.AbstractImplicitSolver):
            # Outside of diffeqsolve nobody else sets the tolerances of its Newton iteration.
            newton: dict[str, Any] = {"root_finder": diffrax.VeryChord(rtol=rtol, atol=rtol)}
            solver = dataclasses.replace(solver, **newton)
        term = diffrax.ODETerm(lambda t, y, args: y)
        order: Any = solver.error_order(term)
        return cls(solver, int(order), type(solver).__name__)

    def init(self, field: Callable[[Array], Array], y: Array) -> Any:
        """State between steps (the slope at the start of the next one, for many methods)."""
        return self.solver.init(_term(field), jnp.zeros((), y.dtype), jnp.ones((), y.dtype), y, None)

    def step(
        self, field: Callable[[Array], Array], y: Array, h: Array, state: object, scale: Array
    ) -> tuple[Array, Array, Any, Array]:
        """Return the end of the step, its error estimate, the new state, and room (see `Radau.step`)."""
        import diffrax

        # The flows do not depend on time, so every step begins at time 0 and no digit of the time is lost in it.
        end, error, _, state, result = self.solver.step(
            _term(field), jnp.zeros_like(h), h, y, None, state, made_jump=False
        )
        return end, error, state, jnp.where(diffrax.is_okay(result), jnp.inf, 0.0)


def _term(field: Callable[[Array], Array]) -> Any:
    import diffrax

    return diffrax.ODETerm(lambda t, y, args: field(y))
