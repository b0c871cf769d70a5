"""The end-to-end flow in polar coordinates ``W = Q exp(K) P^T``: singular values in logarithms, without singularities.

``Q`` (rows x rank) and ``P`` (columns x rank) have orthonormal columns, ``K`` is symmetric with the logarithms of the
positive singular values as eigenvalues; its eigenvectors turn ``Q`` and ``P`` into the singular vectors. Where two
singular values meet the singular vectors are not defined, or turn infinitely fast, but these coordinates move on
smoothly: equal values at the start and crossings are nothing special. No singular value can become zero or change sign;
those that are zero stay zero and take no part.

These coordinates alone do not reach the limit. With one matrix ``K``, and residuals computed from ``W``, the 3 x 3
relative of the two-by-two problem ends at a loss of 6e-7 at depth 2, and of 3e-10 beyond. With two additions it comes
to 1e-12, at depths 2 to 4 in some 500 steps.

*Blocks.* At depth 2 a singular value that is driven out decays like ``exp(-|W|^2 / 2)``. At a loss of 1e-12 its
logarithm is -2.5e11, beside others of order ten: the rounding of the first is larger than all digits of the others, and
one matrix ``K`` cannot hold both. So ``K`` is split into blocks where neighbouring singular values are far apart. Each
block has a ``shift``, the logarithm that its singular values have in common; ``K`` holds their differences from it.
Between blocks the frames turn as singular vectors do. That rotation is singular only where two singular values meet,
and blocks that come near each other are joined before they do.

*Residuals.* At a loss of 1e-12 some residuals are 1e-12 beside entries of 7e5, whose rounding is 1e-10: computed from
the matrix they would be noise. So they are part of the state, with an equation of their own, ``r' = A(W')`` for the
observation operator ``A``. As independent numbers they would drift away from what the matrix says, in directions that
the flow does not restore, and the steps would become a hundred times shorter. So a second term,
``pull * (A(W) - y - r)``, draws them to the residuals of the matrix, at the rate of the stiffest direction. This is
slow enough that the rounding of the matrix is a negligible force on the residuals that decay at that rate anyway, and
fast enough that the others stay with the matrix. While the matrix is of the size of the data, its own residuals have
the better digits, and are used.

The equations are those of the singular values and vectors (Arora et al. 2019, theorem 3 and lemma 2) with the rotation
common to both frames put into ``K``, so that within a block ``P`` moves only where its span does.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ..._types import Array
from ...factorizations.spectral import SpectralFactorization
from ...problems import AbstractProblem
from .independent import length, share
from .operators import apply, cross_weight, decompose, descent_weight, log_weight, power, rotation_weight
from .system import AbstractSystem, Constants

# Rounding in K is relative to its largest eigenvalue, and an error of a logarithm is a relative error of its singular
# value: at this spread about 1e-10. Beyond it less than nine digits of the others are left, and the run is ended.
_WIDEST_SPREAD = 4e5
_FRAME_TOLERANCE = 1e-6
# Singular values whose logarithms are further apart than the first number become blocks of their own, and those nearer
# than the second are joined. At both their ratio is below a rounding (which is exp(-36.7)), so that nothing is lost;
# two numbers, since a pair near a single one would be split and joined again at every step. Inside K the eigenvalues of
# neighbouring blocks stand the third number apart: equal ones would let the decomposition mix the blocks.
_APART, _TOGETHER, _KEPT_APART = 60.0, 40.0, 10.0
# Residuals go by an equation of their own once the length of the matrix is so many times that of what fits the data.
# Those of the matrix have lost a digit and a half by then; earlier, those of their own would be the worse.
_LARGE = 30.0
# What is left of the matrix's rounding in the difference of two residuals of it.
_SAME_ROUNDING = 1e-3
# Above this depth singular values decay so slowly that no run needs blocks: like |W|^(-4 / (L - 2)).
BLOCKS_BELOW = 2.1


class PolarState(eqx.Module):
    """``W = Q exp(K + shift) P^T``.

    ``right`` is ``None`` where it would be a constant identity, ``shift`` where there can be no blocks, and
    ``residuals`` where they are always taken from the matrix. ``dissipated`` is the loss lost so far, as the integral
    of the squared gradient.
    """

    left: Array
    logs: Array
    right: Any
    shift: Any
    residuals: Any
    dissipated: Array


class Fixed(NamedTuple):
    """What a step keeps fixed.

    `PolarSystem.settle` decides anew between steps, so that the equation is smooth within one. ``block`` is the number
    of the block of each basis vector, ``carried`` says whether the residuals go by their own equation yet, and ``pull``
    is the rate at which they are drawn to those of the matrix.
    """

    block: Any
    carried: Any
    pull: Any


@dataclasses.dataclass(frozen=True)
class PolarSystem(AbstractSystem[PolarState]):
    """Gradient flow of balanced factors of real depth ``L >= 2``, of any shape and rank."""

    depth: float

    def constants(self, problem: AbstractProblem, state: PolarState, given: tuple[Array, Array]) -> Constants:
        """Loss and determinant sign at the start; one block."""
        fixed = Fixed(jnp.zeros(state.logs.shape[0]), jnp.zeros((), bool), jnp.zeros(()))
        return Constants(problem.loss(_matrix(state, _decompose(state))), *given, fixed)

    def settle(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> tuple[PolarState, Constants]:
        """Find the blocks anew, and whether the residuals go by their own equation yet."""
        fixed = constants.other
        if state.shift is not None:
            state = eqx.tree_at(lambda s: s.logs, state, state.logs * _same(fixed.block))
            state, fixed = _regrouped(state, fixed)
        if state.residuals is not None:
            matrix = _matrix(state, _decompose(state))
            large = jnp.sqrt(jnp.sum(matrix**2)) > _LARGE * _extent(problem)
            # Once carried they stay so: the residuals of the matrix would be a step back.
            carried = fixed.carried | large
            # Until then they are those of the matrix, so that the equation takes over without a jump.
            residuals = jnp.where(fixed.carried, state.residuals, problem.residuals(matrix))
            state = eqx.tree_at(lambda s: s.residuals, state, residuals)
            fixed = fixed._replace(carried=carried, pull=self.gain(state, constants))
        return state, Constants(constants.loss, constants.det_sign, constants.depth, fixed)

    def loss(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> Array:
        """Loss of the residuals carried, or else of the end-to-end matrix."""
        of_matrix = problem.loss(_matrix(state, _decompose(state)))
        if state.residuals is None:
            return of_matrix
        return jnp.where(
            constants.other.carried,
            problem.require_least_squares("SpectralFlow").loss(jnp.sum(state.residuals**2)),
            of_matrix,
        )

    def slope(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> Array:
        """Gradient in the matrix, from the residuals carried or of the matrix."""
        plain = problem.gradient(_matrix(state, _decompose(state)))
        if state.residuals is None:
            return plain
        return jnp.where(constants.other.carried, _pulled_back(problem, state.residuals), plain)

    def seen(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> tuple[Array, Array]:
        """Return the end-to-end matrix, and the trace of the logarithms."""
        return _matrix(state, _decompose(state)), jnp.trace(_whole(state))

    def residual_error(
        self, problem: AbstractProblem, state: PolarState, velocity: PolarState, expected: Array, constants: Constants
    ) -> Any:
        """Difference from the velocity of the matrix's observations; what draws the residuals to them is left out."""
        if state.residuals is None:
            return 0.0
        matrix, pull = _matrix(state, _decompose(state)), constants.other.pull
        moved = velocity.residuals - _drawn(problem, matrix, state, constants)
        observed = problem.predict(expected)
        # The pull goes by the rounding of the matrix, which is nearly the same in two computations of it.
        terms = pull * jnp.sqrt(jnp.sum(state.residuals**2) + jnp.sum((_SAME_ROUNDING * problem.predict(matrix)) ** 2))
        return jnp.where(constants.other.carried, share(moved - observed, length(observed), terms), 0.0)

    def velocity(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> PolarState:
        """Return the derivatives of the state, and the rate at which loss is lost."""
        same = 1.0
        if state.shift is not None:
            # What rounding leaves between blocks must not be taken for a part of K.
            same = _same(constants.other.block)
            state = eqx.tree_at(lambda s: s.logs, state, state.logs * same)
        q, p, depth = state.left, state.right, self.depth
        eigen = _decompose(state)
        logs = _whole(state)
        matrix = _matrix(state, eigen)
        slope = self.slope(problem, state, constants)
        at_right = slope if p is None else slope @ p
        inner = q.T @ at_right  # the gradient in the frames
        # Within blocks: what moves K, and the rotation of the left frame that is left when the common one is in K.
        log_rate = apply(log_weight(depth), logs, eigen, inner * same)
        turn = apply(rotation_weight(depth), logs, eigen, inner * same)
        weighted = apply(descent_weight(depth), logs, eigen, inner)
        unit = jnp.eye(logs.shape[0], dtype=logs.dtype)
        # The flow is W' = -moved. `lost` is minus the derivative of the loss, the squared gradient in the factors. It
        # is summed from the parts of the gradient inside and outside of the frames' spans, none of which is negative.
        lost, moved = jnp.sum(inner * weighted), q @ weighted
        left, right = -q @ (turn - turn.T), None
        # Powers of the singular values by which the gradient outside of these spans counts: for the frames, for the
        # square root of the loss lost, for the matrix.
        outer, half, whole = (apply(power(e - e2 / depth), logs, eigen, unit) for e, e2 in ((1, 2), (1, 1), (2, 2)))
        if q.shape[0] > q.shape[1]:  # gradient outside of the span of the columns
            beyond = at_right - q @ inner
            left, lost, moved = left - beyond @ outer, lost + jnp.sum((beyond @ half) ** 2), moved + beyond @ whole
        if p is not None:
            # Within a block the right frame does not turn: the rotation common to both is in K.
            moved = moved @ p.T
            right = jnp.zeros_like(p)
            if p.shape[0] > p.shape[1]:
                beyond = slope.T @ q - p @ inner.T
                right, lost = -beyond @ outer, lost + jnp.sum((beyond @ half) ** 2)
                moved = moved + q @ whole @ beyond.T
        log_rate, shift = -(log_rate + log_rate.T) * same, None
        if state.shift is not None:
            # Across blocks K has no entries that could hold a rotation, so both frames turn as singular vectors do.
            across = apply(cross_weight(depth), logs, eigen, inner * (1 - same))
            back = apply(cross_weight(depth), logs, eigen, inner.T * (1 - same))
            left, right = left - q @ (across - across.T), right - p @ (back - back.T)
            # What all logarithms of a block have in common moves its shift; K keeps the differences, and its digits.
            shift = same @ jnp.diag(log_rate) / jnp.sum(same, axis=1)
            log_rate = log_rate - jnp.diag(shift)
        residuals = None
        if state.residuals is not None:
            drawn = _drawn(problem, matrix, state, constants)
            residuals = jnp.where(constants.other.carried, drawn - _pushed_forward(problem, moved), 0.0)
        return PolarState(left, log_rate, right, shift, residuals, lost)

    def scale(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> PolarState:
        """Frames and logarithms against one or what they are beyond, residuals and energy against themselves.

        A residual counts at least as the share of their length that the data are of the matrix: so small are those that
        decay at the rate of the stiffness, and to ask for digits of these would cost steps for nothing.
        """

        def size(a: Array | None) -> Array | None:
            return None if a is None else jnp.maximum(abs(a), 1.0)

        residuals = None
        if state.residuals is not None:
            length = jnp.sqrt(jnp.sum(state.residuals**2))
            share = _extent(problem) / jnp.exp(_decompose(state)[0].max())
            residuals = jnp.maximum(abs(state.residuals), length * jnp.minimum(share, 1.0))
            residuals = jnp.where(constants.other.carried, residuals, 1.0)
        return PolarState(
            size(state.left), size(state.logs), size(state.right), size(state.shift), residuals, constants.loss
        )

    def gain(self, state: PolarState, constants: Constants) -> Array:
        """``L sigma_1^(2 - 2/L)``: the rate of the stiffest direction, for a loss of curvature one."""
        return self.depth * jnp.exp(2 * (1 - 1 / self.depth) * _decompose(state)[0].max())

    def escape(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> Array:
        """Largest growth rate of a singular value well below the largest."""
        moved = self.velocity(problem, state, constants)
        k, r = _decompose(state)
        rate = jnp.sum(r * (_whole(moved) @ r), axis=0)
        return jnp.max(jnp.where(k < k.max() - 1, rate, 0.0))

    def watch(
        self, problem: AbstractProblem, state: PolarState, loss: Array, constants: Constants
    ) -> tuple[dict[str, Array], Array]:
        """Energy, orthonormality of the frames, and the digits that the spread of the logarithms leaves."""
        errors, lost = super().watch(problem, state, loss, constants)
        skew = _skew(state.left) if state.right is None else jnp.maximum(_skew(state.left), _skew(state.right))
        k = decompose(state.logs)[0]
        lost = lost | (skew > _FRAME_TOLERANCE) | (k[-1] - k[0] > _WIDEST_SPREAD)
        errors = {**errors, "frame_error": skew}
        if state.residuals is not None:
            off = problem.residuals(_matrix(state, _decompose(state))) - state.residuals
            errors["residual_drift"] = jnp.sqrt(jnp.sum(off**2) / jnp.sum(state.residuals**2))
        return errors, lost

    def view(self, problem: AbstractProblem, state: PolarState, constants: Constants) -> SpectralFactorization:
        """Singular vectors and logarithms, largest first."""
        k, r = _decompose(state)
        order = jnp.argsort(-k)
        k, r = k[order], r[:, order]
        right = r if state.right is None else state.right @ r
        matrix = _matrix(state, (k, r))
        square = matrix.shape[0] == matrix.shape[1] == k.shape[0]
        log_abs_det = jnp.trace(_whole(state)) if square else jnp.full((), -jnp.inf, k.dtype)
        return SpectralFactorization(state.left @ r, k, right, matrix, log_abs_det, constants.det_sign, self.depth)


def _whole(state: PolarState) -> Array:
    """``K`` with the shifts of its blocks: for its trace and its derivative, not for its digits."""
    return state.logs if state.shift is None else state.logs + jnp.diag(state.shift)


def _decompose(state: PolarState) -> tuple[Array, Array]:
    """Eigenvalues of ``K``, each with the shift of its block, and eigenvectors; as constants of the differentiation."""
    k, r = decompose(state.logs)
    if state.shift is not None:
        k = k + jax.lax.stop_gradient(state.shift) @ r**2
    return k, r


def _matrix(state: PolarState, eigen: tuple[Array, Array]) -> Array:
    unit = jnp.eye(state.logs.shape[0], dtype=state.logs.dtype)
    moved = state.left @ apply(power(1.0), _whole(state), eigen, unit)
    return moved if state.right is None else moved @ state.right.T


def _extent(problem: AbstractProblem) -> Array:
    """About the length of the smallest matrix that fits the data (it is, if the measurements are orthonormal)."""
    none = jnp.zeros(problem.shape)
    back = problem.adjoint(-problem.residuals(none))
    forth = _pushed_forward(problem, back)
    return jnp.sum(back**2) / jnp.sqrt(jnp.sum(forth**2))


def _same(block: Array) -> Array:
    return (block[:, None] == block[None, :]).astype(jnp.float64)


def _regrouped(state: PolarState, fixed: Fixed) -> tuple[PolarState, Fixed]:
    """State in a basis that falls into blocks where logarithms are far apart, if that is another than before."""
    k, r = _decompose(state)
    order = jnp.argsort(-k)
    k, r = k[order], r[:, order]
    # Eigenvectors do not cross blocks; the squares of one sum to one over the vectors of its block.
    at = jnp.round(fixed.block @ r**2)
    gap = k[:-1] - k[1:]
    parted = gap > jnp.where(at[:-1] != at[1:], _TOGETHER, _APART)
    changed = jnp.any(parted != (at[:-1] != at[1:]))
    zero = jnp.zeros(1)
    block = jnp.concatenate([zero, jnp.cumsum(parted.astype(k.dtype))])
    # What is left of the gaps between blocks goes into the shifts.
    shift = -jnp.concatenate([zero, jnp.cumsum(jnp.where(parted, gap - _KEPT_APART, 0.0))])
    new = PolarState(state.left @ r, jnp.diag(k - shift), state.right @ r, shift, state.residuals, state.dissipated)
    return jax.tree.map(lambda a, b: jnp.where(changed, a, b), (new, fixed._replace(block=block)), (state, fixed))


def _drawn(problem: AbstractProblem, matrix: Array, state: PolarState, constants: Constants) -> Array:
    """Return what draws carried residuals to those of the matrix."""
    drawn: Array = constants.other.pull * (problem.residuals(matrix) - state.residuals)
    return drawn


def _pulled_back(problem: AbstractProblem, residuals: Array) -> Array:
    """Gradient of the loss in the matrix, of residuals that are linear in it."""
    return problem.adjoint(problem.require_least_squares("SpectralFlow").slope(residuals))


def _pushed_forward(problem: AbstractProblem, matrix: Array) -> Array:
    return problem.predict(matrix)


def _skew(frame: Array) -> Array:
    return abs(frame.T @ frame - jnp.eye(frame.shape[1], dtype=frame.dtype)).max()


def polar_of(problem: AbstractProblem, start: SpectralFactorization, carried: bool) -> PolarState:
    """Lanes of a spectral factorization as a state, with residuals of its own where they are ``carried``."""
    u, k, v = (np.asarray(a) for a in (start.left, start.log_singular_values, start.right))
    vt = np.swapaxes(v, -1, -2)
    zero = np.zeros(len(k))
    residuals = np.asarray(problem.residuals(np.asarray(start.matrix))) if carried else None
    diagonal = k[..., :, None] * np.eye(start.rank)
    if start.depth < BLOCKS_BELOW and start.rank > 1:
        return PolarState(u, diagonal, v, np.zeros_like(k), residuals, zero)
    if start.rank == start.shape[1]:  # P is the identity, and V the eigenvectors of K
        return PolarState(u @ vt, _symmetric((v * k[:, None, :]) @ vt), None, None, residuals, zero)
    return PolarState(u, diagonal, v, None, residuals, zero)


def _symmetric(a: np.ndarray) -> np.ndarray:
    return (a + np.swapaxes(a, -1, -2)) / 2
