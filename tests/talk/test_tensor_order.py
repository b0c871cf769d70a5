import numpy as np
import xarray as xr

from every_room import *

PANELS = 4
LOSS = "mse"


def made():
    rows = [
        (rank, observed, std, repetition)
        for rank in (1, 3)
        for observed in (100, 250, 511)
        for std in (1e-3, 1e-2, 0.3)
        for repetition in range(3)
        if std < 0.1 or observed == 250
    ]
    rank, observed, std, repetition = (np.array(column) for column in zip(*rows, strict=True))
    error = np.where(std > 0.1, 1.0, std**2 * 250 / observed * (1 + repetition))
    lower = np.where(std > 0.1, 8, rank + (observed < 200))
    return xr.Dataset(
        {
            "error": ("run", error),
            "lower": ("run", lower),
            "upper": ("run", np.where(std > 0.1, 64, lower)),
            "linear_error": (("target_rank", "count"), np.array([[0.9, 0.7, 0.001], [0.9, 0.7, 0.02]])),
            "linear_lower": (("target_rank", "count"), np.array([[8, 8, 2], [8, 8, 4]])),
        },
        coords={
            "rank": ("run", rank),
            "observed": ("run", observed),
            "factor_std": ("run", std),
            "rule": ("run", np.full(len(rows), "exponential")),
            "target_rank": [1, 3],
            "count": [100, 250, 511],
        },
        attrs={"order": 3, "extent": 8, "rtol": 1e-3, "factor_std": [1e-3, 1e-2], "large_std": 0.3},
    )


def test_claims_about_tensors_fall_when_errors_and_ranks_do(stored, fallen):
    """Ten times the error, or one more rank, breaks what is claimed of them."""
    assert fallen(error=1e3 * stored["error"]) >= {"rank-1-is-completed", "rank-3-is-completed"}
    assert fallen(upper=stored["upper"] + 1) == {"rank-1-is-found", "rank-3-is-found"}
    assert fallen(lower=stored["lower"] * 0 + 1) == {
        "rank-3-is-found", "rank-1-needs-a-small-start", "rank-3-needs-a-small-start",
    }  # fmt: skip
    assert fallen(second=stored["last"]) >= {"rank-1-uses-no-more", "rank-3-uses-no-more"}
