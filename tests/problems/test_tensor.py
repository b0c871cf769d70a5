"""Tensor completion and sensing: dense and by coordinates the same, and what is refused."""

import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.problems import entries as module

RNG = np.random.default_rng(0)
TENSOR = RNG.normal(size=(3, 4, 5))
MASK = RNG.random(TENSOR.shape) < 0.7


def by_coordinates(monkeypatch, **options):
    """Build the problem without its dense form, in blocks of 7 observations."""
    monkeypatch.setattr(module, "_LARGEST_DENSE", 0)
    monkeypatch.setattr(module, "BLOCK", 7)
    where = np.argwhere(MASK)
    return rf.TensorCompletion.from_coo(where, TENSOR[MASK], TENSOR.shape, **options)


@pytest.mark.parametrize("loss", ["half_sse", "mse"])
def test_coordinates_and_dense_form_are_the_same(monkeypatch, loss):
    dense = rf.TensorCompletion.from_dense(np.where(MASK, TENSOR, np.nan), loss=loss)
    sparse = by_coordinates(monkeypatch, loss=loss)
    assert dense.mask is not None and sparse.mask is None
    model = rf.CPFactorization.init(TENSOR.shape, components=6, factor_std=0.5, key=jax.random.key(0))
    with double_precision():
        model = jax.tree.map(jax.numpy.asarray, model)
        (one, slope), (other, slope_too) = (model.loss_and_gradient(p) for p in (dense, sparse))
        found = [float(v) for v in (one, other, dense.loss_of(model), sparse.loss_of(model))]
        residual = np.asarray(model.full() - TENSOR)[MASK]
    right = 0.5 * (residual**2).sum() if loss == "half_sse" else (residual**2).mean()
    np.testing.assert_allclose(found, right, rtol=1e-12)
    for a, b in zip(slope.factors, slope_too.factors, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_training_by_coordinates_is_that_of_the_dense_form(monkeypatch):
    dense = rf.TensorCompletion.from_dense(np.where(MASK, TENSOR, np.nan))
    sparse = by_coordinates(monkeypatch)
    start = rf.CPFactorization.init(TENSOR.shape, components=4, factor_std=0.3, key=jax.random.key(1))
    runs = [rf.train(p, start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=50)) for p in (dense, sparse)]
    np.testing.assert_allclose(runs[0].final.full(), runs[1].final.full(), rtol=1e-9)
    np.testing.assert_allclose(runs[0].trajectory["loss"], runs[1].trajectory["loss"], rtol=1e-9)


def test_sensing_is_inner_products():
    a = RNG.normal(size=(9, 3, 4, 5))
    problem = rf.TensorSensing(a, np.einsum("nijk,ijk->n", a, TENSOR), truth=TENSOR)
    np.testing.assert_allclose(problem.residuals(TENSOR), 0, atol=1e-12)
    other = np.stack([TENSOR, TENSOR + 1])
    np.testing.assert_allclose(problem.residuals(other)[1], a.sum(axis=(1, 2, 3)), rtol=1e-9)
    start = rf.CPFactorization.init((3, 4, 5), components=5, factor_std=0.3, key=jax.random.key(0))
    run = rf.train(problem, start, rf.ExponentialDescent(), stop=rf.Stop(loss=1e-16))
    assert run.stop_reason == "loss" and problem.loss(run.final.full()) < 2e-16


def test_a_tensor_that_no_memory_holds_is_trained_by_its_observations():
    rng = np.random.default_rng(1)
    factors = [rng.normal(size=(2000, 1)) for _ in range(3)]
    where = np.stack([rng.permutation(np.tile(np.arange(2000), 10)) for _ in range(3)], axis=1)
    where = np.unique(where, axis=0)
    values = np.prod([w[where[:, n], 0] for n, w in enumerate(factors)], axis=0)
    problem = rf.TensorCompletion.from_coo(where, values, (2000, 2000, 2000), loss="mse")
    start = rf.CPFactorization.init(problem.shape, components=3, factor_std=0.5, key=jax.random.key(0))
    run = rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(steps=20))
    loss = run.trajectory["loss"].values[0]
    assert loss[-1] < loss[0] and np.isclose(loss[-1], problem.loss_of(run.final), rtol=1e-9)
    with pytest.raises(ValueError, match=r"takes 64 GB.*from_coo"):
        run.final.full()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rf.TensorCompletion.from_dense(np.ones(3)), "two modes or more"),
        (lambda: rf.TensorCompletion.from_dense(np.full((2, 2, 2), np.inf)), "array"),
        (lambda: rf.TensorCompletion.from_dense(np.full((2, 2, 2), np.nan)), "no observed entry"),
        (lambda: rf.TensorCompletion.from_coo([[0, 0, 0]], [1.0], (1, 1, 2)), "index 1 in mode 2"),
        (
            lambda: rf.TensorCompletion.from_coo([[0, 0, 2]], [1.0], (1, 1, 2)),
            r"must lie in a tensor of shape \(1, 1, 2\)",
        ),
        (lambda: rf.TensorCompletion.from_coo([[0, 0]], [1.0], (1, 1, 1)), "one for each mode"),
        (lambda: rf.TensorCompletion.from_coo([[0, 0, 0]] * 2, [1.0, 1.0], (1, 1, 1)), "more than once"),
        (lambda: rf.TensorCompletion.from_coo([[0, 0, 0]], [np.nan], (1, 1, 1)), "values"),
        (lambda: rf.TensorCompletion.from_coo([[0, 0, 0]], [1.0, 2.0], (1, 1, 1)), "values has shape"),
        (lambda: rf.TensorCompletion.from_coo([], [], (1, 1, 1)), "no observed entry"),
        (lambda: rf.TensorCompletion.from_coo([[0]], [1.0], (1,)), "two modes or more"),
        (lambda: rf.TensorSensing(np.ones((2, 3)), [1.0, 2.0]), "two modes or more"),
        (lambda: rf.TensorSensing(np.ones((2, 2, 2)), [1.0]), "one value for each measurement"),
        (lambda: rf.TensorSensing(np.ones((1, 2, 2, 2)), [1.0]).loss(np.ones((2, 2))), "must have the problem's"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()
