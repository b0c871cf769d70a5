"""Every experiment in its reduced form: all claims hold, all controls fail, and claims live off the stored data."""

import numpy as np
import pytest
import xarray as xr

from rankfall.experiments import EXPERIMENTS, load_settings

NEEDS_ENTRY = {
    "unobserved-entry": (
        "bound-depth-2",
        "bound-depth-3",
        "bound-depth-4",
        "growth-depth-3",
        "growth-depth-4",
        "depth-1-stays",
    ),
    "perturbation": (
        "bound-eps-0",
        "bound-eps-0.01",
        "bound-eps-0.05",
        "bound-eps-0.1",
        "limit-eps-0.1",
        "bound-eps-0.5",
        "limit-eps-0.5",
        "position-(0, 0)",
        "position-(0, 1)",
        "position-(1, 0)",
        "position-(1, 1)",
    ),
}


@pytest.fixture(scope="module", params=list(EXPERIMENTS))
def stored(request, tmp_path_factory):
    """The result of one experiment as it comes back from its file."""
    name = request.param
    dataset = EXPERIMENTS[name].compute(load_settings(name), False)
    path = tmp_path_factory.mktemp("stored") / "data.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as back:
        return name, back.load()


def test_every_claim_holds_and_every_control_fails(stored):
    name, dataset = stored
    claims = EXPERIMENTS[name].claims(dataset)
    assert claims and len({c.name for c in claims}) == len(claims)
    assert [c.name for c in claims if not c.holds] == []
    assert [c.name for c in claims if c.control is None or not c.control["fails"]] == []


def test_claims_fall_when_the_stored_entry_is_scaled(stored):
    name, dataset = stored
    if "final_unobserved" in dataset:
        broken = dataset.assign(final_unobserved=0.9 * dataset["final_unobserved"])
        expected = {"right-half-grows"}
    elif "unobserved" in dataset and name in NEEDS_ENTRY:
        broken = dataset.assign(unobserved=0.9 * dataset["unobserved"])
        expected = set(NEEDS_ENTRY[name])
    else:
        # Their claims rest on other variables: nothing of theirs may depend on the entry.
        broken = dataset.assign(unobserved=0.9 * dataset["unobserved"]) if "unobserved" in dataset else dataset
        expected = set()
    fallen = {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}
    assert fallen == expected


def test_reduced_forms_go_far_enough():
    for name in EXPERIMENTS:
        reduced, full = load_settings(name), load_settings(name, full=True)
        assert type(reduced) is type(full) and reduced != full
        assert getattr(reduced, "seeds", 3) >= 3
        assert getattr(reduced, "loss", 1e-3) <= 1e-3


def test_every_depth_and_precision_is_there(stored):
    name, dataset = stored
    if name != "unobserved-entry":
        return
    float32 = dataset.sel(lane=dataset["dtype"] == "float32")
    assert set(np.unique(float32["depth"])) == {2, 3, 4}
    reasons = dataset["stop_reason"].values
    assert set(reasons) <= {"loss", "steps"}
