import numpy as np
import xarray as xr

from every_room import *
from made_up import curve_of, lanes

PANELS = 3
FALL_WITH_THE_ENTRY = {"depth-2-bears-a-logarithm", "depth-3-bears-a-power"}


def made():
    rows = [
        {"depth": depth, "imbalance": imbalance, "stop_reason": "loss",
         "curve": curve_of(2, "balanced" if depth == 2 or imbalance else "identity")}
        for depth in (2, 3) for imbalance in (0.0, 1e-8, 1e-4)
    ]  # fmt: skip
    ds = lanes(rows, 1e-8)
    x = ds["unobserved"][..., 0]
    ds["log_smaller"] = xr.where(ds["depth"] == 2, -(x**2) / 2, -5 * np.log(1 + x)).transpose("lane", "record")
    ds["det_sign"] = xr.where((ds["imbalance"] > 0) & (ds["record"] > 20), -1.0, ds["det_sign"])
    return ds.transpose("lane", "record", ...)
