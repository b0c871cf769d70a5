"""Measures of a chain of factors ``W_1, ..., W_L`` (``factors[0]`` is ``W_1``; leading axes are a batch).

Signs and determinants are read off the factors: the determinant of the product matrix cancels, and once it is smaller
than the rounding of ``W_12 W_21`` its sign is noise.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._execution import usual_errors
from .._types import Array, Scalars, SquareMatrices
from ._namespace import matrices, namespace
from .norms import frobenius_norm


@usual_errors()
def signed_log_det(factors: Sequence[Any]) -> tuple[Scalars, Scalars]:
    """Sign and log-magnitude of ``det(W_L ... W_1)``, from the factors.

    Square layers contribute their own determinants. For other hidden widths an orthonormal basis is carried through
    the chain, ``W_1 = Q_1 R_1``, ``W_2 Q_1 = Q_2 R_2``, ..., so that no product is ever formed.

    Parameters
    ----------
    factors : sequence of arrays, shapes (..., width_j, width_{j-1})
        The product has to be square; hidden widths are free. A hidden width below the outer one makes the
        determinant exactly zero.

    Returns
    -------
    sign : array, shape (...)
        -1, 0 or +1.
    log_abs_det : array, shape (...)
        Natural logarithm of the magnitude; ``-inf`` where the sign is 0.

    Raises
    ------
    ValueError
        If the product of the factors is not square.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> sign, log_abs = rf.measures.signed_log_det([np.diag([1e-200, 1.0]), np.diag([-1e-200, 1.0])])
    >>> float(sign), round(float(log_abs / np.log(10)), 9)
    (-1.0, -400.0)
    """
    chain = _chain(factors)
    rows, columns = chain[-1].shape[-2], chain[0].shape[-1]
    if rows != columns:
        raise ValueError(
            f"factors multiply out to shape ({rows}, {columns}), but a determinant needs a square product."
        )
    xp = namespace(*chain)
    batch = chain[0].shape[:-2]
    if min(w.shape[-2] for w in chain) < rows:
        # xp.zeros in the factors' own precision: the product has rank below its size, whatever the entries.
        return xp.zeros(batch, chain[0].dtype), xp.full(batch, -xp.inf, chain[0].dtype)
    squares = chain if all(w.shape[-2:] == (rows, rows) for w in chain) else _qr_chain(chain)
    if rows == 2:
        # Together: so many times fewer equations are compiled. Larger ones must not be: of several matrices at once
        # LAPACK in jaxlib waits for threads that two such calls take from each other for good.
        signs, logs = _sign_log(xp.stack(squares))
        return xp.prod(signs, axis=0), xp.sum(logs, axis=0)
    parts = [_sign_log(w) for w in squares]
    sign, log_abs = parts[0]
    for s, v in parts[1:]:
        sign, log_abs = sign * s, log_abs + v
    return sign, log_abs


@usual_errors()
def det_sign(factors: Sequence[Any]) -> Array:
    """Sign of the end-to-end determinant, from the factors: see `signed_log_det`.

    Parameters
    ----------
    factors : sequence of arrays, shapes (..., width_j, width_{j-1})

    Returns
    -------
    array, shape (...)
        -1, 0 or +1.

    Raises
    ------
    ValueError
        If the product of the factors is not square.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.det_sign([np.eye(2), np.diag([1.0, -1.0])]))
    -1.0
    """
    return signed_log_det(factors)[0]


@usual_errors()
def log_abs_det(factors: Sequence[Any]) -> Array:
    """Log-magnitude of the end-to-end determinant, from the factors: see `signed_log_det`.

    Parameters
    ----------
    factors : sequence of arrays, shapes (..., width_j, width_{j-1})

    Returns
    -------
    array, shape (...)
        Natural logarithm; ``-inf`` where the determinant is zero.

    Raises
    ------
    ValueError
        If the product of the factors is not square.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.log_abs_det([np.eye(2), np.eye(2)]))
    0.0
    """
    return signed_log_det(factors)[1]


@usual_errors()
def unbalancedness(factors: Sequence[Any]) -> Scalars:
    """Largest imbalance of neighbouring layers, ``max_j ||W_{j+1}^T W_{j+1} - W_j W_j^T||_F``.

    Zero for balanced factors, which gradient flow preserves; zero by definition at depth 1.

    Parameters
    ----------
    factors : sequence of arrays, shapes (..., width_j, width_{j-1})

    Returns
    -------
    array, shape (...)

    Raises
    ------
    ValueError
        If the factors do not multiply out, or have different lanes.

    References
    ----------
    Arora, Cohen and Hazan (2018), definition 1.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> float(rf.measures.unbalancedness([np.diag([1.0, 0.0]), 2 * np.eye(2)]))
    5.0
    """
    chain = _chain(factors)
    xp = namespace(*chain)
    worst = xp.zeros(chain[0].shape[:-2], chain[0].dtype)
    for lower, upper in zip(chain[:-1], chain[1:], strict=True):
        difference = xp.swapaxes(upper, -1, -2) @ upper - lower @ xp.swapaxes(lower, -1, -2)
        worst = xp.maximum(worst, frobenius_norm(difference))
    return worst


def _chain(factors: Sequence[Any]) -> list[Array]:
    listed = _checks.sequence("factors", factors, "a list of matrices, W_1 first")
    chain = [matrices(f"factors[{j}]", w) for j, w in enumerate(listed)]
    _checks.chain(chain)
    return chain


def _qr_chain(chain: list[Array]) -> list[Array]:
    """Return square matrices whose determinants multiply to that of the product."""
    xp = namespace(*chain)
    basis, squares = None, []
    for w in chain[:-1]:
        basis, triangle = xp.linalg.qr(w if basis is None else w @ basis)
        squares.append(triangle)
    return [*squares, chain[-1] if basis is None else chain[-1] @ basis]


def _sign_log(w: SquareMatrices) -> tuple[Scalars, Scalars]:
    xp = namespace(w)
    if w.shape[-2:] != (2, 2):
        # NumPy warns of a NaN, which a diverged lane may well hold.
        with np.errstate(invalid="ignore"):
            sign, log_abs = xp.linalg.slogdet(w)
        return sign, log_abs
    # Closed form, scaled so that neither product underflows (depth 2 takes single layers far below 1e-154).
    size = abs(w).max(axis=(-2, -1))
    size = xp.where(xp.isfinite(size), size, xp.full_like(size, xp.nan))
    unit = w / xp.where(size == 0, xp.ones_like(size), size)[..., None, None]
    det = unit[..., 0, 0] * unit[..., 1, 1] - unit[..., 0, 1] * unit[..., 1, 0]
    nonzero = det != 0
    log_unit = xp.log(xp.where(nonzero, abs(det), xp.ones_like(det)))
    log_size = 2 * xp.log(xp.where(size > 0, size, xp.ones_like(size)))
    return xp.sign(det), xp.where(nonzero, log_unit + log_size, xp.full_like(det, -xp.inf))
