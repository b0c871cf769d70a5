"""Deep matrix factorization: a solution written as the product of L matrices."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from .. import _checks
from .._types import Array, Entries, Matrices
from ..measures._namespace import floating
from . import initialisation
from .base import AbstractFactorization
from .products import chain_product


class MatrixFactorization(AbstractFactorization):
    """End-to-end matrix ``W_L ... W_1``, held as its factors.

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

    def __init__(self, factors: Sequence[Any]) -> None:
        listed = _checks.sequence("factors", factors, "a list of matrices, W_1 first")
        self.factors = tuple(_factor(f"factors[{j}]", w) for j, w in enumerate(listed))
        _checks.chain(self.factors)

    @classmethod
    def init(cls, shape: tuple[int, int], depth: int, *, key: Any = None, **options: Any) -> "MatrixFactorization":
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
        **options
            ``kind`` : {"gaussian", "balanced", "identity", "orthogonal"}, "gaussian" by default.
            ``scale`` : standard deviation of an END-TO-END entry (number, or one for each lane).
            ``factor_std`` : standard deviation of a factor's entry instead (Gaussian only).
            ``alpha`` : multiple of the identity end to end (identity only).
            ``widths`` : the ``depth - 1`` hidden widths; ``min(rows, columns)`` by default.
            ``det_sign`` : +1, -1 or None; the start is drawn again until its determinant has this sign.
            ``dtype`` : "float64" or "float32".

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
        return cls(initialisation.draw(shape, depth, key=key, **options))

    @classmethod
    def from_end_to_end(cls, matrix: Any, depth: int, *, widths: Any = None) -> "MatrixFactorization":
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

    def entries(self, indices: Any) -> Entries:
        """End-to-end entries, without forming the full matrix.

        Parameters
        ----------
        indices : array_like of int, shape (n, 2)
            0-based rows and columns.

        Returns
        -------
        array, shape (..., n)

        Raises
        ------
        ValueError
            If ``indices`` has another shape or a place outside of the matrix.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=1.0).entries([[0, 0], [0, 1]])
        array([1., 0.])
        """
        where = _checks.indices("indices", indices, self.shape)
        columns = self.factors[0][..., :, where[:, 1]]
        for w in self.factors[1:-1]:
            columns = w @ columns
        if self.depth == 1:
            return self.factors[0][..., where[:, 0], where[:, 1]]
        last = self.factors[-1][..., where[:, 0], :]
        return (last * columns.swapaxes(-1, -2)).sum(axis=-1)

    @classmethod
    def like(cls, factors: Sequence[Any]) -> "MatrixFactorization":
        """Return other factors in this form."""
        return cls(factors)

    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""
        return {"factorization": type(self).__name__, "depth": self.depth, "widths": list(self.widths)}


def _factor(name: str, value: Any) -> Array:
    """Return a matrix or lanes of matrices as floating-point numbers."""
    array = floating(name, value)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}, but must be a matrix, or lanes of matrices.")
    return array
