"""NumPy arrays in, NumPy arrays out; JAX arrays (and tracers) in, JAX arrays out."""

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Array, Matrices


def namespace(*arrays: Any) -> ModuleType:
    """Return ``jax.numpy`` when any argument is a JAX array, NumPy otherwise."""
    return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


def floating(value: Any, name: str = "singular_values") -> Array:
    """Return an array of floating-point numbers, in the precision it came in (integers become float64 in NumPy)."""
    if isinstance(value, jax.Array):
        return value if jnp.issubdtype(value.dtype, jnp.floating) else value.astype(float)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f":
        return value
    return _checks.real(name, value)


def matrices(name: str, value: Any) -> Matrices:
    """Return a float array of at least two dimensions, or say what came instead."""
    array = floating(value, name)
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise ValueError(
            f"{name} has shape {tuple(array.shape)}, but must be a matrix or a batch of matrices (..., rows, columns); "
            "a vector v is passed as v[:, None]."
        )
    return array
