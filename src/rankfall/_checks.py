"""One validator per rule; each raises ``ValueError`` with the argument, what came, what was expected and the remedy."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def positive(name: str, value: Any, remedy: str = "") -> None:
    """Refuse anything but positive finite numbers (an array is checked entry by entry)."""
    array = np.asarray(value)
    bad = array.dtype.kind not in "iuf" or array.size == 0 or not (np.isfinite(array) & (array > 0)).all()
    if bad:
        raise ValueError(f"{name} is {value!r}, but must be positive and finite{_tail(remedy)}.")


def positive_integer(name: str, value: Any, remedy: str = "") -> None:
    """Refuse anything but an integer of at least one."""
    integer(name, value, 1, remedy)


def finite(name: str, value: np.ndarray, remedy: str = "") -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(value).all():
        if not np.ndim(value):
            raise ValueError(f"{name} is {value}, but must be finite{_tail(remedy)}.")
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(f"{name} holds {value[where]} at index {where}, but must be finite{_tail(remedy)}.")


def real(name: str, value: Any, dtype: Any = np.float64) -> np.ndarray:
    """Return an array of real numbers; refuse words, complex numbers and rows of unequal length.

    ``None`` and the masked entries of a masked array turn into NaN, "not observed".
    """
    try:
        array = np.asarray(value)
        # Objects (None, fractions) count where each turns into a number.
        good = array.dtype.kind in "biufO"
        converted = array.astype(np.float64) if good else None
    except (TypeError, ValueError):
        converted = None
    if converted is None:
        raise ValueError(f"{name} is {shortened(value)}, but must be an array of real numbers (rows of one length).")
    if np.ma.isMaskedArray(value):
        converted = np.where(np.ma.getmaskarray(value), np.nan, converted)
    with np.errstate(over="ignore"):
        narrow = converted.astype(dtype)
    beyond = np.isinf(narrow) & np.isfinite(converted)
    if beyond.any():
        raise ValueError(f"{name} holds {converted[beyond][0]:g}, but must stay within the range of {narrow.dtype}.")
    return narrow


def number(name: str, value: Any, remedy: str = "") -> float:
    """Return one real number; refuse anything else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise ValueError(f"{name} is {shortened(value)}, but must be a real number{_tail(remedy)}.")
    return float(value)


def integer(name: str, value: Any, least: int, remedy: str = "") -> int:
    """Return an integer of at least ``least``; refuse anything else."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is {shortened(value)}, but must be an integer of at least {least}{_tail(remedy)}.")
    return int(value)


def matrix_shape(name: str, value: Any) -> tuple[int, int]:
    """Return rows and columns; refuse anything but two integers of at least one."""
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 2:
        raise ValueError(f"{name} is {shortened(value)}, but must be (rows, columns).")
    return (
        integer(f"{name}'s number of rows", value[0], 1),
        integer(f"{name}'s number of columns", value[1], 1),
    )


def indices(name: str, where: np.ndarray, shape: tuple[int, int]) -> None:
    """Refuse anything but rows and columns inside a matrix."""
    if where.ndim != 2 or where.shape[1] != 2 or where.dtype.kind not in "iu":
        raise ValueError(
            f"{name} has shape {where.shape} and dtype {where.dtype}, but must be integers of shape (n, 2), a row "
            "and a column for each entry."
        )
    outside = ((where < 0) | (where >= np.asarray(shape))).any(axis=1)
    if outside.any():
        first = int(outside.argmax())
        came = tuple(int(i) for i in where[first])
        raise ValueError(
            f"{name}[{first}] is {came}, but must lie in a matrix of shape {tuple(shape)}; indices are 0-based "
            "(subtract 1 from 1-based ones)."
        )


def chain(factors: Sequence[Any]) -> None:
    """Refuse factors that do not multiply out, or do not have the same lanes."""
    if not factors:
        raise ValueError("factors is empty, but a factorization has at least one matrix (depth 1), W_1 first.")
    for j, (lower, upper) in enumerate(zip(factors[:-1], factors[1:], strict=True)):
        came = f"factors[{j + 1}] has shape {tuple(upper.shape)} and factors[{j}] {tuple(lower.shape)}"
        if upper.shape[-1] != lower.shape[-2]:
            raise ValueError(
                f"{came}, but the columns of one must be the rows of the one before; factors[0] is applied first."
            )
        if upper.shape[:-2] != lower.shape[:-2]:
            raise ValueError(f"{came}, but all factors must have the same lanes; the lane axis comes first.")


def key(name: str, value: Any, lanes: bool = False) -> None:
    """Refuse anything but a JAX key (or, with ``lanes``, one axis of them)."""
    typed = hasattr(value, "dtype") and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
    if not typed or value.ndim > lanes:
        came = f"has shape {value.shape}" if typed else f"is {shortened(value)}"
        kinds = "a key or an array of keys" if lanes else "a single key"
        raise ValueError(f"{name} {came}, but must be {kinds}; make one with jax.random.key(0).")


def shortened(value: Any) -> str:
    """Write what came on one line, cut where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_of(name: str, value: Any, known: Iterable[Any]) -> None:
    """Refuse a word outside the known ones."""
    known = list(known)
    if value not in known:
        raise ValueError(f"{name} is {value!r}, but must be one of {', '.join(map(repr, known))}.")


def precision(name: str, value: Any) -> str:
    """Return the name of a floating-point type that training runs in; refuse any other."""
    try:
        word = np.dtype(value).name
    except TypeError:
        word = value
    one_of(name, word, ("float64", "float32"))
    return word


def same_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...], remedy: str = "") -> None:
    """Refuse an array whose shape is not the expected one."""
    if tuple(shape) != tuple(expected):
        raise ValueError(f"{name} has shape {tuple(shape)}, but must have shape {tuple(expected)}{_tail(remedy)}.")


def _tail(remedy: str) -> str:
    return f"; {remedy}" if remedy else ""
