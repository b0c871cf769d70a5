"""Norms by name: one dictionary for every place that takes a norm, and the functions that a user brings in its stead.

A norm is a word of `NORMS`, a word with a number (``"schatten-0.5"``, ``"entrywise-1"``, ``"ky-fan-2"``), or a function
of one matrix. `named_norm` makes one record of any of them. What else is known of a norm (its dual, what CVXPY calls
it, what theorem 1 says of it) is looked up by the record's family and order, never by its word.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._execution import double_precision
from .._types import Array, ArrayLike
from ._namespace import matrices, namespace
from .norms import (
    entrywise_norm,
    frobenius_norm,
    ky_fan_norm,
    max_column_sum,
    max_row_sum,
    nuclear_norm,
    schatten_norm,
    spectral_norm,
)

NORMS: dict[str, Callable[[Any], Array]] = {
    "nuclear": nuclear_norm,
    "frobenius": frobenius_norm,
    "spectral": spectral_norm,
    "max_column_sum": max_column_sum,
    "max_row_sum": max_row_sum,
}
# What they are members of. Operator norms from l_p to l_p are "induced".
_MEMBERS = {
    "nuclear": ("schatten", 1.0),
    "frobenius": ("schatten", 2.0),
    "spectral": ("schatten", math.inf),
    "max_column_sum": ("induced", 1.0),
    "max_row_sum": ("induced", math.inf),
}


def _sum_of_largest(matrix: ArrayLike, order: float) -> Array:
    """Ky Fan norm of any order: beyond the number of singular values it is their sum."""
    w = matrices("matrix", matrix)
    return ky_fan_norm(w, min(int(order), *w.shape[-2:]))


_FAMILIES: dict[str, Callable[[Any, float], Array]] = {
    "schatten": schatten_norm,
    "entrywise": entrywise_norm,
    "ky-fan": _sum_of_largest,
}
EXPECTED = (
    f"a function of one matrix, or one of {', '.join(map(repr, NORMS))}, or 'schatten-p' or 'entrywise-p' with a "
    "positive number p, or 'ky-fan-k' with a positive integer k"
)
# A word with a number. Only plain numbers: the word may name a variable of a netCDF file.
_NUMBERED = re.compile(r"(.*?)-((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|inf)", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class NamedNorm:
    """A norm or quasi-norm that was looked up, or a function that is taken for one. Called on matrices, it is the norm.

    Attributes
    ----------
    name : str
        The word, or the function's name.
    family : {"schatten", "entrywise", "ky-fan", "induced", "function"}
        What is summed or maximised: powers of singular values or of entries, the largest singular values, or absolute
        entries of a column (order 1) or row (order infinity).
    order : float
        The exponent, or how many singular values are summed; NaN of a function.
    function : callable or None
        What computes it, of a word without a number and of a user's function.
    argument : str
        Name of the argument that it came as, for messages.
    """

    name: str
    family: str
    order: float
    function: Callable[[Any], Any] | None = None
    argument: str = field(default="norm", compare=False)

    @property
    def known(self) -> bool:
        """Whether it is a norm or quasi-norm for sure, and not a function of which only values are known."""
        return self.family != "function"

    @property
    def power(self) -> float:
        """The power of ``||A + B||^power <= ||A||^power + ||B||^power``; NaN of a function, of which it is unknown."""
        if not self.known:
            return math.nan
        return min(self.order, 1.0) if self.family in ("schatten", "entrywise") else 1.0

    @property
    def triangle_constant(self) -> float | None:
        """Least ``c`` of ``||A + B|| <= c (||A|| + ||B||)``: 1 or ``2^(1/p - 1)``; ``None`` of a function."""
        # Where this is infinite, the norms of matrices are infinite too.
        with np.errstate(over="ignore"):
            return float(np.exp2(1.0 / self.power - 1.0)) if self.known else None

    def __call__(self, matrix: ArrayLike) -> Array:
        """Evaluate it at matrices (..., rows, columns), of NumPy or of JAX."""
        if not self.known:
            return self._each(matrix)
        return _FAMILIES[self.family](matrix, self.order) if self.function is None else self.function(matrix)

    def finite(self, matrix: ArrayLike) -> np.ndarray:
        """Evaluate it at matrices (..., rows, columns) of NumPy; refuse a value that is not finite."""
        values = np.asarray(self(matrix))
        if not np.isfinite(values).all():
            at = tuple(np.argwhere(~np.isfinite(values))[0])
            raise ValueError(
                f"{self.argument} is {self.name}, but must be finite: at {shown(np.asarray(matrix)[at])} it is "
                f"{values[at]}."
            )
        return values

    def _each(self, matrix: ArrayLike) -> Array:
        """Values of a user's function, which sees one matrix at a time: its own copy, where it could change it."""
        w = matrices("matrix", matrix)
        flat = w.reshape(math.prod(w.shape[:-2]), *w.shape[-2:])
        if isinstance(w, np.ndarray):
            # The function may be written in JAX.
            with double_precision():
                values = [self._one(one.copy()) for one in flat]
        else:
            values = [self._one(one) for one in flat]
        xp = namespace(w, *values)
        stacked = xp.stack([xp.asarray(value, dtype=w.dtype) for value in values]) if values else xp.zeros(0, w.dtype)
        return stacked.reshape(w.shape[:-2])

    def _one(self, matrix: Array) -> Any:
        assert self.function is not None
        value = self.function(matrix)
        # A traced value has a shape and a type, like any other, but no number yet.
        if isinstance(value, jax.core.Tracer) and value.shape == () and jnp.issubdtype(value.dtype, jnp.floating):
            return value
        try:
            return _checks.number("value", value)
        except ValueError:
            where = "" if isinstance(matrix, jax.core.Tracer) else f" at {shown(np.asarray(matrix))}"
            raise ValueError(
                f"{self.argument} is {self.name}, but must give one real number:{where} it gives "
                f"{_checks.shortened(value)}."
            ) from None


def named_norm(argument: str, norm: object) -> NamedNorm:
    """Look a word up, or take a function; refuse anything else, under the name of the argument."""
    own = next((word for word, function in NORMS.items() if function is norm), norm)
    if isinstance(own, str):
        found = _of_word(own)
        if found is not None:
            word, family, order, function = own, *found
            return NamedNorm(word, family, order, function, argument)
    elif callable(own):
        return NamedNorm(_name_of(own), "function", math.nan, own, argument)
    raise ValueError(f"{argument} is {_checks.shortened(norm)}, but must be {EXPECTED}{nearest(norm)}.")


def is_norm(word: object) -> bool:
    """Whether a word names a norm."""
    return isinstance(word, str) and _of_word(word) is not None


def nearest(word: object, others: Iterable[str] = ()) -> str:
    """End of a message about an unknown word: the norm, or the other word, nearest to it, where one is near."""
    if not isinstance(word, str):
        return ""
    numbered = _NUMBERED.fullmatch(word)
    like = [f"{family}-{numbered[2]}" for family in _FAMILIES] if numbered else []
    examples = ["schatten-0.5", "entrywise-1", "ky-fan-2"]
    known = [*NORMS, *(one for one in like if is_norm(one)), *examples, *others]
    near = difflib.get_close_matches(word, known, n=1)
    return "".join(f"; {one!r} is the nearest" for one in near)


def norm(matrix: ArrayLike, kind: str | Callable[[Any], Any]) -> Array:
    """Any norm or quasi-norm: by name, or the user's own function of one matrix.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    kind : str or callable
        A key of `NORMS`, with ``-`` or ``_``; ``"schatten-p"`` or ``"entrywise-p"`` with a positive number in place of
        ``p``, ``inf`` too; ``"ky-fan-k"`` with a positive integer; or a function that takes one ``(rows, columns)``
        array and returns a number. It is called for each matrix of the batch, and its value is not checked to be a
        norm.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``kind`` is an unknown name, or a function whose value is not one real number, or ``matrix`` has fewer than
        two dimensions.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.norm([[1.0, -2.0], [3.0, 0.0]], lambda w: np.abs(w).max()))
    3.0
    >>> float(rf.measures.norm([[3.0, 0.0], [0.0, -4.0]], "ky-fan-1"))
    4.0
    """
    return named_norm("kind", kind)(matrices("matrix", matrix))


def shown(matrix: np.ndarray) -> str:
    """Write a matrix on one line, cut where it is long."""
    text = "[" + ", ".join("[" + ", ".join(f"{entry:.6g}" for entry in row) + "]" for row in matrix[:8, :8]) + "]"
    return text if len(text) <= 160 and max(matrix.shape) <= 8 else f"{text[:157]}..."


def _of_word(word: str) -> tuple[str, float, Callable[[Any], Array] | None] | None:
    """Family, order and function of a word, ``None`` of an unknown one."""
    own = word.replace("-", "_")
    if own in NORMS:
        return *_MEMBERS[own], NORMS[own]
    numbered = _NUMBERED.fullmatch(word)
    if numbered is None or numbered[1] not in _FAMILIES:
        return None
    family, order = numbered[1], float(numbered[2])
    whole = math.isfinite(order) and order == int(order)
    return (family, order, None) if order > 0 and (whole or family != "ky-fan") else None


def _name_of(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
