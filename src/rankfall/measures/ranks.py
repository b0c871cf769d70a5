"""Rank, and the continuous measures that stand in for it: ``(..., rows, columns)`` in, ``(...)`` out."""

import numpy as np

from .._execution import usual_errors
from .._types import Array, ArrayLike
from . import spectrum
from ._namespace import matrices
from .singular_values import singular_values


@usual_errors()
def effective_rank(matrix: ArrayLike) -> Array:
    """Effective rank, ``exp(-sum_r rho_r ln rho_r)`` with ``rho_r = sigma_r / sum sigma``.

    Between 1 and ``min(rows, columns)``, the latter exactly for tied singular values. It is undefined at the zero
    matrix, where it is set to 1, its infimum.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``matrix`` has fewer than two dimensions.

    References
    ----------
    Roy and Vetterli (2007); Razin and Cohen (2020), definition 1.

    Examples
    --------
    >>> import rankfall as rf
    >>> round(float(rf.measures.effective_rank([[10.0, 1.0], [1.0, 0.0]])), 10)
    1.0561847244
    """
    return spectrum.effective_rank(singular_values(matrix))


@usual_errors()
def numerical_rank(matrix: ArrayLike, rtol: float | None = None) -> Array:
    """Count the singular values above ``rtol`` times the largest.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    rtol : float, optional
        ``max(rows, columns)`` times the machine epsilon by default, as in ``numpy.linalg.matrix_rank``.

    Returns
    -------
    array of int, shape (...)

    Raises
    ------
    ValueError
        If ``rtol`` is negative or ``matrix`` has fewer than two dimensions.

    Examples
    --------
    >>> import rankfall as rf
    >>> int(rf.measures.numerical_rank([[1.0, 1.0], [1.0, 1.0]]))
    1
    """
    w = matrices("matrix", matrix)
    if rtol is None:
        rtol = float(max(w.shape[-2:]) * np.finfo(w.dtype).eps)
    return spectrum.numerical_rank(singular_values(w), rtol)


@usual_errors()
def stable_rank(matrix: ArrayLike) -> Array:
    """Stable rank, ``||W||_F^2 / ||W||^2``; 0 at the zero matrix.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``matrix`` has fewer than two dimensions.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.stable_rank(np.diag([2.0, 1.0])))
    1.25
    """
    return spectrum.stable_rank(singular_values(matrix))


@usual_errors()
def distance_to_rank(matrix: ArrayLike, rank: int) -> Array:
    """Frobenius distance to the set of matrices of at most the given rank, ``sqrt(sum_{r > rank} sigma_r^2)``.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    rank : int
        Zero or more.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``rank`` is negative or ``matrix`` has fewer than two dimensions.

    References
    ----------
    Eckart and Young (1936).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.distance_to_rank(np.diag([5.0, 4.0, 3.0]), rank=1))
    5.0
    """
    return spectrum.distance_to_rank(singular_values(matrix), rank)


@usual_errors()
def rank_suboptimality(matrix: ArrayLike, *, infimal_rank: int | None, infimal_erank: float | None) -> Array:
    """How far a solution is from the least rank: ``max(D(W, M_r), erank(W) - inf erank)``.

    Measures know nothing of problems: the two infima over the solution set are given, for example those that
    ``problem.infimal_rank`` and ``problem.infimal_erank`` hold where they are known.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    infimal_rank : int
        Smallest rank that the solution set comes arbitrarily close to.
    infimal_erank : float
        Infimum of the effective rank over the solution set.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If an infimum is ``None``, that is, not known.

    References
    ----------
    Razin and Cohen (2020), definitions 1 to 3.

    Examples
    --------
    >>> import rankfall as rf
    >>> float(rf.measures.rank_suboptimality([[0.0, 1.0], [1.0, 0.0]], infimal_rank=1, infimal_erank=1.0))
    1.0
    """
    if infimal_rank is None or infimal_erank is None:
        missing = "infimal_rank" if infimal_rank is None else "infimal_erank"
        raise ValueError(
            f"{missing} is None, but the rank suboptimality needs the infimum over the solution set; it is known for "
            "the two-by-two family and its d x d extension, and has to be given for any other problem."
        )
    return spectrum.rank_suboptimality(singular_values(matrix), infimal_rank, infimal_erank)
