import numpy as np
import xarray as xr

from every_room import *

PANELS = 2


def made():
    step = np.unique(np.geomspace(1, 20_000, 50).astype(int))
    step = np.append(0, step)
    near = np.stack([np.maximum(np.exp(-step / 400), 1e-14), np.maximum(4 * np.exp(-step / 400), 1e-14),
                     np.exp(-step / 350)])  # fmt: skip
    far = np.stack([near[0], 5 + near[1], 0.2 + near[2]])
    norm = np.stack([1 - near[0], 5 + near[1], 0.85 - 0.85 * near[2]])
    return xr.Dataset(
        {
            "distance": (("method", "record"), near),
            "distance_to_min_l2": (("method", "record"), far),
            "norm": (("method", "record"), norm),
        },
        coords={"method": ["from zero", "from w0", "weight decay"], "step": ("record", step)},
        attrs={"min_l2_norm": 1.0},
    )
