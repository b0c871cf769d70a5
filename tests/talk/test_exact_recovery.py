import numpy as np
import xarray as xr

from every_room import *

PANELS = 2
LOSS = "mse"


def made():
    multiple, solution = [1.5, 3.0, 8.0], ["least nuclear norm", "zeros elsewhere", "depth 3"]
    error = np.array([[0.5, 0.9, 0.5], [0.1, 0.8, 1e-5], [1e-8, 0.5, 1e-5]])
    return xr.Dataset(
        {"error": (("multiple", "repetition", "solution"), np.repeat(error[:, None], 3, axis=1))},
        coords={"multiple": multiple, "solution": solution},
        attrs={"extent": 40, "rank": 2, "recovered": 1e-3},
    )


def test_claims_about_recovery_fall_each_by_what_it_measures(experiment, stored, fallen):
    error, solution = stored["error"], stored["solution"]
    assert fallen(error=error.where(solution != "depth 3", 1.0)) == {"training-needs-fewer"}
    assert fallen(error=error.where(solution != "least nuclear norm", error + 0.01)) >= {"recovered-from-enough"}
    assert fallen(error=error.where(solution != "zeros elsewhere", error / 10)) == {"zeros-are-no-completion"}
    assert fallen(gap=stored["gap"] + 1e-5) == {"certified"}
    turned = error.isel(multiple=slice(None, None, -1)).values
    assert fallen(error=(error.dims, turned)) >= {"more-observations-more-recovery", "recovered-from-enough"}
    everything = {c.name for c in experiment.claims(stored)}
    assert fallen(**{v: stored[v] * np.nan for v in stored}) == everything
