"""Room for compiled code: Linux gives a process 65,530 memory maps, and every compiled loop takes hundreds of them."""

from pathlib import Path

import jax

_MAPS = Path("/proc/self/maps")
_MOST = 30_000
# Maps that are not JAX's: nothing is gained by forgetting for their sake.
_others = 0


def make_room() -> None:
    """Forget all compiled code where it takes many maps: without any left the compiler ends the process."""
    global _others
    if _count() - _others > _MOST:
        jax.clear_caches()
        _others = _count()


def _count() -> int:
    try:
        with _MAPS.open("rb") as maps:
            return sum(1 for _ in maps)
    except OSError:  # not Linux: no such limit is known
        return 0
