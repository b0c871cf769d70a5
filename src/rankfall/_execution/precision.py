"""The one place where JAX's precision is chosen: a scope, never the global flag."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """64-bit numbers inside the ``with`` block, in this thread only; JAX's global flags are not touched.

    Scopes in which the caller forbids mixed types, arrays of other ranks, NaN or transfers end here too: they are
    about the caller's own code, and loops of ours mark with NaN what has no value.
    """
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.transfer_guard("allow"),
    ):
        yield


def is_tracing() -> bool:
    """Whether a caller is compiling (`jax.jit`): what is put into an array then has no value.

    Examples
    --------
    >>> is_tracing()
    False
    """
    with jax.transfer_guard("allow"):
        return isinstance(jnp.zeros(()), jax.core.Tracer)
