"""A tensor laid out as a matrix, and the ranks of such matrices: each is a lower bound on the CP rank."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._types import Array
from ._namespace import floating
from .ranks import numerical_rank


def flattening(tensor: Any, modes: Any) -> Array:
    """Lay a tensor out as a matrix: the rows are the given modes, the columns all others, both in C order.

    Its effective rank is ``effective_rank(flattening(tensor, modes))``; all measures of a matrix can be had so.

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
    >>> rf.measures.flattening(np.arange(8).reshape(2, 2, 2), 1)
    array([[0., 1., 4., 5.],
           [2., 3., 6., 7.]])
    """
    t = tensor_of_order_two("tensor", tensor)
    rows = _modes(modes, t.ndim)
    columns = [n for n in range(t.ndim) if n not in rows]
    count = int(np.prod([t.shape[n] for n in rows]))
    return t.transpose(*rows, *columns).reshape(count, -1)


def multilinear_rank(tensor: Any, rtol: float | None = None) -> tuple[int, ...]:
    """Ranks of the flattenings of single modes, the multilinear (Tucker) rank.

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


def hierarchical_rank(tensor: Any, tree: Any = None, rtol: float | None = None) -> dict[tuple[int, ...], int]:
    """Ranks of the flattenings that belong to the nodes of a tree of modes, the hierarchical (Tucker) rank.

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
    nodes = list(modes_below(tree_of_modes(tree, t.ndim)))
    return {tuple(sorted(node)): _rank(t, node, rtol) for node in nodes[1:]}


def tree_of_modes(tree: Any, order: int) -> Any:
    """Return a tree over the modes, by default the balanced binary one; refuse one that lacks or repeats a mode."""
    example = _halved(tuple(range(order)))
    tree = example if tree is None else tree
    try:
        held = next(modes_below(tree))
    except (TypeError, ValueError, RecursionError):
        held = ()
    if sorted(held) != list(range(order)):
        raise ValueError(
            f"tree is {_checks.shortened(tree)}, but must be nested tuples that hold each of the modes 0 to "
            f"{order - 1} exactly once, two branches or more to a node, such as {example}."
        )
    return tree


def modes_below(tree: Any) -> Iterator[tuple[int, ...]]:
    """Modes below each node, parents first; anything but nested tuples of integers is an error."""
    if not isinstance(tree, tuple | list):
        yield (_checks.integer("tree", tree, 0),)
        return
    if len(tree) < 2:
        raise ValueError("a node has two branches or more")
    branches = [list(modes_below(branch)) for branch in tree]
    yield tuple(mode for branch in branches for mode in branch[0])
    for branch in branches:
        yield from branch


def tensor_of_order_two(name: str, value: Any) -> Array:
    """Return a float array of at least two modes, or say what came instead."""
    t = floating(name, value)
    if t.ndim < 2 or 0 in t.shape:
        raise ValueError(
            f"{name} has shape {tuple(t.shape)}, but must be a tensor of two modes or more, none of size 0; a vector v "
            "is passed as v[:, None]."
        )
    return t


def _modes(modes: Any, order: int) -> list[int]:
    expected = f"one or more different modes out of 0 to {order - 1}"
    try:
        # An array of no axes is one mode, and so is an integer of any kind.
        listed = [modes] if np.ndim(modes) == 0 and not isinstance(modes, str | bytes) else list(modes)
        found = [_checks.integer("modes", mode, 0) for mode in listed]
    except (TypeError, ValueError):
        found = []
    if not found or len(set(found)) < len(found) or max(found) >= order:
        raise ValueError(f"modes is {_checks.shortened(modes)}, but must be {expected}, counted from 0.")
    return found


def _rank(t: np.ndarray, modes: Sequence[int], rtol: float | None) -> int:
    return int(numerical_rank(flattening(t, modes), rtol))


def _halved(modes: tuple[int, ...]) -> Any:
    half = (len(modes) + 1) // 2
    return modes[0] if len(modes) == 1 else (_halved(modes[:half]), _halved(modes[half:]))
