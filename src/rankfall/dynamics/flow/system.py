"""What the flow loop integrates: a state, its velocity, and what must stay true along the way."""

import abc
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp

from ..._types import Array
from ...problems import AbstractProblem
from .independent import Rates, end_to_end_error, equation

# Along a certified flow the loss lost equals the integral of the squared gradient to this share of the first loss.
ENERGY_TOLERANCE = 1e-6


class Constants(eqx.Module):
    """Numbers of a lane that do not move: loss and determinant sign at the start, depth, what else is needed."""

    loss: Array
    det_sign: Array
    depth: Any = None
    other: Any = ()


@runtime_checkable
class FlowState(Protocol):
    """State of a flow: a pytree of one lane."""

    @property
    def dissipated(self) -> Array:
        """Integral of the rate at which the loss is lost."""
        ...


State = TypeVar("State", bound=FlowState)


class AbstractSystem(abc.ABC, Generic[State]):
    """One way to write a flow down; hashable, since compiled code depends on it.

    A state is a pytree of one lane with a leaf ``dissipated``, the integral of the rate at which the loss is lost.
    """

    @abc.abstractmethod
    def constants(self, problem: AbstractProblem, state: State, given: tuple[Array, Array]) -> Constants:
        """Numbers that stay as they are at the start; ``given`` are the determinant's sign and the depth."""

    @abc.abstractmethod
    def velocity(self, problem: AbstractProblem, state: State, constants: Constants) -> State:
        """Return the derivative of the state in flow time."""

    @abc.abstractmethod
    def loss(self, problem: AbstractProblem, state: State, constants: Constants) -> Array:
        """Loss on the problem."""

    @abc.abstractmethod
    def scale(self, problem: AbstractProblem, state: State, constants: Constants) -> State:
        """Size of each number of the state against which errors are measured."""

    @abc.abstractmethod
    def gain(self, state: State, constants: Constants) -> Array:
        """Largest factor by which the flow can turn a squared gradient in the matrix into a loss of loss."""

    @abc.abstractmethod
    def view(self, problem: AbstractProblem, state: State, constants: Constants) -> Any:
        """State as a factorization, which is measured and returned."""

    def slope(self, problem: AbstractProblem, state: State, constants: Constants) -> Array:
        """Gradient of the loss in the end-to-end matrix, with all the digits that the state has of it."""
        slope: Array = problem.gradient(self.view(problem, state, constants).matrix)
        return slope

    def seen(self, problem: AbstractProblem, state: State, constants: Constants) -> tuple[Array, Array]:
        """Return the end-to-end matrix and ``ln|det W|``, which have to move as the equation says."""
        view = self.view(problem, state, constants)
        return view.matrix, view.log_abs_det

    def velocity_error(self, problem: AbstractProblem, state: State, constants: Constants, view: Any) -> Array:
        """Difference between the velocity and an independent form of it at its view, as a share of the latter."""
        slope = self.slope(problem, state, constants)
        velocity = self.velocity(problem, state, constants)
        _, (moved, log_rate) = jax.jvp(lambda s: self.seen(problem, s, constants), (state,), (velocity,))
        expected = equation(view, slope, constants.depth)
        found = Rates(moved, log_rate, velocity.dissipated)
        error = end_to_end_error(problem, view, slope, constants.depth, found, expected)
        return jnp.maximum(error, self.residual_error(problem, state, velocity, expected.matrix, constants))

    def residual_error(
        self, problem: AbstractProblem, state: State, velocity: State, expected: Array, constants: Constants
    ) -> Any:
        """Difference from the velocity that residuals have which are part of the state; none by default."""
        return 0.0

    def settle(self, problem: AbstractProblem, state: State, constants: Constants) -> tuple[State, Constants]:
        """Return the state that goes on after a step, and its constants: both may be written down anew."""
        return state, constants

    def escape(self, problem: AbstractProblem, state: State, constants: Constants) -> Any:
        """Largest rate at which something small grows by its share: at a saddle it does, while the loss rests."""
        return 0.0

    def watch(
        self, problem: AbstractProblem, state: State, loss: Array, constants: Constants
    ) -> tuple[dict[str, Array], Array]:
        """Return errors of what must be conserved, by their recorded names, and whether the certificate is lost."""
        error = abs(constants.loss - loss - state.dissipated) / constants.loss
        return {"energy_error": error}, error > ENERGY_TOLERANCE
