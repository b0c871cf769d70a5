"""CP rank, which nothing computes in general: a bracket certified on both sides, and exact rules where one holds.

The upper end is an explicit sum of rank-one terms, recomputed; the lower end is how far a matricization is from low
rank.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from .. import _checks
from .._types import ArrayLike, Key
from ._cp_exact import exact_rank
from ._cp_input import generator, normalised
from ._cp_search import BorderEvidence, Search
from .matricization import bipartitions, matricization

# All bipartitions of the modes are looked at up to this order, and none with a smaller side than this.
_ALL_BIPARTITIONS, _LARGEST_SIDE = 10, 2048


@dataclasses.dataclass(frozen=True)
class CPRankBracket:
    """Where the smallest CP rank of any tensor within a relative error of a given one lies, and what else is known.

    Only ``lower`` and ``upper`` are the bracket; the other fields tell more and never narrow it. ``print`` shows both
    ends and the error of the fit that the upper one rests on.

    Attributes
    ----------
    lower : int
        No tensor within the tolerance has a smaller rank: a matricization of the tensor has none.
    upper : int
        A tensor of this rank within the tolerance was written down, or there is one in any case.
    fits : dict from int to float
        Best relative error found by rank, for all ranks tried; it falls with the rank.
    exact : int, optional
        Rank of the tensor itself (not of its neighbours) where a rule decides, to the rounding of its entries.
    exact_rule : str, optional
        Which rule.
    border : BorderEvidence, optional
        The smallest rank tried at which errors fell while the terms grew. Evidence, no proof.
    """

    lower: int
    upper: int
    fits: dict[int, float]
    exact: int | None
    exact_rule: str | None
    border: BorderEvidence | None

    @property
    def fit(self) -> float | None:
        """Relative error of the ``upper`` terms found; None where any tensor of the shape has as few, and none was."""
        return self.fits.get(self.upper)

    def __str__(self) -> str:
        rank = f"{self.lower}" if self.lower == self.upper else f"{self.lower} to {self.upper}"
        if self.fit is None:
            return f"CP rank {rank} (no fit; {self.upper} terms are enough for any tensor of this shape)"
        return f"CP rank {rank} ({self.upper} terms fit with a relative error of {self.fit:.3g})"


def cp_rank_bracket(
    tensor: ArrayLike,
    rtol: float = 1e-3,
    *,
    key: Key,
    max_rank: int | None = None,
    restarts: int = 8,
    sweeps: int = 200,
) -> CPRankBracket:
    """Bracket the smallest CP rank of all tensors within ``rtol`` of the given one, relative to its Frobenius norm.

    From below: the Eckart-Young distance of a matricization from rank ``r`` is at most that of the tensor from CP rank
    ``r``. All bipartitions of the modes are looked at (beyond order 10 single modes and leading blocks ``0, ..., k``;
    none whose smaller side has more than 2048 entries), and rounding counts against the bound.

    From above: sums of rank-one terms, by alternating least squares and Levenberg-Marquardt, from eigenvectors of
    mixed slices, from the best fits of neighbouring ranks, and at random. The number of terms goes up from ``lower``,
    in steps that grow, and back down from the first that suffices. A fit counts when its error, recomputed from the
    factors, is within ``rtol`` in spite of rounding (of some 1e-14: tolerances as small as that are never met). When
    none does, up to ``max_rank`` terms or some 5e10 multiplications, what is left is the rank that any tensor of this
    shape (after the directions that ``rtol`` allows to drop) has at most: the product of all sizes but the largest.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, finite.
    rtol : float
        Positive; the rank of the zero tensor, 0, is within 1.
    key : jax.random key
        For the random starts; the answer depends on nothing else.
    max_rank : int, optional
        Number of terms at which the search ends; by default the product of all sizes but the largest.
    restarts : int
        Random starts for each number of terms near the upper end (elsewhere fewer).
    sweeps : int
        Sweeps of alternating least squares from each start, and steps of Levenberg-Marquardt, at most.

    Returns
    -------
    CPRankBracket

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes, none of its entries or one that is not finite, ``rtol`` is not positive,
        ``key`` is no key, or another number is no integer of at least one.

    References
    ----------
    Kolda and Bader (2009), sections 3.1 and 3.3; Ja'Ja' (1979) and de Silva and Lim (2008) for the exact rules.

    Examples
    --------
    Three terms are needed to write W down, but two come as close as one likes:

    >>> import jax, numpy as np, rankfall as rf
    >>> w = np.zeros((2, 2, 2))
    >>> w[0, 0, 1] = w[0, 1, 0] = w[1, 0, 0] = 1.0
    >>> found = rf.measures.cp_rank_bracket(w, key=jax.random.key(0))
    >>> found.lower, found.exact, found.border.rank
    (2, 3, 2)
    >>> print(rf.measures.cp_rank_bracket(np.eye(3), key=jax.random.key(0)))
    CP rank 3 (3 terms fit with a relative error of 0)
    """
    given, t, eps, _ = normalised(tensor)
    rtol = _checks.positive_number("rtol", rtol)
    trivial = math.prod(t.shape) // max(t.shape)
    limit = trivial if max_rank is None else min(trivial, _checks.positive_integer("max_rank", max_rank))
    restarts = _checks.positive_integer("restarts", restarts)
    sweeps = _checks.positive_integer("sweeps", sweeps)
    rng = generator(key)
    if not t.any():
        return CPRankBracket(0, 0, {0: 0.0}, 0, "zero tensor", None)
    exact, rule = exact_rank(given, t, eps)
    lower = _lower(t, rtol)
    if lower == 0:
        return CPRankBracket(0, 0, {0: 1.0}, exact, rule, None)
    search = Search(t, rtol, rng, restarts, sweeps)
    found = search.smallest(lower, limit)
    return CPRankBracket(lower, found, search.fits(), exact, rule, search.border(exact))


def _cuts(order: int) -> Sequence[tuple[int, ...]]:
    """One side of each bipartition, or of some where there are too many."""
    if order <= _ALL_BIPARTITIONS:
        return bipartitions(order)
    return [*((n,) for n in range(order)), *(tuple(range(k)) for k in range(2, order - 1))]


def _lower(t: np.ndarray, rtol: float) -> int:
    lower = 0
    for modes in _cuts(t.ndim):
        flat = matricization(t, modes)
        if lower < min(flat.shape) <= _LARGEST_SIDE:
            squares, slack = _squared_singular_values(flat, rtol)
            tails = np.append(np.cumsum(squares)[::-1], 0.0)
            lower = max(lower, int(np.argmax(tails <= rtol**2 + slack)))
    return lower


def _squared_singular_values(flat: np.ndarray, rtol: float) -> tuple[np.ndarray, float]:
    """Squares of singular values in increasing order, and a bound on what rounding may have added to their sums."""
    flat = flat if flat.shape[0] <= flat.shape[1] else flat.T
    rows, columns = flat.shape
    eps = float(np.finfo(np.float64).eps)
    # Squaring the matrix rounds as much as its norm does, several times faster: good enough where that is little.
    slack = rows * (rows + columns) * eps
    if slack < 1e-3 * rtol**2:
        return np.maximum(np.linalg.eigvalsh(flat @ flat.T), 0.0), slack
    # Each singular value is off by some epsilons of the largest, and so is the tolerance they are compared with.
    off = 4 * columns * math.sqrt(rows) * eps
    return np.linalg.svd(flat, compute_uv=False)[::-1] ** 2, 2 * rtol * off + off**2
