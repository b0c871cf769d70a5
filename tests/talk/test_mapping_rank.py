import numpy as np

from every_room import *
from made_up import grown, lanes

PANELS = 4
LOSS = "mse"


def made():
    networks, cuts = ["shallow circuit", "deep circuit", "tanh network"], ["1", "12", "13", "14", "123", "124", "134"]
    rows = [(n, size, seed) for n in networks for size in ("small", "large") for seed in range(2)]
    ds = lanes([
        {"network": n, "size": size, "seed": seed, "stop_reason": "loss", "curve": grown} for n, size, seed in rows
    ])  # fmt: skip
    top = np.array([2.0 if size == "small" else 8.0 for _, size, _ in rows])
    ranks = 2 + np.abs(np.log10(ds["loss"].values))[..., None] * (top - 2)[:, None, None] / 3 + np.zeros(len(cuts))
    return ds.drop_vars(["unobserved"]).assign_coords(
        start=("lane", [size for _, size, _ in rows]), cut=cuts
    ).assign(
        effective_rank=(("lane", "record", "cut"), ranks),
        target=("cut", np.full(len(cuts), 2.0)),
        zeros_elsewhere=("cut", np.full(len(cuts), 9.0)),
    )  # fmt: skip


def test_claims_about_mappings_fall_when_ranks_and_errors_rise(experiment, stored):
    swapped = np.where(stored["start"].values == "small", "large", "small")
    broken = stored.assign_coords(start=("lane", swapped))
    assert [c.name for c in experiment.claims(broken) if c.holds] == ["by-heart"]
    higher = stored.assign(zeros_elsewhere=stored["target"] * 1.5, reconstruction_error=stored["loss"] + 0.1)
    higher.attrs = stored.attrs
    fallen = {c.name for c in experiment.claims(higher) if not c.holds}
    assert fallen == {"by-heart", *(f"{n}-completes" for n in ("shallow-circuit", "deep-circuit", "tanh-network"))}
