"""The run time: compiled code, precision, threads and interrupts, with every workaround for it and its reason."""

from .blas import threads_for
from .compiling import compiled, known_compiler, make_room
from .hints import in_one_function, takes_hint
from .interrupts import interrupts, raise_if_interrupted
from .precision import double_precision
from .threads import cores, side_by_side

__all__ = [
    "compiled",
    "cores",
    "double_precision",
    "in_one_function",
    "interrupts",
    "known_compiler",
    "make_room",
    "raise_if_interrupted",
    "side_by_side",
    "takes_hint",
    "threads_for",
]
