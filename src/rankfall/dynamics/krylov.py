"""The loss near a point: its quadratic model in a small Krylov space, and the flow of that."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from .._types import Array


class LocalModel(NamedTuple):
    """Gradient and Hessian ``H`` at a point, in an orthonormal basis of the Krylov space of ``H`` from the gradient."""

    gradient: Any
    length: Any
    basis: Any
    small: Any
    curvature: Any
    turn: Any

    def flow(self, h: Array) -> tuple[Array, Array]:
        """Where the flow of the model is after a time ``h``, in the basis, and what the loss changes on the way."""
        along = self.turn[0] * self.length
        move = -h * _phi(-h * self.curvature) * along
        return self.turn @ move, jnp.sum(along * move + 0.5 * self.curvature * move * move)

    def unseen(self, h: Array, step: Array, slope: Array) -> Array:
        """How far a gradient at the end of a step that the model did not see coming would have led in the time.

        Directions outside of the Krylov space count as flat.
        """
        off = slope - self.gradient - self.basis.T @ (self.small @ step)
        inside = self.basis @ off
        beyond = jnp.linalg.norm(off - self.basis.T @ inside)
        return jnp.hypot(jnp.linalg.norm(h * _phi(-h * self.curvature) * (self.turn.T @ inside)), h * beyond)


def local_model(slope: Callable[[Array], Array], w: Array, gradient: Array, size: int) -> LocalModel:
    """Return the model at a point, in a space of so many dimensions."""
    basis, small, length = _lanczos(jax.linearize(slope, w)[1], gradient, size)
    return LocalModel(gradient, length, basis, small, *jnp.linalg.eigh(small))


def _lanczos(apply: Callable[[Array], Array], start: Array, size: int) -> tuple[Array, Array, Array]:
    """Orthonormal basis of the Krylov space, the operator in it, and the length of the start.

    Every vector is orthogonalised twice against all before it: the spaces are small, and eigenvalues that have
    converged would come back otherwise. Where the space ends early the rest of the basis is zero, with zero curvature,
    and carries no part of the gradient.
    """
    length = jnp.linalg.norm(start)
    first = start / jnp.where(length > 0, length, 1.0)
    basis = jnp.zeros((size, start.size), start.dtype).at[0].set(first)
    tiny = 100 * jnp.finfo(start.dtype).eps

    def extend(j: Array | int, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, small, largest = carry
        image = apply(basis[j])
        parts = basis @ image
        rest = image - basis.T @ parts
        again = basis @ rest
        rest = rest - basis.T @ again
        small = small.at[:, j].set(parts + again)
        norm = jnp.linalg.norm(rest)
        largest = jnp.maximum(largest, jnp.linalg.norm(image))
        more = norm > tiny * largest
        following = jnp.where(more, rest / jnp.where(more, norm, 1.0), 0.0)
        # The last product opens no new direction.
        basis = jnp.where(j + 1 < size, basis.at[jnp.minimum(j + 1, size - 1)].set(following), basis)
        return basis, small, largest

    none = jnp.zeros((size, size), start.dtype)
    basis, small, _ = lax.fori_loop(0, size, extend, (basis, none, jnp.zeros((), start.dtype)))
    # Above the diagonal: each column was projected on the vectors before it, which are all there were.
    upper = jnp.triu(small)
    return basis, upper + jnp.triu(upper, 1).T, length


def _phi(z: Array) -> Array:
    near = abs(z) < 1e-5
    return jnp.where(near, 1 + z / 2, jnp.expm1(z) / jnp.where(near, 1.0, z))
