"""Functions of two singular values applied to a matrix, smooth where singular values meet.

The end-to-end flow multiplies the gradient, in singular-vector coordinates, entry by entry with divided differences of
powers of the singular values. Written so, nothing is singular when two of them are equal, and all is computed from
their logarithms ``k``, so that nothing underflows before the result does. With ``K = R diag(k) R^T``,

    apply(f, K, X) = R ( f(k_r, k_s) * (R^T X R)_rs ) R^T

does not depend on the choice of ``R`` among tied ones, and its derivative is given by divided differences of ``f``
again (Daleckii and Krein), where differentiating the eigenvectors would divide by zero.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from ..._types import Array

# Divided differences over less than this are derivatives at the midpoint: an error of its square, in Jacobians alone.
_NEAR = 1e-4

# A function of two logarithms, and what it is applied by: logarithms, their decomposition and a matrix.
Weight: TypeAlias = Callable[[Array, Array], Array]
Arguments: TypeAlias = tuple[Array, tuple[Array, Array], Array]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def apply(function: Weight, logs: Array, eigen: tuple[Array, Array], x: Array) -> Array:
    """Apply ``function`` of two eigenvalues of ``logs`` (whose decomposition is ``eigen``) to ``x``."""
    k, r = eigen
    return r @ (function(k[:, None], k[None, :]) * (r.T @ x @ r)) @ r.T


@apply.defjvp
def _apply_jvp(function: Weight, primals: Arguments, tangents: Arguments) -> tuple[Array, Array]:
    logs, eigen, x = primals
    k, r = eigen
    turn, change = r.T @ tangents[0] @ r, r.T @ tangents[2] @ r
    inside, values = r.T @ x @ r, function(k[:, None], k[None, :])
    # left[r, m, s] = (f(k_r, k_s) - f(k_m, k_s)) / (k_r - k_m), right likewise in the second argument.
    left = _divided(function, k)
    other = left if _symmetric(function) else _divided(lambda a, b: function(b, a), k)
    right = jnp.moveaxis(other, 2, 0)
    moved = values * change + jnp.einsum("rms,rm,ms->rs", left, turn, inside)
    moved = moved + jnp.einsum("rms,rm,ms->rs", right, inside, turn)
    return r @ (values * inside) @ r.T, r @ moved @ r.T


def _divided(function: Weight, k: Array) -> Array:
    a, m, s = k[:, None, None], k[None, :, None], k[None, None, :]
    gap = a - m
    near = abs(gap) < _NEAR
    middle = jnp.broadcast_to((a + m) / 2, (k.size,) * 3)
    slope = jax.jvp(lambda v: function(v, jnp.broadcast_to(s, v.shape)), (middle,), (jnp.ones_like(middle),))[1]
    return jnp.where(near, slope, (function(a, s) - function(m, s)) / jnp.where(near, 1.0, gap))


def decompose(logs: Array) -> tuple[Array, Array]:
    """Eigenvalues and eigenvectors, as constants of the differentiation."""
    k, r = jnp.linalg.eigh(lax.stop_gradient(logs))
    return lax.stop_gradient(k), lax.stop_gradient(r)


def _symmetric(function: Weight) -> bool:
    return isinstance(function, partial) and function.func in (_power, _descent_weight, _rotation_weight)


# The functions, by depth; all are taken apart into the larger logarithm and the distance, so that no difference of
# powers is formed. They are hashable partials, one for each depth.


def power(exponent: float) -> Weight:
    """``sigma^exponent`` when applied to the identity."""
    return partial(_power, exponent)


def _power(exponent: float, a: Array, b: Array) -> Array:
    return jnp.exp(exponent * (a + b) / 2)


def descent_weight(depth: float) -> Weight:
    """``sum_j sigma_r^(2 (j-1)/L) sigma_s^(2 (L-j)/L)``, by which the flow multiplies the gradient."""
    return partial(_descent_weight, depth)


def _descent_weight(depth: float, a: Array, b: Array) -> Array:
    gap = _gap(a, b)
    return jnp.exp(2 * (1 - 1 / depth) * jnp.maximum(a, b)) * ratio_of_decays(2.0, 2.0 / depth, gap)


def rotation_weight(depth: float) -> Weight:
    """``(sigma_s - sigma_r) / (sigma_s^(2/L) - sigma_r^(2/L))``, at which the frames rotate against each other."""
    return partial(_rotation_weight, depth)


def _rotation_weight(depth: float, a: Array, b: Array) -> Array:
    gap = _gap(a, b)
    return jnp.exp((1 - 2 / depth) * jnp.maximum(a, b)) * ratio_of_decays(1.0, 2.0 / depth, gap)


def log_weight(depth: float) -> Weight:
    """``sigma_r (k_s - k_r) / (sigma_s^(2/L) - sigma_r^(2/L))``, at which the logarithms move."""
    return partial(_log_weight, depth)


def _log_weight(depth: float, a: Array, b: Array) -> Array:
    rate = 2.0 / depth
    gap = _gap(a, b)
    small = gap * rate < 1e-5
    safe = jnp.where(small, 1.0, gap)
    # gap / (1 - exp(-rate gap))
    quotient = jnp.where(small, (1 + rate * gap / 2) / rate, safe / -jnp.expm1(-rate * safe))
    return jnp.exp(a - rate * jnp.maximum(a, b)) * quotient


def cross_weight(depth: float) -> Weight:
    """``sigma_s / (sigma_s^(2/L) - sigma_r^(2/L))``, at which singular vectors turn; for values that are apart."""
    return partial(_cross_weight, depth)


def _cross_weight(depth: float, a: Array, b: Array) -> Array:
    gap = _gap(a, b)
    # Within a block it is not asked for, but must be finite.
    far = jnp.maximum(gap, 1.0)
    size = jnp.exp((1 - 2 / depth) * jnp.maximum(a, b)) / -jnp.expm1(-2 / depth * far)
    return jnp.where(b > a, size, -size * jnp.exp(-far))


def _gap(a: Array, b: Array) -> Array:
    """Distance, with derivative zero where there is none (JAX takes that of ``abs`` to be one)."""
    return jnp.maximum(a, b) - jnp.minimum(a, b)


def ratio_of_decays(first: float, second: Array | float, gap: Array) -> Array:
    """``(1 - exp(-first gap)) / (1 - exp(-second gap))`` for a gap of zero or more."""
    small = gap < 1e-5
    safe = jnp.where(small, 1.0, gap)
    # Next to zero to second order in the gap.
    series = (first / second) * (1 + (second - first) * gap / 2)
    series = series + (first / second) * gap**2 * (first**2 / 6 - first * second / 4 + second**2 / 12)
    return jnp.where(small, series, jnp.expm1(-first * safe) / jnp.expm1(-second * safe))
