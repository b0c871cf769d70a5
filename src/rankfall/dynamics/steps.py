"""Step sizes as arguments: one for all lanes, or one for each."""

import numpy as np

from .. import _checks
from .._types import ArrayLike


def step_size_of(value: ArrayLike, name: str = "step_size") -> np.ndarray:
    """Return a positive step size, or one for each lane; refuse anything else."""
    size = np.asarray(_checks.positive(name, value), dtype=np.float64)
    if size.ndim > 1:
        raise ValueError(f"{name} has shape {size.shape}, but must be a number or one for each lane.")
    return size


def for_lanes(size: np.ndarray, lanes: int, name: str = "step_size") -> np.ndarray:
    """Return the step size of each lane."""
    if size.ndim and len(size) != lanes:
        raise ValueError(f"{name} has {len(size)} values, but there are {lanes} lanes.")
    return np.broadcast_to(size, (lanes,)).copy()
