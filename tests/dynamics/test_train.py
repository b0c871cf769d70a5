"""The compiled loop: against exact recursions, single runs, and every way a run can end."""

import os
import pty
import signal
import subprocess
import sys
import textwrap
import time

import jax
import numpy as np
import optax
import pytest

import rankfall as rf
from rankfall._execution import takes_hint


def balanced(depth=3, lanes=None, scale=1e-2, det_sign=1):
    key = jax.random.key(1) if lanes is None else jax.random.split(jax.random.key(1), lanes)
    return rf.MatrixFactorization.init((2, 2), depth, kind="balanced", scale=scale, det_sign=det_sign, key=key)


@pytest.fixture(scope="module")
def every_step():
    """A short depth-3 run recorded at every step."""
    return rf.train(
        rf.two_by_two(), balanced(), rf.GradientDescent(1e-2), stop=rf.Stop(steps=5000), record=rf.Record(every=1)
    )


def numpy_descent(factors, rate, steps):
    """Two-line reference: gradients of 1/2 sum of squares on [[*, 1], [1, 0]]."""
    factors = [w.copy() for w in factors]
    for _ in range(steps):
        below = [np.eye(2)]
        for w in factors:
            below.append(w @ below[-1])
        above = [np.eye(2)]
        for w in reversed(factors):
            above.append(above[-1] @ w)
        residual = below[-1] - np.array([[0.0, 1.0], [1.0, 0.0]])
        residual[0, 0] = 0
        depth = len(factors)
        grads = [above[depth - 1 - j].T @ residual @ below[j].T for j in range(depth)]
        factors = [w - rate * g for w, g in zip(factors, grads, strict=True)]
    return factors


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_steps_are_those_of_plain_descent(depth):
    start = balanced(depth, scale=0.3)
    run = rf.train(rf.two_by_two(), start, rf.GradientDescent(2e-2), stop=rf.Stop(steps=300), record=rf.Record())
    for ours, reference in zip(run.final.factors, numpy_descent(start.factors, 2e-2, 300), strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-10, atol=1e-13)
    assert run.stop_reason == "steps"
    assert run.trajectory["step"].values[0, -1] == 300


@pytest.mark.parametrize("lanes", [None, 3])
def test_identity_start_follows_the_exact_recursion_and_stays_symmetric_to_the_last_bit(lanes):
    alpha, rate, steps = 0.1, 5e-3, 20_000
    alphas = alpha if lanes is None else np.full(lanes, alpha)
    start = rf.MatrixFactorization.init((2, 2), 2, kind="identity", alpha=alphas)
    run = rf.train(
        rf.two_by_two(), start, rf.GradientDescent(rate), stop=rf.Stop(steps=steps), record=rf.Record(every=steps)
    )
    exact = rf.theory.identity_descent(alpha, rate, steps)
    w = run.final.full() if lanes is None else run.final.full()[-1]
    # Measured 2e-13; rounding of 20,000 steps of either computation.
    np.testing.assert_allclose([w[0, 0], w[0, 1], w[1, 1]], [exact.x[-1], exact.y[-1], exact.q[-1]], rtol=1e-11)
    # Any difference of the layers would grow like exp(x^2 / 4), x = 8 here; a compiler that is not known may round the
    # same sum in two ways.
    apart = abs(run.final.factors[1] - np.swapaxes(run.final.factors[0], -1, -2)).max()
    assert apart <= (0.0 if takes_hint() else 1e-6)


def test_lanes_equal_single_runs():
    rates, count = np.array([1e-2, 5e-3, 2e-2, 1e-3]), 4
    lanes = rf.MatrixFactorization.init(
        (2, 2), 3, scale=np.array([0.1, 0.2, 0.3, 0.4]), key=jax.random.split(jax.random.key(3), count)
    )
    stop, record = rf.Stop(steps=10_000), rf.Record(every=2_500)
    together = rf.train(rf.two_by_two(), lanes, rf.GradientDescent(rates), stop=stop, record=record)
    for i in range(count):
        alone = rf.train(rf.two_by_two(), lanes.lane(i), rf.GradientDescent(rates[i]), stop=stop, record=record)
        np.testing.assert_allclose(together.final.full()[i], alone.final.full(), rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(
            together.trajectory["loss"].values[i], alone.trajectory["loss"].values[0], rtol=1e-10, atol=1e-13
        )


def test_many_lanes_over_threads_keep_their_order():
    lanes = balanced(lanes=80)
    run = rf.train(rf.two_by_two(), lanes, rf.GradientDescent(1e-2), stop=rf.Stop(steps=64), record=rf.Record(every=64))
    expected = np.stack([_full(numpy_descent(lanes.lane(i).factors, 1e-2, 64)) for i in (0, 41, 79)])
    np.testing.assert_allclose(run.final.full()[[0, 41, 79]], expected, rtol=1e-9)


def _full(factors):
    product = np.eye(2)
    for w in factors:
        product = w @ product
    return product


def test_loss_levels_are_met_at_the_first_step(every_step):
    levels = [0.5, 0.1, 0.03]
    run = rf.train(
        rf.two_by_two(),
        balanced(),
        rf.GradientDescent(1e-2),
        stop=rf.Stop(loss=0.03, steps=5000),
        record=rf.Record(at_losses=levels),
    )
    loss = every_step.trajectory["loss"].values[0]
    first = [int(np.argmax(loss <= level)) for level in levels]
    assert run.trajectory["step"].values[0].tolist() == [0, *first]
    np.testing.assert_allclose(run.trajectory["loss"].values[0, 1:], loss[first], rtol=1e-12)
    assert run.stop_reason == "loss"


def test_lanes_stop_each_at_their_own_step_and_are_padded(every_step):
    lanes = balanced(lanes=20)
    run = rf.train(
        rf.two_by_two(),
        lanes,
        rf.GradientDescent(np.linspace(5e-3, 2e-2, 20)),
        stop=rf.Stop(loss=0.05),
        record=rf.Record(every=100),
    )
    step, loss = run.trajectory["step"].values, run.trajectory["loss"].values
    ended = (step >= 0).sum(axis=1)
    assert (run.stop_reason == "loss").all()
    assert len(set(ended)) > 1
    for lane, count in enumerate(ended):
        assert loss[lane, count - 1] <= 0.05 < loss[lane, count - 2]
        assert np.isnan(loss[lane, count:]).all()
        assert (np.diff(step[lane, :count]) > 0).all()


def test_log_steps_are_recorded():
    run = rf.train(
        rf.two_by_two(), balanced(), rf.GradientDescent(1e-2), stop=rf.Stop(steps=1000), record=rf.Record(log_steps=4)
    )
    assert run.trajectory["step"].values[0].tolist() == [0, 1, 10, 100, 1000]
    np.testing.assert_allclose(run.trajectory["time"].values[0], [0, 0.01, 0.1, 1, 10])


def test_recorded_measures_agree_with_the_pure_functions():
    run = rf.train(
        rf.two_by_two(),
        balanced(scale=0.1),
        rf.GradientDescent(1e-2),
        stop=rf.Stop(steps=500),
        record=rf.Record(every=500, measures=["end_to_end", "stable_rank", rf.measures.nuclear_norm]),
    )
    end, w = run.trajectory.isel(lane=0, record=-1), run.final.full()
    np.testing.assert_allclose(end["end_to_end"], w, rtol=1e-12)
    np.testing.assert_allclose(end["singular_values"], np.linalg.svd(w, compute_uv=False), rtol=1e-9)
    np.testing.assert_allclose(end["stable_rank"], rf.measures.stable_rank(w), rtol=1e-9)
    np.testing.assert_allclose(end["nuclear_norm"], end["schatten_norm"].sel(p=1.0), rtol=1e-9)
    np.testing.assert_allclose(end["effective_rank"], rf.measures.effective_rank(w), rtol=1e-8)
    np.testing.assert_allclose(end["unobserved"], [w[0, 0]])
    np.testing.assert_allclose(
        end["unbalancedness"], rf.measures.unbalancedness(run.final.factors), rtol=1e-6, atol=1e-15
    )
    np.testing.assert_allclose(end["det_sign"] * np.exp(end["log_abs_det"]), np.linalg.det(w), rtol=1e-8)


def test_functions_of_numpy_arrays_are_recorded_too():
    def spread(matrix):
        assert isinstance(matrix, np.ndarray)  # could not be traced
        return float(np.ptp(np.sort(matrix, axis=None)))

    run = rf.train(
        rf.two_by_two(),
        balanced(lanes=3),
        rf.GradientDescent(1e-2),
        stop=rf.Stop(steps=300),
        record=rf.Record(every=100, measures=[spread, "end_to_end"]),
    )
    w = run.trajectory["end_to_end"].values
    assert run.trajectory["spread"].shape == (3, 4)
    np.testing.assert_allclose(run.trajectory["spread"], w.max(axis=(-2, -1)) - w.min(axis=(-2, -1)), rtol=1e-12)
    assert not [name for name in run.trajectory if str(name).startswith("_")]


@pytest.mark.parametrize(
    ("observed", "depth", "widths", "lanes", "loss"),
    [
        ([[2.0]], 1, [], None, "half_sse"),
        ([[2.0]], 3, [1, 2], 9, "mse"),
        ([[1.0, np.nan, 3.0]], 2, [2], 1, "half_sse"),
        ([[1.0, 2.0, np.nan], [0.0, np.nan, np.nan]], 3, [3, 1], 2, "mse"),
        ([[np.nan, 1.0, 0.0], [1.0, 0.0, 0.5], [0.0, 2.0, 1.0]], 2, [3], 5, "half_sse"),
        ([[np.nan, 1.0], [1.0, 0.0]], 5, [3, 2, 2, 3], 3, "half_sse"),
    ],
)
def test_entrywise_steps_of_every_tiny_shape_are_those_of_automatic_differentiation(
    observed, depth, widths, lanes, loss
):
    problem = rf.MatrixCompletion.from_dense(observed, loss=loss)
    keys = jax.random.key(4) if lanes is None else jax.random.split(jax.random.key(4), lanes)
    start = rf.MatrixFactorization.init(problem.shape, depth, scale=0.5, widths=widths, key=keys)
    run = rf.train(problem, start, rf.GradientDescent(5e-2), stop=rf.Stop(steps=40), record=rf.Record())

    with jax.enable_x64(True):
        gradient = jax.jit(jax.grad(lambda m: problem.loss(m.full()).sum()))
        model = jax.tree.map(jax.numpy.asarray, start)
        for _ in range(40):
            model = jax.tree.map(lambda w, g: w - 5e-2 * g, model, gradient(model))
    for ours, reference in zip(run.final.factors, model.factors, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-10, atol=1e-13)


def test_divergence_is_a_value_and_keeps_the_record():
    run = rf.train(
        rf.two_by_two(),
        balanced(2, scale=1.0),
        rf.GradientDescent(5.0),
        stop=rf.Stop(steps=1000),
        record=rf.Record(every=1),
    )
    loss = run.trajectory["loss"].values[0]
    assert run.stop_reason == "diverged"
    assert np.isfinite(loss[:-1]).all() and not np.isfinite(loss[-1])
    assert len(loss) > 2
    assert all(np.isfinite(w).all() for w in run.final.factors)


def test_wall_time_ends_a_run():
    rf.train(rf.two_by_two(), balanced(), rf.GradientDescent(1e-9), stop=rf.Stop(steps=1))  # compiles
    began = time.monotonic()
    run = rf.train(rf.two_by_two(), balanced(), rf.GradientDescent(1e-9), stop=rf.Stop(steps=10**12, seconds=1.0))
    assert run.stop_reason == "seconds"
    assert time.monotonic() - began < 30
    assert run.trajectory["step"].values[0, -1] > 0


def test_a_start_at_the_target_takes_no_step():
    start = rf.MatrixFactorization([np.array([[5.0, 1.0], [1.0, 0.0]])])
    run = rf.train(rf.two_by_two(), start, rf.GradientDescent(0.1), stop=rf.Stop(loss=1e-6))
    assert run.stop_reason == "loss"
    assert run.trajectory["step"].values.tolist() == [[0]]


def test_large_matrices_take_the_matrix_product_path():
    problem = rf.low_rank_completion((6, 5), rank=1, observed=20, key=jax.random.key(0))
    start = rf.MatrixFactorization.init((6, 5), 2, scale=1e-2, key=jax.random.split(jax.random.key(1), 3))
    run = rf.train(problem, start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=5000), record=rf.Record(every=2500))
    loss, error = run.trajectory["loss"].values, run.trajectory["test_error"].values
    assert (loss[:, -1] < 1e-3 * loss[:, 0]).all()
    np.testing.assert_allclose(error[:, -1], rf.measures.mean_square_error(run.final.full(), problem.truth), rtol=1e-9)


def test_without_the_hint_to_the_compiler_the_numbers_are_the_same(monkeypatch):
    def run():
        return rf.train(rf.two_by_two(), balanced(lanes=3), rf.GradientDescent(1e-2), stop=rf.Stop(steps=2000))

    hinted = run()
    monkeypatch.setattr("rankfall.dynamics.batch.takes_hint", lambda: False)
    np.testing.assert_allclose(run().final.full(), hinted.final.full(), rtol=1e-10, atol=1e-13)


@pytest.mark.skipif(not takes_hint(), reason="of this compiler nothing is known")
@pytest.mark.parametrize(("depth", "lanes"), [(2, None), (2, 40), (3, None), (3, 3), (3, 40)])
def test_the_last_digit_does_not_depend_on_how_steps_are_cut_into_rounds(depth, lanes):
    # Most steps are taken in blocks, those next to an event one by one: where a round ends is a matter of time.
    start = rf.MatrixFactorization.init(
        (2, 2), depth, scale=0.3, key=jax.random.key(1) if lanes is None else jax.random.split(jax.random.key(1), lanes)
    )
    records = [rf.Record(), *(rf.Record(every=k) for k in (1, 13)), rf.Record(at_losses=np.geomspace(0.5, 1e-3, 17))]
    whole, *cut = (
        rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=1003), record=record)
        for record in records
    )
    for run in cut:
        for one, other in zip(run.final.factors, whole.final.factors, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.skipif(not takes_hint(), reason="of this compiler nothing is known")
@pytest.mark.parametrize("lanes", [None, 40])
def test_a_symmetric_chain_of_two_factors_stays_symmetric_to_the_last_digit(lanes):
    first = np.random.default_rng(0).normal(size=(2, 2) if lanes is None else (lanes, 2, 2)) * 0.3
    start = rf.MatrixFactorization([first, np.swapaxes(first, -1, -2)])
    run = rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=3001))
    below, above = run.final.factors
    np.testing.assert_array_equal(above, np.swapaxes(below, -1, -2))


def test_float32_problem_trains_in_float32():
    start = balanced()
    run = rf.train(rf.two_by_two(dtype="float32"), start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=100))
    assert run.final.factors[0].dtype == np.float32
    np.testing.assert_allclose(run.final.full(), _full(numpy_descent(start.factors, 1e-2, 100)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rule", [optax.adam(1e-2), rf.group_rmsprop(1e-2, eps=1e-14)], ids=["adam", "group_rmsprop"])
def test_optax_rules_train(rule):
    run = rf.train(rf.two_by_two(), balanced(2, lanes=2), rf.GradientDescent(rule), stop=rf.Stop(steps=2000))
    loss = run.trajectory["loss"].values
    assert (loss[:, -1] < 0.05).all()
    assert np.isnan(run.trajectory["time"].values).all()


@pytest.mark.parametrize("width", [2, 5])
def test_optax_rules_see_the_factors_as_matrices(width):
    # The trust ratio of LAMB is one number for each leaf: entries as leaves of their own would train otherwise.
    rule, steps = optax.lamb(1e-2), 30
    start = rf.MatrixFactorization.init((2, 2), 2, scale=0.5, widths=[width], key=jax.random.key(2))
    problem = rf.two_by_two()
    run = rf.train(problem, start, rf.GradientDescent(rule), stop=rf.Stop(steps=steps))
    with jax.enable_x64(True):
        model = jax.tree.map(jax.numpy.asarray, start)
        state = rule.init(model)
        gradient = jax.jit(jax.grad(lambda m: problem.loss(m.full())))
        for _ in range(steps):
            updates, state = rule.update(gradient(model), state, model)
            model = optax.apply_updates(model, updates)
    for ours, reference in zip(run.final.factors, model.factors, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-9)


def test_group_rmsprop_first_step_has_the_stated_length():
    start = balanced(2, scale=0.5)
    eps, rate = 1e-2, 1e-3
    run = rf.train(rf.two_by_two(), start, rf.GradientDescent(rf.group_rmsprop(rate, eps=eps)), stop=rf.Stop(steps=1))
    plain = numpy_descent(start.factors, 1.0, 1)
    size = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(start.factors, plain, strict=True)))
    moved = np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(start.factors, run.final.factors, strict=True)))
    np.testing.assert_allclose(moved, rate / (1 + eps / size), rtol=1e-9)


def test_training_leaves_the_flags_of_jax_alone(every_step):
    assert every_step.final.factors[0].dtype == np.float64
    assert not jax.config.jax_enable_x64
    assert jax.numpy.ones(1).dtype == np.float32


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rf.GradientDescent(-1e-3), "step size"),
        (lambda: rf.GradientDescent("fast"), "rule"),
        (lambda: rf.Stop(loss=0.0), "loss"),
        (lambda: rf.Stop(steps=0), "steps"),
        (lambda: rf.Stop(seconds=-1.0), "seconds"),
        (lambda: rf.Record(every=0), "every"),
        (lambda: rf.Record(measures=["no_such"]), "no_such"),
        (lambda: rf.group_rmsprop(1e-2, beta=1.0), "beta"),
        (lambda: rf.train(rf.two_by_two(size=3), balanced(), rf.GradientDescent(1e-2)), "shape"),
        (lambda: rf.train(rf.two_by_two(), balanced(), rf.GradientDescent([1e-2, 1e-3])), "2 values"),
    ],
)
def test_bad_input_is_refused_by_name(call, words):
    with pytest.raises(ValueError, match=words):
        call()


_LONG_RUN = textwrap.dedent(
    """
    import jax, rankfall as rf
    start = rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=1e-2, key=jax.random.key(0))
    print("ready", flush=True)
    run = rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-9), stop=rf.Stop(steps=10**12{more}))
    print(run.stop_reason, run.trajectory.sizes["record"] > 1, flush=True)
    """
)


def test_interrupt_returns_what_was_recorded():
    process = subprocess.Popen(
        [sys.executable, "-c", _LONG_RUN.format(more="")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline().strip() == "ready"
    time.sleep(8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert out.split() == ["interrupted", "True"]
    # Not a terminal: the progress line stays silent.
    assert err == ""


def test_progress_is_shown_in_a_terminal():
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _LONG_RUN.format(more=", seconds=6.0")], stdout=subprocess.PIPE, stderr=follower
    )
    process.communicate(timeout=90)
    os.close(follower)
    shown = os.read(leader, 100_000).decode()
    os.close(leader)
    assert "lane-steps/s" in shown and "loss" in shown
