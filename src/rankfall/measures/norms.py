"""Norms and quasi-norms of matrices and batches of matrices: ``(..., rows, columns)`` in, ``(...)`` out."""

from .. import _checks
from .._execution import usual_errors
from .._types import Array, ArrayLike
from . import spectrum
from ._namespace import matrices
from .singular_values import singular_values


@usual_errors()
def schatten_norm(matrix: ArrayLike, p: float) -> Array:
    """Schatten-p norm, ``(sum_r sigma_r^p)^(1/p)``: a norm for ``p >= 1``, a quasi-norm for ``0 < p < 1``.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    p : float
        Positive; 1 is the nuclear, 2 the Frobenius and ``np.inf`` the spectral norm.

    Returns
    -------
    array, shape (...)
        ``inf`` where the value exceeds the largest floating-point number (3 x 3 identity at ``p = 0.001``:
        3^1000); `log_schatten_norm` stays finite there.

    Raises
    ------
    ValueError
        If ``p`` is not positive or ``matrix`` has fewer than two dimensions.

    References
    ----------
    Razin and Cohen (2020), section 2.2 (Schatten-p quasi-norms).

    Examples
    --------
    >>> import rankfall as rf
    >>> round(float(rf.measures.schatten_norm([[0.0, 1.0], [1.0, 0.0]], p=0.5)), 12)
    4.0
    """
    return spectrum.schatten_norm(singular_values(matrix), p)


@usual_errors()
def log_schatten_norm(matrix: ArrayLike, p: float) -> Array:
    """Natural logarithm of the Schatten-p norm, finite for every ``p > 0`` however small.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    p : float
        Positive.

    Returns
    -------
    array, shape (...)
        ``-inf`` at the zero matrix.

    Raises
    ------
    ValueError
        If ``p`` is not positive or ``matrix`` has fewer than two dimensions.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> bool(np.isclose(rf.measures.log_schatten_norm(np.eye(3), p=0.001), 1000 * np.log(3)))
    True
    """
    return spectrum.log_schatten_norm(singular_values(matrix), p)


@usual_errors()
def nuclear_norm(matrix: ArrayLike) -> Array:
    """Nuclear norm, the sum of the singular values.

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
    >>> import rankfall as rf
    >>> float(rf.measures.nuclear_norm([[3.0, 0.0], [0.0, -4.0]]))
    7.0
    """
    return schatten_norm(matrix, 1)


@usual_errors()
def frobenius_norm(matrix: ArrayLike) -> Array:
    """Frobenius norm, the root of the sum of squared entries (computed from the entries, scaled against overflow).

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
    >>> import rankfall as rf
    >>> float(rf.measures.frobenius_norm([[3.0, 0.0], [0.0, -4.0]]))
    5.0
    """
    return entrywise_norm(matrix, 2)


@usual_errors()
def spectral_norm(matrix: ArrayLike) -> Array:
    """Spectral norm, the largest singular value.

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
    >>> import rankfall as rf
    >>> float(rf.measures.spectral_norm([[3.0, 0.0], [0.0, -4.0]]))
    4.0
    """
    return schatten_norm(matrix, float("inf"))


@usual_errors()
def ky_fan_norm(matrix: ArrayLike, k: int) -> Array:
    """Ky Fan k-norm, the sum of the ``k`` largest singular values.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    k : int
        Between 1 and ``min(rows, columns)``.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``k`` is out of range or ``matrix`` has fewer than two dimensions.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.ky_fan_norm(np.diag([3.0, 2.0, 1.0]), k=2))
    5.0
    """
    s = singular_values(matrix)
    if _checks.positive_integer("k", k) > s.shape[-1]:
        raise ValueError(f"k is {k}, but must lie between 1 and {s.shape[-1]}, the number of singular values.")
    return s[..., :k].sum(axis=-1)


@usual_errors()
def entrywise_norm(matrix: ArrayLike, p: float) -> Array:
    """Entrywise l_p norm, ``(sum_ij |W_ij|^p)^(1/p)``: a norm for ``p >= 1``, a quasi-norm below.

    Parameters
    ----------
    matrix : array, shape (..., rows, columns)
    p : float
        Positive; ``np.inf`` is the largest absolute entry.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``p`` is not positive or ``matrix`` has fewer than two dimensions.

    Examples
    --------
    >>> import rankfall as rf
    >>> float(rf.measures.entrywise_norm([[1.0, -2.0], [3.0, 0.0]], p=1))
    6.0
    """
    w = matrices("matrix", matrix)
    # The same sums as over singular values, taken over the entries.
    return spectrum.schatten_norm(abs(w).reshape(*w.shape[:-2], -1), p)


@usual_errors()
def max_column_sum(matrix: ArrayLike) -> Array:
    """Largest column sum of absolute entries, the operator norm of l_1.

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
    >>> import rankfall as rf
    >>> float(rf.measures.max_column_sum([[1.0, -2.0], [3.0, 0.0]]))
    4.0
    """
    return abs(matrices("matrix", matrix)).sum(axis=-2).max(axis=-1)


@usual_errors()
def max_row_sum(matrix: ArrayLike) -> Array:
    """Largest row sum of absolute entries, the operator norm of l_infinity.

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
    >>> import rankfall as rf
    >>> float(rf.measures.max_row_sum([[1.0, -2.0], [3.0, 0.0]]))
    3.0
    """
    return abs(matrices("matrix", matrix)).sum(axis=-1).max(axis=-1)
