"""Theorem 2 as certified inequalities: other observed values, ``[[*, z], [z', eps]]`` with ``z, z'`` not zero.

They hold for every 2x2 matrix whose determinant has the sign of ``z z'`` or is 0.  ``loss`` is half the sum of squared
residuals over the three observed entries, ``d = sqrt(2 loss)``.  The unobserved entry may sit at any of the four
positions: ``z, z'`` are then the two observed entries in its row and column, ``eps`` the opposite one, and
``required_det_sign`` in ``rankfall.theory.sign_rule`` says which sign of the determinant is needed.
"""

import numpy as np

from rankfall._execution import usual_errors
from rankfall.theory._inputs import LOSS_REMEDY, FloatArray, RealLike, finite, non_negative, non_zero, radius, together
from rankfall.theory.entropy import binary_entropy

_NON_ZERO_REMEDY = "with a zero there the problem has no forced unobserved entry"


@usual_errors()
def perturbed_unobserved_lower_bound_simple(
    loss: RealLike, z: RealLike, z_prime: RealLike, eps: RealLike
) -> FloatArray:
    """Explicit lower bound on the unobserved entry, ``(|z| - d) (|z'| - d) / (|eps| + d)``.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    z, z_prime : array_like
        Observed entries in the row and in the column of the unobserved one; not zero.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        The bound; 0 where ``d >= min(|z|, |z'|)``, infinity where ``loss`` and ``eps`` are both 0.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``z`` or ``z_prime`` is 0 or not finite, or ``eps`` is not finite.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 2 (perturbed observations), elementary explicit form.

    Examples
    --------
    >>> from rankfall.theory import perturbed_unobserved_lower_bound_simple
    >>> float(perturbed_unobserved_lower_bound_simple(0.005, 1.0, 1.0, 0.1).round(9))
    4.05
    """
    d, row, column, opposite = _problem(loss, z, z_prime, eps)
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(row - d, 0.0) * np.maximum(column - d, 0.0) / (opposite + d))


@usual_errors()
def perturbed_unobserved_lower_bound(loss: RealLike, z: RealLike, z_prime: RealLike, eps: RealLike) -> FloatArray:
    """Geometric lower bound on the unobserved entry, from the distance of ``W`` to the solution that shares it.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    z, z_prime : array_like
        Observed entries in the row and in the column of the unobserved one; not zero.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        With ``K = (z^2 - d^2) (z'^2 - d^2) - d^2 eps^2`` the bound
        ``K / (|eps z z'| + d sqrt((z^2 + eps^2 - d^2) (z'^2 + eps^2 - d^2)))``; 0 where ``d >= min(|z|, |z'|)`` or
        ``K <= 0``, where the simple bound may still say something; infinity where ``loss`` and ``eps`` are both 0.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``z`` or ``z_prime`` is 0 or not finite, or ``eps`` is not finite.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 2; for ``z = z' = 1``, ``eps = 0`` it is ``1/d - d``.

    Examples
    --------
    >>> from rankfall.theory import perturbed_unobserved_lower_bound
    >>> float(perturbed_unobserved_lower_bound(1e-4, -2.0, 0.5, 0.05).round(7))
    15.5603807
    """
    d, row, column, opposite = _problem(loss, z, z_prime, eps)
    # Legs of the right triangles with hypotenuse |z|, |z'| and leg d, as products: z^2 - d^2 would cancel for d ~ |z|.
    # K is kept as a difference of squares, so that nothing of fourth order is formed.  An infinite d makes 0 * inf.
    with np.errstate(divide="ignore", invalid="ignore"):
        row_leg = np.sqrt(np.maximum(row - d, 0.0)) * np.sqrt(row + d)
        column_leg = np.sqrt(np.maximum(column - d, 0.0)) * np.sqrt(column + d)
        product, slack = row_leg * column_leg, d * opposite
        numerator = np.maximum(product - slack, 0.0) * (product + slack)
        reach = d * np.hypot(row_leg, opposite) * np.hypot(column_leg, opposite)
        bound = numerator / (opposite * row * column + reach)
    return np.where(d < np.minimum(row, column), bound, 0.0)


@usual_errors()
def perturbed_distance_bound(loss: RealLike, eps: RealLike) -> FloatArray:
    """Upper bound ``|eps| + d`` on the smaller singular value, the distance from rank 1.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        The bound.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, or ``eps`` is not finite.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 2 (distance from infimal rank), with constant 1.

    Examples
    --------
    >>> from rankfall.theory import perturbed_distance_bound
    >>> float(perturbed_distance_bound(0.005, -0.1).round(12))
    0.2
    """
    d, opposite = radius(non_negative("loss", loss, LOSS_REMEDY)), np.abs(finite("eps", eps))
    together(loss=d, eps=opposite)
    return np.asarray(opposite + d)


@usual_errors()
def perturbed_second_share_bound(loss: RealLike, z: RealLike, z_prime: RealLike, eps: RealLike) -> FloatArray:
    """Upper bound on ``sigma_2 / (sigma_1 + sigma_2)``, the share of the smaller singular value.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    z, z_prime : array_like
        Observed entries in the row and in the column of the unobserved one; not zero.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``1 / (1 + (|z| - d) (|z'| - d) / (|eps| + d)^2)``, never above the trivial 1/2.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``z`` or ``z_prime`` is 0 or not finite, or ``eps`` is not finite.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 2: quotient of the bounds on the two singular values.

    Examples
    --------
    >>> from rankfall.theory import perturbed_second_share_bound
    >>> float(perturbed_second_share_bound(0.0, 1.0, 1.0, 0.5).round(12))
    0.2
    """
    least_first = perturbed_unobserved_lower_bound_simple(loss, z, z_prime, eps)
    most_second = perturbed_distance_bound(loss, eps)
    with np.errstate(divide="ignore"):
        share = 1.0 / (1.0 + least_first / most_second)
    return np.asarray(np.minimum(share, 0.5))


@usual_errors()
def perturbed_effective_rank_bound(loss: RealLike, z: RealLike, z_prime: RealLike, eps: RealLike) -> FloatArray:
    """Upper bound on the effective rank: exponential of the entropy of ``perturbed_second_share_bound``.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    z, z_prime : array_like
        Observed entries in the row and in the column of the unobserved one; not zero.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        Values in ``[1, 2]``.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``z`` or ``z_prime`` is 0 or not finite, or ``eps`` is not finite.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 2 (effective rank).

    Examples
    --------
    >>> from rankfall.theory import perturbed_effective_rank_bound
    >>> float(perturbed_effective_rank_bound(1e-4, 1.0, 1.0, 0.0).round(6))
    1.001954
    """
    return np.asarray(np.exp(binary_entropy(perturbed_second_share_bound(loss, z, z_prime, eps))))


@usual_errors()
def perturbed_effective_rank_bound_linear(loss: RealLike, z: RealLike, z_prime: RealLike, eps: RealLike) -> FloatArray:
    """Upper bound on the effective rank in the form of the paper, ``1 + 4 (|eps| + d) / min(|z|, |z'|)``.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    z, z_prime : array_like
        Observed entries in the row and in the column of the unobserved one; not zero.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        The bound; vacuous where it exceeds 2.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``z`` or ``z_prime`` is 0 or not finite, or ``eps`` is not finite.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 2 (effective rank), with constant 4.

    Examples
    --------
    >>> from rankfall.theory import perturbed_effective_rank_bound_linear
    >>> float(perturbed_effective_rank_bound_linear(0.005, 1.0, -2.0, 0.1).round(12))
    1.8
    """
    d, row, column, opposite = _problem(loss, z, z_prime, eps)
    return np.asarray(1.0 + 4.0 * (opposite + d) / np.minimum(row, column))


def _problem(
    loss: RealLike, z: RealLike, z_prime: RealLike, eps: RealLike
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Check the arguments and give ``d, |z|, |z'|, |eps|``: every bound here depends on magnitudes only."""
    d = radius(non_negative("loss", loss, LOSS_REMEDY))
    row = np.asarray(np.abs(non_zero("z", z, _NON_ZERO_REMEDY)))
    column = np.asarray(np.abs(non_zero("z_prime", z_prime, _NON_ZERO_REMEDY)))
    opposite = np.asarray(np.abs(finite("eps", eps)))
    together(loss=d, z=row, z_prime=column, eps=opposite)
    return d, row, column, opposite
