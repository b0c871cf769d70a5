"""Linear regression with more unknowns than equations: which interpolating solution gradient training picks.

Everything is for the loss ``|X w - y|^2 / 2``.  Training moves ``w`` only within the row space of ``X``, so it ends at
the solution nearest to the start; from 0 that is the one of smallest l2 norm.
"""

from typing import SupportsIndex

import numpy as np

from rankfall._execution import usual_errors
from rankfall.dynamics.linear_path import LinearPath
from rankfall.theory._inputs import FloatArray, RealLike, finite, non_negative, positive, single, whole_number


@usual_errors()
def min_l2_interpolator(X: RealLike, y: RealLike) -> FloatArray:
    """Least-squares solution of smallest l2 norm, ``X^+ y``.

    Parameters
    ----------
    X : array_like, shape (equations, unknowns)
        Matrix of the inputs.
    y : array_like, shape (equations,)
        Targets.

    Returns
    -------
    ndarray, shape (unknowns,)
        The solution; it interpolates where ``X`` has full row rank.

    Raises
    ------
    ValueError
        If the shapes do not fit or an entry is not finite.

    References
    ----------
    Moore-Penrose pseudo-inverse, Penrose (1956); introduction of Razin and Cohen (2020), arXiv 2005.06398.

    Examples
    --------
    >>> from rankfall.theory import min_l2_interpolator
    >>> min_l2_interpolator([[1.0, 1.0]], [2.0]).round(12)
    array([1., 1.])
    """
    return descent_limit(X, y)


@usual_errors()
def descent_limit(X: RealLike, y: RealLike, start: RealLike | None = None) -> FloatArray:
    """Where gradient descent and gradient flow end: the least-squares solution nearest to the start.

    Parameters
    ----------
    X : array_like, shape (equations, unknowns)
        Matrix of the inputs.
    y : array_like, shape (equations,)
        Targets.
    start : array_like, shape (unknowns,), optional
        Where training starts; zero by default.

    Returns
    -------
    ndarray, shape (unknowns,)
        ``X^+ y + (I - X^+ X) start``.

    Raises
    ------
    ValueError
        If the shapes do not fit or an entry is not finite.

    References
    ----------
    Gunasekar et al. (2018), arXiv 1802.08246: the limit of gradient descent is nearest to its start.

    Examples
    --------
    >>> from rankfall.theory import descent_limit
    >>> descent_limit([[1.0, 1.0]], [2.0], start=[4.0, 0.0]).round(12)
    array([ 3., -1.])
    """
    spectrum = _decompose(X, y, start)
    return spectrum.moved(1.0 / spectrum.values)


@usual_errors()
def descent_iterate(
    X: RealLike, y: RealLike, step_size: float | int, steps: SupportsIndex, start: RealLike | None = None
) -> FloatArray:
    """Iterate of gradient descent after a number of steps, in closed form.

    Parameters
    ----------
    X : array_like, shape (equations, unknowns)
        Matrix of the inputs.
    y : array_like, shape (equations,)
        Targets.
    step_size : float
        Step size ``eta``; the iterates converge below ``2 / sigma_max(X)^2`` and grow geometrically above it.
    steps : int
        Number of steps ``k``, 0 or more.
    start : array_like, shape (unknowns,), optional
        Where descent starts; zero by default.

    Returns
    -------
    ndarray, shape (unknowns,)
        ``V diag((1 - (1 - eta s^2)^k) / s) U^T (y - X start) + start``; not finite where a divergent run overflows.

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, ``step_size`` is not positive or ``steps`` is negative.

    References
    ----------
    Landweber (1951), "An iteration formula for Fredholm integral equations of the first kind".

    Examples
    --------
    >>> from rankfall.theory import descent_iterate
    >>> descent_iterate([[2.0]], [2.0], step_size=0.125, steps=2)
    array([0.75])
    """
    remedy = "pass one number below 2 / sigma_max(X)^2 to converge"
    eta = single("step_size", positive("step_size", step_size, remedy), remedy)
    count = whole_number("steps", steps, 0, "pass how often descent updates w")
    spectrum = _decompose(X, y, start)
    rate = eta * spectrum.values**2
    slow = rate < 1.0
    # 1 - (1 - r)^k loses its digits for r k << 1, where expm1 and log1p keep them; the logarithm needs r < 1, and for
    # r >= 1 the power alternates in sign and nothing is close to cancelling.
    shrunk = -np.expm1(count * np.log1p(-np.where(slow, rate, 0.0)))
    with np.errstate(over="ignore", invalid="ignore"):
        done = np.where(slow, shrunk, 1.0 - (1.0 - np.where(slow, 0.0, rate)) ** count)
        return spectrum.moved(done / spectrum.values)


@usual_errors()
def flow_iterate(X: RealLike, y: RealLike, time: float | int, start: RealLike | None = None) -> FloatArray:
    """Point of gradient flow at a time, in closed form.

    Parameters
    ----------
    X : array_like, shape (equations, unknowns)
        Matrix of the inputs.
    y : array_like, shape (equations,)
        Targets.
    time : float
        Flow time, 0 or more; infinity gives ``descent_limit``.
    start : array_like, shape (unknowns,), optional
        Where the flow starts; zero by default.

    Returns
    -------
    ndarray, shape (unknowns,)
        ``V diag((1 - exp(-s^2 t)) / s) U^T (y - X start) + start``.

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or ``time`` is negative or NaN.

    References
    ----------
    Ali, Kolter and Tibshirani (2019), arXiv 1810.10082 (gradient flow for least squares).

    Examples
    --------
    >>> from rankfall.theory import flow_iterate
    >>> flow_iterate([[1.0]], [1.0], time=float("inf"))
    array([1.])
    """
    remedy = "pass flow time, step size times steps"
    elapsed = single("time", non_negative("time", time, remedy), remedy)
    return _decompose(X, y, start).flow(elapsed)


@usual_errors()
def ridge_solution(X: RealLike, y: RealLike, weight_decay: float | int) -> FloatArray:
    """Minimiser of ``|X w - y|^2 / 2 + weight_decay |w|^2 / 2``.

    Parameters
    ----------
    X : array_like, shape (equations, unknowns)
        Matrix of the inputs.
    y : array_like, shape (equations,)
        Targets.
    weight_decay : float
        Strength of the penalty, 0 or more; 0 gives ``min_l2_interpolator``, the limit of vanishing strength.

    Returns
    -------
    ndarray, shape (unknowns,)
        ``V diag(s / (s^2 + weight_decay)) U^T y``.

    Raises
    ------
    ValueError
        If the shapes do not fit, an entry is not finite, or ``weight_decay`` is negative or NaN.

    References
    ----------
    Hoerl and Kennard (1970), "Ridge regression".

    Examples
    --------
    >>> from rankfall.theory import ridge_solution
    >>> ridge_solution([[1.0]], [1.0], weight_decay=1.0)
    array([0.5])
    """
    remedy = "pass the factor of |w|^2 / 2 in the loss"
    decay = single("weight_decay", non_negative("weight_decay", weight_decay, remedy), remedy)
    spectrum = _decompose(X, y, None)
    # Through singular values, because the normal equations square the condition number; and s / (s^2 + decay) as
    # 1 / (s + decay / s), which is exactly 1 / s without decay and does not underflow for tiny inputs.
    with np.errstate(over="ignore"):
        return spectrum.moved(1.0 / (spectrum.values + decay / spectrum.values))


def _decompose(X: RealLike, y: RealLike, start: RealLike | None) -> LinearPath:
    inputs, targets = finite("X", X), finite("y", y)
    if inputs.ndim != 2 or not inputs.size:
        raise ValueError(f"X has shape {inputs.shape}, but must have rows and columns; stack one row per equation.")
    if targets.shape != inputs.shape[:1]:
        raise ValueError(f"y has shape {targets.shape}, but must have shape {inputs.shape[:1]}; pass one per row.")
    origin = np.zeros(inputs.shape[1]) if start is None else finite("start", start)
    if origin.shape != inputs.shape[1:]:
        raise ValueError(f"start has shape {origin.shape}, but must have shape {inputs.shape[1:]}; pass one a column.")
    return LinearPath.of(inputs, targets - inputs @ origin, origin)
