"""Deep matrix factorization: a solution written as the product of L matrices."""

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax.numpy as jnp
import numpy as np

from .. import _checks, measures
from .._declared import declared
from .._types import Array, ArrayLike, DTypeLike, Entries, Key, Matrices, Probe, Self
from ..measures._namespace import floating
from . import initialisation
from .base import SPECTRUM, AbstractFactorization
from .products import chain_product

# Larger products are never formed for their singular values; of 8192 x 8192 these take minutes.
_FORMED = 2**26


@declared("factorization", "matrix", lanes=("scale", "factor_std", "alpha"), widths=list[int] | None)
class MatrixFactorization(AbstractFactorization):
    """End-to-end matrix ``W_L ... W_1``, held as its factors.

    Made of arrays that you have, as here; drawn, `init`; or balanced, of the end-to-end matrix, `from_end_to_end`.

    Parameters
    ----------
    factors : sequence of arrays, shapes (width_j, width_{j-1})
        ``factors[0]`` is ``W_1``; all have a leading axis of lanes when many starts are held together.

    Raises
    ------
    ValueError
        If there is no factor, one is no matrix of real numbers, the factors do not multiply out, or have different
        lanes.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.MatrixFactorization([np.eye(2), 2 * np.eye(2)]).full()
    array([[2., 0.],
           [0., 2.]])
    """

    factors: tuple[Array, ...]

    chain: ClassVar[bool] = True

    def __init__(self, factors: Sequence[ArrayLike]) -> None:
        listed = _checks.sequence("factors", factors, "a list of matrices, W_1 first")
        self.factors = tuple(_factor(f"factors[{j}]", w) for j, w in enumerate(listed))
        _checks.chain(self.factors)

    @classmethod
    def init(
        cls,
        shape: Sequence[int],
        depth: int,
        *,
        key: Key | None = None,
        kind: str = "gaussian",
        scale: ArrayLike | None = None,
        factor_std: ArrayLike | None = None,
        alpha: ArrayLike | None = None,
        widths: ArrayLike | None = None,
        det_sign: int | None = None,
        dtype: DTypeLike = "float64",
    ) -> Self:
        """Draw a start, or one for each key of an array of keys.

        Parameters
        ----------
        shape : tuple of int
            Rows and columns of the end-to-end matrix.
        depth : int
            Number of factors ``L``, 1 or more.
        key : jax.random key, or array of keys, shape (lanes,)
            An array of keys makes lanes; lane ``i`` is the start that ``key[i]`` alone would give. Not needed for
            ``kind="identity"``.
        kind : {"gaussian", "balanced", "identity", "orthogonal"}
        scale : float, or array_like, shape (lanes,), optional
            Standard deviation of an END-TO-END entry.
        factor_std : float, or array_like, shape (lanes,), optional
            Standard deviation of a factor's entry instead (Gaussian only).
        alpha : float, or array_like, shape (lanes,), optional
            Multiple of the identity end to end (identity only), 1 by default.
        widths : array_like of int, shape (depth - 1,), optional
            The hidden widths, from the input side; ``min(rows, columns)`` by default.
        det_sign : {1, -1}, optional
            The start is drawn again until its determinant has this sign.
        dtype : {"float64", "float32"}

        Returns
        -------
        MatrixFactorization
            Factors as NumPy arrays, with a leading lane axis if ``key``, ``scale``, ``factor_std`` or ``alpha`` has
            one.

        Raises
        ------
        ValueError
            If a number is out of range, an option does not fit the kind, or a determinant sign is asked of a product
            that is not square or cannot have it.

        References
        ----------
        Arora, Cohen and Hazan (2018), procedure 1, for the balanced start.

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-6, key=jax.random.key(0))
        >>> bool(rf.measures.unbalancedness(start.factors) < 1e-18)
        True
        """
        sizes = {"scale": scale, "factor_std": factor_std, "alpha": alpha}
        drawn = initialisation.draw(
            shape, depth, key=key, kind=kind, sizes=sizes, widths=widths, det_sign=det_sign, dtype=dtype
        )
        return cls(drawn)

    @classmethod
    def from_end_to_end(cls, matrix: ArrayLike, depth: int, *, widths: ArrayLike | None = None) -> Self:
        """Balanced factors of a matrix, or of one for each lane.

        Parameters
        ----------
        matrix : array_like, shape (rows, columns) or (lanes, rows, columns)
        depth : int
            Number of factors ``L``, 1 or more.
        widths : sequence of int, optional
            The ``depth - 1`` hidden widths, not below the rank; ``min(rows, columns)`` by default.

        Returns
        -------
        MatrixFactorization
            ``W_1 = S^(1/L) V^T``, ``S^(1/L)`` between, ``W_L = U S^(1/L)`` for ``matrix = U S V^T``.

        Raises
        ------
        ValueError
            If the matrix is not finite, or a width is below its rank.

        References
        ----------
        Arora, Cohen and Hazan (2018), procedure 1.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.MatrixFactorization.from_end_to_end([[8.0]], depth=3).factors[0].round(12)
        array([[2.]])
        """
        w = _checks.real("matrix", matrix)
        if w.ndim not in (2, 3) or 0 in w.shape:
            raise ValueError(f"matrix has shape {w.shape}, but must be a matrix, or lanes of matrices.")
        _checks.finite("matrix", w)
        sizes = initialisation._sizes(w.shape[-2:], _checks.positive_integer("depth", depth), widths)
        lanes = w if w.ndim == 3 else w[None]
        factors = initialisation.spread(lanes, sizes)
        lost = np.abs(chain_product(factors) - lanes).max(axis=(1, 2))
        if (lost > 1e-10 * np.abs(lanes).max(axis=(1, 2))).any():
            raise ValueError(
                f"widths has {min(sizes)}, but must leave room for the rank of the matrix; take wider ones."
            )
        return cls([f if w.ndim == 3 else f[0] for f in factors])

    def balance(self) -> "MatrixFactorization":
        """Balanced factors with the same product, depth and widths.

        Returns
        -------
        MatrixFactorization

        Raises
        ------
        ValueError
            If a factor is not finite.

        References
        ----------
        Arora, Cohen and Hazan (2018), definition 1 (balanced factors).

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> start = rf.MatrixFactorization.init((2, 2), depth=3, scale=0.1, key=jax.random.key(0))
        >>> before, after = (rf.measures.unbalancedness(f.factors) for f in (start, start.balance()))
        >>> bool(before > 0.1), bool(after < 1e-15)
        (True, True)
        """
        factors = [np.asarray(w, dtype=np.float64) for w in self.factors]
        return MatrixFactorization.from_end_to_end(chain_product(factors), self.depth, widths=self.widths or None)

    @classmethod
    def stack(cls, starts: "Sequence[MatrixFactorization]") -> "MatrixFactorization":
        """Put starts of one shape together as lanes, in the order given.

        Parameters
        ----------
        starts : sequence of MatrixFactorization
            Single starts or lanes, all of the same depth and widths.

        Returns
        -------
        MatrixFactorization

        Raises
        ------
        ValueError
            If there is no start, or depths or widths differ.

        Examples
        --------
        >>> import rankfall as rf
        >>> one = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=0.1)
        >>> rf.MatrixFactorization.stack([one, one]).lanes
        2
        """
        listed = _checks.sequence("starts", starts, "a list of factorizations")
        if not listed:
            raise ValueError("starts is empty, but at least one start is needed.")
        for j, start in enumerate(listed):
            if not isinstance(start, MatrixFactorization):
                raise ValueError(f"starts[{j}] is {_checks.shortened(start)}, but must be a MatrixFactorization.")
        chains = [s.as_lanes().factors for s in listed]
        if len({tuple(w.shape[1:] for w in chain) for chain in chains}) > 1:
            raise ValueError("starts differ in depth or widths, but lanes are starts of one shape; train them apart.")
        return cls([np.concatenate(layer) for layer in zip(*chains, strict=True)])

    @property
    def depth(self) -> int:
        """Number of factors."""
        return len(self.factors)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the end-to-end matrix."""
        return int(self.factors[-1].shape[-2]), int(self.factors[0].shape[-1])

    @property
    def widths(self) -> tuple[int, ...]:
        """Hidden widths, from the input side."""
        return tuple(int(w.shape[-2]) for w in self.factors[:-1])

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single start."""
        return int(self.factors[0].shape[0]) if self.factors[0].ndim == 3 else None

    def full(self) -> Matrices:
        """End-to-end matrix, shape ``(..., rows, columns)``; NumPy for NumPy factors."""
        return chain_product(self.factors)

    def entries_at(self, indices: Array) -> Entries:
        """Entries, for indices that were checked or are traced."""
        columns = self.factors[0][..., :, indices[:, 1]]
        for w in self.factors[1:-1]:
            columns = w @ columns
        if self.depth == 1:
            return self.factors[0][..., indices[:, 0], indices[:, 1]]
        last = self.factors[-1][..., indices[:, 0], :]
        return (last * columns.swapaxes(-1, -2)).sum(axis=-1)

    def conserved(self) -> tuple[Array, ...]:
        """``W_{j+1}^T W_{j+1} - W_j W_j^T`` of all neighbouring layers."""
        pairs = zip(self.factors[:-1], self.factors[1:], strict=True)
        return tuple(after.swapaxes(-1, -2) @ after - before @ before.swapaxes(-1, -2) for before, after in pairs)

    def probes(self) -> list[Probe]:
        """Singular values, unbalancedness, and sign and magnitude of the determinant where there is one."""
        chosen = [Probe("unbalancedness", _unbalancedness)]
        if math.prod(self.shape) <= _FORMED:
            chosen.insert(0, Probe("singular_values", _singular_values, SPECTRUM))
        if self.shape[0] == self.shape[1]:
            chosen += [Probe("det_sign", _det_sign), Probe("log_abs_det", _log_abs_det)]
        return chosen

    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""
        return {"factorization": type(self).__name__, "depth": self.depth, "widths": list(self.widths)}


@runtime_checkable
class _Chain(Protocol):
    """What probes need of a chain: a loop may hold it entry by entry."""

    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def factors(self) -> tuple[Array, ...]: ...


def _singular_values(model: _Chain, end_to_end: Array) -> Array:
    s = measures.singular_values(end_to_end)
    if model.shape != (2, 2):
        return s
    # The factors know the determinant where the product matrix has lost it to rounding: sigma_2 = |det| / sigma_1.
    _, log_abs_det = measures.signed_log_det(model.factors)
    top = jnp.where(s[0] > 0, s[0], 1)
    return jnp.stack([s[0], jnp.minimum(jnp.exp(log_abs_det) / top, s[0])])


def _det_sign(model: _Chain, end_to_end: Array) -> Array:
    return measures.det_sign(model.factors)


def _log_abs_det(model: _Chain, end_to_end: Array) -> Array:
    return measures.log_abs_det(model.factors)


def _unbalancedness(model: _Chain, end_to_end: Array) -> Array:
    return measures.unbalancedness(model.factors)


def _factor(name: str, value: ArrayLike) -> Array:
    """Return a matrix or lanes of matrices as floating-point numbers."""
    array = floating(name, value)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}, but must be a matrix, or lanes of matrices.")
    return array
