"""Every dynamics on every problem with a known answer."""

import jax
import numpy as np
import pytest

import rankfall as rf

TRUTH = np.random.default_rng(0).normal(size=(2, 3))
RANDOM = np.random.default_rng(1)
SENSED = RANDOM.normal(size=(12, 2, 3))
INPUTS = RANDOM.normal(size=(5, 2))

# One solution each: all is observed, or more is measured than there are entries.
PROBLEMS = {
    "completion": rf.MatrixCompletion.from_dense(TRUTH, loss="mse"),
    "sensing": rf.MatrixSensing(SENSED, np.einsum("nij,ij->n", SENSED, TRUTH), loss="mse"),
    "regression": rf.LinearRegression(INPUTS, INPUTS @ TRUTH, loss="mse"),
}
DYNAMICS = {
    "descent": (rf.GradientDescent(0.05), 2),
    "group RMSprop": (rf.GradientDescent(rf.group_rmsprop(1e-3)), 2),
    "flow of one factor": (rf.LinearFlow(), 1),
    "flow of factors": (rf.GradientFlow(), 2),
    "spectral flow": (rf.SpectralFlow(), 2),
    "end-to-end flow": (rf.EndToEndFlow(), 2),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("dynamics", DYNAMICS)
def test_finds_the_solution(dynamics, problem):
    how, depth = DYNAMICS[dynamics]
    start = rf.MatrixFactorization.init((2, 3), depth, kind="balanced", scale=0.5, key=jax.random.key(0))
    level = 1e-5 if dynamics == "group RMSprop" else 1e-12  # its steps do not shrink
    stop = rf.Stop(loss=level, steps=200_000)
    run = rf.train(PROBLEMS[problem], start, how, stop=stop, record=rf.Record(), progress=False)
    assert run.stop_reason == "loss"
    np.testing.assert_allclose(run.final.full(), TRUTH, atol=30 * np.sqrt(level))
