"""The run time: compiled code, precision, threads and interrupts, and every workaround for it."""

from .batches import LARGE, TOGETHER, alone, lanes_together
from .blas import blas_threads, threads_for
from .compiling import compiled, for_few_calls, forget_compiled, known_compiler, make_room
from .cpus import VARIABLE, bound, cores, shared_out, shares
from .files import clear_away, set_aside, write_whole
from .hints import in_one_function, takes_hint
from .interrupts import ends_with, interrupts, raise_if_interrupted, terminations
from .methods import WithMethods
from .names import KNOWN, name_of, named
from .precision import double_precision, is_tracing, usual_errors
from .quiet import without_warning
from .terminal import is_terminal
from .threads import bounded, side_by_side

__all__ = [
    "KNOWN",
    "LARGE",
    "TOGETHER",
    "VARIABLE",
    "WithMethods",
    "alone",
    "blas_threads",
    "bound",
    "bounded",
    "compiled",
    "clear_away",
    "cores",
    "double_precision",
    "ends_with",
    "for_few_calls",
    "forget_compiled",
    "in_one_function",
    "interrupts",
    "is_terminal",
    "is_tracing",
    "known_compiler",
    "lanes_together",
    "make_room",
    "name_of",
    "named",
    "raise_if_interrupted",
    "set_aside",
    "shared_out",
    "shares",
    "side_by_side",
    "takes_hint",
    "terminations",
    "threads_for",
    "usual_errors",
    "without_warning",
    "write_whole",
]
