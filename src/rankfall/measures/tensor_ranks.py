"""Ranks of the matricizations of a tensor, of some or of all: each is a lower bound on the CP rank."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .._execution import usual_errors
from .._types import Array, ArrayLike, TreeLike
from . import mode_tree
from ._namespace import namespace
from .matricization import bipartitions, matricization, tensor_of_order_two
from .ranks import effective_rank, numerical_rank


@usual_errors()
def multilinear_rank(tensor: ArrayLike, rtol: float | None = None) -> tuple[int, ...]:
    """Ranks of the matricizations of single modes, the multilinear (Tucker) rank.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more.
    rtol : float, optional
        Singular values above ``rtol`` times the largest count, as in `numerical_rank`.

    Returns
    -------
    tuple of int
        One for each mode.

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes or none of its entries, or ``rtol`` is negative.

    References
    ----------
    De Lathauwer, De Moor and Vandewalle (2000).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.measures.multilinear_rank(np.ones((2, 3, 4)))
    (1, 1, 1)
    """
    t = np.asarray(tensor_of_order_two("tensor", tensor))
    return tuple(_rank(t, (n,), rtol) for n in range(t.ndim))


@usual_errors()
def hierarchical_rank(
    tensor: ArrayLike, tree: TreeLike | None = None, rtol: float | None = None
) -> dict[tuple[int, ...], int]:
    """Ranks of the matricizations that belong to the nodes of a tree of modes, the hierarchical (Tucker) rank.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more.
    tree : nested tuples of int, optional
        Every mode once, each node of two branches or more: ``((0, 1), (2, 3))``. By default the modes are halved in
        their order, over and over.
    rtol : float, optional
        Singular values above ``rtol`` times the largest count, as in `numerical_rank`.

    Returns
    -------
    dict from tuple of int to int
        From the modes below a node, in increasing order, to its rank; parents before children, the root left out.

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes or none of its entries, ``tree`` does not hold each mode exactly once, or
        ``rtol`` is negative.

    References
    ----------
    Hackbusch and Kuehn (2009); Razin, Maman and Cohen (2022).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> pair = np.eye(2)
    >>> rf.measures.hierarchical_rank(np.einsum("ij,kl->ijkl", pair, pair), ((0, 1), (2, 3)))
    {(0, 1): 1, (0,): 2, (1,): 2, (2, 3): 1, (2,): 2, (3,): 2}
    """
    t = np.asarray(tensor_of_order_two("tensor", tensor))
    nodes = mode_tree.parents_first(mode_tree.checked("tree", tree, t.ndim))
    modes = [tuple(sorted(mode_tree.leaves(node))) for node in nodes[1:]]
    return {rows: _rank(t, rows, rtol) for rows in modes}


@usual_errors()
def matricization_ranks(tensor: ArrayLike, rtol: float | None = None) -> Array:
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


@usual_errors()
def matricization_effective_ranks(tensor: ArrayLike) -> Array:
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


def _over_cuts(tensor: ArrayLike, measure: Callable[[Any], Any]) -> Array:
    t = tensor_of_order_two("tensor", tensor)
    # One by one: singular value decompositions of several matrices at once, in two threads, wait for each other for
    # ever (jaxlib 0.10.2).
    values: list[Array] = [measure(matricization(t, modes)) for modes in bipartitions(t.ndim)]
    return namespace(t).stack(values)


def _rank(t: np.ndarray, modes: Sequence[int], rtol: float | None) -> int:
    return int(numerical_rank(matricization(t, modes), rtol))
