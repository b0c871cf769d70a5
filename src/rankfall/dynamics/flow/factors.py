"""The flow of the factors themselves: ``W_j' = -d loss / d W_j``."""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ... import measures
from ..._types import Array
from ...factorizations import MatrixFactorization
from ...factorizations.base import AbstractFactorization
from ...factorizations.products import layer_gradients, tiny_chain_product
from ...problems import AbstractProblem
from .independent import factor_error
from .system import AbstractSystem, Constants

# Errors are relative to a number, or to this share of the largest one of its factor.
_SMALL_SHARE = 1e-3


class FactorState(eqx.Module):
    """Factors, and the integral of the squared gradient."""

    factors: tuple[Array, ...]
    dissipated: Array


@dataclasses.dataclass(frozen=True)
class FactorSystem(AbstractSystem[FactorState]):
    """Gradient flow on the factors.

    Attributes
    ----------
    balance_tolerance : float
        Drift of the conserved ``W_{j+1}^T W_{j+1} - W_j W_j^T``, as a share of the largest squared factor, at which
        the certificate is lost; a flow from balanced factors also loses it when its determinant changes sign.
    """

    balance_tolerance: float

    def constants(self, problem: AbstractProblem, state: FactorState, given: tuple[Array, Array]) -> Constants:
        """Loss, determinant sign (0 where nothing is known of it) and the conserved matrices at the start."""
        return Constants(self.loss(problem, state, None), *given, MatrixFactorization(state.factors).conserved())

    def velocity(self, problem: AbstractProblem, state: FactorState, constants: Constants) -> FactorState:
        """Negative gradient, and its square."""
        slopes = layer_gradients(state.factors, problem.gradient(tiny_chain_product(state.factors)))
        return FactorState(tuple(-g for g in slopes), sum(jnp.sum(g * g) for g in slopes))

    def loss(self, problem: AbstractProblem, state: FactorState, constants: Constants | None) -> Array:
        """Loss of the product."""
        return problem.loss(tiny_chain_product(state.factors))

    def scale(self, problem: AbstractProblem, state: FactorState, constants: Constants) -> FactorState:
        """Each number, or a share of the largest of its factor."""
        return _sizes(state, constants)

    def gain(self, state: FactorState, constants: Constants) -> Array:
        """``L`` times the largest squared factor to the power ``L - 1``."""
        depth = len(state.factors)
        return depth * _largest_square(state.factors) ** (depth - 1)

    def velocity_error(self, problem: AbstractProblem, state: FactorState, constants: Constants, view: Any) -> Array:
        """Difference from the loss differentiated automatically."""
        return factor_error(
            problem, MatrixFactorization, state.factors, self.velocity(problem, state, constants).factors
        )

    def view(self, problem: AbstractProblem, state: FactorState, constants: Constants) -> MatrixFactorization:
        """Return the factors."""
        return MatrixFactorization(state.factors)

    def watch(
        self, problem: AbstractProblem, state: FactorState, loss: Array, constants: Constants
    ) -> tuple[dict[str, Array], Array]:
        """Energy, balance, and the sign of the determinant."""
        errors, lost = super().watch(problem, state, loss, constants)
        now = MatrixFactorization(state.factors).conserved()
        drift = _drift(now, constants.other).astype(state.dissipated.dtype) / _largest_square(state.factors)
        lost = lost | (drift > self.balance_tolerance)
        w = state.factors
        if w[0].shape[-1] == w[-1].shape[-2]:
            crossed = measures.det_sign(w).astype(constants.det_sign.dtype) * constants.det_sign < 0
            lost = lost | crossed
        return {**errors, "balance_drift": drift}, lost


@dataclasses.dataclass(frozen=True)
class TensorSystem(AbstractSystem[FactorState]):
    """Gradient flow on the factors of any factorization that is no chain of matrices.

    Attributes
    ----------
    make : callable
        Makes the factorization of factors.
    balance_tolerance : float
        Drift of the conserved differences of squared lengths, as a share of the largest squared factor.
    """

    make: Any
    balance_tolerance: float

    def constants(self, problem: AbstractProblem, state: FactorState, given: tuple[Array, Array]) -> Constants:
        """Loss at the start, and what the factorization conserves."""
        return Constants(self.loss(problem, state, None), *given, self.make(state.factors).conserved())

    def velocity(self, problem: AbstractProblem, state: FactorState, constants: Constants) -> FactorState:
        """Negative gradient, and its square."""
        slopes = self.make(state.factors).loss_and_gradient(problem)[1].factors
        return FactorState(tuple(-g for g in slopes), sum(jnp.sum(g * g) for g in slopes))

    def loss(self, problem: AbstractProblem, state: FactorState, constants: Constants | None) -> Array:
        """Loss of the tensor."""
        return problem.loss_of(self.make(state.factors))

    def scale(self, problem: AbstractProblem, state: FactorState, constants: Constants) -> FactorState:
        """Each number, or a share of the largest of its factor."""
        return _sizes(state, constants)

    def gain(self, state: FactorState, constants: Constants) -> Array:
        """As for a chain of as many factors."""
        count = len(state.factors)
        return count * _largest_square(state.factors) ** (count - 1)

    def velocity_error(self, problem: AbstractProblem, state: FactorState, constants: Constants, view: Any) -> Array:
        """Difference from the loss differentiated automatically."""
        return factor_error(problem, self.make, state.factors, self.velocity(problem, state, constants).factors)

    def view(self, problem: AbstractProblem, state: FactorState, constants: Constants) -> Any:
        """Return the factors in their form."""
        return self.make(state.factors)

    def watch(
        self, problem: AbstractProblem, state: FactorState, loss: Array, constants: Constants
    ) -> tuple[dict[str, Array], Array]:
        """Energy, and balance where the factorization knows of one."""
        errors, lost = super().watch(problem, state, loss, constants)
        now = self.make(state.factors).conserved()
        if now is None:
            return errors, lost
        drift = _drift(now, constants.other) / _largest_square(state.factors)
        return {**errors, "balance_drift": drift}, lost | (drift > self.balance_tolerance)


def _drift(now: tuple[Array, ...], before: tuple[Array, ...]) -> Array:
    """Largest change of a number that is conserved, 0 where there is none (at depth 1)."""
    changes = [abs(d - d0).max() for d, d0 in zip(now, before, strict=True)]
    return jnp.stack(changes).max() if changes else jnp.zeros(())


def _sizes(state: FactorState, constants: Constants) -> FactorState:
    sizes = tuple(jnp.maximum(abs(w), _SMALL_SHARE * abs(w).max()) for w in state.factors)
    return FactorState(sizes, constants.loss)


def _largest_square(factors: tuple[Array, ...]) -> Array:
    return jnp.stack([jnp.sum(w * w) for w in factors]).max()


def state_of(start: AbstractFactorization, dtype: str) -> FactorState:
    """Lanes of factors as a state."""
    factors = tuple(jnp.asarray(w, dtype) for w in start.factors)
    return FactorState(factors, jnp.zeros(factors[0].shape[:1], dtype))


def signs_of(start: MatrixFactorization, tolerance: float) -> Any:
    """Return the determinant signs that the flow must keep: those of balanced square products, else 0."""
    lanes = start.lanes
    if start.shape[0] != start.shape[1] or start.depth < 2:
        return jnp.zeros(lanes)
    # A balance is one of ratios: factors of 1e200 and of 1e-200 would have no squares.
    unit = np.max([np.max(np.abs(w), axis=(-2, -1)) for w in start.factors], axis=0)
    scaled = [np.asarray(w) / np.where(unit > 0.0, unit, 1.0)[:, None, None] for w in start.factors]
    largest = np.max([np.sum(np.square(w), axis=(-2, -1)) for w in scaled], axis=0)
    balanced = np.asarray(measures.unbalancedness(scaled)) <= tolerance * largest
    return np.where(balanced, measures.det_sign(start.factors), 0.0)
