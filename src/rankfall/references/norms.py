"""Norms as references need them: their values, their dual norms, and what CVXPY calls them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import _checks, measures
from ..measures import spectrum

EXPECTED = (
    f"a function of one matrix, or one of {', '.join(map(repr, measures.NORMS))}, or 'schatten-p' or 'entrywise-p' "
    "with a positive number p, or 'ky-fan-k' with a positive integer k"
)


@dataclass(frozen=True)
class Norm:
    """A norm or quasi-norm of matrices.

    Attributes
    ----------
    name : str
    value : callable
        From matrices (..., rows, columns) to numbers.
    dual : callable or None
        The dual norm of a single matrix, where the norm is one by name and convex.
    expression : callable or None
        From CVXPY and its variable to CVXPY's expression, where it has one.
    power : float
        ``||A + B||^power <= ||A||^power + ||B||^power``: 1 for norms, p for Schatten and entrywise p < 1; NaN for a
        function, of which it is not known.
    spectral : bool
        Whether it is one of singular values.
    numbers, of_numbers, speed : callable or None
        Of norms by name: the numbers of a matrix that it grows with (singular values, magnitudes), its value from them,
        and how fast each can change along a direction.
    """

    name: str
    value: Callable[[Any], Any]
    dual: Callable[[np.ndarray], float] | None = None
    expression: Callable[[Any, Any], Any] | None = None
    power: float = 1.0
    spectral: bool = False
    numbers: Callable[[Any], Any] | None = None
    of_numbers: Callable[[Any], Any] | None = None
    speed: Callable[[np.ndarray], Any] | None = None


def norm_of(norm: Any) -> Norm:
    """Look a name up, or wrap a function; refuse anything else."""
    own = next((name for name, function in measures.NORMS.items() if function is norm), norm)
    if not isinstance(own, str) and callable(own):
        name = str(getattr(own, "__name__", type(own).__name__))
        return Norm(name, lambda batch: _each(own, name, batch), power=np.nan)
    if isinstance(own, str):
        family, _, order = own.rpartition("-") if own.startswith("ky-fan-") else own.partition("-")
        name, p = _SAME.get(own, (family, _number(order)))
        if name in ("schatten", "entrywise") and p > 0:
            return _of_order(own, name, p)
        if name == "ky-fan" and p >= 1 and p == int(p):
            return _ky_fan(own, int(p))
        if own in _INDUCED:
            value, dual, expression = _INDUCED[own]
            return Norm(own, value, dual, expression, numbers=abs, of_numbers=value, speed=abs)
    raise ValueError(f"norm is {_checks.shortened(norm)}, but must be {EXPECTED}.")


def _magnitudes(batch: Any) -> Any:
    return abs(batch).reshape(*batch.shape[:-2], -1)


_NUMBERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "schatten": (measures.singular_values, measures.spectral_norm),
    "entrywise": (_magnitudes, _magnitudes),
}
# Names of measures that are members of a family.
_SAME = {"nuclear": ("schatten", 1.0), "frobenius": ("schatten", 2.0), "spectral": ("schatten", np.inf)}


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return np.nan


def _of_order(name: str, family: str, p: float) -> Norm:
    function = measures.schatten_norm if family == "schatten" else measures.entrywise_norm

    def value(batch: Any) -> Any:
        return function(batch, p)

    numbers, speed = _NUMBERS[family]
    known: dict[str, Any] = {"numbers": numbers, "of_numbers": partial(spectrum.schatten_norm, p=p), "speed": speed}
    if p < 1:
        return Norm(name, value, power=p, **known)
    conjugate = np.inf if p == 1 else 1.0 if np.isinf(p) else p / (p - 1)
    atoms: dict[float, Callable[[Any, Any], Any]] = {
        1.0: lambda cp, x: cp.normNuc(x), 2.0: lambda cp, x: cp.norm(x, "fro"), np.inf: lambda cp, x: cp.sigma_max(x)
    }  # fmt: skip
    if family == "schatten":
        expression = atoms.get(p)
    else:

        def expression(cp: Any, x: Any) -> Any:
            return cp.pnorm(cp.vec(x, order="C"), p)

    known["spectral"] = family == "schatten"
    return Norm(name, value, lambda y: float(function(y, conjugate)), expression, **known)


def _ky_fan(name: str, k: int) -> Norm:
    def dual(y: np.ndarray) -> float:
        return max(float(measures.spectral_norm(y)), float(measures.nuclear_norm(y)) / k)

    def expression(cp: Any, x: Any) -> Any:
        # The eigenvalues of this matrix are the singular values and their negatives.
        rows, columns = x.shape
        whole = cp.bmat([[np.zeros((rows, rows)), x], [x.T, np.zeros((columns, columns))]])
        return cp.lambda_sum_largest(whole, min(k, rows, columns))

    def value(batch: Any) -> Any:
        return measures.ky_fan_norm(batch, min(k, *np.shape(batch)[-2:]))

    def of_numbers(s: Any) -> Any:
        return s[..., :k].sum(axis=-1)

    numbers, speed = _NUMBERS["schatten"]
    return Norm(name, value, dual, expression, 1.0, True, numbers, of_numbers, speed)


_INDUCED: dict[str, tuple[Any, Any, Any]] = {
    "max_column_sum": (
        measures.max_column_sum,
        lambda y: float(abs(y).max(axis=0).sum()),
        lambda cp, x: cp.max(cp.sum(cp.abs(x), axis=0)),
    ),
    "max_row_sum": (
        measures.max_row_sum,
        lambda y: float(abs(y).max(axis=1).sum()),
        lambda cp, x: cp.max(cp.sum(cp.abs(x), axis=1)),
    ),
}


def _each(function: Callable[[Any], Any], name: str, batch: Any) -> np.ndarray:
    stack = np.asarray(batch, float)
    found = [function(matrix) for matrix in stack.reshape(-1, *stack.shape[-2:])]
    if any(np.shape(value) != () for value in found):
        raise ValueError(f"norm is {name}, but must give one number for a matrix.")
    values = _checks.real(f"values of {name}", found)
    _checks.finite(f"values of {name}", values)
    return values.reshape(stack.shape[:-2])
