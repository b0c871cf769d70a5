import numpy as np
import xarray as xr

from every_room import *
from made_up import grown, lanes

PANELS = 3
FALL_WITH_THE_ENTRY = {"law-depth-3", "law-depth-4", "determinant-depth-2", "determinant-is-the-excess"}


def made():
    rows = [{"depth": depth, "stop_reason": "loss", "curve": grown} for depth in (2.0, 2.5, 3.0, 8.0) for _ in range(2)]
    ds = lanes(rows, 1e-12)
    x = ds["unobserved"][..., 0]
    power = 2 * np.log(3) - 4 / (ds["depth"] - 1.9) * np.log(x)
    ds["log_abs_det"] = xr.where(ds["depth"] > 2, power, -(x**2) / 2).transpose("lane", "record")
    return ds
