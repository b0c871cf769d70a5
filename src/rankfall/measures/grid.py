"""Rank of the input-output mapping of any function: its values on a grid of template points, as a tensor."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._execution import compiled, double_precision
from .._types import Array, ArrayLike, Key
from .cp_rank import CPRankBracket, cp_rank_bracket
from .matricization import bipartitions
from .tensor_ranks import matricization_effective_ranks, matricization_ranks

# Points of the grid that a function sees at once.
BLOCK = 4096


def grid_tensor(
    function: Callable[..., Any], points: ArrayLike, positions: int | None = None, *, batched: bool = False
) -> Array:
    """Values of a function of N inputs at all combinations of template points, a tensor of order N.

    On one-hot template points it is the tensor of a tensor factorization; for any network it is the input-output
    mapping as far as these points show it.

    Parameters
    ----------
    function : callable
        Of one input of shape (positions, features) to a number, written in JAX or not; with ``batched`` of many,
        (n, positions, features), to an array of shape (n,). A network of several outputs is passed as
        ``lambda x: network(x)[0]``.
    points : array_like, shape (templates, features), or sequence of such arrays
        Template points, the same for every position, or a list of one array for each position. Where their numbers of
        features differ, the function sees a tuple of arrays instead of one.
    positions : int, optional
        Number of positions, where the points are the same for all.
    batched : bool
        Whether the function takes many inputs at once.

    Returns
    -------
    array, shape (templates of position 0, ..., templates of position N - 1)
        NumPy, in double precision.

    Raises
    ------
    ValueError
        If the points are not of one of the two forms, the tensor takes more than 8 GB, or the function gives anything
        but one real number for an input.

    References
    ----------
    Cohen and Shashua (2016), section 4 (grid tensors); Razin and Cohen (2020), section 7.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.measures.grid_tensor(lambda x: x[0, 0] * x[1, 0] + 1.0, [[0.0], [1.0], [2.0]], positions=2)
    array([[1., 1., 1.],
           [1., 2., 3.],
           [1., 3., 5.]])
    """
    if not callable(function):
        raise ValueError(f"function is {_checks.shortened(function)}, but must be a function of the inputs.")
    _checks.flag("batched", batched)
    templates = template_points(points, positions)
    check_grid(tuple(len(t) for t in templates))
    with double_precision():
        return _values(function, templates, batched)


class MappingRank(NamedTuple):
    """Ranks of an input-output mapping.

    Attributes
    ----------
    tensor : array, shape (templates, ..., templates)
        The grid tensor.
    bipartitions : tuple of tuples of int
        Positions on one side of each cut, as `bipartitions` lists them.
    ranks : array of int, shape (cuts,)
        Ranks of the matricizations: singular values above ``rtol`` times the largest.
    effective_ranks : array, shape (cuts,)
    cp : CPRankBracket
        Bracket of the smallest CP rank within relative error ``rtol``.
    """

    tensor: Array
    bipartitions: tuple[tuple[int, ...], ...]
    ranks: Array
    effective_ranks: Array
    cp: CPRankBracket


def mapping_rank(
    function: Callable[..., Any],
    points: ArrayLike,
    positions: int | None = None,
    *,
    key: Key,
    rtol: float = 1e-3,
    batched: bool = False,
) -> MappingRank:
    """Ranks of a function's grid tensor: of all matricizations, effective ranks, and a bracket for the CP rank.

    Parameters
    ----------
    function, points, positions
        As in `grid_tensor`.
    key : jax.random key
        For the fits of the bracket.
    rtol : float
        Relative error that counts as none.
    batched : bool
        As in `grid_tensor`.

    Returns
    -------
    MappingRank

    Raises
    ------
    ValueError
        As `grid_tensor` and `cp_rank_bracket` raise it.

    References
    ----------
    Razin and Cohen (2020), section 7: the hypothesis that training minimizes such ranks.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, rankfall as rf
    >>> found = rf.measures.mapping_rank(lambda x: jnp.prod(x) + 1.0, [[0.0], [1.0], [2.0]], 3, key=jax.random.key(0))
    >>> found.ranks.tolist(), (found.cp.lower, found.cp.upper)
    ([2, 2, 2], (2, 2))
    """
    tensor = grid_tensor(function, points, positions, batched=batched)
    bracket = cp_rank_bracket(tensor, rtol, key=key)
    return MappingRank(
        tensor,
        bipartitions(tensor.ndim),
        matricization_ranks(tensor, rtol),
        matricization_effective_ranks(tensor),
        bracket,
    )


def template_points(points: ArrayLike, positions: int | None) -> list[np.ndarray]:
    """Return the template points of each position."""
    if positions is None:
        if isinstance(points, str) or not isinstance(points, Sequence) or len(points) < 2:
            raise ValueError(
                f"points is {_checks.shortened(points)}, but must be a list of two arrays (templates, features) or "
                "more, one for each position; points that are the same for all need positions=."
            )
        listed = list(points)
    else:
        if _checks.positive_integer("positions", positions) < 2:
            raise ValueError(f"positions is {positions}, but a mapping has two at least.")
        listed = [points] * positions
    found = []
    for n, given in enumerate(listed):
        name = "points" if positions is not None else f"points[{n}]"
        array = _checks.real(name, given)
        if array.ndim != 2 or 0 in array.shape:
            raise ValueError(
                f"{name} has shape {array.shape}, but must be (templates, features); of one number each: "
                "points[:, None]."
            )
        _checks.finite(name, array)
        found.append(array)
    return found


def check_grid(shape: tuple[int, ...]) -> None:
    """Refuse a grid that does not fit in memory."""
    size = math.prod(shape) * 8
    if size > _checks.MEMORY:
        raise ValueError(
            f"points span a grid of shape {shape}, which takes {size / 1e9:.3g} GB, but at most "
            f"{_checks.MEMORY / 1e9:.3g} GB are taken; give fewer template points."
        )


def inputs_at(templates: Sequence[Array], where: Array) -> Any:
    """Return the inputs at places of a grid: an array (n, positions, features), or a tuple of (n, features_n)."""
    rows = [t[where[:, n]] for n, t in enumerate(templates)]
    if len({t.shape[1] for t in templates}) > 1:
        return tuple(rows)
    return (jnp if isinstance(rows[0], jax.Array) else np).stack(rows, axis=1)


def _values(function: Callable[[Any], Any], templates: list[np.ndarray], batched: bool) -> np.ndarray:
    shape = tuple(len(t) for t in templates)
    count = math.prod(shape)
    evaluate = function if batched else _of_many(function, templates)
    parts = []
    for first in range(0, count, BLOCK):
        block = np.arange(first, min(first + BLOCK, count))
        values = np.asarray(evaluate(inputs_at(templates, np.stack(np.unravel_index(block, shape), axis=1))))
        if values.shape != block.shape:
            raise ValueError(
                f"function gives an array of shape {values.shape} for {len(block)} inputs, but must give one "
                "number for each; choose an output, as in lambda x: network(x)[0]."
            )
        parts.append(_checks.real("values of function", values))
    return np.concatenate(parts).reshape(shape)


def _of_many(function: Callable[[Any], Any], templates: list[np.ndarray]) -> Callable[[Any], Any]:
    """Make a function of one input one of many; where JAX cannot trace it, it may still take NumPy arrays."""
    first = jax.tree.map(lambda x: x[0], inputs_at(templates, np.zeros((1, len(templates)), int)))
    mixed = isinstance(first, tuple)
    try:
        jax.eval_shape(function, first)
    except Exception:
        return lambda inputs: [function(one) for one in (zip(*inputs, strict=True) if mixed else inputs)]
    return compiled(jax.vmap(function))
