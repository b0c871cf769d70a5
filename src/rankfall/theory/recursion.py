"""Gradient descent at depth 2 from a multiple of the identity on ``[[*, 1], [1, 0]]``, as an exact recursion.

Both layers start at ``sqrt(alpha) I`` and stay transposes of each other for ANY step size, so the end-to-end matrix
stays symmetric and positive semi-definite and obeys ``W <- (I - eta G) W (I - eta G)`` with ``G`` the gradient.  Three
numbers and the logarithm of the determinant say everything; no rounding error can break the balance.
"""

from typing import NamedTuple, SupportsIndex

import numpy as np

from rankfall import _checks
from rankfall._execution import usual_errors
from rankfall.theory._inputs import FloatArray, RealLike, positive, together, whole_number


class IdentityDescent(NamedTuple):
    """Iterates of ``identity_descent``, the start included.

    Attributes
    ----------
    x : ndarray, shape (steps + 1, ...)
        Unobserved entry ``w11``.
    y : ndarray, shape (steps + 1, ...)
        Entries ``w12 = w21``, observed as 1.
    q : ndarray, shape (steps + 1, ...)
        Entry ``w22``, observed as 0.
    log_det : ndarray, shape (steps + 1, ...)
        Logarithm of the determinant, which itself underflows long before the loss is small.
    """

    x: FloatArray
    y: FloatArray
    q: FloatArray
    log_det: FloatArray

    @property
    def loss(self) -> FloatArray:
        """Half the sum of squared residuals over the three observed entries."""
        return np.asarray((1.0 - self.y) ** 2 + 0.5 * self.q**2)


@usual_errors()
def identity_descent(alpha: RealLike, step_size: RealLike, steps: SupportsIndex) -> IdentityDescent:
    """Follow two-layer gradient descent from ``W_1 = W_2 = sqrt(alpha) I``.

    Parameters
    ----------
    alpha : array_like, shape (...)
        Multiple of the identity that the end-to-end matrix starts from.
    step_size : array_like, shape (...)
        Step size, broadcast against ``alpha``.
    steps : int
        Number of steps, 0 or more.

    Returns
    -------
    IdentityDescent
        Arrays ``x, y, q, log_det`` of shape ``(steps + 1, ...)``; not finite where a divergent run overflows.

    Raises
    ------
    ValueError
        If ``alpha`` or ``step_size`` is not positive and finite, or ``steps`` is not an integer of at least 0 whose
        path a memory holds.

    References
    ----------
    Discrete form of the depth-2 convergence result of Razin and Cohen (2020), arXiv 2005.06398, proposition on starts
    that are multiples of the identity.

    Examples
    --------
    >>> from rankfall.theory import identity_descent
    >>> path = identity_descent(alpha=0.1, step_size=0.01, steps=1000)
    >>> bool(path.x[-1] > 2.8), bool(path.loss[-1] < 0.06)
    (True, True)
    """
    scales = positive("alpha", alpha, "pass the multiple of the identity the run starts from")
    rates = positive("step_size", step_size, "pass a small positive number such as 0.01")
    count = whole_number("steps", steps, 0, "pass how often descent updates the layers")
    together(alpha=scales, step_size=rates)
    scales, rates = np.broadcast_arrays(scales, rates)
    _checks.room("steps", steps, 4 * (count + 1) * scales.size)
    path = np.empty((3, count + 1, *scales.shape))
    path[:, 0] = scales, np.zeros_like(scales), scales
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        _iterate(path, rates)
        x, y, q = path
        log_det = np.empty_like(x)
        log_det[0] = 2.0 * np.log(scales)
        growth = 2.0 * _log_abs_one_minus(rates * q[:-1] + (rates * (1.0 - y[:-1])) ** 2)
        log_det[1:] = log_det[0] + np.cumsum(growth, axis=0)
    return IdentityDescent(x, y, q, log_det)


def _iterate(path: FloatArray, rates: FloatArray) -> None:
    """Fill ``path`` of shape ``(3, steps + 1, ...)`` from its first iterate on."""
    # One run moves as Python floats: NumPy's scalar arithmetic is several times slower and gives the same bits.
    eta = rates.item() if rates.ndim == 0 else rates
    x, y, q = path[:, 0].tolist() if rates.ndim == 0 else path[:, 0]
    for k in range(1, path.shape[1]):
        off = eta * (1.0 - y)
        corner = 1.0 - eta * q
        top, side = x + off * y, y + off * q
        low, end = off * x + corner * y, off * y + corner * q
        x, y, q = top + off * side, off * top + corner * side, off * low + corner * end
        path[:, k] = x, y, q


def _log_abs_one_minus(u: FloatArray) -> FloatArray:
    """``ln |1 - u|`` for ``u >= 0``, exact to rounding for tiny ``u``, where ``1 - u`` drops its low digits."""
    below = np.log1p(-np.where(u < 1.0, u, 0.0))
    return np.where(u < 1.0, below, np.log(np.abs(1.0 - u)))
