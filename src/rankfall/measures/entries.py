"""Chosen entries of a matrix, such as those that nobody observed."""

from .. import _checks
from .._types import ArrayLike, Entries
from ._namespace import matrices


def entries(matrix: ArrayLike, indices: ArrayLike) -> Entries:
    """Entries at given places: with ``problem.unobserved_indices``, the ones that training was free to choose.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    indices : array_like of int, shape (n, 2)
        0-based rows and columns.

    Returns
    -------
    array, shape (..., n)

    Raises
    ------
    ValueError
        If ``matrix`` has fewer than two dimensions, or ``indices`` another shape or a place outside of it.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.measures.entries([[7.0, 1.0], [1.0, 0.0]], rf.two_by_two().unobserved_indices)
    array([7.])
    """
    w = matrices("matrix", matrix)
    where = _checks.indices("indices", indices, w.shape[-2:])
    return w[..., where[:, 0], where[:, 1]]
