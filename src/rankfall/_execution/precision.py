"""The one place where JAX's precision is chosen: a scope, never the global flag."""

import contextlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np


def usual_errors() -> np.errstate:
    """NumPy's own answers to what is not representable, whatever the caller asks for of code around; a decorator too.

    Examples
    --------
    >>> import numpy as np
    >>> with np.errstate(all="raise"), usual_errors():
    ...     float(np.float64(1e-200) ** 2)
    0.0
    """
    return np.errstate(divide="warn", over="warn", invalid="warn", under="ignore")


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """64-bit numbers inside the ``with`` block, in this thread only; JAX's global flags are not touched.

    Scopes in which the caller forbids mixed types, arrays of other ranks, NaN or transfers end here too: they are
    about the caller's own code, and loops of ours mark with NaN what has no value. So do NumPy's errors.
    """
    with (
        jax.enable_x64(True),
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.debug_nans(False),
        jax.debug_infs(False),
        jax.transfer_guard("allow"),
        usual_errors(),
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
