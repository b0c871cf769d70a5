"""The end-to-end flow in polar coordinates ``W = Q exp(K) P^T``: singular values in logarithms, without singularities.

``Q`` (rows x rank) and ``P`` (columns x rank) have orthonormal columns, ``K`` is symmetric with the logarithms of the
positive singular values as eigenvalues; its eigenvectors turn ``Q`` and ``P`` into the singular vectors. Where two
singular values meet the singular vectors are not defined, or turn infinitely fast, but these coordinates move on
smoothly: equal values at the start and crossings are nothing special. No singular value can become zero or change sign;
those that are zero stay zero and take no part.

The equations are those of the singular values and vectors (Arora et al. 2019, theorem 3 and lemma 2) with the rotation
common to both frames put into ``K``, so that ``P`` moves only where its span does.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..._types import Array
from ...factorizations.spectral import SpectralFactorization
from .operators import apply, decompose, descent_weight, log_weight, power, rotation_weight
from .system import AbstractSystem, Constants, gradient

# Rounding in K is relative to its largest eigenvalue; beyond this spread less than nine digits of the others are left.
_WIDEST_SPREAD = 4e5
_FRAME_TOLERANCE = 1e-6


class PolarState(eqx.Module):
    """``W = Q exp(K) P^T``; ``right`` is ``None`` where it would be a constant identity."""

    left: Array
    logs: Array
    right: Any
    dissipated: Array


@dataclasses.dataclass(frozen=True)
class PolarSystem(AbstractSystem):
    """Gradient flow of balanced factors of real depth ``L >= 2``, of any shape and rank."""

    depth: float

    def constants(self, problem: Any, state: PolarState, given: tuple[Any, Any]) -> Constants:
        """Loss and determinant sign at the start."""
        return Constants(self.loss(problem, state, None), *given)

    def loss(self, problem: Any, state: PolarState, constants: Any) -> Array:
        """Loss of the end-to-end matrix."""
        return problem.loss(_matrix(state, decompose(state.logs)))

    def velocity(self, problem: Any, state: PolarState, constants: Any) -> PolarState:
        """Return the derivatives of ``Q``, ``K``, ``P``, and the rate at which loss is lost."""
        q, logs, depth = state.left, state.logs, self.depth
        eigen = decompose(logs)
        slope = gradient(problem, _matrix(state, eigen))
        at_right = slope if state.right is None else slope @ state.right
        inner = q.T @ at_right
        log_rate = apply(log_weight(depth), logs, eigen, inner)
        turn = apply(rotation_weight(depth), logs, eigen, inner)
        unit = jnp.eye(logs.shape[0], dtype=logs.dtype)
        lost = jnp.sum(inner * apply(descent_weight(depth), logs, eigen, inner))
        left = -q @ (turn - turn.T)
        outer, half = apply(power(1 - 2 / depth), logs, eigen, unit), apply(power(1 - 1 / depth), logs, eigen, unit)
        if q.shape[0] > q.shape[1]:  # gradient outside of the span of the columns
            beyond = at_right - q @ inner
            left, lost = left - beyond @ outer, lost + jnp.sum((beyond @ half) ** 2)
        right = None
        if state.right is not None:
            beyond = slope.T @ q - state.right @ inner.T
            right, lost = -beyond @ outer, lost + jnp.sum((beyond @ half) ** 2)
        return PolarState(left, -(log_rate + log_rate.T), right, lost)

    def scale(self, problem: Any, state: PolarState, constants: Constants) -> PolarState:
        """Frames and logarithms against one, or what they are beyond; the energy against the first loss."""

        def size(a: Any) -> Array:
            return jnp.maximum(abs(a), 1.0)

        right = None if state.right is None else size(state.right)
        return PolarState(size(state.left), size(state.logs), right, constants.loss)

    def gain(self, state: PolarState, constants: Constants) -> Array:
        """``L sigma_1^(2 - 2/L)``."""
        return self.depth * jnp.exp(2 * (1 - 1 / self.depth) * decompose(state.logs)[0][-1])

    def watch(self, problem: Any, state: PolarState, loss: Any, constants: Constants) -> tuple[dict[str, Array], Array]:
        """Energy, orthonormality of the frames, and the digits that the spread of the logarithms leaves."""
        errors, lost = super().watch(problem, state, loss, constants)
        skew = _skew(state.left) if state.right is None else jnp.maximum(_skew(state.left), _skew(state.right))
        k = decompose(state.logs)[0]
        lost = lost | (skew > _FRAME_TOLERANCE) | (k[-1] - k[0] > _WIDEST_SPREAD)
        return {**errors, "frame_error": skew}, lost

    def view(self, problem: Any, state: PolarState, constants: Constants) -> SpectralFactorization:
        """Singular vectors and logarithms, largest first."""
        k, r = decompose(state.logs)
        k, r = k[::-1], r[:, ::-1]
        right = r if state.right is None else state.right @ r
        matrix = _matrix(state, (k, r))
        square = matrix.shape[0] == matrix.shape[1] == k.shape[0]
        log_abs_det = jnp.trace(state.logs) if square else jnp.full((), -jnp.inf, k.dtype)
        return SpectralFactorization(state.left @ r, k, right, matrix, log_abs_det, constants.det_sign, self.depth)


def _matrix(state: PolarState, eigen: Any) -> Array:
    unit = jnp.eye(state.logs.shape[0], dtype=state.logs.dtype)
    stretch = apply(power(1.0), state.logs, eigen, unit)
    moved = state.left @ stretch
    return moved if state.right is None else moved @ state.right.T


def _skew(frame: Any) -> Array:
    return abs(frame.T @ frame - jnp.eye(frame.shape[1], dtype=frame.dtype)).max()


def polar_of(start: SpectralFactorization) -> PolarState:
    """Lanes of a spectral factorization as a state."""
    u, k, v = (np.asarray(a) for a in (start.left, start.log_singular_values, start.right))
    vt = np.swapaxes(v, -1, -2)
    zero = np.zeros(len(k))
    if start.rank == start.shape[1]:  # P is the identity, and V the eigenvectors of K
        return PolarState(u @ vt, _symmetric((v * k[:, None, :]) @ vt), None, zero)
    return PolarState(u, k[..., :, None] * np.eye(start.rank), v, zero)


def _symmetric(a: np.ndarray) -> np.ndarray:
    return (a + np.swapaxes(a, -1, -2)) / 2
