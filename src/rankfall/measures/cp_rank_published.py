"""The estimate of CP rank that the released code of the talk used: for comparison with its figures, no certificate."""

import math

import numpy as np

from .. import _checks
from .._types import ArrayLike, Key
from ._cp_fit import balanced, full
from ._cp_input import generator, normalised
from .khatri_rao import khatri_rao


def published_rank_estimate(
    tensor: ArrayLike, *, key: Key, mse: float = 1e-6, max_rank: int | None = None, sweeps: int = 1000
) -> int:
    """Estimate the CP rank as the released code of Razin and Cohen (2020) did, for comparison with its figures only.

    Binary search for the smallest number of terms whose fit, by plain alternating least squares from one Gaussian
    start, has a mean square error below ``mse``. It is no certificate, for three reasons. The tolerance is per entry,
    not relative: a tensor of norm one is "fitted" with a relative error of 0.023 at size 8x8x8, of 0.064 at size
    8x8x8x8, and whatever it is once its entries are small. One start that ends in a poor minimum, or in a swamp, counts
    as proof that the rank is larger. And binary search takes for granted that more terms never fit worse, which is not
    so for fits that start anew each time. When none fits, ``max_rank`` is returned, tried or not.

    Parameters
    ----------
    tensor : array, shape (d_0, ..., d_{order - 1})
        Of order two or more, finite.
    key : jax.random key
        For the starts.
    mse : float
        Positive.
    max_rank : int, optional
        The product of all sizes but the largest by default.
    sweeps : int
        Sweeps over all modes for each number of terms, at most.

    Returns
    -------
    int
        The estimate; 0 for a tensor whose entries are all at most 1e-8.

    Raises
    ------
    ValueError
        If ``tensor`` has less than two modes, none of its entries or one that is not finite, ``mse`` is not positive,
        ``key`` is no key, or another number is no integer of at least one.

    References
    ----------
    Razin and Cohen (2020), released code of the tensor experiments.

    Examples
    --------
    >>> import jax, numpy as np, rankfall as rf
    >>> rf.measures.published_rank_estimate(np.ones((3, 3, 3)), key=jax.random.key(0))
    1
    """
    given, t, _, norm = normalised(tensor)
    mse = _checks.positive_number("mse", mse)
    trivial = math.prod(t.shape) // max(t.shape)
    last = best = trivial if max_rank is None else _checks.positive_integer("max_rank", max_rank)
    _checks.room("max_rank", best, best * sum(t.shape))
    sweeps = _checks.positive_integer("sweeps", sweeps)
    rng = generator(key)
    if np.abs(given).max() <= 1e-8:
        return 0
    goal = math.sqrt(mse * t.size) / norm
    first = 1
    while first <= last:
        middle = (first + last) // 2
        if _plain_als(t, middle, sweeps, goal, rng):
            best, last = middle, middle - 1
        else:
            first = middle + 1
    return best


def _plain_als(t: np.ndarray, rank: int, sweeps: int, goal: float, rng: np.random.Generator) -> bool:
    """Whether plain alternating least squares from one Gaussian start gets its error below a goal."""
    factors = [rng.normal(size=(size, rank)) for size in t.shape]
    flats = [np.moveaxis(t, n, 0).reshape(len(t_n), -1) for n, t_n in enumerate(factors)]
    for _ in range(sweeps):
        for n in range(t.ndim):
            others = factors[:n] + factors[n + 1 :]
            gram = np.prod([factor.T @ factor for factor in others], axis=0)
            factors[n] = flats[n] @ khatri_rao(others) @ np.linalg.pinv(gram)
        factors = balanced(factors)
        if np.linalg.norm(full(factors) - t) < goal:
            return True
    return False
