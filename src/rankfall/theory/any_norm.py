"""Theorem 1 for any norm or quasi-norm: what the bounds need to know of it, and the bounds.

A quasi-norm satisfies ``||A + B|| <= c (||A|| + ||B||)``; ``c = 1`` is a norm.  Of a function no computation finds the
smallest such ``c``: trying pairs of matrices only ever shows that it is at least something.  A bound with a constant
that is too small may be false, so what was only probed says so: ``certified`` is False.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, SupportsIndex, TypeAlias

import numpy as np

from rankfall import _checks
from rankfall._execution import usual_errors
from rankfall.measures.named_norms import named_norm
from rankfall.theory._inputs import LOSS_REMEDY, FloatArray, RealLike, non_negative, radius, single, within
from rankfall.theory._norm_probes import (
    UNITS,
    probe_triangle,
    refuse_broken_triangle,
    refuse_unless_norm,
)
from rankfall.theory.bounds import unobserved_lower_bound
from rankfall.theory.published import theorem1_norm_bound


@dataclass(frozen=True)
class NormConstants:
    """What the bounds of theorem 1 need to know of a norm or quasi-norm.

    Attributes
    ----------
    name : str
        Name of the norm, or of the function.
    norm_e11 : float
        Norm of the matrix with a single 1, at the unobserved position.
    max_norm_eij : float
        Largest norm among the four matrices with a single 1.
    norm_w0 : float
        Norm of the solution with a 0 at the unobserved position.
    triangle_constant : float
        ``c >= 1`` with ``||A + B|| <= c (||A|| + ||B||)``; only the largest one met where it is not certified.
    certified : bool
        Whether the triangle constant is known, or given by the user; False where it was probed.
    above_entry : bool
        Whether the norm of every matrix is known to be at least that of any one of its entries alone, as it is for the
        norms by name.
    """

    name: str
    norm_e11: float
    max_norm_eij: float
    norm_w0: float
    triangle_constant: float
    certified: bool
    above_entry: bool = False


Norm: TypeAlias = str | Callable[[Any], Any]


@usual_errors()
def norm_constants(
    norm: Norm, *, triangle_constant: RealLike | None = None, position: tuple[SupportsIndex, SupportsIndex] = (0, 0)
) -> NormConstants:
    """Constants of a norm or quasi-norm of 2x2 matrices, after a look at whether it is one.

    Parameters
    ----------
    norm : str or callable
        As in `rankfall.measures.norm`: ``"nuclear"``, ``"schatten-0.5"``, ``"ky-fan-1"``, ... or a function of one
        matrix, an ndarray of shape (2, 2), that gives a number.
    triangle_constant : float, optional
        ``c >= 1`` with ``||A + B|| <= c (||A|| + ||B||)``: 1 says that ``norm`` is a norm.  Taken on your word, unless
        a pair of matrices is found that breaks it.  By default that of a name, 1 or ``2^(1/p - 1)`` for ``p < 1``; of
        a function the largest one met among some hundred pairs of matrices, which is a lower bound and not certified.
    position : tuple of two ints, default (0, 0)
        Row and column of the unobserved entry.

    Returns
    -------
    NormConstants
        The constants, and whether they are certified.

    Raises
    ------
    ValueError
        If ``norm`` is no name and no function, or on a matrix tried here its value is no single number, not finite, not
        positive (seminorms too are refused), or not homogeneous; if ``triangle_constant`` is below 1, above 1e100, or
        broken by a pair of matrices; or if ``position`` is not one of the four.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (norms and quasi-norms, weakened triangle inequality).

    Examples
    --------
    >>> import numpy as np
    >>> from rankfall.theory import norm_constants
    >>> norm_constants("schatten-0.2").triangle_constant
    16.0
    >>> weights = np.array([[1.0, 2.0], [2.0, 4.0]])
    >>> norm_constants(lambda w: np.linalg.norm(weights * w), triangle_constant=1).max_norm_eij
    4.0
    """
    function = named_norm("norm", norm)
    row, column = _checks.position("position", position)
    if not function.known:
        refuse_unless_norm(function)
    special = function.finite(np.concatenate([UNITS, [_zero_solution(row, column)]]))
    if triangle_constant is not None:
        remedy = "pass 1 for a norm, None where you do not know it"
        constant = single("triangle_constant", within("triangle_constant", triangle_constant, 1, 1e100, remedy), remedy)
        refuse_broken_triangle(function, constant)
    else:
        least = function.triangle_constant
        constant = probe_triangle(function)[0] if least is None else least
    return NormConstants(
        name=function.name,
        norm_e11=float(special[2 * row + column]),
        max_norm_eij=float(special[:4].max()),
        norm_w0=float(special[4]),
        triangle_constant=constant,
        certified=function.known or triangle_constant is not None,
        above_entry=function.known,
    )


@usual_errors()
def theorem1_any_norm_bound(
    loss: RealLike, norm: Norm | NormConstants, *, triangle_constant: RealLike | None = None
) -> FloatArray:
    """Lower bound ``a / sqrt(loss) - b`` on the given norm of the end-to-end matrix, with the constants of the paper.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.
    norm : str, callable or NormConstants
        As in `norm_constants`; or its result, which is taken as it is, certified or not.
    triangle_constant : float, optional
        As in `norm_constants`; needed for a function.

    Returns
    -------
    ndarray, shape (...)
        As `theorem1_norm_bound`; for every matrix of determinant at least 0 (at most 0 if the unobserved position is
        off the diagonal).

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``norm`` or ``triangle_constant`` is what `norm_constants` refuses, a function
        comes without its triangle constant, or ``NormConstants`` with one.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (norms and quasi-norms are driven towards infinity).

    Examples
    --------
    >>> import numpy as np
    >>> from rankfall.theory import theorem1_any_norm_bound
    >>> float(theorem1_any_norm_bound(1e-4, lambda w: np.abs(w).sum(), triangle_constant=1).round(6))
    62.710678
    """
    known = _constants(norm, triangle_constant)
    return theorem1_norm_bound(loss, known.norm_e11, known.max_norm_eij, known.triangle_constant)


@usual_errors()
def generic_norm_bound(
    loss: RealLike, norm: Norm | NormConstants, *, triangle_constant: RealLike | None = None
) -> FloatArray:
    """Sharper lower bound on the given norm of the end-to-end matrix, never below `theorem1_any_norm_bound` or 0.

    With ``d = sqrt(2 loss)``, ``E`` the matrix with a single 1 at the unobserved position, ``m`` the largest norm of
    such matrices and ``B`` the `unobserved_lower_bound`, a matrix ``W`` is ``w11 E`` plus a rest, so ``||W|| >=
    B ||E|| / c - ||rest||``.  The rest is two entries within ``d`` of 1 and one within ``d`` of 0, its norm at most
    ``m (c + c^2) + s``; it is also ``W_0`` plus what is left of the residual, its norm at most ``c (||W_0|| + s)``;
    ``s = m d c sqrt(1 + 2 c^2)`` bounds the norm of three entries whose squares add up to ``d^2``.

    Parameters
    ----------
    loss : array_like, shape (...)
        Half the sum of squared residuals.
    norm : str, callable or NormConstants
        As in `norm_constants`; or its result, which is taken as it is, certified or not.
    triangle_constant : float, optional
        As in `norm_constants`; needed for a function.

    Returns
    -------
    ndarray, shape (...)
        ``B ||E|| / c`` less the smaller bound on the rest, or 0 where that is negative; ``B ||E||`` for the norms known
        to be ``above_entry``.  For every matrix of determinant at least 0 (at most 0 if the unobserved position is off
        the diagonal).

    Raises
    ------
    ValueError
        If ``loss`` is negative or NaN, ``norm`` or ``triangle_constant`` is what `norm_constants` refuses, a function
        comes without its triangle constant, or ``NormConstants`` with one.

    References
    ----------
    Sharpens Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (norms and quasi-norms), by its own argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rankfall.theory import generic_norm_bound
    >>> float(generic_norm_bound(1e-4, "nuclear").round(6))
    70.696537
    >>> float(generic_norm_bound(1e-4, lambda w: np.abs(w).sum(), triangle_constant=1).round(6))
    68.672042
    """
    known = _constants(norm, triangle_constant)
    value = non_negative("loss", loss, LOSS_REMEDY)
    least, c, largest = unobserved_lower_bound(value), known.triangle_constant, known.max_norm_eij
    if known.above_entry:
        return np.asarray(least * known.norm_e11)
    residual = largest * radius(value) * c * np.sqrt(1.0 + 2.0 * c**2)
    rest = np.minimum(largest * (c + c**2) + residual, c * (known.norm_w0 + residual))
    return np.asarray(np.maximum(least * known.norm_e11 / c - rest, 0.0))


def _constants(norm: Norm | NormConstants, triangle_constant: RealLike | None) -> NormConstants:
    """Constants of a norm that a bound may rest on: those given, or certified ones."""
    if isinstance(norm, NormConstants):
        if triangle_constant is not None:
            came = _checks.shortened(triangle_constant)
            raise ValueError(f"triangle_constant is {came}, but must be None, since NormConstants have their own.")
        return norm
    function = named_norm("norm", norm)
    if triangle_constant is None and not function.known:
        raise ValueError(
            f"norm is {function.name}, a function of unknown triangle constant, but must come with it for a "
            "bound to be true; pass triangle_constant (1 for a norm), or norm_constants(norm), which is not certified."
        )
    return norm_constants(norm, triangle_constant=triangle_constant)


def _zero_solution(row: int, column: int) -> FloatArray:
    """Solution with a 0 at the unobserved position: the other two neighbours of it are 1, the opposite entry is 0."""
    return np.eye(2) if row != column else np.array([[0.0, 1.0], [1.0, 0.0]])
