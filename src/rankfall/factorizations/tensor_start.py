"""What the random starts of tensor factorizations share: one size, given as a factor's or as the tensor's deviation."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from .. import _checks
from .._execution import double_precision
from .._types import ArrayLike, DTypeLike, Key
from . import initialisation

KINDS = ("gaussian", "balanced")


def drawn(
    shapes: Sequence[tuple[int, ...]],
    paths: int,
    balance: Callable[[list[np.ndarray]], list[np.ndarray]],
    *,
    key: Key,
    kind: str,
    factor_std: ArrayLike | None,
    scale: ArrayLike | None,
    dtype: DTypeLike,
) -> list[np.ndarray]:
    """Draw factors of the given shapes; an end-to-end entry sums ``paths`` products of an entry of each.

    ``kind`` is one of `KINDS`. ``balance`` makes lanes of standard normal factors balanced and leaves the size of their
    entries about as it was.
    """
    dtype = _checks.precision("dtype", dtype)
    if (factor_std is None) == (scale is None):
        raise ValueError(
            f"factor_std is {_checks.shortened(factor_std)} and scale is {_checks.shortened(scale)}, but exactly one "
            "is needed; scale is the standard deviation of an end-to-end entry."
        )
    name, given = ("factor_std", factor_std) if scale is None else ("scale", scale)
    keys, size, laned = initialisation._lanes(key, initialisation._within(name, given, dtype), name)
    flat = [(math.prod(shape), 1) for shape in shapes]
    with double_precision():
        normals = initialisation._normals(keys, flat)
    factors = [z.reshape(len(z), *shape) for z, shape in zip(normals, shapes, strict=True)]
    std = size if scale is None else (size / math.sqrt(paths)) ** (1 / len(shapes))
    if kind == "balanced":
        factors = balance(factors)
    made = [(std.reshape(-1, *[1] * (w.ndim - 1)) * w).astype(dtype) for w in factors]
    if not all(w.any(axis=tuple(range(1, w.ndim))).all() for w in made):
        raise ValueError(
            f"{name} is {size.min():g}, but a start as small is zero in {made[0].dtype}; take a larger one."
        )
    return [w if laned else w[0] for w in made]
