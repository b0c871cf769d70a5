"""Data in other units: the same path, in those units."""

import jax
import numpy as np
import pytest

import rankfall as rf

# A power of two whose third root is one, too: nothing is rounded on the way.
LARGE, SMALL = 2.0**333, 2.0**-333
KEY = jax.random.key(0)


def _matrix(c):
    start = rf.SpectralFactorization.from_end_to_end(c * np.array([[0.3, 0.1], [-0.1, 0.4]]), 3)
    return rf.MatrixCompletion.from_dense(c * np.array([[np.nan, 1.0], [1.0, 0.5]]), truth=c * np.eye(2)), start


def _tensor(c):
    seen = np.random.default_rng(0).random((3, 3, 3)) < 0.9
    truth = np.ones((3, 3, 3))
    start = rf.CPFactorization.init((3, 3, 3), 4, factor_std=0.3, key=KEY)
    return (
        rf.TensorCompletion.from_dense(np.where(seen, c * truth, np.nan), loss="mse"),
        rf.CPFactorization([w * c ** (1 / 3) for w in start.factors]),
    )


def _follow(make, dynamics, c):
    problem, start = make(c)
    stop, record = rf.Stop(loss=1e-3 * c * c), rf.Record(at_losses=[0.1 * c * c], measures=["end_to_end"])
    run = rf.train(problem, start, dynamics, stop=stop, record=record, progress=False)
    assert run.stop_reason == "loss"
    return run


@pytest.mark.parametrize("dynamics", [rf.SpectralFlow(), rf.GradientFlow(), rf.AdaptiveDescent()], ids=repr)
@pytest.mark.parametrize("make", [_matrix, _tensor])
def test_the_path_knows_no_units(make, dynamics):
    if make is _tensor and isinstance(dynamics, rf.SpectralFlow):
        return
    if not isinstance(dynamics, rf.SpectralFlow) and make is _matrix:
        inner = make

        def make(c):
            problem, start = inner(c)
            return problem, start.to_factors()

    plain = _follow(make, dynamics, 1.0)
    for c in (LARGE, SMALL):
        run = _follow(make, dynamics, c)
        path, wanted = run.trajectory, plain.trajectory
        np.testing.assert_array_equal(path["step"], wanted["step"])
        np.testing.assert_allclose(path["loss"] / c / c, wanted["loss"], rtol=1e-9)
        np.testing.assert_allclose(path["end_to_end"] / c, wanted["end_to_end"], rtol=1e-9)
        np.testing.assert_allclose(path["time"] * c ** (4 / 3), wanted["time"], rtol=1e-9)
        np.testing.assert_allclose(run.final.full() / c, plain.final.full(), rtol=1e-9)
        if make is not _tensor:
            np.testing.assert_allclose(path["singular_values"] / c, wanted["singular_values"], rtol=1e-9)
            np.testing.assert_allclose(path["effective_rank"], wanted["effective_rank"], rtol=1e-9)
            np.testing.assert_allclose(path["log_abs_det"] - 2 * np.log(c), wanted["log_abs_det"], atol=1e-9)
            np.testing.assert_allclose(path["test_error"] / c / c, wanted["test_error"], rtol=1e-9)


def test_times_and_depths_that_are_no_integers():
    def run(c):
        start = rf.SpectralFactorization.from_end_to_end(c * np.array([[0.3, 0.1], [-0.1, 0.4]]), 2.5)
        time = 5.0 * c ** (2 / 2.5 - 2)
        found = rf.train(_matrix(c)[0], start, rf.SpectralFlow(), stop=rf.Stop(flow_time=time), progress=False)
        assert found.stop_reason == "flow_time"
        return found.final.full() / c, found.trajectory["time"].values[0, -1] / time

    (plain, _), (large, share) = run(1.0), run(1e100)
    np.testing.assert_allclose(large, plain, rtol=1e-8)
    assert abs(share - 1) < 1e-12
