"""What is compiled: how to have it soon, and how to have room for it."""

import contextlib
import contextvars
import functools
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

# Twice as fast to compile as by the fusion emitters, and as fast to run (measured on the flows, descent and tensors).
_SOON = {"xla_cpu_use_fusion_emitters": False}

# A third as long to compile and two or three times as long to run.
_FOR_FEW_CALLS = _SOON | {"xla_backend_optimization_level": 0}
_few_calls = contextvars.ContextVar("few_calls", default=False)

# Linux gives a process 65,530 memory maps unless told otherwise, and every compiled loop takes hundreds of them.
_MAPS, _LIMIT = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
_USUAL_LIMIT = 65_530
# Ours are forgotten from this share of the limit on; what is left is the host's, who is told from the second share on.
_MUCH, _NEARLY_ALL = 0.45, 0.8
# To count thirty thousand maps takes thirty milliseconds, and to compile that many takes a minute.
_SECONDS = 5.0


class Compiled:
    """``jax.jit`` for what is called from Python, with options that make it soon done; see `compiled`."""

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        # Options are refused of what is compiled as a part of something else.
        self._inner: Any = jax.jit(function, **options)
        self._outer: Any = jax.jit(function, compiler_options=_SOON, **options) if known_compiler() else self._inner
        self._brief: Any = (
            jax.jit(function, compiler_options=_FOR_FEW_CALLS, **options) if known_compiler() else self._inner
        )
        self._statics = _statics(options)
        _ours.add(self)

    def __call__(self, *arguments: object, **named: object) -> Any:
        """Call the compiled function."""
        moving = [a for i, a in enumerate(arguments) if i not in self._statics]
        moving += [a for name, a in named.items() if name not in self._statics]
        if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(moving)):
            return self._inner(*arguments, **named)
        if jax.config.jax_disable_jit:  # type: ignore[attr-defined]
            # Nothing makes JAX arrays of the arguments then, and NumPy's own cannot be indexed by what is traced.
            arguments = tuple(a if i in self._statics else _arrays(a) for i, a in enumerate(arguments))
            named = {name: a if name in self._statics else _arrays(a) for name, a in named.items()}
        return (self._brief if _few_calls.get() else self._outer)(*arguments, **named)

    def eval_shape(self, *arguments: object, **named: object) -> Any:
        """Return the shapes of what a call would return."""
        return self._outer.eval_shape(*arguments, **named)

    def lower(self, *arguments: object, **named: object) -> Any:
        """Return what a call would compile."""
        return self._outer.lower(*arguments, **named)

    def forget(self) -> None:
        """Forget the compiled code; the next call compiles anew."""
        self._inner.clear_cache()
        self._outer.clear_cache()
        self._brief.clear_cache()


# What has been made by `compiled` and is still there.
_ours: weakref.WeakSet[Compiled] = weakref.WeakSet()


def compiled(function: Callable[..., Any], **options: object) -> Any:
    """``jax.jit`` for what is called from Python, with options that make it soon done.

    Parameters
    ----------
    function : callable
        Of arrays.
    **options
        Of ``jax.jit``.

    Returns
    -------
    Compiled
        Called in what is compiled itself it is a part of that; under ``jax.disable_jit`` it runs step by step.

    Examples
    --------
    >>> double = compiled(lambda x: 2 * x)
    >>> int(double(3))
    6
    """
    return Compiled(function, options)


@contextlib.contextmanager
def for_few_calls() -> Iterator[None]:
    """Compile what is called inside, in this thread and those of `side_by_side`, without optimisation.

    For programs that run a few hundred steps once: the last digits of what they return are not those of others.
    """
    token = _few_calls.set(True)
    try:
        yield
    finally:
        _few_calls.reset(token)


def known_compiler() -> bool:
    """Whether the compiler is a version that its options and hints were tried with: others may not know them."""
    return jax.__version_info__[:2] == (0, 10)


class Room:
    """The memory maps of the process, looked at now and then."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.looked = -_SECONDS
        # Maps that were still there after ours were forgotten: nothing is gained by forgetting for their sake.
        self.others = 0
        self.told = False

    def make(self) -> None:
        """Forget our compiled code where there is much of it, and say so where that is not enough."""
        with self.lock:
            now = time.monotonic()
            if now < self.looked + _SECONDS:
                return
            self.looked = now
            limit = _limit()
            if _count() - self.others <= _MUCH * limit:
                return
            forget_compiled()
            self.others = _count()
            tell = self.others > _NEARLY_ALL * limit and not self.told
            self.told = self.told or tell
        if tell:
            warnings.warn(
                f"This process has {self.others:,} of the {limit:,} memory maps that Linux allows, nearly all of them "
                "outside rankfall; at the limit JAX's compiler ends the process. jax.clear_caches() gives back those "
                "of compiled functions.",
                RuntimeWarning,
                stacklevel=4,
            )


def forget_compiled() -> None:
    """Forget what is compiled of ours; the next calls compile anew."""
    for function in list(_ours):
        function.forget()


_room = Room()


def make_room() -> None:
    """Forget compiled code of ours where the process has many maps: without any left the compiler ends it.

    What the host has compiled with JAX stays.
    """
    _room.make()


def _count() -> int:
    try:
        with _MAPS.open("rb") as maps:
            return sum(1 for _ in maps)
    except OSError:  # not Linux: no such limit is known
        return 0


def _limit() -> int:
    try:
        return int(_LIMIT.read_text())
    except (OSError, ValueError):
        return _USUAL_LIMIT


def _statics(options: dict[str, Any]) -> frozenset[int | str]:
    """Return which arguments are no arrays, by place and by name."""
    listed = [options.get("static_argnums", ()), options.get("static_argnames", ())]
    return frozenset(
        static for one in listed for static in (one if isinstance(one, tuple | list | set | frozenset) else (one,))
    )


def _arrays(argument: object) -> Any:
    return jax.tree.map(jnp.asarray, argument)
