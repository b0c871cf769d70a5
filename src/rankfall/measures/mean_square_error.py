"""Errors against known data: ``(..., rows, columns)`` in, ``(...)`` out."""

import jax

from .. import _checks
from .._execution import usual_errors
from .._types import Array, ArrayLike
from ._namespace import floating, matrices, namespace


@usual_errors()
def mean_square_error(matrix: ArrayLike, truth: ArrayLike, where: ArrayLike | None = None) -> Array:
    """Mean squared difference to a known matrix, over all entries or the chosen ones.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    truth : array, shape (rows, columns)
    where : array of bool, shape (rows, columns), optional
        Entries that count: the observed ones give the train error, all of them (the default) the test error of
        Arora et al. (2019).

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If the shapes do not agree or ``where`` selects nothing.

    Examples
    --------
    >>> import rankfall as rf
    >>> float(rf.measures.mean_square_error([[1.0, 2.0]], [[0.0, 2.0]]))
    0.5
    """
    w, t = matrices("matrix", matrix), floating("truth", truth)
    xp = namespace(w, t)
    if w.shape[-2:] != t.shape:
        raise ValueError(f"truth has shape {tuple(t.shape)}, but must have the matrix's shape {tuple(w.shape[-2:])}.")
    square = (w - t) ** 2
    if where is None:
        return square.mean(axis=(-2, -1))
    mask = where if isinstance(where, jax.Array) else _checks.array("where", where, "an array of booleans")
    # A traced mask cannot be looked into.
    if mask.dtype != bool:
        raise ValueError(f"where has dtype {mask.dtype}, but must be boolean; convert it with where.astype(bool).")
    if mask.shape != t.shape or not (isinstance(mask, jax.core.Tracer) or mask.any()):
        raise ValueError(f"where has shape {tuple(mask.shape)}, but must be {tuple(t.shape)} with at least one True.")
    return xp.where(mask, square, 0).sum(axis=(-2, -1)) / mask.sum()
