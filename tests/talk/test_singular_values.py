import numpy as np
import xarray as xr

from every_room import *

PANELS = 6


def made():
    tasks = np.repeat(["completion", "two by two"], [3, 1])
    depths, spacing = np.array([2, 3, 4, 3]), 1e-3
    time = np.linspace(0.5, 20.0, 40)
    stencil = time[:, None] + spacing * np.arange(-2, 3)
    start = np.array([3e-3, 2e-3, 1e-3])
    sigma = start * np.exp(stencil[..., None] * np.array([0.4, 0.2, 0.01]))
    sigma = np.repeat(sigma[None], 4, axis=0)
    sigma[3, ..., 2] = np.nan
    middle = sigma[:, :, 2]
    slope = -middle * np.array([0.4, 0.2, 0.01]) / (depths[:, None, None] * middle ** (2 - 2 / depths[:, None, None]))
    over = ("lane", "record")
    return xr.Dataset(
        {
            "step": (over, np.repeat(np.arange(40)[None], 4, axis=0)),
            "time": (over, np.repeat(time[None], 4, axis=0)),
            "loss": (over, np.repeat(np.exp(-time)[None], 4, axis=0)),
            "singular_values": ((*over, "stencil", "singular_value"), sigma),
            "alignment": ((*over, "singular_value"), slope),
            "true_singular_values": ("singular_value", np.array([8.0, 0.1, 0.0])),
        },
        coords={"task": ("lane", tasks), "depth": ("lane", depths), "seed": ("lane", np.zeros(4, int))},
        attrs={"rank": 2, "spacing": spacing},
    )
