import equinox as eqx
import jax
import numpy as np
import pytest

import rankfall as rf

X = np.random.default_rng(0).normal(size=(12, 3))
KEY = jax.random.key(0)


def _mlp(out="scalar", key=KEY):
    return eqx.nn.MLP(3, out, width_size=5, depth=1, activation=jax.nn.tanh, key=key)


def test_a_linear_module_is_linear_regression():
    """The same steps from the same weights, by two roads."""
    y = X @ [1.0, -2.0, 0.5]
    linear = eqx.tree_at(lambda m: m.weight, eqx.nn.Linear(3, 1, use_bias=False, key=KEY), np.full((1, 3), 0.1))
    stop, dynamics = rf.Stop(steps=50), rf.GradientDescent(1e-2)
    network = rf.train(rf.Supervised(X, y), linear, dynamics, stop=stop, progress=False)
    plain = rf.train(
        rf.LinearRegression(X, y), rf.MatrixFactorization([np.full((3, 1), 0.1)]), dynamics, stop=stop, progress=False
    )
    np.testing.assert_allclose(network.final.network.weight[0], plain.final.full()[:, 0], rtol=1e-12)
    np.testing.assert_allclose(network.trajectory["loss"], plain.trajectory["loss"], rtol=1e-10)


@pytest.mark.parametrize("out", ["scalar", 1, 2])
def test_outputs_and_lanes(out):
    targets = np.random.default_rng(1).normal(size=(12, 2) if out == 2 else 12)
    problem = rf.Supervised(X, targets, loss="mse")
    starts = [rf.networks.Network(_mlp(out, key)) for key in jax.random.split(KEY, 3)]
    lanes = rf.networks.Network.stack(starts)

    def largest(predictions):
        return abs(predictions).max()

    run = rf.train(
        problem, lanes, rf.GradientDescent(0.05), stop=rf.Stop(steps=20),
        record=rf.Record(every=10, measures=[largest]), progress=False,
    )  # fmt: skip
    assert run.trajectory.sizes["lane"] == 3 and run.final.lanes == 3
    alone = rf.train(problem, starts[1], rf.GradientDescent(0.05), stop=rf.Stop(steps=20), progress=False)
    for a, b in zip(alone.final.factors, run.final.lane(1).factors, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)
    predictions = alone.final.outputs(X).reshape(targets.shape)
    np.testing.assert_allclose(run.trajectory["largest"].values[1, -1], abs(predictions).max(), rtol=1e-10)
    np.testing.assert_allclose(problem.loss(predictions), ((predictions - targets) ** 2).mean(), rtol=1e-12)
    np.testing.assert_allclose(problem.loss_of(alone.final), problem.loss(predictions), rtol=1e-12)


def test_held_out_labels():
    y = np.sign(X[:, 0])
    run = rf.train(
        rf.Supervised(X, y, loss="logistic"), _mlp(), rf.AdaptiveDescent(), stop=rf.Stop(steps=50), progress=False,
        hold_out=0.25,
    )  # fmt: skip
    assert run.problem.observed == 9 and run.trajectory.attrs["held_out"] == 3
    assert np.isfinite(run.trajectory["held_out_error"]).all()


@pytest.mark.parametrize(
    ("inputs", "targets", "options", "words"),
    [
        (X, np.ones(3), {}, "targets has shape \\(3,\\)"),
        (X, np.ones((12, 1, 1)), {}, "targets has shape"),
        (1.0, [1.0], {}, "inputs has shape \\(\\)"),
        (X, np.zeros(12), {"loss": "logistic"}, "targets holds 0, but must hold the labels -1 and \\+1 for 'logistic'"),
        (X, -np.ones(12), {"loss": "poisson"}, "targets holds -1, but must hold counts"),
        (X, np.full(12, np.inf), {}, "targets holds inf"),
    ],
)
def test_refuses(inputs, targets, options, words):
    with pytest.raises(ValueError, match=words):
        rf.Supervised(inputs, targets, **options)


def test_refuses_starts_that_are_none():
    problem = rf.Supervised(X, np.ones(12))
    for start, words in (
        (_mlp(2), "gives an array of shape \\(2,\\) for an input, but must give"),
        (eqx.nn.MLP(4, "scalar", 2, 1, key=KEY), "cannot be called on an input of shape \\(3,\\)"),
        (rf.MatrixFactorization([np.eye(3)]), "but labelled inputs need a network"),
    ):
        with pytest.raises(ValueError, match=words):
            rf.train(problem, start, rf.GradientDescent(0.1), progress=False)
    with pytest.raises(ValueError, match="no array of floating-point numbers"):
        rf.networks.Network(eqx.nn.Identity())
    with pytest.raises(ValueError, match="differs from starts\\[0\\]"):
        rf.networks.Network.stack([rf.networks.Network(_mlp()), rf.networks.Network(_mlp(2))])
