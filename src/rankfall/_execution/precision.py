"""The one place where JAX's precision is chosen: a scope, never the global flag."""

from contextlib import AbstractContextManager

import jax


def double_precision() -> AbstractContextManager[None]:
    """64-bit numbers inside the ``with`` block, in this thread only; JAX's global flag is not touched."""
    return jax.enable_x64(True)
