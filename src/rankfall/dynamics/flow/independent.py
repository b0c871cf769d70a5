"""The velocity of a flow once more, in a form that shares no code with the equation that is integrated.

A path that follows another equation (a weight that is wrong, a residual that moves at another rate) still conserves
energy and balance if the same mistake is in both. So at every record the velocity is compared with the plain form of
the end-to-end equation, or with automatic differentiation of the loss where the factors themselves are moved.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._types import Array
from ...factorizations.spectral import SpectralFactorization
from ...problems import AbstractProblem

# What the two forms may differ by, as a share of the velocity, or of what rounding leaves of it.
VELOCITY_TOLERANCE = 1e-6
# Rounding of a sum, as a share of its largest term, over a tenth of the tolerance: differences below it say nothing.
_ROUNDING = 640 * float(np.finfo(np.float64).eps) / VELOCITY_TOLERANCE
# The nodes are cubes: a power of a real depth is then smooth enough at zero to be integrated to rounding, and that of a
# whole depth up to 42 is a polynomial for which 64 nodes are exact.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_NODES, _WEIGHTS = ((_NODES + 1) / 2) ** 3, 3 * ((_NODES + 1) / 2) ** 2 * _WEIGHTS / 2


class Rates(NamedTuple):
    """Velocities of the end-to-end matrix and of ``ln|det W|``, and the rate at which loss is lost."""

    matrix: Array
    log_det: Array
    loss: Array


def equation(view: SpectralFactorization, slope: Array, depth: Any) -> Rates:
    """Return the rates of the plain equation at a matrix with this gradient.

    ``sum_j a^(j-1) b^(L-j)``, by which the gradient counts between singular values with ``a = sigma_r^(2/L)`` and
    ``b = sigma_s^(2/L)``, is ``L`` times the integral of ``(b + t (a - b))^(L-1)`` over ``t`` from 0 to 1. That holds
    for a real ``L`` too, has no difference of powers, and nothing special where singular values are tied.
    """
    u, v, k = view.left, view.right, view.log_singular_values
    a = jnp.exp(2.0 / depth * k)
    inner = u.T @ slope @ v
    nodes, weights = jnp.asarray(_NODES), jnp.asarray(_WEIGHTS)

    def add(i: Array, total: Array) -> Array:
        between = a[None, :] + nodes[i] * (a[:, None] - a[None, :])
        return total + weights[i] * between ** (depth - 1.0)

    weight = depth * lax.fori_loop(0, len(_NODES), add, jnp.zeros_like(inner))
    # Directions outside of the frames' spans have singular value zero, to which only one term of the sum belongs.
    alone, nowhere = a ** (depth - 1.0), jnp.zeros(()) ** (depth - 1.0)
    beyond_left, beyond_right = slope @ v - u @ inner, u.T @ slope - inner @ v.T
    rest = (slope - u @ (u.T @ slope)) - beyond_left @ v.T
    moved = u @ (weight * inner) @ v.T + (beyond_left * alone) @ v.T + u @ (alone[:, None] * beyond_right)
    lost = jnp.sum(weight * inner**2) + jnp.sum(alone * beyond_left**2) + jnp.sum(alone[:, None] * beyond_right**2)
    logs = -depth * jnp.exp((1.0 - 2.0 / depth) * k) * jnp.diagonal(inner)
    return Rates(-(moved + nowhere * rest), jnp.sum(logs), lost + nowhere * jnp.sum(rest**2))


def end_to_end_error(
    problem: AbstractProblem, view: SpectralFactorization, slope: Array, depth: Any, found: Rates, expected: Rates
) -> Array:
    """Largest relative difference between the rates of a state and those of the plain equation at its matrix.

    The gradient that the rates were made of is compared with the problem's, and the frames with the matrix.
    """
    top = depth * jnp.exp((1.0 - 2.0 / depth) * view.log_singular_values.max()) * length(slope)
    # Rounding of the gradient, in the direction in which it counts most.
    most = top * jnp.exp(view.log_singular_values.max())
    plain = problem.gradient(view.matrix)
    terms = length(problem.gradient(2 * view.matrix) - plain) + length(problem.gradient(0 * view.matrix))
    errors = [
        share(found.matrix - expected.matrix, length(expected.matrix), most),
        share(found.loss - expected.loss, expected.loss, most * length(slope)),
        share(slope - plain, length(slope), terms),
        share((view.left * jnp.exp(view.log_singular_values)) @ view.right.T - view.matrix, length(view.matrix), 0.0),
    ]
    if view.square:
        errors.append(share(found.log_det - expected.log_det, abs(expected.log_det), top))
    return jnp.stack(errors).max()


def factor_error(
    problem: AbstractProblem, make: Callable[[Any], Any], factors: tuple[Array, ...], velocity: tuple[Array, ...]
) -> Array:
    """Relative difference between the factors' velocity and the loss differentiated automatically."""
    slopes = jax.grad(lambda f: problem.loss_of(make(f)))(factors)
    size = jnp.sqrt(sum(jnp.sum(g * g) for g in slopes))
    off = jnp.sqrt(sum(jnp.sum((v + g) ** 2) for v, g in zip(velocity, slopes, strict=True)))
    # Near a solution the gradient is what rounding of the residuals leaves of these terms.
    largest = jnp.stack([length(w) for w in factors]).max()
    return share(off, size, largest ** (2 * len(factors) - 1))


def share(off: Array, size: Array, terms: Array | float) -> Array:
    """Return a difference as a share of what it should be, or of what rounding leaves of that, given the terms."""
    return length(off) / (size + _ROUNDING * terms + jnp.finfo(off.dtype).tiny)


def length(values: Array) -> Array:
    """Root of the sum of squares."""
    return jnp.sqrt(jnp.sum(values * values))
