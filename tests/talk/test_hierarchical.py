import numpy as np
import xarray as xr

from every_room import *

PANELS = 9
LOSS = "mse"


def made():
    nodes = {"matrix": ["all"], "CP": ["all"], "hierarchical": ["(0, 1)", "(2, 3)", "((0, 1), (2, 3))"]}
    rows = [(kind, start, node) for kind in nodes for start in ("small", "large") for node in nodes[kind]]
    kind, start, node = (np.array(column) for column in zip(*rows, strict=True))
    steps, count = np.arange(60), len(rows)
    rise = np.stack([1 / (1 + np.exp(-(steps - 15 * (k + 1)))) for k in range(4)], axis=-1)
    others = np.where(start == "small", 1e-3, 0.4)
    norms = rise * np.stack([[1.0, 0.7, 0.5, other] for other in others])[:, None]
    loss = np.repeat(np.exp(-steps / 2.0)[None], count, axis=0)
    loss[start == "large", 40:] = np.nan
    over = ("lane", "record")
    return xr.Dataset(
        {
            "loss": (over, loss),
            "step": (over, np.where(np.isfinite(loss), steps, -1)),
            "error": (over, np.sqrt(loss) + others[:, None]),
            "norms": ((*over, "component"), norms),
        },
        coords={
            "factorization": ("lane", kind),
            "start": ("lane", start),
            "node": ("lane", node),
            "std": ("lane", np.where(start == "small", 1e-3, 0.4)),
        },
        attrs={"rank": 3},
    )


def test_claims_about_three_factorizations_fall_each_by_what_it_measures(stored, fallen):
    kinds = ("matrix", "CP", "hierarchical")
    assert fallen(error=stored["error"] + 0.01) == {f"{kind}-is-completed" for kind in kinds}
    flat = stored["norms"].where(stored["component"] != 2, stored["norms"].isel(component=0))
    assert fallen(norms=flat) == {f"{kind}-one-after-another" for kind in kinds}
    more = stored["norms"].where(stored["component"] < 3, stored["norms"].isel(component=0))
    assert fallen(norms=more) == {f"{kind}-as-many-as-the-rank" for kind in kinds}
    laws = {"law-of-the-local-norms", "law-of-balanced-starts"}
    assert fallen(law_error=stored["law_error"].roll(rule=-1)) == laws
    assert fallen(law_error=stored["law_error"] + 1e-6) == laws
