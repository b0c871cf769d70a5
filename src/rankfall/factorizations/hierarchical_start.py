"""Starts of a hierarchical factorization: Gaussian, of constant norms, balanced."""

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from .. import _checks
from .._types import ArrayLike, DTypeLike, Key
from ..measures import mode_tree
from . import tensor_start
from .tree_weights import mixed

# Rounds of scaling rows and columns to the norms wanted.
_MOST_ROUNDS = 10_000


def draw(
    shape: Sequence[int],
    widths: int | Sequence[int] | np.ndarray,
    tree: mode_tree.Tree,
    *,
    key: Key,
    kind: str,
    factor_std: ArrayLike | None,
    scale: ArrayLike | None,
    dtype: DTypeLike,
) -> list[np.ndarray]:
    """Draw the factors; see ``HierarchicalFactorization.init`` for the meaning of every argument."""
    _checks.one_of("kind", kind, tensor_start.KINDS)
    extents = _checks.tensor_shape("shape", shape)
    inner = mode_tree.inner_nodes(tree)
    width = dict(zip(inner, _widths(widths, len(inner)), strict=True))
    parent = {child: node for node in inner for child in node}
    shapes = [
        (width[node] if isinstance(node, tuple) else extents[node], width[parent[node]] if node in parent else 1)
        for node in mode_tree.nodes(tree)
    ]
    _checks.room("widths", widths, sum(n * m for n, m in shapes))
    paths = math.prod(width.values())

    def to_unit_entries(factors: list[np.ndarray]) -> list[np.ndarray]:
        made = _balanced(factors, tree)
        # Signs are independent of sizes, so the mean square of an entry over signs is a sum over paths of squares.
        weights = dict(zip(mode_tree.nodes(tree), [w * w for w in made], strict=True))
        means = [weights[n].mean(axis=-2, keepdims=True) for n in range(len(extents))]
        gain = (mixed(tree, means, weights) / paths) ** (-0.5 / len(made))
        return [w * gain for w in made]

    balance = partial(_balanced, tree=tree) if scale is None else to_unit_entries
    sizes = {"factor_std": factor_std, "scale": scale}
    return tensor_start.drawn(shapes, paths, balance, key=key, kind=kind, dtype=dtype, **sizes)


def _widths(widths: int | Sequence[int] | np.ndarray, count: int) -> list[int]:
    if not (isinstance(widths, tuple | list) or (isinstance(widths, np.ndarray) and widths.ndim == 1)):
        return [_checks.integer("widths", widths, 1, f"or {count} of them, one for each inner node")] * count
    if len(widths) != count:
        raise ValueError(
            f"widths has {len(widths)} entries, but the tree has {count} inner nodes; give one for each, in the "
            "order of inner_nodes, or one number for all."
        )
    return [_checks.integer(f"widths[{j}]", width, 1) for j, width in enumerate(widths)]


def _balanced(factors: list[np.ndarray], tree: mode_tree.Tree) -> list[np.ndarray]:
    """Scale rows and columns so that the vectors of every local component have one norm.

    The rows of a node's matrix and the columns of its children's get the norms ``t``. A matrix between two nodes has
    the rows' norms of one and the columns' of the other, and one sum of squares, so that all matrices have it; for
    Gaussian matrices (no entry is zero) scaling rows and columns in turn then finds both (Sinkhorn and Knopp, 1967).
    """
    weights = dict(zip(mode_tree.nodes(tree), factors, strict=True))
    squares = {node: np.log((w * w).sum(axis=(-2, -1))) for node, w in weights.items()}
    total = np.exp(sum(squares.values()) / len(squares))
    wanted: dict[mode_tree.Node, np.ndarray] = {}
    for inner in mode_tree.inner_nodes(tree):
        # As large as the vectors that were drawn, in the mean of logarithms.
        drawn = [(weights[inner] ** 2).sum(axis=-1), *((weights[child] ** 2).sum(axis=-2) for child in inner)]
        share = np.exp(np.mean(np.log(drawn), axis=0))
        wanted[inner] = total[:, None] * share / share.sum(axis=-1, keepdims=True)
    parent = {child: node for node in mode_tree.inner_nodes(tree) for child in node}
    made = []
    for node, w in weights.items():
        rows, columns = wanted.get(node), wanted[parent[node]] if node in parent else total[:, None]
        made.append(_scaled(w, rows, columns))
    return made


def _scaled(matrices: np.ndarray, rows: np.ndarray | None, columns: np.ndarray) -> np.ndarray:
    """Scale columns, and rows where asked, of lanes of matrices to the squared norms given."""
    square = matrices**2
    left, right = np.ones((*square.shape[:-1], 1)), np.ones((len(square), 1, square.shape[-1]))
    for _ in range(_MOST_ROUNDS if rows is not None else 1):
        right = columns[:, None, :] / (square * left).sum(axis=-2, keepdims=True)
        if rows is None:
            break
        come = left * (square * right).sum(axis=-1, keepdims=True)
        left = left * (rows[..., None] / come)
        if (abs(come - rows[..., None]) <= 1e-15 * rows[..., None]).all():
            break
    return matrices * np.sqrt(left) * np.sqrt(right)
