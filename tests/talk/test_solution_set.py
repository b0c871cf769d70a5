import numpy as np
import xarray as xr

from every_room import *
from rankfall import theory

PANELS = 2
LOSS = None
FALL_WITH_THE_ENTRY = {"closed-forms"}


def made():
    half = np.geomspace(1e-3, 100, 100)
    x = np.concatenate([-half[::-1], [0.0], half])
    p = np.array([0.2, 0.5, 1.0, 2.0, np.inf])
    return xr.Dataset(
        {
            "norm_value": (("norm", "x"), theory.solution_schatten_norm(x[None], p[:, None])),
            "effective_rank": ("x", theory.solution_effective_rank(x)),
            "distance_to_infimal_rank": ("x", theory.solution_distance(x)),
            "rank_suboptimality": ("x", theory.solution_rank_suboptimality(x)),
        },
        coords={"x": x, "norm": [f"S_{one:g}" for one in p]},
    )
