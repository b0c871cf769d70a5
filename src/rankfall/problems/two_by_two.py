"""The problem of the talk, ``[[*, 1], [1, 0]]``, its perturbations, positions and extension to d x d."""

import math

import numpy as np

from .. import _checks
from .._declared import declared
from .._types import DTypeLike
from .completion import MatrixCompletion
from .losses import AbstractLoss


@declared("problem", "two-by-two", position=list[int])
def two_by_two(
    z: float = 1.0,
    z_prime: float = 1.0,
    eps: float = 0.0,
    *,
    position: tuple[int, int] = (0, 0),
    size: int = 2,
    loss: str | AbstractLoss = "half_sse",
    dtype: DTypeLike = "float64",
) -> MatrixCompletion:
    """Completion of ``[[*, z], [z', eps]]``, with the unobserved entry moved to any of the four positions.

    Every solution has rank 2, yet the solutions come arbitrarily close to rank 1 as the unobserved entry grows.
    For ``size > 2`` the rest of the diagonal is observed as ones and everything else as zeros.

    Parameters
    ----------
    z : float
        The observed entry in the row of the unobserved one.
    z_prime : float
        The observed entry in its column.
    eps : float
        The observed entry opposite.
    position : tuple of int
        0-based row and column of the unobserved entry, each 0 or 1.
    size : int
        Rows and columns, 2 or more.
    loss : {"half_sse", "mse", "huber", ...} or AbstractLoss
    dtype : {"float64", "float32"}

    Returns
    -------
    MatrixCompletion
        With ``infimal_rank`` (``size - 1``), ``infimal_erank`` (1) and ``required_det_sign`` set: the sign the
        theorems ask of the determinant at the start, ``sign(z z')`` on the diagonal and ``-sign(z z')`` off it.

    Raises
    ------
    ValueError
        If ``z`` or ``z_prime`` is zero, a value is not finite, or ``position`` or ``size`` is out of range.

    References
    ----------
    Razin and Cohen (2020), sections 3.1 and 3.4 (robustness to perturbations).

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.two_by_two(-2.0, 0.5, 0.1).required_det_sign
    -1
    """
    observed = {"z": z, "z_prime": z_prime, "eps": eps}
    for name, value in observed.items():
        observed[name] = _checks.number(name, value)
        _checks.finite(name, np.array(observed[name]))
        if observed[name] == 0 and name != "eps":
            raise ValueError(f"{name} is 0, but must be non-zero; with a zero beside it the unobserved entry is free.")
    z, z_prime, eps = observed.values()
    row, column = _checks.position("position", position)
    size = _checks.integer("size", size, 2)
    _checks.room("size", size, size * size)
    dense = np.eye(size)
    dense[row, column] = math.nan
    dense[row, 1 - column], dense[1 - row, column], dense[1 - row, 1 - column] = z, z_prime, eps
    on_diagonal = 1 if row == column else -1
    return MatrixCompletion.from_dense(
        dense,
        loss=loss,
        dtype=dtype,
        infimal_rank=size - 1,
        infimal_erank=1.0,
        required_det_sign=on_diagonal * (1 if (z > 0) == (z_prime > 0) else -1),
    )
