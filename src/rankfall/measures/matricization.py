"""Matricizations: the matrices that a tensor is laid out as by cutting its modes into two parts, rows and columns."""

import itertools
from collections.abc import Iterable

import numpy as np

from .. import _checks
from .._types import Array, ArrayLike
from ._namespace import floating


def matricization(tensor: ArrayLike, modes: ArrayLike) -> Array:
    """Lay a tensor out as a matrix: the rows are the given modes, the columns all others, both in C order.

    Unfolding and flattening are other words for it. Its effective rank is
    ``effective_rank(matricization(tensor, modes))``; all measures of a matrix can be had so.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, of NumPy or of JAX.
    modes : int or sequence of int
        Modes that make the rows, the last one running fastest. The columns are the remaining ones, in their order.

    Returns
    -------
    array, shape (product of the given sizes, product of the others)

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes or none of its entries, or ``modes`` are not some of its modes.

    References
    ----------
    Kolda and Bader (2009), section 2.4.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.measures.matricization(np.arange(8).reshape(2, 2, 2), 1)
    array([[0., 1., 4., 5.],
           [2., 3., 6., 7.]])
    """
    t = tensor_of_order_two("tensor", tensor)
    rows = _modes(modes, t.ndim)
    columns = [n for n in range(t.ndim) if n not in rows]
    count = int(np.prod([t.shape[n] for n in rows]))
    return t.transpose(*rows, *columns).reshape(count, -1)


def bipartitions(order: int) -> tuple[tuple[int, ...], ...]:
    """Cuts of the modes of a tensor into two parts, each named by the part that holds mode 0, the smaller first.

    Parameters
    ----------
    order : int
        Two or more.

    Returns
    -------
    tuple of tuples of int
        ``2^(order - 1) - 1`` of them.

    Raises
    ------
    ValueError
        If ``order`` is below two.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.measures.bipartitions(3)
    ((0,), (0, 1), (0, 2))
    """
    order = _checks.integer("order", order, 2)
    others = range(1, order)
    return tuple((0, *rest) for size in range(order - 1) for rest in itertools.combinations(others, size))


def tensor_of_order_two(name: str, value: object) -> Array:
    """Return a float array of at least two modes, or say what came instead."""
    t = floating(name, value)
    if t.ndim < 2 or 0 in t.shape:
        raise ValueError(
            f"{name} has shape {tuple(t.shape)}, but must be a tensor of two modes or more, none of size 0; a vector v "
            "is passed as v[:, None]."
        )
    return t


def _modes(modes: ArrayLike, order: int) -> list[int]:
    expected = f"one or more different modes out of 0 to {order - 1}"
    try:
        # An array of no axes is one mode, and so is an integer of any kind.
        listed = list(modes) if np.ndim(modes) and isinstance(modes, Iterable) else [modes]
        found = [_checks.integer("modes", mode, 0) for mode in listed]
    except (TypeError, ValueError):
        found = []
    if not found or len(set(found)) < len(found) or max(found) >= order:
        raise ValueError(f"modes is {_checks.shortened(modes)}, but must be {expected}, counted from 0.")
    return found
