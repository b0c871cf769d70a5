"""Factorizations as declarations name them, where a class is made of something else than a shape and a key."""

import numpy as np

from .._declared import declared
from .._types import ArrayLike, Key
from .matrix import MatrixFactorization
from .spectral import SpectralFactorization


@declared("factorization", "spectral", lanes=("scale", "alpha"))
def spectral(
    shape: tuple[int, ...],
    depth: float,
    *,
    key: Key,
    kind: str = "gaussian",
    scale: ArrayLike | None = None,
    alpha: ArrayLike | None = None,
    det_sign: int | None = None,
) -> SpectralFactorization:
    """Return balanced factors of any real depth, of an end-to-end matrix as `MatrixFactorization.init` draws it."""
    drawn = MatrixFactorization.init(shape, 1, key=key, kind=kind, scale=scale, alpha=alpha, det_sign=det_sign)
    return SpectralFactorization.from_end_to_end(np.asarray(drawn.full()), depth)
