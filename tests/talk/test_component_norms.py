import numpy as np
import xarray as xr

from every_room import *

PANELS = 4
LOSS = "mse"


def made():
    stds, steps = [1e-2, 3e-2, 0.4], np.arange(60)
    time = np.stack([steps / std for std in stds])
    rise = np.stack([1 / (1 + np.exp(-(steps - 15 * (k + 1)))) for k in range(4)], axis=-1)
    norms = np.stack([rise * [1.0, 0.7, 0.5, 1e-6 if std < 0.1 else 0.4] for std in stds])
    loss = np.stack([np.exp(-steps / 2.0)] * 3)
    loss[2, 40:] = np.nan
    over = ("lane", "record")
    return xr.Dataset(
        {
            "loss": (over, loss),
            "time": (over, time),
            "step": (over, np.stack([steps] * 3)),
            "reconstruction_error": (over, np.sqrt(loss)),
            "component_norms": ((*over, "component"), norms),
        },
        coords={"factor_std": ("lane", stds), "target": ("lane", [0, 0, 0])},
        attrs={"order": 4, "rank": 3},
    )


def test_claims_about_components_fall_when_two_are_exchanged(experiment, stored):
    turned = stored["component_norms"].values[..., [1, 0, 3, 2, 4, 5, 6, 7]]
    broken = stored.assign(component_norms=(stored["component_norms"].dims, turned), law_error=stored["law_error"] + 1)
    broken.attrs = stored.attrs
    fallen = {c.name for c in experiment.claims(broken) if not c.holds}
    assert {"one-after-another", "all-that-are-needed", "no-more-than-needed", "law-of-the-norms"} <= fallen


def test_components_may_be_learned_in_any_order_but_not_together(experiment, stored):
    def one_after_another(columns):
        norms = (stored["component_norms"].dims, stored["component_norms"].values[..., columns])
        changed = stored.assign(component_norms=norms)
        return next(c for c in experiment.claims(changed) if c.name == "one-after-another")

    found = one_after_another(range(8))
    assert one_after_another([2, 0, 1, 3, 4, 5, 6, 7]).measured == found.measured and found.holds
    assert not one_after_another([0, 0, 1, 3, 4, 5, 6, 7]).holds
