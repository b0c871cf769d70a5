"""The matrices at the nodes of a tree: whether they fit together, and what they multiply out to."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _checks
from .._types import Array
from ..measures import mode_tree
from ..measures._namespace import floating


def mixed(tree: mode_tree.Node, leaves: Sequence[Any], weights: Mapping[Any, Any]) -> Array:
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


def matrix(name: str, value: Any) -> Array:
    """Return a matrix or lanes of matrices as floating-point numbers."""
    array = floating(name, value)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{name} has shape {tuple(array.shape)}, but must be a matrix, or lanes of matrices.")
    return array
