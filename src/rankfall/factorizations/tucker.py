"""Tucker factorization: a small core tensor multiplied by a matrix in every mode."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._declared import declared
from .._types import Array, ArrayLike, DTypeLike, Key, Probe, Self
from ..measures._namespace import floating, namespace
from . import tensor_start
from .base import AbstractFactorization
from .cp import check_size

# Rounds of balancing one mode after the other; each brings the worst imbalance down by a constant factor.
_MOST_ROUNDS, _ROUNDS_A_CHECK = 1000, 8


@declared("factorization", "tucker", lanes=("scale", "factor_std"), ranks=list[int] | None)
class TuckerFactorization(AbstractFactorization):
    """Tensor ``core x_1 U_1 ... x_N U_N``, held as the mode matrices ``U_n`` and, last, the core.

    Made of arrays that you have, as here, or drawn: `init`.

    Parameters
    ----------
    factors : sequence of arrays, shapes (extent_n, rank_n), and last (rank_1, ..., rank_N)
        Two mode matrices at least; all have a leading axis of lanes when many starts are held together.

    Raises
    ------
    ValueError
        If there are fewer than three factors, one does not hold real numbers, or the ranks or lanes of the core and
        the mode matrices differ.

    Notes
    -----
    With two modes it is the matrix factorization of depth 3, ``factors[0] core factors[1]^T``.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.TuckerFactorization([np.ones((2, 1)), np.ones((3, 1)), np.ones((4, 1)), np.ones((1, 1, 1))]).full().shape
    (2, 3, 4)
    """

    factors: tuple[Array, ...]

    def __init__(self, factors: Sequence[ArrayLike]) -> None:
        listed = _checks.sequence("factors", factors, "a list of one matrix for each mode and, last, the core")
        self.factors = tuple(floating(f"factors[{n}]", w) for n, w in enumerate(listed))
        if len(self.factors) < 3:
            raise ValueError(
                f"factors has {len(self.factors)} arrays, but needs the matrices of two modes or more and, last, the "
                "core."
            )
        *matrices, core = self.factors
        order = len(matrices)
        for n, w in enumerate(matrices):
            if w.ndim not in (2, 3) or 0 in w.shape:
                raise ValueError(
                    f"factors[{n}] has shape {tuple(w.shape)}, but must be a matrix (extent, rank), or lanes of them."
                )
            if w.shape[:-2] != matrices[0].shape[:-2]:
                raise ValueError(
                    f"factors[{n}] has lanes {tuple(w.shape[:-2])}, but factors[0] has {tuple(matrices[0].shape[:-2])};"
                    " all must be equal."
                )
        expected = (*matrices[0].shape[:-2], *(w.shape[-1] for w in matrices))
        _checks.same_shape(
            f"factors[{order}]", core.shape, expected, "the core comes last and has the ranks of the mode matrices"
        )

    @classmethod
    def init(
        cls,
        shape: Sequence[int],
        ranks: Sequence[int] | np.ndarray | None = None,
        *,
        key: Key,
        kind: str = "gaussian",
        factor_std: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        dtype: DTypeLike = "float64",
    ) -> Self:
        """Draw a start, or one for each key of an array of keys.

        Parameters
        ----------
        shape : sequence of int
            Extents of the tensor.
        ranks : sequence of int, optional
            Extents of the core; by default full, each the smaller of its extent and the product of all others, which
            every tensor of this shape can be written with.
        key : jax.random key, or array of keys, shape (lanes,)
            An array of keys makes lanes.
        kind : {"gaussian", "balanced"}
            Balanced: in every mode the Gram matrix of the mode matrix's columns equals that of the core's slices, which
            gradient flow conserves; the tensor is that of the Gaussian start.
        factor_std : float, or array_like, shape (lanes,), optional
            Standard deviation of an entry of the (Gaussian) factors, core included.
        scale : float, or array_like, shape (lanes,), optional
            Standard deviation of an END-TO-END entry instead.
        dtype : {"float64", "float32"}

        Returns
        -------
        TuckerFactorization
            Factors as NumPy arrays, with a leading lane axis if ``key`` or the size has one.

        Raises
        ------
        ValueError
            If a number is out of range, a balanced start is asked for with a rank above its extent or above the product
            of the other ranks, or the factors do not fit in memory.

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> rf.TuckerFactorization.init((8, 8, 8), (2, 2, 3), factor_std=1e-2, key=jax.random.key(0)).ranks
        (2, 2, 3)
        """
        drawn = _draw(shape, ranks, key=key, kind=kind, factor_std=factor_std, scale=scale, dtype=dtype)
        return cls(drawn)

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the tensor."""
        return tuple(int(w.shape[-2]) for w in self.factors[:-1])

    @property
    def ranks(self) -> tuple[int, ...]:
        """Extents of the core."""
        return tuple(int(w.shape[-1]) for w in self.factors[:-1])

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single start."""
        return int(self.factors[0].shape[0]) if self.factors[0].ndim == 3 else None

    def full(self) -> Array:
        """Form the tensor; NumPy for NumPy factors.

        Returns
        -------
        array, shape (..., *shape)

        Raises
        ------
        ValueError
            If the tensor would not fit in memory; `entries` forms no more than the entries asked for.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.TuckerFactorization([np.eye(2), np.full((2, 2), 2.0), np.eye(2)]).full()
        array([[2., 2.],
               [2., 2.]])
        """
        check_size(self.shape, self.factors[0], self.lanes)
        *matrices, tensor = self.factors
        for w in matrices:
            tensor = _first_mode_last(tensor, w)
        return tensor

    def entries_at(self, indices: Array) -> Array:
        """Entries, for indices that were checked or are traced.

        On the way each entry takes as many numbers as the core has beside its largest extent.
        """
        *matrices, core = self.factors
        lead, order = core.ndim - len(matrices), len(matrices)
        # The largest extent goes first, in one matrix product; what is left is held for every entry.
        modes = sorted(range(order), key=lambda n: -core.shape[lead + n])
        rows = [matrices[n][..., indices[:, n], :] for n in modes]
        core = core.transpose(*range(lead), *(lead + n for n in modes))
        rest = rows[0] @ core.reshape(*core.shape[: lead + 1], -1)
        for row in rows[1:]:
            rest = (row[..., None, :] @ rest.reshape(*row.shape, -1))[..., 0, :]
        return rest[..., 0]

    def unbalancedness(self) -> Array:
        """Largest entry of ``U_n^T U_n`` minus the Gram matrix of the core's slices, which gradient flow conserves.

        Returns
        -------
        array, shape (...)
            The largest absolute value over all modes.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> float(rf.TuckerFactorization([2 * np.eye(2), np.eye(2), np.eye(2)]).unbalancedness())
        3.0
        """
        gaps = [abs(gap).max(axis=(-2, -1)) for gap in self.conserved()]
        return namespace(*gaps).stack(gaps).max(axis=0)

    def conserved(self) -> tuple[Array, ...]:
        """``U_n^T U_n`` minus the Gram matrix of the core's slices, of every mode."""
        *matrices, core = self.factors
        return tuple(w.swapaxes(-1, -2) @ w - _gram(core, n, len(matrices)) for n, w in enumerate(matrices))

    def probes(self) -> list[Probe]:
        """Unbalancedness, with what every matrix has."""
        return [*super().probes(), Probe("unbalancedness", _unbalancedness)]

    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""
        return {"factorization": type(self).__name__, "ranks": list(self.ranks)}


def _unbalancedness(model: TuckerFactorization, end_to_end: Array) -> Array:
    return model.unbalancedness()


def _first_mode_last(tensor: Array, matrix: Array) -> Array:
    """Multiply the first mode by a matrix and move it behind the others; once for each mode, all are in place again."""
    lead = matrix.ndim - 2
    rest = tensor.shape[lead + 1 :]
    flat = tensor.reshape(*tensor.shape[: lead + 1], -1)
    return (flat.swapaxes(-1, -2) @ matrix.swapaxes(-1, -2)).reshape(*tensor.shape[:lead], *rest, matrix.shape[-2])


def _unfolded(core: Array, mode: int, order: int) -> Array:
    lead = core.ndim - order
    others = [lead + n for n in range(order) if n != mode]
    return core.transpose(*range(lead), lead + mode, *others).reshape(*core.shape[:lead], core.shape[lead + mode], -1)


def _gram(core: Array, mode: int, order: int) -> Array:
    unfolded = _unfolded(core, mode, order)
    return unfolded @ unfolded.swapaxes(-1, -2)


def _draw(
    shape: Sequence[int],
    ranks: Sequence[int] | np.ndarray | None,
    *,
    key: Key,
    kind: str,
    factor_std: ArrayLike | None,
    scale: ArrayLike | None,
    dtype: DTypeLike,
) -> list[np.ndarray]:
    extents = _checks.tensor_shape("shape", shape)
    inner = _ranks(extents, ranks)
    name, given = ("shape", shape) if ranks is None else ("ranks", ranks)
    _checks.room(name, given, math.prod(inner) + sum(n * r for n, r in zip(extents, inner, strict=True)))
    _checks.one_of("kind", kind, tensor_start.KINDS)
    if kind == "balanced":
        _check_balance(extents, inner)
    shapes = [*zip(extents, inner, strict=True), inner]
    return tensor_start.drawn(
        shapes, math.prod(inner), _balanced, key=key, kind=kind, factor_std=factor_std, scale=scale, dtype=dtype
    )


def _ranks(extents: tuple[int, ...], ranks: Sequence[int] | np.ndarray | None) -> tuple[int, ...]:
    if ranks is None:
        return tuple(min(n, math.prod(extents) // n) for n in extents)
    listed = isinstance(ranks, tuple | list) or (isinstance(ranks, np.ndarray) and ranks.ndim == 1)
    if not listed or len(ranks) != len(extents):
        raise ValueError(
            f"ranks is {_checks.shortened(ranks)}, but must be {len(extents)} integers, one for each mode."
        )
    return tuple(_checks.integer(f"ranks[{n}]", rank, 1) for n, rank in enumerate(ranks))


def _check_balance(extents: tuple[int, ...], ranks: tuple[int, ...]) -> None:
    for n, (extent, rank) in enumerate(zip(extents, ranks, strict=True)):
        others = math.prod(ranks) // rank
        if rank > min(extent, others):
            what = f"mode's extent, {extent}" if rank > extent else f"product of the other ranks, {others}"
            raise ValueError(
                f"ranks[{n}] is {rank}, but a balanced start needs at most the {what}; take fewer, or a Gaussian start."
            )


def _balanced(factors: list[np.ndarray]) -> list[np.ndarray]:
    """Balanced factors of the same tensor, one mode after the other.

    Of all factors of a tensor the balanced ones have the least sum of squares, and each mode's own minimum is known:
    ``U`` and the unfolded core ``G`` become ``U M`` and ``M^-1 G`` with ``M M^T`` the geometric mean of ``(U^T U)^-1``
    and ``G G^T``.
    """
    *matrices, core = [w.astype(np.float64) for w in factors]
    order, before = len(matrices), np.inf
    for count in range(_MOST_ROUNDS):
        for n, w in enumerate(matrices):
            root = _power(w.swapaxes(-1, -2) @ w, 0.5)
            inner = _power(root @ _gram(core, n, order) @ root, 0.25)
            change = np.linalg.solve(root, inner)
            matrices[n] = w @ change
            unfolded = np.linalg.solve(change, _unfolded(core, n, order))
            others = [extent for m, extent in enumerate(core.shape[1:]) if m != n]
            core = np.moveaxis(unfolded.reshape(len(core), core.shape[1 + n], *others), 1, 1 + n)
        if count % _ROUNDS_A_CHECK == 0:
            square = (core * core).sum(axis=tuple(range(1, core.ndim)))
            gap = float((TuckerFactorization([*matrices, core]).unbalancedness() / square).max())
            # What is left is rounding once it no longer shrinks.
            if gap <= 1e-15 or gap >= before:
                break
            before = gap
    return [*matrices, core]


def _power(gram: np.ndarray, power: float) -> np.ndarray:
    """Power of symmetric positive definite matrices."""
    values, vectors = np.linalg.eigh(gram)
    # Rounding may leave the smallest below zero.
    return (vectors * np.maximum(values, 0.0)[..., None, :] ** power) @ vectors.swapaxes(-1, -2)
