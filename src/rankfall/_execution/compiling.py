"""What is compiled: how to have it soon, and how to have room for it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

# Twice as fast to compile as by the fusion emitters, and as fast to run (measured on the flows, descent and tensors).
_SOON = {"xla_cpu_use_fusion_emitters": False}

# Linux gives a process 65,530 memory maps, and every compiled loop takes hundreds of them.
_MAPS = Path("/proc/self/maps")
_MOST = 30_000
# Maps that are not JAX's: nothing is gained by forgetting for their sake.
_others = 0
# To count thirty thousand maps takes thirty milliseconds, and to compile that many takes a minute.
_SECONDS = 5.0
_looked = -_SECONDS


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """``jax.jit`` for what is called from Python, not from other compiled code, with options that make it soon done."""
    return jax.jit(function, compiler_options=_SOON if known_compiler() else None, **options)


def known_compiler() -> bool:
    """Whether the compiler is a version that its options and hints were tried with: others may not know them."""
    return jax.__version_info__[:2] == (0, 10)


def make_room() -> None:
    """Forget all compiled code where it takes many maps: without any left the compiler ends the process."""
    global _others, _looked
    now = time.monotonic()
    if now < _looked + _SECONDS:
        return
    _looked = now
    if _count() - _others > _MOST:
        jax.clear_caches()
        _others = _count()


def _count() -> int:
    try:
        with _MAPS.open("rb") as maps:
            return sum(1 for _ in maps)
    except OSError:  # not Linux: no such limit is known
        return 0
