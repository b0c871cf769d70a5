"""How fast the unobserved entry of ``[[*, 1], [1, 0]]`` grows under balanced gradient flow from a small start.

Near rank 1 the larger singular value, hence the unobserved entry ``x``, obeys ``x' = L x^(-1 - 2/L)`` at depth ``L``
while the loss is ``1 / (2 x^2)``.  Everything here is leading order in large ``x``; time is flow time, that is, step
size times steps for gradient descent.
"""

import numpy as np

from rankfall._execution import usual_errors
from rankfall.theory._inputs import LOSS_REMEDY, FloatArray, RealLike, depths, finite, non_negative, together, within

_DEPTH_REMEDY = "a single layer leaves the unobserved entry where it starts"


@usual_errors()
def flow_time(loss: RealLike, depth: RealLike) -> FloatArray:
    """Flow time at which a loss is reached, counted from the end of the escape from a small start.

    Parameters
    ----------
    loss : array_like
        Half the sum of squared residuals.
    depth : array_like
        Number of layers, whole numbers of at least 2.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``(2 loss)^(-(1 + 1/L)) / (2 (L + 1))``; add ``escape_time`` before comparing it with a run.

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, or ``depth`` is not a whole number of at least 2.

    References
    ----------
    Integral of the end-to-end dynamics of Arora, Cohen and Hazan (2018), arXiv 1802.06509, along the rank-1
    valley of the completion problem of Razin and Cohen (2020), arXiv 2005.06398.

    Examples
    --------
    >>> from rankfall.theory import flow_time
    >>> float(flow_time(1e-4, 3).round())
    10687.0
    """
    value = non_negative("loss", loss, LOSS_REMEDY)
    layers = depths(depth, 2, _DEPTH_REMEDY)
    together(loss=value, depth=layers)
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray((2.0 * value) ** -(1.0 + 1.0 / layers) / (2.0 * (layers + 1.0)))


@usual_errors()
def unobserved_at_time(t: RealLike, depth: RealLike) -> FloatArray:
    """Absolute value of the unobserved entry at a flow time, counted from the end of the escape.

    Parameters
    ----------
    t : array_like
        Flow time.
    depth : array_like
        Number of layers, whole numbers of at least 2.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``(2 (L + 1) t)^(L / (2 (L + 1)))``.

    Raises
    ------
    ValueError
        If ``t`` is negative or NaN, or ``depth`` is not a whole number of at least 2.

    References
    ----------
    Solution of ``x' = L x^(-1 - 2/L)``; see ``flow_time``.

    Examples
    --------
    >>> from rankfall.theory import unobserved_at_time
    >>> float(unobserved_at_time(1e5, 2).round(4))
    84.3433
    """
    time = non_negative("t", t, "pass flow time, step size times steps")
    layers = depths(depth, 2, _DEPTH_REMEDY)
    together(t=time, depth=layers)
    return np.asarray((2.0 * (layers + 1.0) * time) ** (layers / (2.0 * (layers + 1.0))))


@usual_errors()
def escape_time(scale: RealLike, depth: RealLike) -> FloatArray:
    """Flow time a balanced start needs to leave the neighbourhood of zero.

    Parameters
    ----------
    scale : array_like
        Size of the end-to-end matrix at the start, in ``(0, 1]``.
    depth : array_like
        Number of layers, whole numbers of at least 2.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``ln(1 / scale) / 2`` at depth 2, ``scale^(-(1 - 2/L)) / (L - 2)`` beyond.

    Raises
    ------
    ValueError
        If ``scale`` is outside ``(0, 1]``, or ``depth`` is not a whole number of at least 2.

    References
    ----------
    Singular value dynamics ``s' = L s^(2 - 2/L)`` of Arora, Cohen, Hu and Luo (2019), arXiv 1905.13655, with
    a unit gradient component.

    Examples
    --------
    >>> from rankfall.theory import escape_time
    >>> float(escape_time(1e-6, 3).round(9))
    100.0
    """
    size = within("scale", scale, np.nextafter(0.0, 1.0), 1.0, "a start that is not small has no escape time")
    layers = depths(depth, 2, _DEPTH_REMEDY)
    together(scale=size, depth=layers)
    # The second form has a pole at depth 2, so it is evaluated at depth 3 there and thrown away.
    beyond = np.where(layers > 2, layers, 3.0)
    return np.where(layers > 2, size ** -(1.0 - 2.0 / beyond) / (beyond - 2.0), -0.5 * np.log(size))


@usual_errors()
def step_size_ceiling(unobserved: RealLike, depth: RealLike) -> FloatArray:
    """Largest step size at which gradient descent is stable once the unobserved entry has the given size.

    Parameters
    ----------
    unobserved : array_like
        Unobserved entry, large against 1 (the curvature near a start is another matter).
    depth : array_like
        Number of layers, whole numbers of at least 1.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``2 / |x|^(2 - 2/L)``, two over the largest curvature; infinity at 0 for ``L >= 2``.

    Raises
    ------
    ValueError
        If ``unobserved`` is not finite, or ``depth`` is not a whole number of at least 1.

    References
    ----------
    Classical stability limit of gradient descent; curvature from the end-to-end dynamics of Arora, Cohen and Hazan
    (2018), arXiv 1802.06509.

    Examples
    --------
    >>> from rankfall.theory import step_size_ceiling
    >>> float(step_size_ceiling(20.0, 2).round(12))
    0.1
    """
    size = np.abs(finite("unobserved", unobserved))
    layers = depths(depth, 1, "count the layers of the factorization")
    together(unobserved=size, depth=layers)
    with np.errstate(divide="ignore"):
        return np.asarray(2.0 / size ** (2.0 - 2.0 / layers))


@usual_errors()
def depth_law_determinant(x: RealLike, depth: RealLike) -> FloatArray:
    """End-to-end determinant that balanced flow tends to as the unobserved entry grows, at depth 3 and more.

    Parameters
    ----------
    x : array_like
        Unobserved entry, large against 1.
    depth : array_like
        Number of layers, whole numbers of at least 3.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        ``((L + 2) / (L - 2))^(L / (L - 2)) |x|^(-4 / (L - 2))``; with it ``|x| sqrt(2 loss) = 1 - 1/x^2 + det``.

    Raises
    ------
    ValueError
        If ``x`` is not finite, or ``depth`` is not a whole number of at least 3.

    References
    ----------
    Singular value dynamics of Arora, Cohen, Hu and Luo (2019), arXiv 1905.13655, for the smaller one.

    Examples
    --------
    >>> from rankfall.theory import depth_law_determinant
    >>> float(depth_law_determinant(10.0, 4).round(12))
    0.09
    """
    size = np.abs(finite("x", x))
    layers = depths(depth, 3, "at depth 2 the determinant is exponentially small instead")
    together(x=size, depth=layers)
    exponent = layers / (layers - 2.0)
    with np.errstate(divide="ignore"):
        return np.asarray(((layers + 2.0) / (layers - 2.0)) ** exponent * size ** (-4.0 / (layers - 2.0)))
