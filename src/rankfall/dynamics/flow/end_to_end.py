"""The end-to-end equation as it stands in the papers, for comparison: every entry of the matrix, and nothing else.

It is the plainest form, and loses small singular values to rounding, and their signs.
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..._types import Array
from ...factorizations.spectral import SpectralFactorization
from ...problems import AbstractProblem
from .operators import descent_weight
from .system import AbstractSystem, Constants

# Logarithms of singular values that rounding has made zero.
_LOWEST = -700.0


class EndToEndState(eqx.Module):
    """The end-to-end matrix."""

    matrix: Array
    dissipated: Array


@dataclasses.dataclass(frozen=True)
class EndToEndSystem(AbstractSystem[EndToEndState]):
    """``W' = -sum_j (W W^T)^((j-1)/L) grad (W^T W)^((L-j)/L)``; a real ``L`` by divided differences of powers."""

    depth: float

    def constants(self, problem: AbstractProblem, state: EndToEndState, given: tuple[Array, Array]) -> Constants:
        """Loss, determinant sign and depth at the start."""
        return Constants(problem.loss(state.matrix), *given)

    def loss(self, problem: AbstractProblem, state: EndToEndState, constants: Constants) -> Array:
        """Loss of the matrix."""
        return problem.loss(state.matrix)

    def velocity(self, problem: AbstractProblem, state: EndToEndState, constants: Constants) -> EndToEndState:
        """Return the derivative of the matrix, and the rate at which loss is lost."""
        w = state.matrix
        u, s, vt = jnp.linalg.svd(w, full_matrices=True)
        k = jnp.maximum(jnp.log(s), _LOWEST)
        # Directions beyond the shorter side have singular value zero.
        left, right = (jnp.pad(k, (0, n - k.size), constant_values=_LOWEST) for n in w.shape)
        inner = u.T @ problem.gradient(w) @ vt.T
        moved = descent_weight(self.depth)(left[:, None], right[None, :]) * inner
        return EndToEndState(-u @ moved @ vt, jnp.sum(moved * inner))

    def scale(self, problem: AbstractProblem, state: EndToEndState, constants: Constants) -> EndToEndState:
        """Entries against the largest."""
        w = state.matrix
        return EndToEndState(jnp.full_like(w, abs(w).max()), constants.loss)

    def gain(self, state: EndToEndState, constants: Constants) -> Array:
        """``L |W|^(2 - 2/L)``."""
        return self.depth * jnp.sum(state.matrix**2) ** (1 - 1 / self.depth)

    def view(self, problem: AbstractProblem, state: EndToEndState, constants: Constants) -> SpectralFactorization:
        """Singular value decomposition; logarithms and signs only as good as rounding leaves them."""
        u, s, vt = jnp.linalg.svd(state.matrix, full_matrices=False)
        square = state.matrix.shape[0] == state.matrix.shape[1]
        sign, log_abs = jnp.linalg.slogdet(state.matrix) if square else (jnp.zeros(()), jnp.full((), -jnp.inf))
        return SpectralFactorization(u, jnp.log(s), vt.T, state.matrix, log_abs, sign, self.depth)


def end_to_end_of(start: SpectralFactorization) -> EndToEndState:
    """Lanes of a spectral factorization as a state."""
    matrix = np.asarray(start.matrix, dtype=np.float64)
    return EndToEndState(matrix, np.zeros(len(matrix)))
