"""Ranks of all matricizations of a tensor: of the matrices that cutting its modes into two parts makes of it."""

import itertools
from collections.abc import Callable
from typing import Any

from .. import _checks
from .._types import Array
from ._namespace import namespace
from .flattening import flattening, tensor_of_order_two
from .ranks import effective_rank, numerical_rank


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


def matricization_ranks(tensor: Any, rtol: float | None = None) -> Array:
    """Rank of the matricization along every cut of the modes.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, of NumPy or of JAX.
    rtol : float, optional
        Singular values above ``rtol`` times the largest count, as in `numerical_rank`.

    Returns
    -------
    array of int, shape (cuts,)
        In the order of `bipartitions`.

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes or none of its entries, or ``rtol`` is negative.

    References
    ----------
    Cohen and Shashua (2017), section 3 (ranks of matricizations as separation ranks).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> pair = np.eye(2)
    >>> rf.measures.matricization_ranks(np.einsum("ij,kl->ijkl", pair, pair))
    array([2, 1, 4, 4, 2, 2, 2])
    """
    return _over_cuts(tensor, lambda matrix: numerical_rank(matrix, rtol))


def matricization_effective_ranks(tensor: Any) -> Array:
    """Effective rank of the matricization along every cut of the modes.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, of NumPy or of JAX.

    Returns
    -------
    array, shape (cuts,)
        In the order of `bipartitions`.

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes or none of its entries.

    References
    ----------
    Roy and Vetterli (2007); Razin and Cohen (2020), definition 1 and section 7.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.measures.matricization_effective_ranks(np.ones((2, 2, 2)))
    array([1., 1., 1.])
    """
    return _over_cuts(tensor, effective_rank)


def _over_cuts(tensor: Any, measure: Callable[[Any], Any]) -> Array:
    t = tensor_of_order_two("tensor", tensor)
    # One by one: singular value decompositions of several matrices at once, in two threads, wait for each other for
    # ever (jaxlib 0.10.2).
    values: list[Array] = [measure(flattening(t, modes)) for modes in bipartitions(t.ndim)]
    return namespace(t).stack(values)
