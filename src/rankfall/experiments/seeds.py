"""Seeds as keys of JAX."""

import jax
import numpy as np

from .._types import Key


def key_of(seed: int) -> Key:
    """Return the key of a seed of any size; ``jax.random.key`` sees only the last 32 bits of it."""
    if seed < 0:
        raise ValueError(f"seed is {seed}, but must be an integer of at least 0.")
    found, rest = jax.random.key(seed % 2**32), seed >> 32
    while rest:
        found, rest = jax.random.fold_in(found, np.uint32(rest % 2**32)), rest >> 32
    return found
