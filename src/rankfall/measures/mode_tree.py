"""Trees over the modes of a tensor: a leaf is the number of a mode, an inner node the tuple of its children.

No two nodes of a tree are equal, so a node is told by itself: ``((0, 1), (2, 3))`` has the inner nodes ``(0, 1)``,
``(2, 3)`` and, its root, the whole.
"""

import operator
from typing import Any, SupportsIndex

from .. import _checks

Node = int | tuple[Any, ...]
# A node that is no leaf.
Tree = tuple[Any, ...]


def checked(name: str, tree: object, order: int | None = None) -> tuple[Any, ...]:
    """Return a tree as nested tuples; refuse one that does not hold every mode exactly once.

    Without ``order`` the tree has as many modes as it has leaves. ``None`` is the balanced binary tree.
    """
    if tree is None and order is not None:
        tree = binary(order)
    try:
        root = _node(name, tree, tree) if isinstance(tree, tuple | list) else -1
        modes = leaves(root)
    except RecursionError:
        root = -1
    if not isinstance(root, tuple):
        expected = _EXPECTED if order is None else _all_modes(order)
        raise ValueError(f"{name} is {_checks.shortened(tree)}, but must be {expected}.")
    count = len(modes) if order is None else order
    if sorted(modes) != list(range(count)):
        missing, repeated = sorted(set(range(count)) - set(modes)), sorted({n for n in modes if modes.count(n) > 1})
        beyond = sorted({n for n in modes if n >= count})
        wrong = [f"lacks mode {n}" for n in missing[:1]] + [f"repeats mode {n}" for n in repeated[:1]]
        wrong += [f"names mode {n}" for n in beyond[:1]]
        raise ValueError(
            f"{name} is {_checks.shortened(tree)}, which {' and '.join(wrong)}, but must be {_all_modes(count)}."
        )
    return root


def binary(order: int) -> Node:
    """Balanced binary tree over modes in their order; of an odd number the larger half comes first."""

    def between(low: int, high: int) -> Node:
        middle = (low + high + 1) // 2
        return low if high - low == 1 else (between(low, middle), between(middle, high))

    return between(0, order)


def inner_nodes(node: Node) -> tuple[tuple[Any, ...], ...]:
    """Inner nodes from the bottom up, children before their parent, the root last."""
    if not isinstance(node, tuple):
        return ()
    return (*(below for child in node for below in inner_nodes(child)), node)


def nodes(tree: Node) -> tuple[Node, ...]:
    """Leaves in the order of the modes, then `inner_nodes`."""
    return (*sorted(leaves(tree)), *inner_nodes(tree))


def parents_first(node: Node) -> tuple[Node, ...]:
    """All nodes, each before its children, the root first."""
    return (node, *(below for child in node for below in parents_first(child))) if isinstance(node, tuple) else (node,)


def leaves(node: Node) -> tuple[int, ...]:
    """Modes below a node, in the order of the tree."""
    return tuple(n for child in node for n in leaves(child)) if isinstance(node, tuple) else (node,)


def _all_modes(count: int) -> str:
    return f"nested tuples that hold each of the modes 0 to {count - 1} once, such as {binary(count)}"


_EXPECTED = "nested tuples of mode numbers, such as ((0, 1), (2, 3))"


def _node(name: str, part: object, whole: object) -> Node:
    if isinstance(part, tuple | list):
        if len(part) < 2:
            raise ValueError(
                f"{name} is {_checks.shortened(whole)}, but every node needs two children or more, and "
                f"{_checks.shortened(part)} has {len(part)}."
            )
        return tuple(_node(name, child, whole) for child in part)
    try:
        mode = operator.index(part) if isinstance(part, SupportsIndex) and not isinstance(part, bool) else -1
    except TypeError:
        mode = -1
    if mode < 0:
        raise ValueError(f"{name} holds {_checks.shortened(part)}, but must be {_EXPECTED}; the first mode is mode 0.")
    return mode


def pooled_tree(order: int, size: int = 2) -> Tree:
    """Tree over modes in their order in which neighbours are pooled to groups, level by level.

    Parameters
    ----------
    order : int
        Number of modes, two or more.
    size : int
        Number of nodes of a group, two or more; the last group of a level may be smaller, and a group of one is the
        node itself.

    Returns
    -------
    nested tuples of int

    Raises
    ------
    ValueError
        If a number is below two.

    References
    ----------
    Razin, Maman and Cohen (2022), section 3.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> rf.factorizations.pooled_tree(6), rf.factorizations.pooled_tree(3)
    ((((0, 1), (2, 3)), (4, 5)), ((0, 1), 2))
    >>> start = rf.HierarchicalFactorization.init((2,) * 6, 3, rf.factorizations.pooled_tree(6, 3), factor_std=0.1,
    ...                                           key=jax.random.key(0))
    >>> start.inner_nodes
    ((0, 1, 2), (3, 4, 5), ((0, 1, 2), (3, 4, 5)))
    """
    nodes: list[Node] = list(range(_checks.integer("order", order, 2)))
    while len(nodes) > 1:
        nodes = [group if len(group) > 1 else group[0] for group in grouped(nodes, size)]
    (root,) = nodes
    assert isinstance(root, tuple)
    return root


def grouped(nodes: list[Node], size: int) -> list[tuple[Node, ...]]:
    """Neighbours in groups of a size; the last group may be smaller."""
    step = _checks.integer("size", size, 2)
    return [tuple(nodes[i : i + step]) for i in range(0, len(nodes), step)]
