"""One validator per rule; each raises ``ValueError`` with the argument, what came, what was expected and the remedy."""

import difflib
import numbers
import operator
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, SupportsFloat, SupportsIndex

import jax
import jax.numpy as jnp
import numpy as np

from ._types import DTypeLike

_TRACED = "traced by JAX (inside jit, vmap or grad)"
_NUMBERS = "an array of real numbers (rows of one length)"
# Half a terabyte of float64: beyond it a size is a slip of the keyboard.
_MOST_NUMBERS = 2**36
# Bytes of a single array that is made to hold every entry of a tensor.
MEMORY = 2**33


def positive(name: str, value: object, remedy: str = "") -> np.ndarray:
    """Return positive finite numbers (an array is checked entry by entry); refuse anything else."""
    try:
        came = np.empty(0) if array(name, value).dtype.kind == "b" else real(name, value)
    except ValueError:
        came = np.empty(0)
    if not came.size or not (np.isfinite(came) & (came > 0)).all():
        raise ValueError(f"{name} is {shortened(value)}, but must be positive and finite{_tail(remedy)}.")
    return came


def positive_number(name: str, value: object, remedy: str = "") -> float:
    """Return one positive finite number; refuse anything else."""
    return float(positive(name, number(name, value, remedy), remedy))


def not_negative_number(name: str, value: object, remedy: str = "") -> float:
    """Return one finite number of at least zero; refuse anything else."""
    found = number(name, value, remedy)
    if not (np.isfinite(found) and found >= 0):
        raise ValueError(f"{name} is {shortened(value)}, but must be at least 0 and finite{_tail(remedy)}.")
    return found


def positive_integer(name: str, value: object, remedy: str = "") -> int:
    """Return an integer of at least one; refuse anything else."""
    return integer(name, value, 1, remedy)


def finite(name: str, value: np.ndarray, remedy: str = "") -> None:
    """Refuse NaN and infinity."""
    if not np.isfinite(value).all():
        if not np.ndim(value):
            raise ValueError(f"{name} is {value}, but must be finite{_tail(remedy)}.")
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(value))[0])
        raise ValueError(f"{name} holds {value[where]} at index {where}, but must be finite{_tail(remedy)}.")


def array(name: str, value: object, expected: str = _NUMBERS) -> np.ndarray:
    """Return what NumPy makes of a value; refuse what it makes nothing of, such as rows of unequal length.

    A tensor of PyTorch may be on another device, or a part of what is differentiated: its numbers are taken.
    """
    try:
        return np.asarray(_detached(value))
    except Exception:  # an array of another library may raise whatever it likes
        raise ValueError(f"{name} is {shortened(value)}, but must be {expected}.") from None


def real(name: str, value: object, dtype: DTypeLike = np.float64) -> np.ndarray:
    """Return an array of real numbers; refuse words, complex numbers and rows of unequal length.

    Objects (``None``, fractions) count where each turns into a number. ``None``, the masked entries of a masked array
    and the missing ones of pandas turn into NaN, "not observed".
    """
    came = _without_na(array(name, value))
    try:
        # Words among objects would turn into numbers.
        good = _numeric(came.dtype) and not any(isinstance(x, str | bytes) for x in _objects(came))
        with np.errstate(over="ignore"):
            converted = came.astype(np.float64) if good else None
    except (TypeError, ValueError, OverflowError):
        converted = None
    if converted is None:
        sparse = "; a sparse one turns into it with .toarray()" if callable(getattr(value, "toarray", None)) else ""
        raise ValueError(f"{name} is {shortened(value)}, but must be {_NUMBERS}{sparse}.")
    if came.dtype == np.longdouble and (np.isinf(converted) & np.isfinite(came)).any():
        largest = came[np.isinf(converted) & np.isfinite(came)][0]
        raise ValueError(
            f"{name} holds {largest!s}, but must stay within the range of float64 (1.8e308); divide the data by a unit."
        )
    if np.ma.isMaskedArray(value):
        converted = np.where(np.ma.getmaskarray(value), np.nan, converted)
    if np.dtype(dtype) == np.float64:
        return converted
    with np.errstate(over="ignore"):
        narrow = converted.astype(dtype)
    beyond = np.isinf(narrow) & np.isfinite(converted)
    if beyond.any():
        raise ValueError(
            f"{name} holds {converted[beyond][0]:g}, but must stay within the range of {np.dtype(dtype)}; use float64."
        )
    return narrow


def number(name: str, value: object, remedy: str = "") -> float:
    """Return one real number; refuse anything else."""
    came = array(name, value, f"a real number{_tail(remedy)}")
    try:
        plain = came.dtype.kind in "iuf" or (came.dtype == object and isinstance(value, numbers.Real))
        if came.ndim == 0 and plain and isinstance(value, SupportsFloat):
            return float(value)
    except OverflowError:  # an integer beyond all floats
        pass
    raise ValueError(f"{name} is {shortened(value)}, but must be a real number{_tail(remedy)}.")


def integer(name: str, value: object, least: int, remedy: str = "") -> int:
    """Return an integer of at least ``least`` that computers count to; refuse anything else."""
    try:
        whole = operator.index(value) if isinstance(value, SupportsIndex) and not isinstance(value, bool) else least - 1
    except TypeError:  # an array of several numbers, or of no integers
        whole = least - 1
    if whole < least:
        raise ValueError(f"{name} is {shortened(value)}, but must be an integer of at least {least}{_tail(remedy)}.")
    if whole > 2**62:
        raise ValueError(f"{name} is {shortened(value)}, but must be an integer of at most 2^62{_tail(remedy)}.")
    return whole


def flag(name: str, value: object) -> None:
    """Refuse anything but true and false."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} is {shortened(value)}, but must be True or False.")


def room(name: str, value: object, count: int) -> None:
    """Refuse a size that asks for more numbers than a memory holds."""
    if count > _MOST_NUMBERS:
        raise ValueError(f"{name} is {shortened(value)}, but no memory holds the {count:.1e} numbers it asks for.")


def effective_rank(name: str, value: object) -> float:
    """Return a number that an effective rank can be; refuse anything else."""
    came = number(name, value)
    if not 1 <= came < np.inf:
        raise ValueError(f"{name} is {came}, but an effective rank is finite and at least 1.")
    return came


def sign(name: str, value: object) -> int | None:
    """Return the sign of a determinant as +1 or -1, ``None`` for none in particular; refuse anything else."""
    if value is None:
        return None
    try:
        came = number(name, value)
    except ValueError:
        came = 0.0
    if came not in (1, -1):
        raise ValueError(f"{name} is {shortened(value)}, but must be +1, -1 or None.")
    return int(came)


def position(name: str, value: object) -> tuple[int, int]:
    """Return row and column of an entry of a 2x2 matrix; refuse anything else."""
    try:
        row, column = [integer(name, i, 0) for i in value] if isinstance(value, Iterable) else (2, 2)
    except (TypeError, ValueError):
        row = column = 2
    if max(row, column) > 1:
        raise ValueError(
            f"{name} is {shortened(value)}, but must be one of (0, 0), (0, 1), (1, 0), (1, 1); row and column are "
            "0-based."
        )
    return row, column


def sequence(name: str, value: object, expected: str) -> list[Any]:
    """Return the members of a list or tuple; refuse anything else, an array too, whose first axis may be lanes."""
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        raise ValueError(f"{name} is {shortened(value)}, but must be {expected}.")
    return list(value)


def folder(name: str, value: object) -> Path:
    """Return the path of a folder, there or not; refuse anything else."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{name} is {shortened(value)}, but must be the path of a folder, such as 'out'.")
    return Path(value)


def file(name: str, value: object, example: str) -> Path:
    """Return the path of a file, there or not; refuse anything else, and what is a folder."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{name} is {shortened(value)}, but must be the path of a file, such as {example!r}.")
    if Path(value).is_dir():
        raise ValueError(f"{name} is {str(value)!r}, which is a folder, but must be a file, such as {example!r}.")
    return Path(value)


def content(name: str, value: object, expected: str) -> bytes:
    """Return what is in a file; refuse what is no path, and a file that cannot be read."""
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise ValueError(f"{name} is {shortened(value)}, but must be the path of {expected}.")
    try:
        return Path(value).read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ValueError(f"{name} is {str(value)!r}, but it cannot be read ({reason}); give {expected}.") from None


def matrix_shape(name: str, value: object) -> tuple[int, int]:
    """Return rows and columns; refuse anything but two integers of at least one."""
    extents = _extents(value)
    if len(extents) != 2:
        raise ValueError(f"{name} is {shortened(value)}, but must be (rows, columns).")
    return (
        integer(f"{name}'s number of rows", extents[0], 1),
        integer(f"{name}'s number of columns", extents[1], 1),
    )


def tensor_shape(name: str, value: object) -> tuple[int, ...]:
    """Return the extents of a tensor; refuse anything but two or more integers of at least one."""
    extents = _extents(value)
    if len(extents) < 2:
        raise ValueError(
            f"{name} is {shortened(value)}, but must be the extents of two modes or more, such as (8, 8, 8)."
        )
    return tuple(integer(f"{name}[{n}]", extent, 1) for n, extent in enumerate(extents))


def indices(name: str, value: object, shape: tuple[int, ...]) -> np.ndarray:
    """Return places of entries; refuse anything but integers inside a matrix or tensor."""
    order = len(shape)
    each, kind = ("a row and a column", "matrix") if order == 2 else ("one for each mode", "tensor")
    expected = f"integers of shape (n, {order}), {each} for each entry"
    where = array(name, value, expected)
    if where.ndim != 2 or where.shape[1] != order or where.dtype.kind not in "iu":
        raise ValueError(f"{name} has shape {where.shape} and dtype {where.dtype}, but must be {expected}.")
    outside = ((where < 0) | (where >= np.asarray(shape))).any(axis=1)
    if outside.any():
        first = int(outside.argmax())
        came = tuple(int(i) for i in where[first])
        raise ValueError(
            f"{name}[{first}] is {came}, but must lie in a {kind} of shape {tuple(shape)}; indices are 0-based "
            "(subtract 1 from 1-based ones)."
        )
    return where


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


def key(name: str, value: object, lanes: bool = False) -> None:
    """Refuse anything but a JAX key (or, with ``lanes``, one axis of them)."""
    not_traced(name, value, "an array of keys gives one lane for each")
    if not isinstance(value, jax.Array) or not jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
        came = f"is {shortened(value)}"
    elif value.ndim > lanes or 0 in value.shape:
        came = f"has shape {value.shape}"
    else:
        return
    kinds = "a key or an array of keys" if lanes else "a single key"
    old = isinstance(value, jax.Array) and value.dtype == jnp.uint32
    remedy = "jax.random.wrap_key_data(old) turns one of jax.random.PRNGKey into it" if old else "make one with"
    raise ValueError(f"{name} {came}, but must be {kinds}; {remedy}{'' if old else ' jax.random.key(0)'}.")


def not_traced(name: str, value: object, remedy: str = "") -> None:
    """Refuse what has no value yet, because JAX is tracing the function that makes it."""
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        raise ValueError(f"{name} is {_TRACED}, but must have a value; call this outside{_tail(remedy)}.")


def shortened(value: object) -> str:
    """Write what came on one line, cut where it is long."""
    if isinstance(value, jax.core.Tracer):
        return _TRACED
    try:
        plain = value.item() if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 else value
        text = " ".join(repr(plain).split())
    except Exception:  # an integer of thousands of digits, or an object whose own fault it is
        text = f"an object of type {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def one_of(name: str, value: object, known: Iterable[str]) -> None:
    """Refuse a word outside the known ones, and tell the nearest."""
    known = list(known)
    if not isinstance(value, str) or value not in known:
        near = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
        tail = _tail("".join(f"{word!r} is the nearest" for word in near))
        raise ValueError(f"{name} is {shortened(value)}, but must be one of {', '.join(map(repr, known))}{tail}.")


def precision(name: str, value: object) -> str:
    """Return the name of a floating-point type that training runs in; refuse any other."""
    word = value
    if isinstance(value, str | type | np.dtype):
        try:
            word = np.dtype(value).name
        except TypeError:
            pass
    one_of(name, word, ("float64", "float32"))
    return str(word)


def same_shape(name: str, shape: tuple[int, ...], expected: tuple[int, ...], remedy: str = "") -> None:
    """Refuse an array whose shape is not the expected one."""
    if tuple(shape) != tuple(expected):
        raise ValueError(f"{name} has shape {tuple(shape)}, but must have shape {tuple(expected)}{_tail(remedy)}.")


def _extents(value: object) -> list[Any]:
    """Members of a tuple, a list or a vector of NumPy; of anything else none."""
    return list(value) if isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim == 1) else []


def _without_na(came: np.ndarray) -> np.ndarray:
    """Put NaN where an array of objects has pandas' mark of a missing value, which turns into no number."""
    pandas = sys.modules.get("pandas")
    if came.dtype != object or pandas is None:
        return came
    missing = [x is pandas.NA for x in came.flat]
    return np.where(np.reshape(missing, came.shape), np.nan, came) if any(missing) else came


def _detached(value: Any) -> Any:
    """Return the array of NumPy that a tensor of PyTorch holds, any other value as it is."""
    if isinstance(value, np.ndarray | jax.Array) or not all(hasattr(value, n) for n in ("detach", "cpu", "numpy")):
        return value
    plain = value.detach().cpu()
    try:
        return plain.numpy()
    except TypeError:  # bfloat16, which NumPy does not know
        return plain.double().numpy()


def _numeric(kind: np.dtype) -> bool:
    """Whether an array of this kind may hold real numbers: those of NumPy, bfloat16 and its like, and objects."""
    return kind.kind in "biufO" or jnp.issubdtype(kind, jnp.floating) or jnp.issubdtype(kind, jnp.integer)


def _objects(came: np.ndarray) -> Iterable[Any]:
    return came.flat if came.dtype == object else ()


def _tail(remedy: str) -> str:
    return f"; {remedy}" if remedy else ""
