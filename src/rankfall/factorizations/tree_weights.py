"""The matrices at the nodes of a tree: whether they fit together, and what they multiply out to."""

import math
from collections.abc import Mapping, Sequence

from .. import _checks
from .._types import Array, ArrayLike
from ..measures import mode_tree
from ..measures._namespace import floating


def mixed(tree: mode_tree.Node, leaves: Sequence[Array], weights: Mapping[mode_tree.Node, Array]) -> Array:
    """Multiply children component by component and mix, from the leaves' components to the root's, (..., outputs)."""
    if not isinstance(tree, tuple):
        return leaves[tree]
    first, *rest = (mixed(child, leaves, weights) for child in tree)
    return math.prod(rest, start=first) @ weights[tree]


def check_weights(names: Sequence[str], weights: Sequence[Array], tree: mode_tree.Tree) -> None:
    """Refuse matrices of the nodes that do not share the width of the node above; the root's columns are free."""
    nodes = mode_tree.nodes(tree)
    named = dict(zip(nodes, zip(names, weights, strict=True), strict=True))
    for node in mode_tree.inner_nodes(tree):
        name, matrix = named[node]
        for child in node:
            below, weight = named[child]
            if weight.shape[-1] != matrix.shape[-2]:
                raise ValueError(
                    f"{below} has {weight.shape[-1]} columns, but {name}, of the node {_checks.shortened(node)} above, "
                    f"has {matrix.shape[-2]} rows; both must be the node's width."
                )


def check_fit(factors: Sequence[Array], tree: mode_tree.Tree) -> None:
    """Refuse factors that are not one for each node, in lanes of one number, with one output."""
    count = len(mode_tree.nodes(tree))
    if len(factors) != count:
        raise ValueError(
            f"factors has {len(factors)} matrices, but the tree {_checks.shortened(tree)} has {count} nodes, the "
            "leaves first and the root last."
        )
    for j, w in enumerate(factors):
        if w.shape[:-2] != factors[0].shape[:-2]:
            raise ValueError(
                f"factors[{j}] has lanes {tuple(w.shape[:-2])}, but factors[0] has {tuple(factors[0].shape[:-2])}; "
                "all must be equal."
            )
    check_weights([f"factors[{j}]" for j in range(count)], factors, tree)
    if factors[-1].shape[-1] != 1:
        raise ValueError(f"factors[{count - 1}] has {factors[-1].shape[-1]} columns, but the root, last, has one.")


def matrix(name: str, value: ArrayLike) -> Array:
    """Return a matrix or lanes of matrices as floating-point numbers."""
    array = floating(name, value)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{name} has shape {tuple(array.shape)}, but must be a matrix, or lanes of matrices.")
    return array


def from_levels(levels: Sequence[Sequence[ArrayLike]], size: int) -> tuple[list[Array], mode_tree.Tree]:
    """Factors and tree of weights listed level by level; see ``HierarchicalFactorization.from_levels``."""
    listed = [
        [matrix(f"levels[{k}][{j}]", w) for j, w in enumerate(_checks.sequence(f"levels[{k}]", level, _LEVEL))]
        for k, level in enumerate(_checks.sequence("levels", levels, "a list of lists of matrices, the leaves' first"))
    ]
    if len(listed) < 2 or len(listed[0]) < 2:
        raise ValueError(
            f"levels is of {[len(level) for level in listed]} matrices, but must have those of two modes or more and, "
            "last, the root's."
        )
    for k, level in enumerate(listed):
        for j, w in enumerate(level):
            if w.shape[:-2] != listed[0][0].shape[:-2]:
                raise ValueError(
                    f"levels[{k}][{j}] has lanes {tuple(w.shape[:-2])}, but levels[0][0] has "
                    f"{tuple(listed[0][0].shape[:-2])}; all must be equal."
                )
    nodes: list[mode_tree.Node] = list(range(len(listed[0])))
    weights = dict(zip(nodes, listed[0], strict=True))
    for k, level in enumerate(listed[1:], start=1):
        groups = mode_tree.grouped(nodes, size)
        if len(nodes) == 1 or len(level) != len(groups):
            expected = "the root's, of one matrix, is the last" if len(nodes) == 1 else f"there are {len(groups)}"
            raise ValueError(
                f"levels[{k}] has {len(level)} matrices, but of {len(nodes)} nodes pooled by {size} {expected}."
            )
        nodes = [_joined(f"levels[{k}][{j}]", g, level[j], weights) for j, g in enumerate(groups)]
    if len(nodes) > 1:
        raise ValueError(f"levels ends with {len(nodes)} matrices, but must end with one, of the root.")
    if listed[-1][0].shape[-1] != 1:
        raise ValueError(f"levels[{len(listed) - 1}][0] has {listed[-1][0].shape[-1]} columns, but the root has one.")
    (tree,) = nodes
    assert isinstance(tree, tuple)
    return [weights[node] for node in mode_tree.nodes(tree)], tree


_LEVEL = "a list of matrices, one for each node of the level"


def _joined(
    name: str, group: tuple[mode_tree.Node, ...], matrix: Array, weights: dict[mode_tree.Node, Array]
) -> mode_tree.Node:
    """Enter the matrix of a group and return its node; that of a group of one goes into its child's."""
    for child in group:
        columns, rows = weights[child].shape[-1], matrix.shape[-2]
        if columns != rows:
            raise ValueError(
                f"{name} has {rows} rows, but its group's node {_checks.shortened(child)} has {columns} columns; both "
                "must be the group's width."
            )
    if len(group) == 1:
        weights[group[0]] = weights[group[0]] @ matrix
        return group[0]
    weights[group] = matrix
    return group
