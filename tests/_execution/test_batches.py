"""Lanes go through a program together only where nothing in it waits for the threads that it runs in."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import alone, batches, double_precision, lanes_together


def _sizes(function, *arrays):
    """Batches in which a function is called for matrices."""
    jaxpr = jax.make_jaxpr(lanes_together(function))(*arrays)
    return [shape[:-2] for shape in batches._decomposed(jaxpr.jaxpr)]


@pytest.mark.parametrize(
    "function",
    [
        lambda w: jnp.linalg.svd(w, compute_uv=False),
        lambda w: jnp.linalg.slogdet(w)[1],
        lambda w: jnp.linalg.eigh(w @ w.T)[0],
        lambda w: jnp.linalg.qr(w)[1],
        lambda w: jnp.linalg.inv(w + 9 * jnp.eye(len(w))),
        lambda w: jnp.linalg.cholesky(w @ w.T + jnp.eye(len(w))),
    ],
    ids=["svd", "slogdet", "eigh", "qr", "inv", "cholesky"],
)
@pytest.mark.parametrize(("lanes", "extent"), [(1, 30), (7, 3), (12, 12), (5, 30)])
def test_the_same_as_vmap_and_never_handed_over(function, lanes, extent):
    w = np.random.default_rng(0).normal(size=(lanes, extent, extent))
    with double_precision():
        found = jax.jit(lanes_together(function))(w)
        np.testing.assert_allclose(found, jax.vmap(function)(jnp.asarray(w)), rtol=1e-9, atol=1e-9)
        for (size,) in _sizes(function, w):
            # A batch of one is never shared out; of the kernels here singular values count most, 10 n^3.
            assert size == 1 or size * 10 * extent**3 < 200_000
        assert lanes == 1 or _sizes(function, w) or extent == 30


def test_what_decomposes_nothing_goes_together_however_large():
    w = jnp.ones((50, 40, 40))
    text = str(jax.make_jaxpr(lanes_together(lambda w: w @ w))(w))
    assert "dot_general" in text and "scan" not in text
    assert "scan" in str(jax.make_jaxpr(lanes_together(jnp.linalg.det))(w))


def test_batches_inside_a_lane_count():
    """Five decompositions a lane: a block is a fifth."""
    w = jnp.ones((40, 5, 8, 8))
    sizes = _sizes(jax.vmap(lambda one: jnp.linalg.svd(one, compute_uv=False)), w)
    assert sizes and all(np.prod(size) * 10 * 8**3 < 200_000 for size in sizes)


def test_lanes_last_and_several_results():
    w = jnp.asarray(np.random.default_rng(1).normal(size=(9, 9, 6)))
    u, s, _ = lanes_together(lambda w: jnp.linalg.svd(w), -1)(w)
    np.testing.assert_allclose(s, np.linalg.svd(np.moveaxis(w, -1, 0), compute_uv=False), rtol=1e-5)
    assert u.shape == (6, 9, 9)


def test_alone_takes_a_batch_of_one_apart():
    shapes = []
    found = alone(lambda a, b: (shapes.append(a.shape), {"sum": a + b})[1])(jnp.ones((1, 2)), jnp.ones((1, 2)))
    assert shapes == [(2,)] and found["sum"].shape == (1, 2)


@pytest.mark.parametrize("lanes, extent", [(1000, 20), (3, 50)])
def test_many_lanes_return(lanes, extent):
    """In a process of its own, with a limit: without blocks they never did (jaxlib 0.10.2, two threads)."""
    script = f"""
import jax, rankfall as rf
problem = rf.low_rank_completion(({extent}, {extent}), 2, {extent**2 // 2}, key=jax.random.key(0))
keys = jax.random.split(jax.random.key(1), {lanes})
start = rf.MatrixFactorization.init(({extent}, {extent}), 3, scale=1e-3, key=keys)
run = rf.train(problem, start, rf.GradientDescent(1e-4), stop=rf.Stop(steps=2), record=rf.Record(every=1))
print(run.trajectory.sizes["lane"], bool((run.trajectory["loss"] > 0).all()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.stdout.split() == [str(lanes), "True"], done.stderr


def test_lanes_of_large_matrices_go_one_by_one():
    problem = rf.low_rank_completion((64, 64), 2, 1000, key=jax.random.key(0))
    start = rf.MatrixFactorization.init((64, 64), 3, scale=1e-3, key=jax.random.split(jax.random.key(1), 2))
    rule = rf.GradientDescent(1e-4)
    assert [len(group) for group in rule.groups(start)] == [1, 1]
    assert rf.train(problem, start, rule, stop=rf.Stop(steps=5), progress=False).final.lanes == 2
    small = rf.MatrixFactorization.init((8, 8), 3, scale=1e-3, key=jax.random.split(jax.random.key(1), 2))
    assert [len(group) for group in rule.groups(small)] == [2]
