"""Radau IIA of order 9: the stiff integrator of the flows, compiled and free of Python, one lane or many.

Fully implicit collocation at five points. Its stage order (5) is what counts here: near the limit the observed entries
are slaved to the unobserved one at rates that change over a step, where linearly implicit (Rosenbrock) methods of the
same classical order lose theirs and need hundreds of times more steps (measured on the 2 x 2 problem at loss 1e-12).

Source: Hairer and Wanner, "Solving Ordinary Differential Equations II", sections IV.5 and IV.8 (simplified Newton
iteration in the eigenbasis of the tableau's inverse; embedded error estimate).
"""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.polynomial import legendre, polynomial

from ..._execution import lanes_together
from ..._types import Array

STAGES = 5
# Newton stops once an update is this small in units of the tolerated error, or where rounding lets it fall no further.
_NEWTON_SMALL, _NEWTON_STAGNANT, _MOST_ITERATIONS = 1e-3, 1e-1, 12
# The rate of convergence that the next step is to have at most (it is in proportion to the step), and the least share
# of a step that has converged.
_NEWTON_RATE, _LEAST_ROOM, _MOST_ROOM = 0.8, 0.5, 10.0


# Up to this size matrices are inverted here: the threads that LAPACK takes for more than some twenty rows wait for each
# other a hundred times longer than they work once another program wants the cores.
_INVERTED_HERE = 100

Field: TypeAlias = Callable[[Array], Array]
# Stages, iterations, the last two updates' sizes and the rate of convergence.
Newton: TypeAlias = tuple[Array, Array | int, Array, Array, Array]


class Tableau(NamedTuple):
    """What the step needs of the method, in double precision."""

    nodes: np.ndarray
    inverse: np.ndarray
    # The real eigenvalue of the inverse first, then one of each conjugate pair.
    eigenvalues: np.ndarray
    to_stages: np.ndarray
    from_stages: np.ndarray
    # err = start_weight h f(y) + estimate . stages, filtered by the real Newton matrix
    start_weight: float
    estimate: np.ndarray
    # Coefficients of the polynomial through zero at 0 and the stages at the nodes, powers from the first on.
    coefficients: np.ndarray


def _tableau(stages: int) -> Tableau:
    series = np.zeros(stages + 1)
    series[[-1, -2]] = 1.0, -1.0
    roots = np.sort(legendre.legroots(series).real)
    powers = legendre.leg2poly(series)
    for _ in range(3):  # polish the roots; 1 is one of them exactly
        roots -= polynomial.polyval(roots, powers) / polynomial.polyval(roots, polynomial.polyder(powers))
    roots[-1] = 1.0
    nodes = (roots + 1.0) / 2.0
    vandermonde = np.vander(nodes, increasing=True)
    integrals = np.stack([nodes ** (k + 1) / (k + 1) for k in range(stages)], axis=1)
    matrix = np.linalg.solve(vandermonde.T, integrals.T).T
    inverse = np.linalg.inv(matrix)
    eigenvalues, vectors = np.linalg.eig(inverse)
    real = int(np.argmin(np.abs(eigenvalues.imag)))
    kept = [real, *np.flatnonzero(eigenvalues.imag > 1e-9)]
    # Of a conjugate pair the second member adds the conjugate of the first: twice the real part.
    twice = np.array([1.0] + [2.0] * (len(kept) - 1))
    # The embedded formula of order `stages` uses f at the start, with the weight that its filter asks for.
    weight = 1.0 / eigenvalues[real].real
    moments = 1.0 / np.arange(1, stages + 1)
    moments[0] -= weight
    embedded = np.linalg.solve(vandermonde.T, moments)
    return Tableau(
        nodes,
        inverse,
        eigenvalues[kept],
        vectors[:, kept] * twice,
        np.linalg.inv(vectors)[kept],
        weight,
        (embedded - matrix[-1]) @ inverse,
        np.linalg.inv(nodes[:, None] * vandermonde),
    )


_T = _tableau(STAGES)


class Radau(NamedTuple):
    """The method in the form the flow loop asks for: ``init`` and ``step`` on flat vectors."""

    error_order: int = STAGES + 1
    name: str = "Radau IIA, order 9"

    def init(self, field: Field, y: Array) -> tuple[Array, Array]:
        """State between steps: the stages of the last one and its length, from which the next are guessed."""
        return jnp.zeros((STAGES, y.size), y.dtype), jnp.zeros((), y.dtype)

    def step(
        self, field: Field, y: Array, h: Array, state: tuple[Array, Array], scale: Array
    ) -> tuple[Array, Array, tuple[Array, Array], Array]:
        """Return the end of the step, its error estimate, the new state, and room: how much longer the next may be.

        The room is negative where Newton's iteration failed.
        """
        slope, push = jax.linearize(field, y)
        jacobian = jax.vmap(push, out_axes=1)(jnp.eye(y.size, dtype=y.dtype))
        shifted = _T.eigenvalues[:, None, None] / h * np.eye(y.size) - jacobian
        inverse = _inverse(shifted)
        stages, room = self._newton(field, y, h, inverse, self._guess(h, state), scale)
        raw = _T.start_weight * h * slope + _T.estimate @ stages
        error = _T.eigenvalues[0].real / h * (inverse[0].real @ raw)
        return y + stages[-1], error, (stages, h), room

    def _newton(
        self, field: Field, y: Array, h: Array, inverse: Array, guess: Array, scale: Array
    ) -> tuple[Array, Array]:
        fields = lanes_together(field)

        def more(carry: Newton) -> Array:
            _, k, size, previous, _ = carry
            growing = (k > 1) & ~(size <= 2 * previous)
            # Updates that no longer shrink although they are small: rounding, not divergence.
            stagnant = (k > 1) & (size > 0.5 * previous) & (size <= _NEWTON_STAGNANT)
            return (k < _MOST_ITERATIONS) & ~(size <= _NEWTON_SMALL) & ~growing & ~stagnant

        def iterate(carry: Newton) -> Newton:
            stages, k, size, _, rate = carry
            residual = fields(y + stages) - _T.inverse @ stages / h
            change = jnp.einsum("ijk,ik->ij", inverse, _T.from_stages @ residual)
            update = (_T.to_stages @ change).real
            smaller = jnp.max(jnp.abs(update) / scale)
            # Rounding does not converge any faster in a shorter step.
            shown = (k > 0) & (size > _NEWTON_STAGNANT)
            return stages + update, k + 1, smaller, size, jnp.where(shown, jnp.maximum(rate, smaller / size), rate)

        large = jnp.array(jnp.inf, y.dtype)
        start = (guess, 0, large, large, jnp.zeros((), y.dtype))
        stages, _, size, _, rate = lax.while_loop(more, iterate, start)
        room = jnp.where(rate > 0, _NEWTON_RATE / jnp.where(rate > 0, rate, 1.0), _MOST_ROOM)
        return stages, jnp.where(size <= _NEWTON_STAGNANT, jnp.maximum(room, _LEAST_ROOM), -jnp.minimum(room, 0.5))

    def _guess(self, h: Array, state: tuple[Array, Array]) -> Array:
        """Stages on the polynomial through those of the last step."""
        stages, last = state
        x = 1.0 + h / jnp.where(last > 0, last, 1.0) * _T.nodes
        # The polynomial is zero at the start of its step; powers from the first on.
        powers = jnp.cumprod(jnp.broadcast_to(x, (STAGES, STAGES)), axis=0).T
        # Far beyond the last step it knows nothing.
        use = (last > 0) & (h <= 4 * last)
        return jnp.where(use, powers @ (_T.coefficients @ stages) - stages[-1], 0.0)


def _inverse(matrices: Array) -> Array:
    """Inverses of square matrices ``(..., n, n)``, by Gauss and Jordan with row exchanges."""
    n = matrices.shape[-1]
    if n > _INVERTED_HERE:
        return jnp.linalg.inv(matrices)
    rows = jnp.arange(n)

    def eliminate(k: Array | int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        w, order = carry
        column = jnp.take(w, k, axis=-1)
        size = jnp.where(rows >= k, abs(column.real) + abs(column.imag), -1.0)
        pivot = jnp.argmax(size, axis=-1)[..., None]
        here, there = jnp.take(w, k, axis=-2), jnp.take_along_axis(w, pivot[..., None], axis=-2)[..., 0, :]
        swapped = jnp.where((rows == pivot)[..., None], here[..., None, :], w)
        at_k, at_pivot = jnp.take(order, k, axis=-1)[..., None], jnp.take_along_axis(order, pivot, axis=-1)
        order = jnp.where(rows == k, at_pivot, jnp.where(rows == pivot, at_k, order))
        # In place: the column that becomes one of the unit matrix holds that of the inverse instead.
        value = jnp.take(there, k, axis=-1)[..., None]
        unit_row = jnp.where(rows == k, 1.0, there) / value
        others = jnp.take(swapped, k, axis=-1)[..., None]
        cleared = jnp.where(rows == k, 0.0, swapped) - others * unit_row[..., None, :]
        return jnp.where((rows == k)[:, None], unit_row[..., None, :], cleared), order

    start = jnp.broadcast_to(rows, matrices.shape[:-1])
    w, order = lax.fori_loop(0, n, eliminate, (matrices, start))
    # Rows exchanged in the matrix are columns exchanged in its inverse.
    return jnp.take_along_axis(w, jnp.argsort(order, axis=-1)[..., None, :], axis=-1)
