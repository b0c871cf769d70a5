"""Descent with a backtracking step, and in exponential steps: fast from small starts, to rounding, along the flow."""

import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.talk import EXPERIMENTS
from rankfall.talk.tensor_order.experiment import _problem

KEY = jax.random.key(0)


def completion(shape, rank, share, seed=0, **options):
    """A unit tensor of a CP rank, from a share of its entries."""
    rng = np.random.default_rng(seed)
    tensor = rf.CPFactorization([rng.normal(size=(n, rank)) for n in shape]).full()
    tensor = tensor / np.linalg.norm(tensor)
    seen = rng.random(shape) < share
    return rf.TensorCompletion.from_dense(np.where(seen, tensor, np.nan), truth=tensor, **options)


@pytest.fixture(scope="module")
def cube():
    return completion((4, 4, 4), 2, 0.7)


def test_leaves_a_small_start_and_reaches_rounding():
    """Order 4, rank 1, a quarter of the entries, start of 1e-3: the talk's setting with as many components as fit."""
    problem = completion((8, 8, 8, 8), 1, 0.25, loss="mse")
    keys = jax.random.split(KEY, 2)
    start = rf.CPFactorization.init(problem.shape, components=64, factor_std=1e-3, key=keys)
    # The first of the two keys keeps a second component for long, which plain steps need thousands to get rid of.
    for rule, begin, most in ((rf.AdaptiveDescent(), start.lane(1), 150), (rf.ExponentialDescent(), start, 60)):
        run = rf.train(problem, begin, rule, stop=rf.Stop(loss=1e-15, steps=most))
        path = run.trajectory
        assert np.all(run.stop_reason == np.array("loss"))
        last = path["step"].argmax("record")
        assert (path["reconstruction_error"].isel(record=last) < 1e-5).all()
        norms = np.sort(path["component_norms"].isel(record=last).values)[:, ::-1]
        assert (norms[:, 1] < 1e-3).all() and np.allclose(norms[:, 0], 1, atol=1e-3)
    stuck = rf.train(problem, start, rf.GradientDescent(rf.group_rmsprop(1e-2)), stop=rf.Stop(loss=1e-15, steps=500))
    assert (stuck.stop_reason == "steps").all()  # eps = 1e-6 holds it at the saddle


def test_rank_three_is_learned_where_descent_stays_at_a_saddle():
    problem = completion((8, 8, 8, 8), 3, 0.5, seed=3, loss="mse")
    start = rf.CPFactorization.init(problem.shape, components=24, factor_std=1e-3, key=KEY)
    run = rf.train(problem, start, rf.ExponentialDescent(), stop=rf.Stop(loss=1e-15, steps=400))
    assert run.stop_reason == "loss" and float(run.trajectory["reconstruction_error"][0, -1]) < 1e-5
    norms = np.sort(run.final.component_norms())[::-1]
    assert norms[2] > 0.05 and norms[3] < 1e-3
    plain = rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-15, steps=2000))
    assert plain.stop_reason == "steps" and (np.sort(plain.final.component_norms())[::-1][2] < 0.05)


def test_a_large_start_does_not_give_low_rank():
    problem = completion((6, 6, 6), 1, 0.7, loss="mse")
    errors = []
    for std in (1e-3, 0.3):
        start = rf.CPFactorization.init(problem.shape, factor_std=std, key=KEY)
        run = rf.train(problem, start, rf.ExponentialDescent(), stop=rf.Stop(loss=1e-15, steps=300))
        assert run.stop_reason == "loss"
        errors.append(float(run.trajectory["reconstruction_error"][0, -1]))
    assert errors[0] < 1e-2 and errors[1] > 0.3


def test_path_comes_near_the_flow_as_agreement_is_asked(cube):
    start = rf.CPFactorization.init(cube.shape, components=6, factor_std=1e-1, key=jax.random.key(1))
    times = np.array([10.0, 25.0, 40.0])
    record = rf.Record(at_times=times, measures=["end_to_end"])

    def at(rule):
        run = rf.train(cube, start, rule, record=record, stop=rf.Stop(flow_time=40.0))
        assert run.stop_reason == "flow_time"
        path = run.trajectory.isel(lane=0)
        where = [int(np.abs(path["time"].values - t).argmin()) for t in times]
        np.testing.assert_allclose(path["time"].values[where], times)
        return path["end_to_end"].values[where]

    flow = at(rf.GradientFlow())
    errors = [np.abs(at(rf.ExponentialDescent(agreement=a)) - flow).max() for a in (0.1, 1e-2, 1e-3, 1e-4)]
    assert errors[-1] < 1e-3 and errors[0] > 10 * errors[-1] and errors[2] < errors[0] / 4
    slow = rf.train(cube, start, rf.GradientDescent(1e-3), record=record, stop=rf.Stop(flow_time=40.0))
    assert np.abs(slow.final.full() - flow[-1]).max() < 1e-3


def test_gradient_flow_of_components_conserves_what_it_must(cube):
    start = rf.CPFactorization.init(cube.shape, components=6, factor_std=1e-1, key=jax.random.key(1))
    run = rf.train(cube, start, rf.GradientFlow(), stop=rf.Stop(loss=1e-8))
    assert run.stop_reason == "loss"
    assert run.trajectory["balance_drift"].max() < 1e-8 and run.trajectory["energy_error"].max() < 1e-8
    with pytest.raises(ValueError, match="CPFactorization, but SpectralFlow is of matrix"):
        flat = rf.CPFactorization.init((2, 2), components=2, factor_std=0.1, key=KEY)
        rf.train(rf.two_by_two(), flat, rf.SpectralFlow())


@pytest.mark.parametrize("rule", [rf.AdaptiveDescent(), rf.ExponentialDescent()])
def test_matrices_lanes_and_single_precision(rule):
    """The two-by-two problem: a lane is what it would be alone, and float32 works."""
    starts = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-3, det_sign=1,
                                         key=jax.random.split(KEY, 3))  # fmt: skip
    stop = rf.Stop(loss=1e-3, steps=20_000)
    run = rf.train(rf.two_by_two(), starts, rule, stop=stop)
    assert (run.stop_reason == "loss").all()
    alone = rf.train(rf.two_by_two(), starts.lane(1), rule, stop=stop)
    np.testing.assert_allclose(run.final.lane(1).full(), alone.final.full(), rtol=1e-6)
    assert float(alone.trajectory["unobserved"][0, -1, 0]) ** 2 > 400
    single = rf.two_by_two(dtype="float32")
    run = rf.train(single, starts.lane(1), rule, stop=rf.Stop(loss=1e-2, steps=20_000))
    assert run.stop_reason == "loss" and run.final.factors[0].dtype == np.float32


@pytest.mark.parametrize("rule", [rf.AdaptiveDescent(), rf.ExponentialDescent()])
def test_ends_where_nothing_is_left_to_gain(rule):
    """More data than a rank-one tensor can fit: the loss ends above zero, and the run with it."""
    rng = np.random.default_rng(0)
    problem = rf.TensorCompletion.from_dense(rng.normal(size=(3, 3, 3)))
    start = rf.CPFactorization.init(problem.shape, components=1, factor_std=0.3, key=KEY)
    run = rf.train(problem, start, rule, stop=rf.Stop(loss=1e-12, steps=20_000))
    assert run.stop_reason == "stationary" and run.trajectory["loss"][0, -1] > 0.1
    _, slope = run.final.loss_and_gradient(problem)
    assert max(np.abs(g).max() for g in slope.factors) < 1e-5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rf.AdaptiveDescent(decrease=1.0), "decrease is 1"),
        (lambda: rf.AdaptiveDescent(shrink=0.0), "shrink is 0"),
        (lambda: rf.AdaptiveDescent(growth=0.9), "growth is 0.9"),
        (lambda: rf.AdaptiveDescent(first_step=0.0), "first_step"),
        (lambda: rf.ExponentialDescent(krylov=0), "krylov"),
        (lambda: rf.ExponentialDescent(agreement=1.0), "agreement is 1"),
        (lambda: rf.ExponentialDescent(first_step=-1.0), "first_step"),
    ],
)
def test_refusals(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    "rule",
    [rf.ExponentialDescent(), rf.AdaptiveDescent(), rf.GradientFlow(), rf.GradientDescent(rf.group_rmsprop(1e-2))],
)
def test_every_rule_keeps_the_tree_of_a_hierarchical_factorization(cube, rule):
    start = rf.HierarchicalFactorization.init(
        cube.shape, 3, tree=((0, 2), 1), factor_std=0.5, key=jax.random.split(KEY, 2)
    )
    run = rf.train(cube, start, rule, stop=rf.Stop(loss=1e-3, steps=300), record=rf.Record(every=50))
    assert run.final.tree == ((0, 2), 1) and run.final.lanes == 2
    path = run.trajectory
    assert {"local_component_norms", "unbalancedness", "reconstruction_error"} <= set(path)
    np.testing.assert_allclose(path["loss"].min("record"), cube.loss(run.final.full()), rtol=1e-6)
    assert (path["loss"].min("record") < path["loss"][:, 0] / 2).all()


def test_does_not_leap_to_a_solution_far_away():
    """A start from which losses agree with the model on a leap to a tensor forty times as large as the target."""
    settings = EXPERIMENTS.settings("tensor-order4", full=True)
    problem, truth = _problem(settings, 3, 3000)
    key = jax.random.split(jax.random.key(1), 5)[3]
    start = rf.CPFactorization.init(problem.shape, factor_std=1e-3, key=key)
    run = rf.train(problem, start, rf.ExponentialDescent(), stop=rf.Stop(loss=1e-15, steps=200))
    assert run.stop_reason == "loss"
    assert np.linalg.norm(run.final.full() - truth) < 1e-5
