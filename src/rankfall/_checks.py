"""One validator per rule; each raises ``ValueError`` with the argument, what came, what was expected and the remedy."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def positive(name: str, value: Any, remedy: str = "") -> None:
    """Refuse anything but positive finite numbers (an array is checked entry by entry)."""
    array = np.asarray(value)
    bad = array.dtype.kind not in "iuf" or array.size == 0 or not (np.isfinite(array) & (array > 0)).all()
    if bad:
        raise ValueError(f"{name} is {value!r}, but must be positive and finite{_tail(remedy)}.")


def positive_integer(name: str, value: Any, remedy: str = "") -> None:
    """Refuse anything but an integer of at least one."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} is {value!r}, but must be an integer of at least 1{_tail(remedy)}.")


def finite(name: str, value: np.ndarray, remedy: str = "") -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(value).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(f"{name} holds {value[where]} at index {where}, but must be finite{_tail(remedy)}.")


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
