"""What completions without training have in common: low-rank predictions at given places, entries held out."""

import math
from collections.abc import Sequence

import numpy as np

from .. import _checks
from .._types import Array

# Rows gathered for so many places at a time stay in the cache, which is worth a factor of three.
_BLOCK = 1024


def predict(factors: Sequence[Array], indices: Array) -> np.ndarray:
    """Entries ``sum_r prod_n factors[n][..., indices[:, n], r]``, shape ``(..., len(indices))``."""
    found = np.empty((*factors[0].shape[:-2], len(indices)))
    for first in range(0, len(indices), _BLOCK):
        block = indices[first : first + _BLOCK]
        rows = [w[..., block[:, n], :] for n, w in enumerate(factors)]
        product = rows[0]
        for more in rows[1:-1]:
            product = product * more
        found[..., first : first + _BLOCK] = np.einsum("...or,...or->...o", product, rows[-1])
    return found


def share(name: str, value: object) -> float:
    """Return a share of the entries, in (0, 1); refuse anything else."""
    came = _checks.number(name, value)
    if not 0 < came < 1:
        raise ValueError(f"{name} is {came}, but must be a share of the observed entries between 0 and 1, such as 0.1.")
    return came


def hold_out(observed: int, part: float, seed: int) -> np.ndarray:
    """Choose entries to be held out; true for a share of them, one at least and not all."""
    if observed < 2:
        raise ValueError(
            f"problem has {observed} observed entry, but two are needed to hold one out; say what the held-out entries "
            "would have chosen (penalty, or rank and ridge)."
        )
    count = min(max(1, round(part * observed)), observed - 1)
    held = np.zeros(observed, bool)
    held[np.random.default_rng(seed).permutation(observed)[:count]] = True
    return held


def check_memory(shape: Sequence[int], count: int = 1) -> None:
    """Refuse solutions that do not fit in memory when every entry of them is written out."""
    size = 8 * count * math.prod(shape)
    if size > _checks.MEMORY:
        raise ValueError(
            f"problem has shape {tuple(shape)}, and what is asked for takes {size / 1e9:.3g} GB with every entry, but "
            f"at most {_checks.MEMORY / 1e9:.3g} GB are taken; AlternatingLeastSquares().factorize(problem) writes out "
            "none of them."
        )
