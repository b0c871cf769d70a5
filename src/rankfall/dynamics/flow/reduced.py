"""Flows that few numbers describe: independent of the general forms, exact where starts are what they ask for.

``identity``: depth 2 from a multiple of the identity, three entries. ``symmetric``: 2 x 2, symmetric with positive
determinant, any depth, in numbers that do not cancel. ``aligned``: every entry observed, and the start in the target's
singular vectors, where each singular value moves alone.
"""

import dataclasses

import equinox as eqx
import jax.numpy as jnp

from ..._types import Array
from ...factorizations.spectral import SpectralFactorization
from ...problems import AbstractProblem
from .operators import ratio_of_decays
from .system import AbstractSystem, Constants
from .two_by_two import UNKNOWN


class IdentityState(eqx.Module):
    """``W = [[x, y], [y, q]]``, and the logarithm of its determinant."""

    x: Array
    y: Array
    q: Array
    log_det: Array
    dissipated: Array


@dataclasses.dataclass(frozen=True)
class IdentitySystem(AbstractSystem[IdentityState]):
    """``x' = 2 y (1 - y)``, ``y' = (x + q) (1 - y) - y q``, ``q' = 2 y (1 - y) - 2 q^2``; ``(ln det W)' = -2 q``."""

    def constants(self, problem: AbstractProblem, state: IdentityState, given: tuple[Array, Array]) -> Constants:
        """Loss, determinant sign and depth at the start."""
        return Constants(self.loss(problem, state, None), *given)

    def loss(self, problem: AbstractProblem, state: IdentityState, constants: Constants | None) -> Array:
        """``(1 - y)^2 + q^2 / 2``."""
        return (1 - state.y) ** 2 + state.q**2 / 2

    def velocity(self, problem: AbstractProblem, state: IdentityState, constants: Constants | None) -> IdentityState:
        """Move by the three equations."""
        x, y, q = state.x, state.y, state.q
        off = 1 - y
        y_rate, q_rate = (x + q) * off - y * q, 2 * y * off - 2 * q * q
        return IdentityState(2 * y * off, y_rate, q_rate, -2 * q, 2 * off * y_rate - q * q_rate)

    def scale(self, problem: AbstractProblem, state: IdentityState, constants: Constants) -> IdentityState:
        """Measure entries against themselves, ``y`` against one too."""
        log_det = jnp.maximum(abs(state.log_det), 1.0)
        return IdentityState(state.x, jnp.ones_like(state.y), state.q, log_det, constants.loss)

    def gain(self, state: IdentityState, constants: Constants) -> Array:
        """``2 |W|``."""
        return 2 * (state.x + 2)

    def view(self, problem: AbstractProblem, state: IdentityState, constants: Constants) -> SpectralFactorization:
        """Singular vectors and logarithms of the symmetric matrix."""
        return _symmetric_view(state.x, state.y, state.q, state.log_det, constants)


class SymmetricState(eqx.Module):
    """``ln w11``, ``1 - w12`` and ``ln det W``."""

    log_x: Array
    residual: Array
    log_det: Array
    dissipated: Array


@dataclasses.dataclass(frozen=True)
class SymmetricSystem(AbstractSystem[SymmetricState]):
    """Any real depth on ``[[*, 1], [1, 0]]``, from a symmetric start of positive determinant and positive ``w11``."""

    def constants(self, problem: AbstractProblem, state: SymmetricState, given: tuple[Array, Array]) -> Constants:
        """Loss, determinant sign and depth at the start."""
        return Constants(self.loss(problem, state, None), *given)

    def loss(self, problem: AbstractProblem, state: SymmetricState, constants: Constants | None) -> Array:
        """``(1 - w12)^2 + w22^2 / 2``."""
        _, _, q = _entries(state)
        return state.residual**2 + q**2 / 2

    def slope(self, problem: AbstractProblem, state: SymmetricState, constants: Constants) -> Array:
        """Residuals in their places."""
        _, _, q = _entries(state)
        return jnp.stack([jnp.stack([jnp.zeros_like(q), -state.residual]), jnp.stack([-state.residual, q])])

    def velocity(self, problem: AbstractProblem, state: SymmetricState, constants: Constants) -> SymmetricState:
        """In the eigenvectors, ``W' = -c * (R^T G R)`` entry by entry."""
        x, y, q = _entries(state)
        depth = constants.depth
        r, k, gap = _eigen(x, y, q, state.log_det)
        inner = r.T @ self.slope(problem, state, constants) @ r
        cross = ratio_of_decays(2.0, 2 / depth, gap)
        weights = jnp.stack([jnp.stack([depth + 0 * gap, cross]), jnp.stack([cross, depth * _decay(depth, gap)])])
        moved = jnp.exp(2 * (1 - 1 / depth) * k) * weights * inner
        rate = r @ moved @ r.T
        log_rate = inner[0, 0] + jnp.exp(-(1 - 2 / depth) * gap) * inner[1, 1]
        log_det = -depth * jnp.exp((1 - 2 / depth) * k) * log_rate
        return SymmetricState(-rate[0, 0] / x, rate[0, 1], log_det, jnp.sum(moved * inner))

    def scale(self, problem: AbstractProblem, state: SymmetricState, constants: Constants) -> SymmetricState:
        """Measure logarithms against one, the residual against itself."""
        one = jnp.ones_like(state.log_x)
        return SymmetricState(one, abs(state.residual), jnp.maximum(abs(state.log_det), one), constants.loss)

    def gain(self, state: SymmetricState, constants: Constants) -> Array:
        """``L |W|^(2 - 2/L)``."""
        return constants.depth * (jnp.exp(state.log_x) + 2) ** (2 - 2 / constants.depth)

    def view(self, problem: AbstractProblem, state: SymmetricState, constants: Constants) -> SpectralFactorization:
        """Singular vectors and logarithms of the symmetric matrix."""
        return _symmetric_view(*_entries(state), state.log_det, constants)


class AlignedState(eqx.Module):
    """Logarithms of the singular values, in the order of the start's singular vectors."""

    logs: Array
    dissipated: Array


class Frames(eqx.Module):
    """Singular vectors of start and target, the target's value for each pair of them, and what no pair reaches."""

    left: Array
    right: Array
    wanted: Array
    rest: Array


@dataclasses.dataclass(frozen=True)
class AlignedSystem(AbstractSystem[AlignedState]):
    """``s' = L s^(2 - 2/L) (target - s)`` for every singular value."""

    def constants(self, problem: AbstractProblem, state: AlignedState, given: tuple[Array, ...]) -> Constants:
        """Loss at the start, determinant sign, depth, and frames."""
        sign, depth, left, right = given
        target = problem.adjoint(problem.values)
        wanted = jnp.diagonal(left.T @ target @ right)
        frames = Frames(left, right, wanted, jnp.sum((target - (left * wanted) @ right.T) ** 2))
        constants = Constants(jnp.zeros(()), sign, depth, frames)
        return Constants(self.loss(problem, state, constants), sign, depth, frames)

    def loss(self, problem: AbstractProblem, state: AlignedState, constants: Constants) -> Array:
        """Sum over the singular values, and what no singular value reaches."""
        off = jnp.exp(state.logs) - constants.other.wanted
        return problem.require_least_squares("AlignedFlow").loss(jnp.sum(off * off) + constants.other.rest)

    def velocity(self, problem: AbstractProblem, state: AlignedState, constants: Constants) -> AlignedState:
        """Move each logarithm alone."""
        depth = constants.depth
        off = jnp.exp(state.logs) - constants.other.wanted
        slope = problem.require_least_squares("AlignedFlow").slope(off)
        rate = -depth * jnp.exp((1 - 2 / depth) * state.logs) * slope
        return AlignedState(rate, -jnp.sum(rate * jnp.exp(state.logs) * slope))

    def scale(self, problem: AbstractProblem, state: AlignedState, constants: Constants) -> AlignedState:
        """Measure logarithms against one."""
        return AlignedState(jnp.maximum(abs(state.logs), 1.0), constants.loss)

    def gain(self, state: AlignedState, constants: Constants) -> Array:
        """``L sigma_1^(2 - 2/L)``."""
        return constants.depth * jnp.exp((2 - 2 / constants.depth) * state.logs.max())

    def view(self, problem: AbstractProblem, state: AlignedState, constants: Constants) -> SpectralFactorization:
        """Singular values in decreasing order, with their vectors."""
        order = jnp.argsort(-state.logs)
        k, u, v = state.logs[order], constants.other.left[:, order], constants.other.right[:, order]
        square = u.shape[0] == v.shape[0] == k.shape[0]
        log_abs = jnp.sum(k) if square else jnp.full((), -jnp.inf)
        matrix = (u * jnp.exp(k)) @ v.T
        return SpectralFactorization(u, k, v, matrix, log_abs, constants.det_sign, UNKNOWN)


def _entries(state: SymmetricState) -> tuple[Array, Array, Array]:
    x, y = jnp.exp(state.log_x), 1 - state.residual
    return x, y, (y * y + jnp.exp(state.log_det)) / x


def _eigen(x: Array, y: Array, q: Array, log_det: Array) -> tuple[Array, Array, Array]:
    """Eigenvectors, the larger logarithm and the distance to the smaller, of a positive definite 2 x 2 matrix."""
    half, off = (x - q) / 2, y
    square = half * half + off * off
    tied = square <= 1e-26 * (x + q) ** 2
    radius = jnp.where(tied, 0.0, jnp.sqrt(jnp.where(tied, 1.0, square)))
    angle = jnp.arctan2(jnp.where(tied, 0.0, off), jnp.where(tied, 1.0, half)) / 2
    r = jnp.stack([jnp.stack([jnp.cos(angle), -jnp.sin(angle)]), jnp.stack([jnp.sin(angle), jnp.cos(angle)])])
    mean = (x + q) / 2
    k = jnp.log(mean + radius)
    near = radius < mean / 2
    # Far apart the difference of the eigenvalues' halves cancels, and the determinant knows the smaller one.
    gap = jnp.where(near, 2 * jnp.arctanh(jnp.where(near, radius / mean, 0.0)), jnp.maximum(2 * k - log_det, 0.0))
    return r, k, gap


def _decay(depth: Array, gap: Array) -> Array:
    return jnp.exp(-2 * (1 - 1 / depth) * gap)


def _symmetric_view(x: Array, y: Array, q: Array, log_det: Array, constants: Constants) -> SpectralFactorization:
    r, k, gap = _eigen(x, y, q, log_det)
    matrix = jnp.stack([jnp.stack([x, y]), jnp.stack([y, q])])
    return SpectralFactorization(r, jnp.stack([k, k - gap]), r, matrix, log_det, constants.det_sign, UNKNOWN)
