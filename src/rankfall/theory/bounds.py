"""Theorem 1 as certified inequalities between the loss and a matrix that completes ``[[*, 1], [1, 0]]``.

They hold for EVERY 2x2 matrix ``W`` of determinant at least 0, wherever it came from: with ``d = sqrt(2 loss)`` the
length of the residual and ``W_x`` the solution that shares the unobserved entry of ``W``, the segment from ``W`` to
``W_x`` crosses determinant 0, so ``sigma_2(W) + sigma_2(W_x) <= d``.  ``loss`` is always half the sum of squared
residuals over the three observed entries.  The constants as the paper states them are in ``rankfall.theory.published``.
"""

import numpy as np

from rankfall._execution import usual_errors
from rankfall.theory._inputs import LOSS_REMEDY, FloatArray, RealLike, non_negative, radius, within
from rankfall.theory.entropy import binary_entropy


@usual_errors()
def unobserved_lower_bound(loss: RealLike) -> FloatArray:
    """Smallest ``|w11|`` that any matrix of determinant at least 0 can have at this loss (sharp).

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        With ``a = (sqrt(1 + 8 loss) - 1) / 2``: ``(1 - a)^(3/2) / sqrt(a)`` up to loss 3/8, ``sqrt(1 - 2 loss)`` from
        there to 1/2, 0 beyond; infinity at loss 0, which such a matrix cannot reach.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Sharp form of Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (lower bound on the unobserved entry in its
    proof); the minimum of ``w12 w21 / |w22|`` over residuals of length ``sqrt(2 loss)``.

    Examples
    --------
    >>> from rankfall.theory import unobserved_lower_bound
    >>> float(unobserved_lower_bound(1e-4).round(7))
    70.6965374
    """
    value = non_negative("loss", loss, LOSS_REMEDY)
    a = _residual_share(np.minimum(value, 0.375))
    with np.errstate(divide="ignore"):
        symmetric = (1.0 - a) ** 1.5 / np.sqrt(a)
    # 1 - 2 loss is exact near loss = 1/2 (a difference of neighbours), so no digits are lost where the bound vanishes.
    asymmetric = np.sqrt(1.0 - 2.0 * np.minimum(value, 0.5))
    return np.where(value <= 0.375, symmetric, asymmetric)


@usual_errors()
def unobserved_lower_bound_simple(loss: RealLike) -> FloatArray:
    """Explicit lower bound ``1/d - d`` on ``|w11|``, ``d = sqrt(2 loss)``, and 0 once that is negative.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        ``max(1/d - d, 0)``, below ``unobserved_lower_bound`` by a relative ``O(loss^2)``; infinity at loss 0.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 1, whose proof gives ``1/d - 2``.

    Examples
    --------
    >>> from rankfall.theory import unobserved_lower_bound_simple
    >>> float(unobserved_lower_bound_simple(1e-4).round(7))
    70.696536
    """
    value = non_negative("loss", loss, LOSS_REMEDY)
    # (1 - d^2) / d with d^2 = 2 loss: the difference is formed from the loss itself, not from a rounded root.
    with np.errstate(divide="ignore"):
        return np.asarray((1.0 - 2.0 * np.minimum(value, 0.5)) / radius(value))


@usual_errors()
def smallest_singular_value_bound(loss: RealLike) -> FloatArray:
    """Upper bound ``sqrt(2 loss)`` on the smaller singular value, the distance to rank 1.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        ``sqrt(2 loss)``.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (distance from infimal rank), by a factor of 3.

    Examples
    --------
    >>> from rankfall.theory import smallest_singular_value_bound
    >>> float(smallest_singular_value_bound(0.5))
    1.0
    """
    return radius(non_negative("loss", loss, LOSS_REMEDY))


@usual_errors()
def second_share_bound(loss: RealLike) -> FloatArray:
    """Upper bound on ``sigma_2 / (sigma_1 + sigma_2)``, the share of the smaller singular value.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        ``tau^2 / (1 + 2 tau^2)`` with ``tau = tan(arcsin(d) / 2)``, ``d = sqrt(2 loss)``, below loss 1/2; the trivial
        1/2 from there on.  About ``loss / 2`` for small losses.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Sharpens the share bound ``12 loss`` in the proof of Razin and Cohen (2020), arXiv 2005.06398, theorem 1.

    Examples
    --------
    >>> from rankfall.theory import second_share_bound
    >>> float(second_share_bound(1e-4).round(9))
    5e-05
    """
    value = non_negative("loss", loss, LOSS_REMEDY)
    capped = np.minimum(value, 0.5)
    # tau = (1 - sqrt(1 - d^2)) / d loses all digits for small d; d / (1 + sqrt(1 - d^2)) is the same without a
    # difference of neighbours.
    tau = radius(capped) / (1.0 + np.sqrt(1.0 - 2.0 * capped))
    return np.where(value < 0.5, tau**2 / (1.0 + 2.0 * tau**2), 0.5)


@usual_errors()
def effective_rank_bound(loss: RealLike) -> FloatArray:
    """Upper bound on the effective rank, ``1 + O(loss ln(1 / loss))``.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        Exponential of the entropy of ``second_share_bound``; 2, the trivial value, from loss 1/2 on.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (effective rank), whose excess is ``O(sqrt(loss))``.

    Examples
    --------
    >>> from rankfall.theory import effective_rank_bound
    >>> float(effective_rank_bound(1e-4).round(8))
    1.00054532
    """
    return np.asarray(np.exp(binary_entropy(second_share_bound(loss))))


@usual_errors()
def rank_suboptimality_bound(loss: RealLike) -> FloatArray:
    """Upper bound on rank suboptimality: the larger of distance to rank 1 and effective rank minus 1.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.

    Returns
    -------
    ndarray, shape (...)
        ``max(sqrt(2 loss), effective_rank_bound(loss) - 1)``.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (both measures of closeness to infimal rank).

    Examples
    --------
    >>> from rankfall.theory import rank_suboptimality_bound
    >>> float(rank_suboptimality_bound(0.5).round(12))
    1.0
    """
    # expm1, because effective_rank_bound(loss) - 1 has no correct digit left below a loss of about 1e-17.
    excess = np.expm1(binary_entropy(second_share_bound(loss)))
    return np.asarray(np.maximum(smallest_singular_value_bound(loss), excess))


@usual_errors()
def extremal_matrix(loss: RealLike) -> FloatArray:
    """Matrix of determinant 0 and the given loss whose ``|w11|`` equals ``unobserved_lower_bound(loss)``.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals, in ``(0, 1/2)``.

    Returns
    -------
    ndarray, shape (..., 2, 2)
        Up to loss 3/8 symmetric, ``w12 = w21 = 1 - a`` and ``w22 = sqrt(a (1 - a))``; beyond it ``w12 + w21 = 1``.

    Raises
    ------
    ValueError
        If ``loss`` is outside ``(0, 1/2)``.

    References
    ----------
    Equality case of the sharp form of Razin and Cohen (2020), arXiv 2005.06398, theorem 1.

    Examples
    --------
    >>> from rankfall.theory import extremal_matrix
    >>> extremal_matrix(0.375)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    remedy = "no singular matrix is extremal outside this interval, for the bound is infinite or 0 there"
    value = within("loss", loss, np.nextafter(0.0, 1.0), np.nextafter(0.5, 0.0), remedy)
    a = _residual_share(np.minimum(value, 0.375))
    root = np.sqrt(np.maximum(8.0 * value - 3.0, 0.0))
    # Beyond 3/8 the off-diagonal entries are the roots of t^2 - t + (1 - 2 loss); the small one from the product.
    large = (1.0 + root) / 2.0
    beyond = value > 0.375
    matrices = np.empty((*value.shape, 2, 2))
    matrices[..., 0, 0] = unobserved_lower_bound(value)
    matrices[..., 0, 1] = np.where(beyond, large, 1.0 - a)
    matrices[..., 1, 0] = np.where(beyond, (1.0 - 2.0 * value) / large, 1.0 - a)
    matrices[..., 1, 1] = np.sqrt(np.where(beyond, 1.0 - 2.0 * value, a * (1.0 - a)))
    return matrices


def _residual_share(loss: RealLike) -> FloatArray:
    """Positive root ``a`` of ``a^2 + a = 2 loss``."""
    loss = np.asarray(loss, dtype=np.float64)
    # (sqrt(1 + 8 loss) - 1) / 2 cancels for tiny losses; multiplied by its conjugate it does not.
    return np.asarray(4.0 * loss / (1.0 + np.sqrt(1.0 + 8.0 * loss)))
