"""The fast rule of the reduced form ends where the published one does."""

import jax
import numpy as np
import pytest

import rankfall as rf


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
