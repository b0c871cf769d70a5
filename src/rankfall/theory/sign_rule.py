"""What a 2x2 completion problem with one unobserved entry asks of a start, and where its unobserved entry then goes."""

from typing import SupportsIndex

import numpy as np

from rankfall import _checks
from rankfall._execution import usual_errors
from rankfall.theory._inputs import FloatArray, RealLike, finite, non_zero, single, together


@usual_errors()
def required_det_sign(position: tuple[SupportsIndex, SupportsIndex], p: float | int, q: float | int) -> int:
    """Sign of the determinant at which the theorems drive the unobserved entry of a 2x2 matrix away.

    Parameters
    ----------
    position : tuple of two ints
        Row and column of the unobserved entry, counted from 0.
    p, q : float
        The two observed entries that share a row or a column with it; not zero.

    Returns
    -------
    int
        The sign of ``p q`` when the unobserved entry is on the diagonal, the opposite sign when it is off it, because
        swapping the rows moves the entry and flips the determinant.

    Raises
    ------
    ValueError
        If ``position`` is not one of the four, or ``p`` or ``q`` is 0 or not finite.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 2 (sign condition), and its remark on the other three positions.

    Examples
    --------
    >>> from rankfall.theory import required_det_sign
    >>> required_det_sign((0, 0), 1.0, 1.0), required_det_sign((0, 1), 1.0, 1.0)
    (1, -1)
    """
    row, column = _checks.position("position", position)
    remedy = "with a zero there the problem has no forced unobserved entry"
    first, second = single("p", non_zero("p", p, remedy), remedy), single("q", non_zero("q", q, remedy), remedy)
    signs = np.sign(first) * np.sign(second)
    return int(signs) if row == column else -int(signs)


@usual_errors()
def perturbed_limit(z: RealLike, z_prime: RealLike, eps: RealLike) -> FloatArray:
    """Unobserved entry ``z z' / eps`` of the one solution of rank 1 of ``[[*, z], [z', eps]]``.

    Parameters
    ----------
    z, z_prime : array_like
        Observed entries in the row and in the column of the unobserved one; not zero.
    eps : array_like
        Observed entry opposite the unobserved one.

    Returns
    -------
    ndarray, broadcast shape of the arguments
        What small starts of the required determinant sign approach as the loss vanishes; its absolute value is a
        lower bound on any limit.  Where ``eps`` is 0 no solution has rank 1 and the entry diverges: the value is the
        limit ``sign(z z') * inf`` for ``eps`` falling to 0, but a run may diverge to either side, as its start has it.

    Raises
    ------
    ValueError
        If ``z`` or ``z_prime`` is 0 or not finite, or ``eps`` is not finite.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 2 and the experiments with perturbed observations.

    Examples
    --------
    >>> from rankfall.theory import perturbed_limit
    >>> perturbed_limit(-2.0, 0.5, [0.1, 0.0])
    array([-10., -inf])
    """
    remedy = "with a zero there every solution has an unobserved entry of its own choice"
    row, column = non_zero("z", z, remedy), non_zero("z_prime", z_prime, remedy)
    # Adding 0 turns a negative zero into a positive one, whose reciprocal would otherwise flip the sign.
    opposite = finite("eps", eps) + 0.0
    together(z=row, z_prime=column, eps=opposite)
    with np.errstate(divide="ignore"):
        return np.asarray(row * column / opposite)
