"""Theorem 1 with the constants of the paper, for comparison with the sharper bounds of ``rankfall.theory.bounds``.

All three hold at every loss for any matrix of determinant at least 0; where the argument of the proof needs a small
loss, the bound is vacuous beyond it.  ``loss`` is half the sum of squared residuals over the three observed entries.
"""

import numpy as np

from rankfall._checks import shortened
from rankfall._execution import usual_errors
from rankfall.theory._inputs import LOSS_REMEDY, FloatArray, RealLike, non_negative, positive, together, within


@usual_errors()
def theorem1_norm_bound(
    loss: RealLike, norm_e11: RealLike, max_norm_eij: RealLike, triangle_constant: RealLike = 1.0
) -> FloatArray:
    """Lower bound ``a / sqrt(loss) - b`` on any (quasi-)norm of the end-to-end matrix.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    norm_e11 : array_like
        Norm of the matrix with a single 1, at the unobserved position.
    max_norm_eij : array_like
        Largest norm among the four matrices with a single 1; at least ``norm_e11``.
    triangle_constant : array_like, default 1.0
        ``c >= 1`` with ``||A + B|| <= c (||A|| + ||B||)``; 1 for a norm, ``2^(1/p - 1)`` for Schatten ``p < 1``.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        The bound with ``a = norm_e11 / (sqrt(2) c)`` and ``b = max(sqrt(2) a, 8 c^2 max_norm_eij)``; negative, so
        vacuous, for all but small losses (above 0.0078 for the Frobenius norm), infinity at loss 0.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, a norm is not positive, ``max_norm_eij`` is below ``norm_e11`` or
        ``triangle_constant`` is below 1.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (norms and quasi-norms are driven towards infinity).

    Examples
    --------
    >>> from rankfall.theory import theorem1_norm_bound
    >>> float(theorem1_norm_bound(1e-4, 1.0, 1.0).round(6))
    62.710678
    """
    value = non_negative("loss", loss, LOSS_REMEDY)
    unobserved = positive("norm_e11", norm_e11, "pass the norm of the matrix with a 1 at the unobserved position")
    largest = positive("max_norm_eij", max_norm_eij, "pass the largest norm of a matrix with a single 1")
    constant = within("triangle_constant", triangle_constant, 1.0, np.inf, "pass 1 for a norm")
    together(loss=value, norm_e11=unobserved, max_norm_eij=largest, triangle_constant=constant)
    if (largest < unobserved).any():
        raise ValueError(
            f"max_norm_eij is {shortened(max_norm_eij)}, but must be at least norm_e11, {shortened(norm_e11)}; "
            "take the largest norm over all four positions, the unobserved one included."
        )
    scale = unobserved / (np.sqrt(2.0) * constant)
    offset = np.maximum(np.sqrt(2.0) * scale, 8.0 * constant**2 * largest)
    with np.errstate(divide="ignore"):
        return np.asarray(scale / np.sqrt(value) - offset)


@usual_errors()
def theorem1_effective_rank_bound(loss: RealLike) -> FloatArray:
    """Upper bound ``1 + (2 sqrt(12) / ln 2) sqrt(loss)`` on the effective rank.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        The bound; it exceeds 2, so is vacuous, beyond a loss of about 0.01.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (effective rank is driven towards its infimum).

    Examples
    --------
    >>> from rankfall.theory import theorem1_effective_rank_bound
    >>> float(theorem1_effective_rank_bound(1e-4).round(5))
    1.09995
    """
    value = non_negative("loss", loss, LOSS_REMEDY)
    return np.asarray(1.0 + 2.0 * np.sqrt(12.0) / np.log(2.0) * np.sqrt(value))


@usual_errors()
def theorem1_distance_bound(loss: RealLike) -> FloatArray:
    """Upper bound ``3 sqrt(2 loss)`` on the Frobenius distance from rank 1, the infimal rank.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        The bound, three times ``smallest_singular_value_bound``.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (distance from infimal rank is driven towards 0).

    Examples
    --------
    >>> from rankfall.theory import theorem1_distance_bound
    >>> float(theorem1_distance_bound(0.5).round(12))
    3.0
    """
    return np.asarray(3.0 * np.sqrt(2.0) * np.sqrt(non_negative("loss", loss, LOSS_REMEDY)))
