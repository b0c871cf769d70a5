import numpy as np
import xarray as xr

from every_room import *

PANELS = 6
FALL_WITH_THE_ENTRY = {"right-half-grows", "small-imbalance-keeps-sign"}


def made():
    random = np.random.default_rng(1)
    kinds = [f"{kind}, depth {depth}" for kind in ("gaussian", "balanced", "orthogonal") for depth in (2, 3, 4)]
    kinds.append("identity")
    share = np.append(0.5 + 0.0016 * random.standard_normal(9), 1.0)
    cells = [(depth, scale, sign) for depth in (2, 3, 4) for scale in (1e-8, 1e-3, 100.0) for sign in (1, -1)]
    runs = [cell for cell in cells for _ in range(4)]
    depth, scale, sign = (np.array(column) for column in zip(*runs, strict=True))
    reason = np.where((scale > 1) & (depth > 2), "diverged", np.where((scale < 1e-6) & (depth > 3), "steps", "loss"))
    grown = np.where(depth == 2, 8.0, 22.4)
    final = np.where(sign > 0, grown, 0.4 * 4.0 ** (depth - 2)) * (1 + 0.2 * random.random(len(runs)))
    final[reason == "diverged"] = np.nan
    entries = 22.4 / (1 + 10.0 ** (np.arange(6) - np.array([[-3], [4], [5]])))[..., None] * np.ones(4)
    sizes = np.array([6e-2, 6e-3, 6e-4])
    over = ("precision", "step_size", "seed")
    return xr.Dataset(
        {
            "probability": ("depth_kind", share),
            "low": ("depth_kind", np.full(10, 0.4937)),
            "high": ("depth_kind", np.full(10, 0.5063)),
            "unobserved": ("run", final),
            "final_loss": ("run", np.where(reason == "loss", 1e-3, np.where(reason == "steps", 1.0, np.nan))),
            "start_sign": ("run", sign),
            "depth": ("run", depth),
            "scale": ("run", scale),
            "reason": ("run", reason),
            "unobserved_by_imbalance": (("imbalance_depth", "imbalance", "seed"), entries),
            "unobserved_by_step_size": (over, 3.0 + random.random((2, 3, 4))),
            "unbalancedness": (over, np.stack([sizes, sizes**-1 / 1e3])[..., None] * (1 + random.random(4))),
        },
        coords={
            "depth_kind": kinds,
            "imbalance_depth": [2, 3, 4],
            "imbalance": [1e-8, 1e-4, 1e-2, 1e-1, 1.0, 10.0],
            "step_size": sizes,
            "precision": ["float64", "float32"],
        },
        attrs={"target_loss": 1e-3},
    )
