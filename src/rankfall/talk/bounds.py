"""How far the unobserved entry of recorded runs stays above a proved bound."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..dynamics.lanes import recorded


def worst_ratio(lanes: xr.Dataset, bound: Callable[[np.ndarray], Any], where: np.ndarray | None = None) -> float:
    """Smallest |unobserved entry| over its bound at the loss, over all records (or some) at which it is positive."""
    chosen = recorded(lanes) if where is None else recorded(lanes) & where
    entry, proved = np.abs(lanes["unobserved"].values[..., 0])[chosen], np.asarray(bound(lanes["loss"].values[chosen]))
    positive = proved > 0
    # Nothing measured is no ratio at all: a claim about NaN never holds.
    return float((entry[positive] / proved[positive]).min()) if positive.any() else float("nan")
