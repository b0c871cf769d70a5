"""Conversion and checks at the door of every function here: one rule a function, one sentence an error."""

from collections.abc import Callable, Sequence
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _checks

FloatArray: TypeAlias = NDArray[np.float64]

# NumPy's ArrayLike spells a number "complex" and leans on the numeric tower; run-time checkers do not, hence the rest.
RealLike: TypeAlias = ArrayLike | float | int | Sequence[Any]

LOSS_REMEDY = "pass half the sum of squared residuals over the observed entries"


def finite(name: str, value: RealLike, remedy: str = "drop NaN and infinite entries first") -> FloatArray:
    """``value`` as float64, refused unless every entry is a finite real number."""
    return _checked(name, value, lambda a: np.isfinite(a), "finite real numbers", remedy)


def non_negative(name: str, value: RealLike, remedy: str) -> FloatArray:
    """``value`` as float64, refused if an entry is negative or NaN; infinity passes, for bounds stay true there."""
    return _checked(name, value, lambda a: a >= 0, "non-negative real numbers", remedy)


def positive(name: str, value: RealLike, remedy: str) -> FloatArray:
    """``value`` as float64, refused unless every entry is positive and finite."""
    return _checked(name, value, lambda a: np.isfinite(a) & (a > 0), "positive finite real numbers", remedy)


def non_zero(name: str, value: RealLike, remedy: str) -> FloatArray:
    """``value`` as float64, refused unless every entry is finite and not zero."""
    return _checked(name, value, lambda a: np.isfinite(a) & (a != 0), "finite non-zero real numbers", remedy)


def within(name: str, value: RealLike, low: float, high: float, remedy: str) -> FloatArray:
    """``value`` as float64, refused unless every entry lies in the closed interval ``[low, high]``."""
    return _checked(name, value, lambda a: (a >= low) & (a <= high), f"real numbers from {low} to {high}", remedy)


def depths(value: RealLike, least: int, remedy: str) -> FloatArray:
    """Depths as float64, refused unless every one is a whole number of at least ``least``."""
    # Infinity equals itself rounded, hence the check for finite numbers.
    return _checked(
        "depth",
        value,
        lambda a: np.isfinite(a) & (a == np.round(a)) & (a >= least),
        f"whole numbers of at least {least}",
        remedy,
    )


def single(name: str, value: FloatArray, remedy: str) -> float:
    """``value``, checked by another rule here, as one number, refused if it is an array."""
    if value.ndim:
        raise ValueError(f"{name} has shape {value.shape}, but must be one number; {remedy}.")
    return float(value)


def together(**arrays: FloatArray | np.float64) -> None:
    """Refuse arrays, by the names of the arguments, whose shapes do not broadcast against each other."""
    try:
        np.broadcast_shapes(*(value.shape for value in arrays.values()))
    except ValueError:
        (first, array), *others = arrays.items()
        rest = ", ".join(f"that of {name}, {value.shape}" for name, value in others)
        raise ValueError(
            f"{first} has shape {array.shape}, but must broadcast against {rest}; pass numbers, or arrays of one shape."
        ) from None


def whole_number(name: str, value: SupportsIndex, least: int, remedy: str) -> int:
    """``value`` as int, refused unless it is one integer of at least ``least``."""
    return _checks.integer(name, value, least, remedy)


def radius(loss: RealLike) -> FloatArray:
    """Euclidean length ``d = sqrt(2 loss)`` of the residual vector."""
    # 2 sqrt(loss / 2) is the same number with the same single rounding, and does not overflow for huge losses.
    return np.asarray(2.0 * np.sqrt(np.asarray(loss, dtype=np.float64) / 2.0))


def _checked(
    name: str, value: RealLike, accept: Callable[[FloatArray], NDArray[np.bool_]], expected: str, remedy: str
) -> FloatArray:
    array = _checks.array(name, value, f"{expected}; {remedy}")
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{name} has dtype {array.dtype}, but must hold {expected}; {remedy}.")
    numbers = _checks.real(name, value)
    accepted = np.asarray(accept(numbers))
    if not accepted.all():
        offender = numbers[~accepted].flat[0]
        raise ValueError(f"{name} holds {offender:g}, but must hold {expected}; {remedy}.")
    return numbers
