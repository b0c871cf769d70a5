import numpy as np

from every_room import *
from made_up import grown, lanes
from rankfall import theory

PANELS = 3
FALL_WITH_THE_ENTRY = {"entry-carries-the-norm"}


def made():
    rows = [
        {"depth": depth, "seed": seed, "kind": "balanced", "stop_reason": "loss", "curve": grown}
        for depth in (2, 3, 4) for seed in range(3)
    ]  # fmt: skip
    ds = lanes(rows)
    loss = ds["loss"].values
    there = np.isfinite(loss)
    x = np.where(there, ds["unobserved"].values[..., 0], 0.0)
    p = np.array([0.5, 1.0, 2.0, np.inf])
    shrunk = np.clip(loss, 0, 1)
    values = {
        "effective_rank": 1 + (theory.solution_effective_rank(x) - 1) * shrunk**0.3,
        "distance_to_infimal_rank": theory.solution_distance(x) * shrunk**0.3,
        "rank_suboptimality": theory.solution_rank_suboptimality(x) * shrunk**0.3,
    }
    for name, value in values.items():
        ds[name] = (("lane", "record"), np.where(there, value, np.nan))
    norms = np.where(there[..., None], theory.solution_schatten_norm(x[..., None], p), np.nan)
    ds["schatten_norm"] = (("lane", "record", "p"), norms)
    return ds.assign_coords(p=p)


def test_all_panels_are_over_the_loss(draw, dataset):
    assert all(ax.get_xlabel().startswith("loss (") for ax in draw(dataset).axes)
