"""Entropy of a coin: what the effective rank of two singular values is the exponential of."""

import numpy as np

from rankfall._execution import usual_errors
from rankfall.theory._inputs import FloatArray, RealLike, within


@usual_errors()
def binary_entropy(p: RealLike) -> FloatArray:
    """Entropy ``-p ln p - (1 - p) ln(1 - p)`` of a coin, in nats.

    Parameters
    ----------
    p : array_like, shape (...)
        Probabilities in ``[0, 1]``.

    Returns
    -------
    ndarray, shape (...)
        Values in ``[0, ln 2]``, 0 at both ends.

    Raises
    ------
    ValueError
        If an entry of ``p`` is outside ``[0, 1]``.

    Examples
    --------
    >>> from rankfall.theory import binary_entropy
    >>> float(binary_entropy(0.5).round(12))
    0.69314718056
    """
    share = within("p", p, 0.0, 1.0, "divide the singular values by their sum first")
    # 0 ln 0 = 0 by convention; log1p keeps the second term exact to rounding for tiny p.
    first = -share * np.log(np.where(share > 0, share, 1.0))
    second = -(1.0 - share) * np.log1p(-np.where(share < 1, share, 0.0))
    return np.asarray(first + second)
