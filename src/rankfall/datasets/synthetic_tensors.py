"""Random tensors of low CP rank or low hierarchical rank, observed entry by entry."""

import math
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np

from .. import _checks
from .._declared import declared
from .._execution import double_precision
from .._types import DTypeLike, Key, TreeLike
from ..measures import mode_tree
from ..measures.khatri_rao import khatri_rao
from ..problems import TensorCompletion
from .synthetic import observe, scaled


@declared("problem", "tensor-completion")
def low_cp_rank_completion(
    shape: Sequence[int],
    rank: int,
    observed: int,
    *,
    key: Key,
    noise: float = 0.0,
    frobenius: float = 1.0,
    loss: str = "mse",
    dtype: DTypeLike = "float64",
) -> TensorCompletion:
    """Completion of a random tensor of low CP rank from entries drawn without replacement.

    The truth is a sum of outer products of standard Gaussian vectors, scaled.

    Parameters
    ----------
    shape : sequence of int
        Extents of the tensor, two or more.
    rank : int
        Number of outer products. Where it is more than tensors of this shape need, the CP rank is less.
    observed : int
        Number of observed entries, at most all.
    key : jax.random key
    noise : float
        Standard deviation of Gaussian noise on the observations (the truth stays noise-free).
    frobenius : float
        Frobenius norm of the truth.
    loss : {"half_sse", "mse"}
    dtype : {"float64", "float32"}

    Returns
    -------
    TensorCompletion
        With ``truth`` set.

    Raises
    ------
    ValueError
        If rank, observed, noise or frobenius is out of range, or a mode has an index that no observation has.

    References
    ----------
    Razin and Cohen (2020), appendix (norm one); Razin, Maman and Cohen (2021), appendix.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.low_cp_rank_completion((6, 5, 4), rank=2, observed=60, key=jax.random.key(0))
    >>> problem.observed, rf.measures.multilinear_rank(problem.truth)
    (60, (2, 2, 2))
    """
    size, rank = _size(shape, observed, key), _checks.positive_integer("rank", rank)
    half = (len(size) + 1) // 2
    _checks.room("rank", rank, rank * (math.prod(size[:half]) + math.prod(size[half:])))

    def draw(key: Key) -> np.ndarray:
        vectors = _normal(key, [(extent, rank) for extent in size])
        return _joined(vectors, np.ones((rank, 1))).reshape(size)

    return _completion(draw, observed, key, noise, frobenius, loss, dtype)


@declared("problem", "hierarchical-completion", rank=int | list[int], tree=list | None)
def low_hierarchical_rank_completion(
    shape: Sequence[int],
    rank: int | Sequence[int],
    observed: int,
    *,
    key: Key,
    tree: TreeLike | None = None,
    noise: float = 0.0,
    frobenius: float = 1.0,
    loss: str = "mse",
    dtype: DTypeLike = "float64",
) -> TensorCompletion:
    """Completion of a random tensor of low hierarchical rank from entries drawn without replacement.

    The truth is a hierarchical factorization of Gaussian matrices along a tree of modes, scaled: each inner node forms
    ``rank`` products of what its children give it, component by component. The hierarchical rank of the truth is
    ``rank`` at every node below the root, or what the extents allow where that is less.

    Parameters
    ----------
    shape : sequence of int
        Extents of the tensor, two or more.
    rank : int, or sequence of int
        Rank of all nodes below the root, or of each level of them: first the children of the root, the deepest leaves
        last. Ranks do not fall from one level to the next, as no node passes on more than its own products.
    observed : int
        Number of observed entries, at most all.
    key : jax.random key
    tree : nested tuples of int, optional
        As in `rankfall.measures.hierarchical_rank`; by default the balanced binary tree in the order of the modes.
    noise : float
        Standard deviation of Gaussian noise on the observations (the truth stays noise-free).
    frobenius : float
        Frobenius norm of the truth.
    loss : {"half_sse", "mse"}
    dtype : {"float64", "float32"}

    Returns
    -------
    TensorCompletion
        With ``truth`` set.

    Raises
    ------
    ValueError
        If rank, observed, noise or frobenius is out of range, ``tree`` does not hold every mode exactly once, or a mode
        has an index that no observation has.

    References
    ----------
    Razin, Maman and Cohen (2022), appendix (experiments with hierarchical factorization).

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.low_hierarchical_rank_completion((4, 4, 4, 4), rank=2, observed=128, key=jax.random.key(0))
    >>> rf.measures.hierarchical_rank(problem.truth)
    {(0, 1): 2, (0,): 2, (1,): 2, (2, 3): 2, (2,): 2, (3,): 2}
    """
    size = _size(shape, observed, key)
    root = mode_tree.checked("tree", tree, len(size))
    ranks = _ranks(rank, _height(root))
    below = sum(math.prod(size[n] for n in mode_tree.leaves(node)) for node in mode_tree.nodes(root)[:-1])
    _checks.room("rank", rank, max(ranks) * below)

    def draw(key: Key) -> np.ndarray:
        weights = iter(_normal(key, list(_shapes(root, size, [1, *ranks]))))
        modes = mode_tree.leaves(root)
        along = _formed(root, weights).reshape([size[n] for n in modes])
        return along.transpose(np.argsort(modes))

    return _completion(draw, observed, key, noise, frobenius, loss, dtype)


def _size(shape: Sequence[int], observed: int, key: Key) -> tuple[int, ...]:
    """Check what all generators take; return the extents."""
    size = _checks.tensor_shape("shape", shape)
    entries = math.prod(size)
    _checks.room("shape", shape, entries)
    _checks.key("key", key)
    if _checks.positive_integer("observed", observed) > entries:
        raise ValueError(f"observed is {observed}, but the tensor has only {entries} entries.")
    return size


def _completion(
    draw: Callable[[Key], np.ndarray],
    observed: int,
    key: Key,
    noise: float,
    frobenius: float,
    loss: str,
    dtype: DTypeLike,
) -> TensorCompletion:
    frobenius = _checks.positive_number("frobenius", frobenius)
    with double_precision():
        form, choose, disturb = jax.random.split(key, 3)
    truth = scaled(draw(form), frobenius)
    indices, values = observe(truth, observed, noise, choose, disturb)
    return TensorCompletion.from_coo(indices, values, truth.shape, loss=loss, dtype=dtype, truth=truth)


def _normal(key: Key, shapes: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    """Draw standard Gaussian matrices of these shapes, all at once."""
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    with double_precision():
        flat = np.asarray(jax.random.normal(key, (int(ends[-1]),), dtype="float64"))
    return [part.reshape(one) for part, one in zip(np.split(flat, ends[:-1]), shapes, strict=True)]


def _ranks(rank: int | Sequence[int], levels: int) -> list[int]:
    """Rank of each level below the root."""
    if not isinstance(rank, tuple | list):
        return [_checks.positive_integer("rank", rank)] * levels
    ranks = [_checks.positive_integer(f"rank[{n}]", one) for n, one in enumerate(rank)]
    if len(ranks) != levels or ranks != sorted(ranks):
        raise ValueError(
            f"rank is {_checks.shortened(rank)}, but must be an integer, or one for each of the {levels} levels below "
            "the root of the tree, none less than the one before."
        )
    return ranks


def _height(tree: mode_tree.Node) -> int:
    return 1 + max(map(_height, tree)) if isinstance(tree, tuple) else 0


def _shapes(node: mode_tree.Node, size: Sequence[int], columns: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Shapes of the matrices of a node and all below it, children before their parent."""
    if not isinstance(node, tuple):
        yield size[node], columns[0]
        return
    for child in node:
        yield from _shapes(child, size, columns[1:])
    yield columns[1], columns[0]


def _formed(node: mode_tree.Node, weights: Iterator[np.ndarray]) -> np.ndarray:
    """Form what a node gives its parent, shape (product of extents below, columns)."""
    if not isinstance(node, tuple):
        return next(weights)
    parts = [_formed(child, weights) for child in node]
    weight = next(weights)
    return _joined(parts, weight) if weight.shape[1] == 1 else khatri_rao(parts) @ weight


def _joined(parts: Sequence[np.ndarray], weight: np.ndarray) -> np.ndarray:
    """Weighted sum of outer products, in one matrix product of two halves; nothing larger than it is formed."""
    half = (len(parts) + 1) // 2
    return ((khatri_rao(parts[:half]) * weight.T) @ khatri_rao(parts[half:]).T).reshape(-1, 1)
