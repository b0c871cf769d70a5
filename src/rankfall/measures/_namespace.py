"""NumPy arrays in, NumPy arrays out; JAX arrays (and tracers) in, JAX arrays out."""

from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Array, Matrices


def namespace(*arrays: object) -> ModuleType:
    """Return ``jax.numpy`` when any argument is a JAX array, NumPy otherwise."""
    return jnp if any(isinstance(a, jax.Array) for a in arrays) else np


# Precisions that linear algebra is done in; all others are turned into the widest at hand.
_PRECISIONS = (np.float32, np.float64)


def floating(name: str, value: object) -> Array:
    """Return an array of floating-point numbers, in the precision it came in where that is float32 or float64."""
    if isinstance(value, jax.Array):
        if jnp.issubdtype(value.dtype, jax.dtypes.extended) or jnp.issubdtype(value.dtype, jnp.complexfloating):
            raise ValueError(f"{name} has dtype {value.dtype}, but must hold real numbers.")
        return value if value.dtype in _PRECISIONS else value.astype(float)
    if isinstance(value, np.ndarray | np.generic) and value.dtype in _PRECISIONS and not np.ma.isMaskedArray(value):
        return np.asarray(value)
    return _checks.real(name, value)


def matrices(name: str, value: object) -> Matrices:
    """Return a float array of at least two dimensions, or say what came instead."""
    array = floating(name, value)
    if array.ndim < 2 or 0 in array.shape[-2:]:
        raise ValueError(
            f"{name} has shape {tuple(array.shape)}, but must be a matrix or a batch of matrices (..., rows, columns); "
            "a vector v is passed as v[:, None]."
        )
    return array
