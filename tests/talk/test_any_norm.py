import numpy as np
import xarray as xr

from every_room import *

PANELS = 3


def made():
    names, x, loss = ["nuclear", "tilted"], np.linspace(-9, 9, 21), np.geomspace(1, 1e-6, 30)
    values = np.stack([np.sqrt(x**2 + 4), np.sqrt(x**2 + x + 2)])
    path = 1 / np.sqrt(loss)
    return xr.Dataset(
        {
            "minimiser": ("norm", [0.0, -0.5]),
            "minimum": ("norm", [2.0, 1.3]),
            "lower_bound": ("norm", [2.0, -np.inf]),
            "status": ("norm", ["optimal", "grid"]),
            "on_solutions": (("norm", "x"), values),
            "along_flow": (("depth", "norm", "record"), np.stack([[path, path]] * 2)),
            "unobserved": (("depth", "record"), np.stack([path, path])),
            "loss": ("record", loss),
            "where_proved": 1.0,
        },
        coords={"norm": names, "x": x, "depth": [2, 3]},
    )


def test_claims_about_norms_fall_each_by_what_it_measures(experiment, stored, fallen):
    bend = stored["along_flow"] * stored["loss"] ** 0.2
    assert fallen(along_flow=bend) == {"every-norm-leaves-its-minimum", "one-rate-for-all"}
    assert fallen(minimiser=stored["minimiser"] + 1) == {"minimisers-are-near"}
    assert fallen(lower_bound=stored["lower_bound"] * 0.999) == {"minima-are-certified"}
    assert fallen(where_proved=stored["where_proved"] * 1.1) == {"where-it-is-proved"}
    everything = {c.name for c in experiment.claims(stored)}
    assert fallen(**{v: stored[v] * np.nan for v in stored if stored[v].dtype.kind == "f"}) == everything
