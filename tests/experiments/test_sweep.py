"""A declared sweep from its file to the dataset: the same numbers as training each run by itself."""

import jax
import numpy as np
import pytest

import rankfall as rf

SCALES = """
name = "scales"
seeds = 3

[problem]
name = "two-by-two"

[factorization]
name = "matrix"
depth = 3
kind = "balanced"
det_sign = 1

[dynamics]
name = "gradient-descent"
step_size = 1e-2

[stop]
loss = 0.1

[record]
at_losses = {geomspace = [1.0, 0.1, 5]}

[sweep]
factorization.scale = {geomspace = [1e-2, 1e-1, 2]}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("declared") / "scales.toml"
    path.write_text(SCALES)
    return path


@pytest.fixture(scope="module")
def results(file):
    return rf.Sweep.from_toml(file).run(file.parent / "out", progress=False)


def test_dimensions_are_what_is_swept(results):
    assert results["loss"].dims == ("factorization.scale", "seed", "record")
    assert results.sizes["factorization.scale"] == 2 and results["seed"].values.tolist() == [0, 1, 2]
    assert results["factorization.scale"].values.tolist() == [0.01, 0.1]
    assert (results["stop_reason"] == "loss").all()


def test_numbers_are_those_of_each_run_alone(results):
    levels = np.geomspace(1.0, 0.1, 5)
    for scale in (0.01, 0.1):
        start = rf.MatrixFactorization.init(
            (2, 2), depth=3, kind="balanced", det_sign=1, scale=scale, key=jax.random.key(2)
        )
        run = rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-2), stop=rf.Stop(loss=0.1),
                       record=rf.Record(at_losses=levels), progress=False)  # fmt: skip
        stored = results.sel({"factorization.scale": scale, "seed": 2})
        for name, alone in run.trajectory.isel(lane=0).drop_vars("stop_reason").items():
            count = run.trajectory.sizes["record"]
            same = stored[name].isel(record=slice(count)) if "record" in alone.dims else stored[name]
            assert np.array_equal(same.values, alone.values, equal_nan=True), name
