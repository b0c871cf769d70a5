import numpy as np
import xarray as xr

from every_room import *

PANELS = 3
LOSS = "mse"


def made():
    lanes = [
        (model, path)
        for model in ("shallow", "deep", "order 2")
        for path in ("network", "nudged network", "factorization")
    ]
    lanes += [("order 2", "depth 2"), ("order 2", "depth 3")]
    step = np.arange(0, 1001, 20)
    far = {"network": 1e-15, "nudged network": 1e-6, "factorization": 0.0, "depth 2": 1e-15, "depth 3": 1e-1}
    rate = {"shallow": 100, "deep": 200, "order 2": 50}
    cuts = ["1", "2", "3", "4", "1,2", "1,3"]
    spectra = np.full((2, 6, 16), np.nan)
    for cut, rank in enumerate((3, 3, 3, 3, 2, 9)):
        spectra[:, cut, : 4 if cut < 4 else 16] = 1e-16
        spectra[:, cut, :rank] = np.geomspace(10, 1, rank)
    return xr.Dataset(
        {
            "loss": (("lane", "step"), np.stack([np.exp(-step / rate[model]) for model, _ in lanes])),
            "distance": (("lane", "step"), np.stack([far[path] * np.sqrt(step) for _, path in lanes])),
            "singular_values": (("circuit", "cut", "number"), spectra),
        },
        coords={
            "model": ("lane", [model for model, _ in lanes]),
            "path": ("lane", [path for _, path in lanes]),
            "step": step,
            "circuit": ["shallow", "deep"],
            "cut": cuts,
        },
        attrs={"order": 4, "extent": 4, "widths": [3, 3, 2], "nudge": 1e-6},
    )


def test_claims_about_circuits_fall_with_what_they_are_about(stored, fallen):
    """A rounding too many in loss or tensor, or a singular value too many, breaks just the claims about them."""
    paths = {"shallow-trajectory", "deep-trajectory", "order-2-trajectory", "order-2-is-depth-2"}
    circuits = stored["path"].isin(["network", "depth 2"])
    assert fallen(loss=stored["loss"] * (1 + 1e-10 * circuits)) == paths
    assert fallen(distance=stored["distance"] + 1e-10) == paths
    assert fallen(output_error=stored["output_error"] + 1e-11) == {"shallow-outputs", "deep-outputs"}
    assert fallen(gradient_error=stored["gradient_error"] + 1e-11) == {"shallow-gradients", "deep-gradients"}
    more = stored["singular_values"] + 1e-6
    assert fallen(singular_values=more) == {"rank-along-the-tree", "rank-of-one-position"}
    fewer = stored["singular_values"].where(stored["number"] < 8, 0.0)
    assert fallen(singular_values=fewer) == {"depth-separation"}
