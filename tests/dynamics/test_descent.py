"""Optimisers of optax as rules: what they ask for, what they keep, and how rules and runs are pickled."""

import pickle
import sys

import jax
import numpy as np
import optax
import pytest

import rankfall as rf

PROBLEM = rf.two_by_two()
START = rf.MatrixFactorization.init((2, 2), 2, kind="balanced", scale=0.3, det_sign=1, key=jax.random.key(0))


def trained(rule, steps=20, problem=PROBLEM, start=START):
    return rf.train(problem, start, rf.GradientDescent(rule), stop=rf.Stop(steps=steps), progress=False)


@pytest.mark.parametrize(
    ("rule", "reached"),
    [(optax.lbfgs(memory_size=3), 1e-20), (optax.polyak_sgd(), 1e-6)],
    ids=["a line search asks for values elsewhere", "the value gives the step"],
)
def test_optimisers_that_need_the_value_are_given_it(rule, reached):
    path = trained(rule, 40).trajectory
    assert 0 <= path["loss"][0, -1] < reached < 0.1 < path["loss"][0, 0]


def test_the_value_that_is_given_is_the_loss():
    def update(gradient, state, params, *, value, grad, value_fn):
        del state
        # Of the gradient of w -> value_fn(w) and of what it is given to be, no more than rounding.
        off = jax.tree.map(lambda a, b: abs(a - b).sum(), jax.grad(value_fn)(params), gradient)
        return jax.tree.map(lambda g: -0.01 * g, grad), (value, sum(jax.tree.leaves(off)), value_fn(params) - value)

    seen = []

    def looking(gradient, state, params, **more):
        updates, now = update(gradient, state, params, **more)
        jax.debug.callback(lambda *numbers: seen.append([float(n) for n in numbers]), *now)
        return updates, state

    run = trained(optax.GradientTransformationExtraArgs(lambda params: (), looking), 3)
    jax.effects_barrier()
    fixed = rf.train(PROBLEM, START, rf.GradientDescent(0.01), stop=rf.Stop(steps=3), record=rf.Record(every=1))
    values, off, again = np.transpose(seen)
    # A callback of the compiled loop may be given single precision.
    np.testing.assert_allclose(values[:3], fixed.trajectory["loss"][0, :3], rtol=1e-6)
    assert off.max() < 1e-14 and abs(again).max() < 1e-14
    np.testing.assert_allclose(run.final.full(), fixed.final.full(), rtol=1e-12)


def test_plateaus_and_chains_are_given_the_value():
    rule = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau(factor=0.5, patience=5))
    run, plain = trained(rule), trained(0.1)
    np.testing.assert_allclose(run.final.full(), plain.final.full(), rtol=1e-12)  # the loss falls: no plateau


def test_a_rule_may_keep_a_random_key():
    noisy, plain = trained(optax.noisy_sgd(0.01, key=0)), trained(0.01)
    off = np.abs(noisy.final.full() - plain.final.full())
    assert 1e-4 < off.max() < 0.1


def test_rules_that_take_fewer_arguments_are_given_no_more():
    sam = optax.contrib.sam(optax.sgd(0.1), optax.chain(optax.contrib.normalize(), optax.sgd(0.05)), sync_period=2)
    path = trained(sam, 200).trajectory
    assert path["loss"][0, -1] < 0.5 * path["loss"][0, 0]


def test_a_rule_of_other_parameters_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match=r"rule is an optax transformation that fails .* take another, such as"):
        trained(optax.lookahead(optax.sgd(1e-2), 5, 0.5))


def test_group_rmsprop_compares_by_its_numbers():
    assert rf.group_rmsprop(1e-3) == rf.group_rmsprop(1e-3) != rf.group_rmsprop(2e-3)


RULES = {
    "descent": rf.GradientDescent([1e-2]),
    "group rmsprop": rf.GradientDescent(rf.group_rmsprop(1e-3)),
    "optax": rf.GradientDescent(optax.adam(1e-3)),
    "adaptive": rf.AdaptiveDescent(),
    "exponential": rf.ExponentialDescent(),
    "normalized": rf.NormalizedDescent(0.1),
    "stochastic": rf.StochasticDescent(0.1, 2, key=jax.random.key(0)),
    "mirror": rf.MirrorDescent(rf.potentials.Hypentropy(0.1), 0.1),
    "flow": rf.GradientFlow(),
    "spectral flow": rf.SpectralFlow(),
    "linear flow": rf.LinearFlow(),
    "end-to-end flow": rf.EndToEndFlow(),
    "stop": rf.Stop(loss=1e-3),
    "record": rf.Record(every=2, measures=["nuclear"]),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_goes_through_pickle(name):
    back = pickle.loads(pickle.dumps(RULES[name]))
    assert type(back) is type(RULES[name]) and repr(back) == repr(RULES[name])


@pytest.mark.parametrize("rule", [1e-2, rf.group_rmsprop(1e-3), optax.adam(1e-3)], ids=["fixed", "group", "adam"])
def test_a_run_comes_back_from_pickle_and_trains_on(rule):
    run = trained(rule, 5)
    back = pickle.loads(pickle.dumps(run))
    assert back.stop_reason == "steps" and back.trajectory.identical(run.trajectory)
    more, expected = (rf.train(r.problem, r.final, r.dynamics, stop=rf.Stop(steps=5)) for r in (back, run))
    np.testing.assert_array_equal(more.final.full(), expected.final.full())


def test_without_cloudpickle_the_run_comes_back_and_its_rule_says_what_it_lacks(monkeypatch):
    run = trained(optax.adam(1e-3), 5)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    packed = pickle.dumps(run)
    monkeypatch.undo()
    back = pickle.loads(packed)
    np.testing.assert_array_equal(back.final.full(), run.final.full())
    assert repr(back.dynamics) == "GradientDescent(optax)"
    with pytest.raises(ValueError, match="rule is an optax transformation that pickle could not keep"):
        rf.train(back.problem, back.final, back.dynamics, stop=rf.Stop(steps=5))
