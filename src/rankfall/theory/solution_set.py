"""Closed forms on the solution set of the completion problem ``[[*, 1], [1, 0]]``.

Its solutions are ``W_x = [[x, 1], [1, 0]]`` for every real ``x``.  All have determinant -1, so with
``u = arcsinh(|x| / 2)`` the singular values are ``exp(u)`` and ``exp(-u)``: every norm is smallest at bounded ``x``,
while the rank is approached from above only as ``|x|`` grows without bound.
"""

import numpy as np

from rankfall._execution import usual_errors
from rankfall.theory._inputs import FloatArray, RealLike, finite, non_negative, positive, together, within

SUBOPTIMALITY_CROSSOVER = 3.772967229496547
"""The ``|x|`` below which the effective rank is the larger part of rank suboptimality, above which the distance is."""


@usual_errors()
def solution(x: RealLike) -> FloatArray:
    """Solution ``W_x = [[x, 1], [1, 0]]`` with unobserved entry ``x``.

    Parameters
    ----------
    x : array_like, shape (...)
        Value of the unobserved entry.

    Returns
    -------
    ndarray, shape (..., 2, 2)
        The matrices, float64.

    Raises
    ------
    ValueError
        If ``x`` holds anything but finite real numbers.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398: the matrix completion problem and its solution set.

    Examples
    --------
    >>> from rankfall.theory import solution
    >>> solution(3.0)
    array([[3., 1.],
           [1., 0.]])
    """
    entry = finite("x", x)
    matrices = np.zeros((*entry.shape, 2, 2))
    matrices[..., 0, 0] = entry
    matrices[..., 0, 1] = 1.0
    matrices[..., 1, 0] = 1.0
    return matrices


@usual_errors()
def solution_singular_values(x: RealLike) -> FloatArray:
    """Both singular values of ``W_x``, the larger first.

    Parameters
    ----------
    x : array_like, shape (...)
        Value of the unobserved entry.

    Returns
    -------
    ndarray, shape (..., 2)
        ``(sqrt(x^2 + 4) + |x|) / 2`` and its reciprocal, each to full relative precision.

    Raises
    ------
    ValueError
        If ``x`` holds anything but finite real numbers.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398: singular values of the solutions of determinant -1.

    Examples
    --------
    >>> from rankfall.theory import solution_singular_values
    >>> solution_singular_values(1.0).round(6)
    array([1.618034, 0.618034])
    """
    half = np.abs(finite("x", x)) / 2.0
    larger = half + np.hypot(half, 1.0)
    # The determinant is -1, so the smaller one is the reciprocal; the difference (sqrt(x^2+4) - |x|) / 2 cancels.
    return np.stack([larger, 1.0 / larger], axis=-1)


@usual_errors()
def solution_schatten_norm(x: RealLike, p: RealLike) -> FloatArray:
    """Schatten-``p`` (quasi-)norm of ``W_x``, ``(2 cosh(p u))^(1/p)`` with ``u = arcsinh(|x| / 2)``.

    Parameters
    ----------
    x : array_like, shape (...)
        Value of the unobserved entry.
    p : array_like, broadcast against ``x``
        Order, ``0 < p <= inf``; 1 is nuclear, 2 Frobenius, ``inf`` spectral.

    Returns
    -------
    ndarray, broadcast shape of ``x`` and ``p``
        The norm; infinity only where the value itself exceeds the largest float64.

    Raises
    ------
    ValueError
        If ``x`` is not finite or ``p`` is not positive.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398: every Schatten norm on the solution set has its minimum at 0.

    Examples
    --------
    >>> from rankfall.theory import solution_schatten_norm
    >>> float(solution_schatten_norm(0.0, 0.5).round(12))
    4.0
    """
    half = np.abs(finite("x", x)) / 2.0
    order = non_negative("p", p, "use p=inf for the spectral norm and a small positive p to approach the rank")
    if (order == 0).any():
        raise ValueError("p holds 0, but must hold positive numbers; use a small positive p to approach the rank.")
    together(x=half, p=order)
    # sigma_1 (1 + exp(-2 p u))^(1/p): both factors are at least 1, so nothing overflows before the result does,
    # whereas cosh(p u)^(1/p) would for large p u and (sum sigma^p)^(1/p) would for tiny p.
    with np.errstate(over="ignore"):
        # An infinite order would meet u = 0 as NaN; from 1e300 on the second factor is 1 to the last digit anyway.
        order = np.minimum(order, 1e300)
        second = np.log1p(np.exp(-2.0 * order * np.arcsinh(half))) / order
        return np.asarray((half + np.hypot(half, 1.0)) * np.exp(second))


@usual_errors()
def solution_effective_rank(x: RealLike) -> FloatArray:
    """Effective rank of ``W_x``: exponential of the entropy (nats) of its normalised singular values.

    Parameters
    ----------
    x : array_like, shape (...)
        Value of the unobserved entry.

    Returns
    -------
    ndarray, shape (...)
        Values in ``[1, 2]``: 2 at ``x = 0``, decreasing in ``|x|`` to the infimum 1, which no solution attains.

    Raises
    ------
    ValueError
        If ``x`` holds anything but finite real numbers.

    References
    ----------
    Roy and Vetterli (2007), "The effective rank"; Razin and Cohen (2020), arXiv 2005.06398.

    Examples
    --------
    >>> from rankfall.theory import solution_effective_rank
    >>> float(solution_effective_rank(2.0).round(9))
    1.516637223
    """
    return np.asarray(np.exp(_log_effective_rank(x)))


@usual_errors()
def solution_distance(x: RealLike) -> FloatArray:
    """Frobenius distance of ``W_x`` from the matrices of rank 1, the infimal rank of the solution set.

    Parameters
    ----------
    x : array_like, shape (...)
        Value of the unobserved entry.

    Returns
    -------
    ndarray, shape (...)
        The smaller singular value, in ``(0, 1]``.

    Raises
    ------
    ValueError
        If ``x`` holds anything but finite real numbers.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398 (distance from infimal rank); Eckart and Young (1936).

    Examples
    --------
    >>> from rankfall.theory import solution_distance
    >>> float(solution_distance(0.0))
    1.0
    """
    return solution_singular_values(x)[..., 1].copy()


@usual_errors()
def solution_rank_suboptimality(x: RealLike) -> FloatArray:
    """Larger of distance from infimal rank and excess of the effective rank over its infimum, 1.

    Parameters
    ----------
    x : array_like, shape (...)
        Value of the unobserved entry.

    Returns
    -------
    ndarray, shape (...)
        Values in ``(0, 1]``: 1 at ``x = 0``, strictly decreasing in ``|x|`` to 0.

    Raises
    ------
    ValueError
        If ``x`` holds anything but finite real numbers.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398: the two measures of closeness to infimal rank, combined.

    Examples
    --------
    >>> from rankfall.theory import solution_rank_suboptimality
    >>> float(solution_rank_suboptimality(0.0).round(12))
    1.0
    """
    return np.asarray(np.maximum(solution_distance(x), np.expm1(_log_effective_rank(x))))


@usual_errors()
def minimiser_radius(
    norm_w0: RealLike, norm_e11: RealLike, triangle_constant: RealLike = 1.0, excess: RealLike = 0.0
) -> FloatArray:
    """Largest ``|x|`` a solution can have if its (quasi-)norm is within ``excess`` of the smallest one.

    Parameters
    ----------
    norm_w0 : array_like
        Norm of ``W_0 = [[0, 1], [1, 0]]``.
    norm_e11 : array_like
        Norm of ``[[1, 0], [0, 0]]``.
    triangle_constant : array_like, default 1.0
        ``c >= 1`` with ``||A + B|| <= c (||A|| + ||B||)``; 1 for a norm, ``2^(1/p - 1)`` for Schatten ``p < 1``.
    excess : array_like, default 0.0
        By how much the norm of the solution may exceed the infimum over all solutions.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``c (2 ||W_0|| + excess) / ||E_11||``.

    Raises
    ------
    ValueError
        If a norm is not positive, ``triangle_constant`` is below 1 or ``excess`` is negative.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398: near-minimisers of any norm have a bounded unobserved entry.

    Examples
    --------
    >>> from rankfall.theory import minimiser_radius
    >>> float(minimiser_radius(2.0, 1.0))
    4.0
    """
    w0 = positive("norm_w0", norm_w0, "pass the norm of [[0, 1], [1, 0]]")
    e11 = positive("norm_e11", norm_e11, "pass the norm of [[1, 0], [0, 0]]")
    constant = within("triangle_constant", triangle_constant, 1.0, np.inf, "pass 1 for a norm")
    slack = non_negative("excess", excess, "pass how far above the infimum the norm may be")
    together(norm_w0=w0, norm_e11=e11, triangle_constant=constant, excess=slack)
    return np.asarray(constant * (2.0 * w0 + slack) / e11)


def _log_effective_rank(x: RealLike) -> FloatArray:
    """Entropy of the normalised singular values, written so that it keeps full precision as it tends to 0."""
    values = solution_singular_values(x)
    # ln(2 cosh u) - u tanh u = log1p(e^{-2u}) + 2 u e^{-2u} / (1 + e^{-2u}): a sum of positive terms.
    square = values[..., 1] ** 2
    return np.asarray(np.log1p(square) + 2.0 * np.log(values[..., 0]) * square / (1.0 + square))
