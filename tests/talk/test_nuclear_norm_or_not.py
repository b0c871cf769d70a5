"""The fast rule of the reduced form ends where the published one does."""

import jax
import numpy as np
import pytest
import xarray as xr

import rankfall as rf
from every_room import *
from rankfall.talk import EXPERIMENTS

PANELS = 3
LOSS = "mse"


def made():
    rows = [(count, depth, scale) for count in (200, 500) for depth in (2, 3) for scale in (1e-3, 1e-6)]
    observed, depth, scale = (np.array(column) for column in zip(*rows, strict=True))
    cases = {"case_kind": ("case", ["completion"] * 2), "case_observed": ("case", [200, 500])}
    fits = ("run", ["loss"] * len(rows))
    return xr.Dataset(
        {
            "error": ("run", np.sqrt(scale) / depth),
            "nuclear": ("run", 10 + scale),
            "effective_rank": ("run", 5 + 100 * scale),
            "least_error": ("case", [0.2, 1e-8]),
            "least_nuclear": ("case", [9.0, 10.0]),
            "least_effective_rank": ("case", [8.0, 5.0]),
            "true_nuclear": ("case", [10.0, 10.0]),
        },
        coords={"kind": ("run", ["completion"] * len(rows)), "observed": ("run", observed), "depth": ("run", depth),
                "scale": ("run", scale), "stop_reason": fits, **cases},
    )  # fmt: skip


def test_claims_about_the_nuclear_norm_fall_each_by_what_it_measures(experiment, stored, fallen):
    assert fallen(error=stored["error"].where(stored["depth"] < 3, 100 * stored["error"])) == {
        "deep-completes-better-than-the-norm", "depth-helps"}  # fmt: skip
    few = stored["case_observed"] == stored["case_observed"].min()
    bound = stored["least_lower_bound"]
    assert fallen(least_lower_bound=bound.where(~few, 1.02 * bound)) == {"not-the-least-nuclear-norm"}
    assert fallen(least_lower_bound=bound.where(few, 1.01 * bound)) == {"seemingly-the-least-nuclear-norm"}
    assert fallen(effective_rank=2 * stored["effective_rank"]) == {"lower-rank-than-the-norm"}
    # Nothing is claimed of runs that do not fit.
    stopped = stored.assign_coords(stop_reason=("run", ["steps"] * stored.sizes["run"]))
    assert not any(c.holds for c in experiment.claims(stopped))


def ends(problem, depth, scale, rule, steps):
    start = rf.MatrixFactorization.init(problem.shape, depth, scale=scale, key=jax.random.key(1))
    stop, record = rf.Stop(loss=1e-6, steps=steps), rf.Record(log_steps=5)
    run = rf.train(problem, start, rule, stop=stop, record=record, progress=False)
    assert run.stop_reason == "loss"
    return run.final.full() / np.linalg.norm(problem.truth)


@pytest.mark.parametrize("depth", [2, 3])
def test_both_rules_end_alike(depth):
    problem = rf.low_rank_completion((30, 30), 2, 300, key=jax.random.key(0), frobenius=30.0, loss="mse")
    fast = ends(problem, depth, 1e-3, rf.ExponentialDescent(), 1000)
    published = ends(problem, depth, 1e-3, rf.GradientDescent(rf.group_rmsprop(1e-3, eps=1e-4)), 100_000)
    other = ends(problem, depth, 0.3, rf.ExponentialDescent(), 1000)
    # They are alike where the start is, and not where it is larger.
    assert np.linalg.norm(fast - published) < 0.01 < 0.1 < np.linalg.norm(fast - other)


def test_sensing_has_a_row_and_a_claim_of_its_own():
    """A tiny form of the full figure: measurements say more than as many entries."""
    experiment = EXPERIMENTS["nuclear-norm-or-not"]
    small = {"extent": 14, "rank": 1, "kinds": ["completion", "sensing"], "observed": [62, 150], "depths": [2, 3]}
    settings = EXPERIMENTS.settings("nuclear-norm-or-not").model_copy(update=small | {"scales": [1e-3, 1e-7]})
    dataset = experiment.compute(settings, False)
    assert dataset["kind"].values.tolist() == ["completion"] * 8 + ["sensing"] * 8
    claims = {claim.name: claim for claim in experiment.claims(dataset)}
    assert claims["gaussian-measurements-say-more"].ok
    # Nothing about completion comes from sensing.
    entries = dataset.isel(run=np.flatnonzero(dataset["kind"] == "completion"))
    alone = {claim.name: claim for claim in experiment.claims(entries)}
    assert alone == {name: claim for name, claim in claims.items() if name != "gaussian-measurements-say-more"}
    assert len(EXPERIMENTS.draw("nuclear-norm-or-not", dataset).axes) == 6
