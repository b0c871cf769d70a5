"""Measures as functions of singular values, for those who already have them: the last axis is the spectrum.

All are computed after division by the largest value, so neither tiny nor huge matrices under- or overflow on the way,
and all are exact for tied singular values and for the zero matrix.
"""

import math

import numpy as np

from .. import _checks
from .._execution import usual_errors
from .._types import Array, ArrayLike
from ._namespace import floating, namespace

__all__ = [
    "distance_to_rank",
    "effective_rank",
    "log_schatten_norm",
    "normalised",
    "numerical_rank",
    "rank_suboptimality",
    "schatten_norm",
    "stable_rank",
]


@usual_errors()
def normalised(singular_values: ArrayLike) -> tuple[Array, Array]:
    """Return the singular values over their largest, and the largest (shape ``(..., 1)``; zero stays zero).

    Parameters
    ----------
    singular_values : array, shape (..., count)
        In any order.

    Returns
    -------
    tuple of arrays, shapes (..., count) and (..., 1)

    Raises
    ------
    ValueError
        If ``singular_values`` is empty or holds a negative number.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> spectrum.normalised([4.0, 1.0])[0]
    array([1.  , 0.25])
    """
    s = _spectrum(singular_values)
    xp = namespace(s)
    top = s.max(axis=-1, keepdims=True)
    return s / xp.where((top > 0) & (top < xp.inf), top, 1), top


@usual_errors()
def log_schatten_norm(singular_values: ArrayLike, p: float) -> Array:
    """Return ``ln ||W||_{S_p}``, finite even where the quasi-norm itself overflows; ``-inf`` at the zero matrix.

    Parameters
    ----------
    singular_values : array, shape (..., count)
        In any order.
    p : float
        Positive; ``np.inf`` for the largest value alone.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``p`` is not positive, or ``singular_values`` is empty or holds a negative number.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> round(float(spectrum.log_schatten_norm([1.0, 1.0, 1.0], p=0.001)), 3)
    1098.612
    """
    p = _order(p)
    unit, top = normalised(singular_values)
    xp = namespace(unit)
    # Asked this way round, NaN stays NaN.
    zero = top[..., 0] == 0
    log_top = xp.log(xp.where(zero, 1, top[..., 0]))
    if p == float("inf"):
        inner = xp.zeros_like(log_top)
    else:
        # A zero singular value contributes nothing at every p > 0, which 0**p says exactly.
        total = xp.where(zero, 1, (unit**p).sum(axis=-1))
        inner = xp.log(total) / p
    return xp.where(zero, xp.full_like(log_top, -xp.inf), log_top + inner)


@usual_errors()
def schatten_norm(singular_values: ArrayLike, p: float) -> Array:
    """Return the Schatten-p norm (a quasi-norm for p < 1).

    Parameters
    ----------
    singular_values : array, shape (..., count)
        In any order.
    p : float
        Positive; ``np.inf`` for the largest value alone.

    Returns
    -------
    array, shape (...)
        ``inf`` where it exceeds the largest number.

    Raises
    ------
    ValueError
        If ``p`` is not positive, or ``singular_values`` is empty or holds a negative number.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> round(float(spectrum.schatten_norm([4.0, 1.0], p=0.5)), 12)
    9.0
    """
    p = _order(p)
    s = _spectrum(singular_values)
    xp = namespace(s)
    # Plain sums where they are exact to the last digit; exp(log) would cost two.
    if p == 1:
        return s.sum(axis=-1)
    if p == float("inf"):
        return s.max(axis=-1)
    if p > 1:
        unit, top = normalised(s)
        total = xp.where(top[..., 0] == 0, 1, (unit**p).sum(axis=-1))
        with np.errstate(over="ignore"):
            return top[..., 0] * total ** (1 / p)
    log_norm = log_schatten_norm(s, p)
    limit = math.log(float(xp.finfo(s.dtype).max))
    # Beyond the largest number the honest value is infinity; np.exp would say so with a warning on top.
    beyond = log_norm >= limit
    return xp.where(beyond, xp.full_like(log_norm, xp.inf), xp.exp(xp.where(beyond, xp.zeros_like(log_norm), log_norm)))


@usual_errors()
def effective_rank(singular_values: ArrayLike) -> Array:
    """Return ``exp`` of the entropy of the normalised singular values; 1 at the zero matrix.

    Parameters
    ----------
    singular_values : array, shape (..., count)
        In any order.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``singular_values`` is empty or holds a negative number.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> float(spectrum.effective_rank([2.0, 2.0]))
    2.0
    """
    unit, _ = normalised(singular_values)
    xp = namespace(unit)
    total = unit.sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # an infinite value has no share: NaN
        share = unit / xp.where(total > 0, total, 1)
    # 0 ln 0 = 0: the logarithm is taken of 1 instead, so that no NaN is formed (and none reaches a gradient).
    log_share = xp.log(xp.where(share > 0, share, 1))
    return xp.exp(-(share * log_share).sum(axis=-1))


@usual_errors()
def numerical_rank(singular_values: ArrayLike, rtol: float) -> Array:
    """Return how many singular values exceed ``rtol`` times the largest.

    Parameters
    ----------
    singular_values : array, shape (..., count)
        In any order.
    rtol : float

    Returns
    -------
    array of int, shape (...)

    Raises
    ------
    ValueError
        If ``singular_values`` is empty or holds a negative number, or ``rtol`` is negative.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> int(spectrum.numerical_rank([1.0, 1e-3], rtol=1e-2))
    1
    """
    share = _checks.number("rtol", rtol)
    if not share >= 0:
        raise ValueError(f"rtol is {rtol}, but must be zero or positive; it is a share of the largest value.")
    unit, top = normalised(singular_values)
    return ((unit > share) & (top > 0)).sum(axis=-1)


@usual_errors()
def stable_rank(singular_values: ArrayLike) -> Array:
    """Return ``||W||_F^2 / ||W||^2``; 0 at the zero matrix.

    Parameters
    ----------
    singular_values : array, shape (..., count)
        In any order.

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``singular_values`` is empty or holds a negative number.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> float(spectrum.stable_rank([2.0, 1.0]))
    1.25
    """
    unit, _ = normalised(singular_values)
    return (unit**2).sum(axis=-1)


@usual_errors()
def distance_to_rank(singular_values: ArrayLike, rank: int) -> Array:
    """Return the Frobenius distance to the matrices of at most the given rank (Eckart and Young).

    Parameters
    ----------
    singular_values : array, shape (..., count)
        The largest first.
    rank : int

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``singular_values`` is empty or holds a negative number, or ``rank`` is no integer of at least zero.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> float(spectrum.distance_to_rank([5.0, 4.0, 3.0], rank=1))
    5.0
    """
    s, rank = _spectrum(singular_values), _checks.integer("rank", rank, 0)
    if rank == s.shape[-1] - 1:
        return s[..., rank]
    unit, top = normalised(s)
    return top[..., 0] * namespace(unit).sqrt((unit[..., rank:] ** 2).sum(axis=-1))


@usual_errors()
def rank_suboptimality(singular_values: ArrayLike, infimal_rank: int, infimal_erank: float) -> Array:
    """Return ``max(distance from the infimal rank, effective rank minus its infimum)``.

    Parameters
    ----------
    singular_values : array, shape (..., count)
        The largest first.
    infimal_rank : int
    infimal_erank : float

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If ``singular_values`` is empty or holds a negative number, or an infimum is none that a solution
        set has.

    Examples
    --------
    >>> from rankfall.measures import spectrum
    >>> float(spectrum.rank_suboptimality([1.0, 1.0], 1, 1.0))
    1.0
    """
    s, rank = _spectrum(singular_values), _checks.integer("infimal_rank", infimal_rank, 0)
    excess = effective_rank(s) - _checks.effective_rank("infimal_erank", infimal_erank)
    return namespace(s).maximum(distance_to_rank(s, rank), excess)


def _spectrum(singular_values: ArrayLike) -> Array:
    s = floating("singular_values", singular_values)
    if not s.ndim or not s.shape[-1]:
        raise ValueError(f"singular_values has shape {s.shape}, but must be (..., count), with one value or more.")
    # JAX's values may be traced, and cannot be looked at.
    if isinstance(s, np.ndarray) and (s < 0).any():
        raise ValueError(
            f"singular_values holds {s[s < 0][0]}, but must hold none below zero; of eigenvalues pass "
            "the absolute ones."
        )
    return s


def _order(p: float) -> float:
    value = _checks.number("p", p, "np.inf is the spectral norm, 1 the nuclear norm")
    if not value > 0:
        raise ValueError(f"p is {p}, but must be positive (np.inf for the spectral norm); p = 1 is the nuclear norm.")
    # JAX multiplies for integers and calls a slower function for all else.
    return p if isinstance(p, int) and p < 64 else value
