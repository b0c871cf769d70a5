"""Norms as references need them: their dual norms, what CVXPY calls them, and the numbers that they grow with."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from .. import measures
from .._types import Array
from ..measures import spectrum
from ..measures.named_norms import NamedNorm, named_norm


@dataclass(frozen=True)
class Norm:
    """A norm or quasi-norm of matrices, and what is known of it beyond its values.

    Attributes
    ----------
    named : NamedNorm
        What was looked up.
    dual : callable or None
        The dual norm of a single matrix, where the norm is one by name and convex.
    expression : callable or None
        From CVXPY and its variable to CVXPY's expression, where it has one.
    numbers, of_numbers, speed : callable or None
        Of norms by name: the numbers of a matrix that it grows with (singular values, magnitudes), its value from them,
        and how fast each can change along a direction.
    """

    named: NamedNorm
    dual: Callable[[np.ndarray], float] | None = None
    expression: Callable[[Any, Any], Any] | None = None
    numbers: Callable[[Any], Any] | None = None
    of_numbers: Callable[[Any], Any] | None = None
    speed: Callable[[np.ndarray], Any] | None = None

    @property
    def name(self) -> str:
        """The word, or the function's name."""
        return self.named.name

    @property
    def power(self) -> float:
        """The power of ``||A + B||^power <= ||A||^power + ||B||^power``; NaN for a function."""
        return self.named.power

    @property
    def spectral(self) -> bool:
        """Whether it is one of singular values."""
        return self.named.family in ("schatten", "ky-fan")

    def value(self, batch: Array) -> Any:
        """Evaluate it at matrices (..., rows, columns); a function must give finite numbers."""
        return self.named(batch) if self.named.known else self.named.finite(batch)


def norm_of(norm: object) -> Norm:
    """Look a name up, or wrap a function; refuse anything else."""
    named = named_norm("norm", norm)
    made = {"schatten": _of_order, "entrywise": _of_order, "ky-fan": _ky_fan, "induced": _induced, "function": Norm}
    return made[named.family](named)


def _magnitudes(batch: Array) -> Any:
    return abs(batch).reshape(*batch.shape[:-2], -1)


_NUMBERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "schatten": (measures.singular_values, measures.spectral_norm),
    "entrywise": (_magnitudes, _magnitudes),
}
_ATOMS: dict[float, Callable[[Any, Any], Any]] = {
    1.0: lambda cp, x: cp.normNuc(x), 2.0: lambda cp, x: cp.norm(x, "fro"), np.inf: lambda cp, x: cp.sigma_max(x)
}  # fmt: skip


def _of_order(named: NamedNorm) -> Norm:
    p, schatten = named.order, named.family == "schatten"
    numbers, speed = _NUMBERS[named.family]
    made = partial(Norm, named, numbers=numbers, of_numbers=partial(spectrum.schatten_norm, p=p), speed=speed)
    if p < 1:
        return made()
    function = measures.schatten_norm if schatten else measures.entrywise_norm
    conjugate = np.inf if p == 1 else 1.0 if np.isinf(p) else p / (p - 1)

    def entrywise(cp: ModuleType, x: Any) -> Any:
        return cp.pnorm(cp.vec(x, order="C"), p)

    expression = _ATOMS.get(p) if schatten else entrywise
    return made(dual=lambda y: float(function(y, conjugate)), expression=expression)


def _ky_fan(named: NamedNorm) -> Norm:
    k = int(named.order)

    def dual(y: np.ndarray) -> float:
        return max(float(measures.spectral_norm(y)), float(measures.nuclear_norm(y)) / k)

    def expression(cp: ModuleType, x: Any) -> Any:
        # The eigenvalues of this matrix are the singular values and their negatives.
        rows, columns = x.shape
        whole = cp.bmat([[np.zeros((rows, rows)), x], [x.T, np.zeros((columns, columns))]])
        return cp.lambda_sum_largest(whole, min(k, rows, columns))

    def of_numbers(s: Array) -> Any:
        return s[..., :k].sum(axis=-1)

    numbers, speed = _NUMBERS["schatten"]
    return Norm(named, dual, expression, numbers, of_numbers, speed)


def _induced(named: NamedNorm) -> Norm:
    """Operator norm of l_1, the largest column sum, or of l_infinity, the largest row sum."""
    along = 0 if named.order == 1 else 1

    def dual(y: np.ndarray) -> float:
        return float(abs(y).max(axis=along).sum())

    def expression(cp: ModuleType, x: Any) -> Any:
        return cp.max(cp.sum(cp.abs(x), axis=along))

    return Norm(named, dual, expression, numbers=abs, of_numbers=named, speed=abs)
