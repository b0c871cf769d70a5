"""The end-to-end flow of a 2 x 2 completion with one unobserved entry, in numbers that do not cancel.

The state is the unobserved entry, the residuals at the other three (while all is small: the entries themselves, which
grow from a small start by their share), and the logarithm of the determinant's magnitude.
Near the limit the entry opposite the unobserved one follows from the others, ``w22 = (w12 w21 + det W) / w11``, and is
taken from there; its own number, integrated alongside, serves while the unobserved entry is small or passes zero (kept
as an independent number, it would leave the determinant's manifold in a direction that the flow does not restore, and
make the equation far stiffer). So the flow can be followed to losses of 1e-12 and below, where the entries themselves
have lost their residuals to rounding and the determinant is ``exp(-10^11)``.
"""

import dataclasses
import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from ..._types import Array
from ...factorizations.spectral import SpectralFactorization
from ...problems import AbstractProblem
from .operators import ratio_of_decays
from .system import AbstractSystem, Constants

# Below this share the two singular values count as equal; the error is of that order.
_TIED = 1e-13
_IDLE = 1e100
# Entries are small while none is above this share of the largest observed value.
_SMALL_ENTRIES = 0.1
# Depths are numbers of lanes here, so that one compiled program serves all; the factorization's own is set at the end.
UNKNOWN = math.nan


class TwoByTwoState(eqx.Module):
    """``offsets`` (2, 2): the entries less a base, which is zero at first and the observed values later on."""

    offsets: Array
    log_det: Array
    dissipated: Array


class Fixed(NamedTuple):
    """What no step moves, ``(2, 2)`` each: the base of the offsets, the observed values, and where there is none.

    The last two are found once, not by every part of the compiled loop.
    """

    base: Array
    target: Array
    free: Array

    @property
    def across(self) -> Array:
        """Mask of the entry opposite the unobserved one."""
        return self.free[::-1, ::-1]


@dataclasses.dataclass(frozen=True)
class TwoByTwoSystem(AbstractSystem[TwoByTwoState]):
    """Gradient flow of balanced factors of real depth ``L >= 2`` on a 2 x 2 completion with one unobserved entry."""

    def constants(self, problem: AbstractProblem, state: TwoByTwoState, given: tuple[Array, Array]) -> Constants:
        """Loss, determinant sign and depth at the start."""
        base = jnp.zeros((2, 2), state.offsets.dtype)
        fixed = Fixed(base, problem.adjoint(problem.values), problem.adjoint(jnp.ones_like(problem.values)) == 0)
        constants = Constants(jnp.zeros((), state.log_det.dtype), *given, fixed)
        return Constants(self.loss(problem, state, constants), *given, fixed)

    def settle(
        self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants
    ) -> tuple[TwoByTwoState, Constants]:
        """Carry small entries themselves, and residuals once the entries are no longer small."""
        fixed = constants.other
        ready = abs(state.offsets + fixed.base).max() > _SMALL_ENTRIES * abs(fixed.target).max()
        base = jnp.where(ready, fixed.target, fixed.base)
        moved = TwoByTwoState(state.offsets + (fixed.base - base), state.log_det, state.dissipated)
        fixed = fixed._replace(base=base)
        return moved, Constants(constants.loss, constants.det_sign, constants.depth, fixed)

    def loss(self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants) -> Array:
        """Loss from the residuals."""
        _, residuals = _matrix(state, constants)
        return problem.require_least_squares("SpectralFlow").loss(jnp.sum(residuals * residuals))

    def slope(self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants) -> Array:
        """Gradient in the matrix, from the residuals."""
        _, residuals = _matrix(state, constants)
        return problem.require_least_squares("SpectralFlow").slope(residuals)

    def velocity(self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants) -> TwoByTwoState:
        """Return the derivatives of entries and determinant, and the rate at which loss is lost."""
        matrix, residuals = _matrix(state, constants)
        u, v, k1, gap = _decompose(matrix, state.log_det, constants.det_sign)
        inner, depth = u.T @ problem.require_least_squares("SpectralFlow").slope(residuals) @ v, constants.depth
        top, cross = jnp.exp(2 * (1 - 1 / depth) * k1), ratio_of_decays(2.0, 2.0 / depth, gap)
        bottom = depth * jnp.exp(-2 * (1 - 1 / depth) * gap)
        weights = top * jnp.stack([jnp.stack([depth + 0 * gap, cross]), jnp.stack([cross, bottom])])
        moved = weights * inner
        log_rate = inner[0, 0] + jnp.exp(-(1 - 2 / depth) * gap) * inner[1, 1]
        return TwoByTwoState(
            -u @ moved @ v.T, -depth * jnp.exp((1 - 2 / depth) * k1) * log_rate, jnp.sum(moved * inner)
        )

    def scale(self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants) -> TwoByTwoState:
        """Each number itself; residuals are slaved at up to the square of their length, so that counts too.

        Small entries count by the largest. Of the number that is carried along for nothing but its return to use, no
        accuracy is asked.
        """
        matrix, residuals = _matrix(state, constants)
        fixed = constants.other
        idle = _large(state, fixed)
        length, extent = jnp.sqrt(jnp.sum(residuals * residuals)), abs(matrix).max()
        floor = jnp.minimum(jnp.minimum(length, length * length), extent)
        sizes = abs(state.offsets) + jnp.where(fixed.free, jnp.minimum(length, extent), floor)
        sizes = sizes * jnp.where(fixed.across & idle, _IDLE, 1.0)
        return TwoByTwoState(sizes, jnp.maximum(abs(state.log_det), 1.0), constants.loss)

    def gain(self, state: TwoByTwoState, constants: Constants) -> Array:
        """``L |W|^(2 - 2/L)``; targets are of order one."""
        return constants.depth * (2 + jnp.sum(state.offsets**2)) ** (1 - 1 / constants.depth)

    def view(self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants) -> SpectralFactorization:
        """Singular vectors and logarithms; a negative determinant turns the second left vector."""
        matrix, _ = _matrix(state, constants)
        u, v, k1, gap = _decompose(matrix, state.log_det, constants.det_sign)
        logs = jnp.stack([k1, k1 - gap])
        return SpectralFactorization(u, logs, v, matrix, state.log_det, constants.det_sign, UNKNOWN)

    def seen(self, problem: AbstractProblem, state: TwoByTwoState, constants: Constants) -> tuple[Array, Array]:
        """Return the end-to-end matrix and ``ln|det W|``."""
        return _matrix(state, constants)[0], state.log_det


def _matrix(state: TwoByTwoState, constants: Constants) -> tuple[Array, Array]:
    """End-to-end matrix, and its residuals with zero at the unobserved entry."""
    base, target, free = constants.other
    across = constants.other.across
    matrix = state.offsets + base
    # Products along the diagonals of the matrix: of the two entries beside the unobserved one, and of the others.
    beside = jnp.prod(jnp.where(free | across, 1.0, matrix))
    on_diagonal = jnp.where(free[0, 0] | free[1, 1], 1.0, -1.0)
    large = _large(state, constants.other)
    divisor = jnp.where(large, jnp.sum(jnp.where(free, matrix, 0.0)), 1.0)
    opposite = (beside + on_diagonal * constants.det_sign * jnp.exp(state.log_det)) / divisor
    replaced = across & large
    residuals = jnp.where(replaced, opposite - target, state.offsets + (base - target))
    return jnp.where(replaced, opposite, matrix), jnp.where(free, 0.0, residuals)


def _large(state: TwoByTwoState, fixed: Fixed) -> Array:
    """Whether the opposite entry follows from the others."""
    return jnp.sum(jnp.where(fixed.free, abs(state.offsets), 0.0)) > abs(fixed.target).max()


def _decompose(w: Array, log_det: Array, det_sign: Array) -> tuple[Array, Array, Array, Array]:
    """Singular vectors ``(u, v)``, the larger logarithm and the distance to the smaller.

    By the angles of the two conformal parts of the matrix, whose radii are half the sum and half the difference of the
    singular values: small angles keep their digits, and the smaller singular value is taken from the determinant.
    """
    a, b, c, d = w[0, 0], w[0, 1], w[1, 0], w[1, 1]
    same, other = ((a + d) / 2, (c - b) / 2), ((a - d) / 2, (c + b) / 2)  # determinant positive, negative
    square_same, square_other = same[0] ** 2 + same[1] ** 2, other[0] ** 2 + other[1] ** 2
    tied_other = square_other <= _TIED**2 * square_same
    tied_same = square_same <= _TIED**2 * square_other
    # The angle of a part that is zero is free; any will do, and a derivative of it must not be formed.
    other = (jnp.where(tied_other, 1.0, other[0]), jnp.where(tied_other, 0.0, other[1]))
    same = (jnp.where(tied_same, 1.0, same[0]), jnp.where(tied_same, 0.0, same[1]))
    angle_same, angle_other = jnp.arctan2(same[1], same[0]), jnp.arctan2(other[1], other[0])
    radius_same = jnp.where(tied_same, 0.0, jnp.sqrt(same[0] ** 2 + same[1] ** 2))
    radius_other = jnp.where(tied_other, 0.0, jnp.sqrt(other[0] ** 2 + other[1] ** 2))
    left, right = (angle_other + angle_same) / 2, (angle_other - angle_same) / 2
    u = jnp.stack([jnp.stack([jnp.cos(left), -jnp.sin(left)]), jnp.stack([jnp.sin(left), jnp.cos(left)])])
    v = jnp.stack([jnp.stack([jnp.cos(right), -jnp.sin(right)]), jnp.stack([jnp.sin(right), jnp.cos(right)])])
    u = u * jnp.stack([jnp.ones_like(det_sign), det_sign])
    k1 = jnp.log(radius_same + radius_other)
    large, small = jnp.maximum(radius_same, radius_other), jnp.minimum(radius_same, radius_other)
    near = small < large / 2
    # sigma_1 / sigma_2 = (large + small) / (large - small); far apart the difference cancels and the determinant knows.
    gap = jnp.where(near, 2 * jnp.arctanh(jnp.where(near, small / large, 0.0)), jnp.maximum(2 * k1 - log_det, 0.0))
    return u, v, k1, gap


def two_by_two_of(start: SpectralFactorization) -> TwoByTwoState:
    """Lanes of a spectral factorization as a state."""
    offsets = np.asarray(start.matrix, dtype=np.float64)
    return TwoByTwoState(offsets, np.asarray(start.log_abs_det, dtype=np.float64), np.zeros(len(offsets)))


def fits(problem: AbstractProblem, start: SpectralFactorization) -> bool:
    """Whether these coordinates are for this problem and start."""
    observed = problem.observed_indices
    known = problem.least_squares and problem.shape == (2, 2) and observed is not None and len(observed) == 3
    return known and start.square
