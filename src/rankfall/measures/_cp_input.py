"""What the measures of CP rank are given: a tensor, scaled, and a key."""

import jax
import numpy as np

from .. import _checks
from .._types import ArrayLike, Key
from .matricization import tensor_of_order_two


def normalised(tensor: ArrayLike) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Return a tensor in float64, the same over its norm, the precision its entries came in, and the norm."""
    came = np.asarray(tensor_of_order_two("tensor", tensor))
    given = came.astype(np.float64)
    _checks.finite("tensor", given)
    # Twice divided: the sum of squares, and the norm itself, may overflow where all entries are finite.
    top = float(np.abs(given).max()) or 1.0
    norm = float(np.linalg.norm(given / top)) or 1.0
    return given, given / top / norm, float(np.finfo(came.dtype).eps), top * norm


def generator(key: Key) -> np.random.Generator:
    """Return random numbers of NumPy that a key of JAX determines."""
    _checks.key("key", key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
