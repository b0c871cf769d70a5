"""End-to-end matrices of balanced deep factorizations by their singular values, in logarithms."""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .. import _checks, measures
from .._types import Array, ArrayLike, Entries, Matrices, Probe, Scalars, Self
from .base import SPECTRUM, AbstractModel
from .matrix import MatrixFactorization

# Factors whose imbalance is below this share of the largest squared factor count as balanced.
BALANCED = 1e-9


class SpectralFactorization(AbstractModel):
    """A balanced deep matrix factorization of depth ``L``, written ``U diag(exp(log_singular_values)) V^T``.

    Made of a matrix that you have, `from_end_to_end`; of balanced factors, `from_factors`; or of all the arrays below.

    Balanced factors are determined, up to rotations between them, by their product and the depth; so this is all there
    is to know about them, also where a singular value is far below what floating point can hold, and for depths that
    are no integers.

    Attributes
    ----------
    left : array, shape (..., rows, rank)
        Left singular vectors.
    log_singular_values : array, shape (..., rank)
        Natural logarithms of the positive singular values, largest first.
    right : array, shape (..., columns, rank)
        Right singular vectors.
    matrix : array, shape (..., rows, columns)
        The end-to-end matrix, which some dynamics know better than its singular value decomposition can say.
    log_abs_det : array, shape (...)
        Logarithm of the determinant's magnitude, ``-inf`` where the matrix is singular or not square.
    det_sign : array, shape (...)
        Sign of the determinant: -1, 0 or +1.
    depth : float
        ``L``, at least 1.

    Examples
    --------
    >>> import rankfall as rf
    >>> start = rf.SpectralFactorization.from_end_to_end([[1e-3, 0.0], [0.0, 1e-4]], depth=2.5)
    >>> start.log_singular_values.round(4), float(start.det_sign)
    (array([-6.9078, -9.2103]), 1.0)
    """

    left: Array
    log_singular_values: Array
    right: Array
    matrix: Array
    log_abs_det: Array
    det_sign: Array
    depth: float = eqx.field(static=True)

    by_entries = False

    @classmethod
    def from_end_to_end(cls, matrix: ArrayLike, depth: float, *, rtol: float | None = None) -> Self:
        """Write an end-to-end matrix, or one for each lane, as a balanced factorization.

        Parameters
        ----------
        matrix : array_like, shape (rows, columns) or (lanes, rows, columns)
            Not zero.
        depth : float
            ``L``, at least 1; need not be an integer.
        rtol : float, optional
            Singular values at or below this share of the largest count as zero and stay zero under the flow;
            ``max(rows, columns)`` times the machine's precision by default. Lanes must be of one rank.

        Returns
        -------
        SpectralFactorization

        Raises
        ------
        ValueError
            If the matrix is zero or not finite, lanes differ in rank, or ``depth`` is below 1.

        References
        ----------
        Arora, Cohen and Hazan (2018): balanced factors have ``W_j W_j^T`` with the singular values to the power
        ``2/L``.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.SpectralFactorization.from_end_to_end([[1.0, 1.0], [1.0, 1.0]], depth=3).rank
        1
        """
        w = _checks.real("matrix", matrix)
        if w.ndim not in (2, 3) or 0 in w.shape:
            raise ValueError(f"matrix has shape {w.shape}, but must be a matrix, or lanes of matrices.")
        _checks.finite("matrix", w)
        levels = _checks.number("depth", depth)
        if not 1 <= levels < np.inf:
            raise ValueError(f"depth is {levels:g}, but must be at least 1, the number of factors.")
        u, s, vt = np.linalg.svd(w, full_matrices=False)
        share = max(w.shape[-2:]) * np.finfo(np.float64).eps if rtol is None else _checks.number("rtol", rtol)
        if not 0 <= share < 1:
            raise ValueError(f"rtol is {share:g}, but must lie in [0, 1); it is a share of the largest singular value.")
        rank = _rank(s, share)
        square = w.shape[-1] == w.shape[-2] == rank
        sign, log_abs = np.linalg.slogdet(w) if square else (np.zeros(w.shape[:-2]), np.full(w.shape[:-2], -np.inf))
        right = np.swapaxes(vt, -1, -2)[..., :rank]
        logs = np.log(s[..., :rank])
        kept = w if rank == s.shape[-1] else (u[..., :rank] * s[..., None, :rank]) @ np.swapaxes(right, -1, -2)
        return cls(u[..., :rank], logs, right, kept, log_abs, sign, float(depth))

    @classmethod
    def from_factors(cls, factorization: MatrixFactorization) -> Self:
        """Write balanced factors by the singular values of their product.

        Parameters
        ----------
        factorization : MatrixFactorization
            Balanced, single or lanes.

        Returns
        -------
        SpectralFactorization
            Determinants are those of the factors, which know them better than the product does.

        Raises
        ------
        ValueError
            If the factors are not balanced (the message says by how much).

        References
        ----------
        Arora, Cohen and Hazan (2018), definition 1 (balanced factors).

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-6, key=jax.random.key(0))
        >>> rf.SpectralFactorization.from_factors(start).depth
        3.0
        """
        if not isinstance(factorization, MatrixFactorization):
            raise ValueError(
                f"factorization is {_checks.shortened(factorization)}, but must be a MatrixFactorization; of a matrix "
                "take from_end_to_end."
            )
        share = imbalance_share(factorization)
        if not share <= BALANCED:
            raise ValueError(
                f"start has an imbalance of {share:.1e} of its largest squared factor, but must be balanced (at most "
                f"{BALANCED:g}); take kind='balanced', or start.balance(), which changes the factors and keeps their "
                "product."
            )
        factors = [np.asarray(w, dtype=np.float64) for w in factorization.factors]
        found = cls.from_end_to_end(MatrixFactorization(factors).full(), factorization.depth)
        if not found.square:
            return found
        sign, log_abs = measures.signed_log_det(factors)
        logs = np.array(found.log_singular_values)
        if logs.shape[-1] == 2:  # the smaller one is what the determinant and the larger one leave
            logs[..., 1] = np.minimum(log_abs - logs[..., 0], logs[..., 0])
        return cls(found.left, logs, found.right, found.matrix, log_abs, sign, found.depth)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the end-to-end matrix."""
        return int(self.left.shape[-2]), int(self.right.shape[-2])

    @property
    def rank(self) -> int:
        """Number of positive singular values."""
        return int(self.log_singular_values.shape[-1])

    @property
    def square(self) -> bool:
        """Whether the matrix is square and not singular."""
        return self.shape == (self.rank, self.rank)

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single one."""
        return int(self.left.shape[0]) if np.ndim(self.left) == 3 else None

    @property
    def singular_values(self) -> Scalars:
        """All ``min(rows, columns)`` singular values, zeros where logarithms have underflowed."""
        s = np.exp(self.log_singular_values)
        none = np.zeros((*s.shape[:-1], min(self.shape) - self.rank))
        return np.concatenate([s, none], axis=-1)

    def full(self) -> Matrices:
        """End-to-end matrix, shape ``(..., rows, columns)``."""
        return self.matrix

    def entries_at(self, indices: Array) -> Entries:
        """Entries, for indices that were checked or are traced."""
        return self.matrix[..., indices[:, 0], indices[:, 1]]

    def probes(self) -> list[Probe]:
        """Singular values and their logarithms, and sign and magnitude of the determinant where there is one."""
        values = Probe("singular_values", _singular_values, SPECTRUM)
        chosen = [values, Probe("log_singular_values", _log_singular_values, SPECTRUM)]
        if self.shape[0] == self.shape[1]:
            chosen += [Probe("det_sign", _det_sign), Probe("log_abs_det", _log_abs_det)]
        return chosen

    def to_factors(self) -> MatrixFactorization:
        """Balanced factors of this matrix, for depths that are integers.

        Returns
        -------
        MatrixFactorization
            Widths ``rank``; singular values that underflow become zero, and the determinant's sign with them.

        Raises
        ------
        ValueError
            If the depth is no integer.

        References
        ----------
        Arora, Cohen and Hazan (2018), procedure 1.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.SpectralFactorization.from_end_to_end([[4.0]], depth=2).to_factors().factors[0]
        array([[2.]])
        """
        if self.depth != int(self.depth):
            raise ValueError(f"depth is {self.depth:g}, but only a whole number of factors can be written down.")
        depth = int(self.depth)
        if depth == 1:
            return MatrixFactorization([np.asarray(self.matrix)])
        root = np.exp(np.asarray(self.log_singular_values) / depth)
        inner = root[..., :, None] * np.eye(self.rank)
        first = root[..., :, None] * np.swapaxes(np.asarray(self.right), -1, -2)
        # A negative determinant is in the vectors, so that every singular value is positive.
        last = np.asarray(self.left) * root[..., None, :]
        return MatrixFactorization([first, *[inner] * (depth - 2), last])

    @property
    def degree(self) -> float:
        """The depth."""
        return self.depth

    def scaled(self, end_to_end: float, factor: float) -> Self:
        """Return the factorization of a matrix that is ``end_to_end`` times as large."""
        shift = math.log(end_to_end)
        logs, log_abs_det = self.log_singular_values + shift, self.log_abs_det + self.rank * shift
        return dataclasses.replace(
            self, log_singular_values=logs, matrix=self.matrix * end_to_end, log_abs_det=log_abs_det
        )

    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""
        return {"factorization": type(self).__name__, "depth": self.depth, "rank": self.rank}


def _singular_values(model: SpectralFactorization, end_to_end: Array) -> Array:
    return jnp.exp(_log_singular_values(model, end_to_end))


def _log_singular_values(model: SpectralFactorization, end_to_end: Array) -> Array:
    k = model.log_singular_values
    return jnp.concatenate([k, jnp.full((min(model.shape) - model.rank,), -jnp.inf, k.dtype)])


def _det_sign(model: SpectralFactorization, end_to_end: Array) -> Array:
    return model.det_sign


def _log_abs_det(model: SpectralFactorization, end_to_end: Array) -> Array:
    return model.log_abs_det


def imbalance_share(factorization: MatrixFactorization) -> float:
    """Largest imbalance of all lanes, as a share of the largest squared factor of its lane."""
    factors = [np.asarray(w, dtype=np.float64) for w in factorization.factors]
    largest = np.max([np.sum(w * w, axis=(-2, -1)) for w in factors], axis=0)
    return float(np.max(measures.unbalancedness(factors) / np.where(largest > 0, largest, 1.0)))


def _rank(s: np.ndarray, share: float) -> int:
    ranks = np.unique((s > share * s[..., :1]).sum(axis=-1))
    if not ranks[0]:
        raise ValueError("matrix is zero (of rank 0), but must have a positive singular value; zero never moves.")
    if len(ranks) > 1:
        raise ValueError(f"matrix has lanes of ranks {ranks.tolist()}, but lanes must be of one rank; run them apart.")
    return int(ranks[0])
