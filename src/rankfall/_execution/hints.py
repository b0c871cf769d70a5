"""Hints to XLA's compiler for the CPU, for the sake of tiny matrices."""

from collections.abc import Callable
from typing import Any

import jax

from .compiling import known_compiler


def in_one_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Ask XLA's CPU compiler for one native function, for the sake of tiny matrices.

    By default every loop over the lanes is a call of its own from XLA's run time (some 20 to 40 ns each, where a whole
    step of a 2 x 2 lane takes 25), and nested functions are inlined and fused into every user. The attributes are
    hints: what does not know them computes the same, only slower. They are given for the plain step alone, and to the
    versions they were tried with: the compiler (jaxlib 0.10.2) aborts on some programs, those of optax among them.
    """
    from jax.experimental.xla_metadata import set_xla_metadata  # not in every later version, nor needed there

    def hinted(*arguments: object) -> Any:
        with set_xla_metadata(xla_cpu_small_call="true", inlineable="false"):
            return function(*arguments)

    return hinted


def takes_hint() -> bool:
    """Whether the compiler in use is one that `in_one_function` was tried with."""
    return jax.default_backend() == "cpu" and known_compiler()
