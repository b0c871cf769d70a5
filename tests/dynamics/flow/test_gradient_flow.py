"""The flow of the factors: it agrees with the other forms, conserves what it must, and says when it does not."""

import diffrax
import jax
import numpy as np
import pytest

import rankfall as rf

KEY = jax.random.key(0)


def low_rank(shape, observed, key=0):
    return rf.low_rank_completion(shape, rank=2, observed=observed, frobenius=4.0, key=jax.random.key(key))


def rank_two_start():
    rng = np.random.default_rng(0)
    w = 0.1 * rng.normal(size=(6, 2)) @ rng.normal(size=(2, 4))
    return rf.SpectralFactorization.from_end_to_end(w, 3).to_factors()


CASES = {
    "20 x 30, depth 4": lambda: (
        rf.low_rank_completion((20, 30), rank=3, observed=400, frobenius=20.0, key=KEY),
        rf.MatrixFactorization.init((20, 30), depth=4, kind="balanced", scale=1e-2, key=KEY),
        10.0,
    ),
    "6 x 4 of rank 2": lambda: (low_rank((6, 4), 16), rank_two_start(), 20.0),
    "5 x 5 from alpha I": lambda: (
        low_rank((5, 5), 16, key=3),
        rf.MatrixFactorization.init((5, 5), depth=3, kind="identity", alpha=0.01),
        20.0,
    ),
    "sensing": lambda: (
        rf.low_rank_sensing((5, 4), rank=2, measurements=12, frobenius=4.0, key=jax.random.key(3)),
        rf.MatrixFactorization.init((5, 4), depth=3, kind="balanced", scale=0.1, key=KEY),
        100.0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_three_forms_of_one_flow_agree(name):
    """Factors, singular values and the plain end-to-end equation, integrated independently."""
    problem, start, time = CASES[name]()
    explicit = diffrax.Dopri8()
    flows = (rf.GradientFlow(1e-10, explicit), rf.SpectralFlow(1e-10, explicit), rf.EndToEndFlow(1e-11))
    options = {"stop": rf.Stop(flow_time=time), "record": rf.Record(), "progress": False}
    runs = [rf.train(problem, start, flow, **options) for flow in flows]
    for run in runs:
        assert run.stop_reason == "flow_time" and float(run.trajectory["energy_error"].max()) < 1e-8
        np.testing.assert_allclose(run.final.full(), runs[0].final.full(), rtol=0, atol=1e-8)
    assert float(runs[0].trajectory["balance_drift"].max()) < 1e-11
    moved = np.abs(runs[0].final.full() - start.full()).max()
    assert moved > 0.1  # and not for want of movement


def test_depth_of_two_and_a_half():
    problem, start, _ = CASES["sensing"]()
    between = rf.SpectralFactorization.from_end_to_end(start.full(), 2.5)
    options = {"stop": rf.Stop(flow_time=100.0), "record": rf.Record(), "progress": False}
    spectral = rf.train(problem, between, rf.SpectralFlow(1e-10, diffrax.Dopri8()), **options)
    plain = rf.train(problem, between, rf.EndToEndFlow(1e-11), **options)
    np.testing.assert_allclose(spectral.final.full(), plain.final.full(), rtol=0, atol=1e-8)
    whole = rf.train(problem, start, rf.GradientFlow(1e-8, diffrax.Dopri8()), **options)
    assert np.abs(whole.final.full() - plain.final.full()).max() > 1e-4  # depth 3 is another flow


def start_of(depth, lanes=None, scale=1e-2):
    key = KEY if lanes is None else jax.random.split(KEY, lanes)
    return rf.MatrixFactorization.init((2, 2), depth, kind="balanced", scale=scale, det_sign=1, key=key)


@pytest.fixture(scope="module")
def depth_three():
    return rf.train(rf.two_by_two(), start_of(3), rf.GradientFlow(), stop=rf.Stop(loss=1e-5))


def test_follows_the_theorem_and_conserves(depth_three):
    path = depth_three.trajectory.isel(lane=0)
    assert depth_three.stop_reason == "loss" and float(path["loss"][-1]) == pytest.approx(1e-5, rel=1e-9)
    bound = rf.theory.unobserved_lower_bound(path["loss"].values)
    assert (np.abs(path["unobserved"].values[:, 0]) >= bound * (1 - 1e-9)).all()
    assert float(path["balance_drift"].max()) < 1e-10 and float(path["energy_error"].max()) < 1e-10
    assert (np.diff(path["loss"].values) < 0).all() and (path["det_sign"] == 1).all()
    spectral = rf.train(rf.two_by_two(), start_of(3), rf.SpectralFlow(), stop=rf.Stop(loss=1e-5)).trajectory
    for name in ("time", "log_abs_det"):
        assert float(path[name][-1]) == pytest.approx(float(spectral[name][0, -1]), rel=1e-8)


def test_descent_follows_the_flow_to_first_order(depth_three):
    """Halving the step halves the distance at a time."""
    time = 40.0
    flow = rf.train(rf.two_by_two(), start_of(3), rf.GradientFlow(), stop=rf.Stop(flow_time=time), record=rf.Record())
    distances = []
    for size in (4e-3, 2e-3, 1e-3):
        run = rf.train(rf.two_by_two(), start_of(3), rf.GradientDescent(size), stop=rf.Stop(flow_time=time))
        assert run.stop_reason == "flow_time" and float(run.trajectory["time"][0, -1]) == pytest.approx(time)
        distances.append(np.abs(run.final.full() - flow.final.full()).max())
    ratios = np.array(distances[:-1]) / distances[1:]
    np.testing.assert_allclose(ratios, 2.0, rtol=0.05)


def test_records_at_times_and_losses_and_stops_exactly_there(depth_three):
    times, levels = [0.5, 7.0, 20.0], [0.9, 0.5]
    run = rf.train(
        rf.two_by_two(), start_of(3), rf.GradientFlow(), stop=rf.Stop(flow_time=30.0),
        record=rf.Record(at_times=times, at_losses=levels),
    )  # fmt: skip
    path = run.trajectory.isel(lane=0)
    assert set(times) <= set(path["time"].values) and float(path["time"][-1]) == 30.0
    for level in levels:
        assert np.abs(path["loss"].values / level - 1).min() < 1e-11
    descent = rf.train(
        rf.two_by_two(), start_of(3), rf.GradientDescent(3e-3), stop=rf.Stop(flow_time=30.0),
        record=rf.Record(at_times=times),
    )  # fmt: skip
    assert descent.stop_reason == "flow_time"
    np.testing.assert_allclose(descent.trajectory["time"][0, 1:], [*times, 30.0], atol=3e-3)


def test_depth_two_loses_its_sign_to_rounding_and_says_so():
    """Facts 5: an imbalance grows like exp(x^2 / 4); even the exact flow of rounded factors cannot keep it."""
    run = rf.train(rf.two_by_two(), start_of(2), rf.GradientFlow(), stop=rf.Stop(loss=1e-6))
    path = run.trajectory.isel(lane=0)
    assert run.stop_reason == "certificate" and float(path["det_sign"][-1]) == -1
    assert 3 < abs(float(path["unobserved"][-1, 0])) < 11 and float(path["loss"][-1]) > 1e-3
    on = rf.train(rf.two_by_two(), start_of(2), rf.GradientFlow(certify=False), stop=rf.Stop(loss=1e-6))
    assert on.stop_reason == "loss" and abs(float(on.trajectory["unobserved"][0, -1, 0])) < 20


def test_a_loose_solver_loses_the_balance_and_says_so():
    flow = rf.GradientFlow(1e-3, diffrax.Kvaerno5(), balance_tolerance=1e-6)
    run = rf.train(rf.two_by_two(), start_of(3), flow, stop=rf.Stop(loss=1e-6))
    assert run.stop_reason == "certificate"
    assert run.trajectory.sizes["record"] > 1  # with what was recorded until then


@pytest.mark.parametrize("solver", [diffrax.Tsit5(), diffrax.Kvaerno5()])
def test_solvers_of_diffrax(solver):
    flow = rf.GradientFlow(1e-8, solver)
    run = rf.train(rf.two_by_two(), start_of(3), flow, stop=rf.Stop(flow_time=60.0), record=rf.Record())
    exact = rf.train(rf.two_by_two(), start_of(3), rf.GradientFlow(), stop=rf.Stop(flow_time=60.0), record=rf.Record())
    np.testing.assert_allclose(run.final.full(), exact.final.full(), atol=3e-6)


def test_other_ends():
    rng = np.random.default_rng(0)
    noisy = rf.MatrixSensing(rng.normal(size=(9, 2, 2)), rng.normal(size=9))  # more equations than entries
    run = rf.train(noisy, start_of(2), rf.GradientFlow(certify=False))
    least = np.linalg.lstsq(noisy.measurements.reshape(9, 4), noisy.values, rcond=None)[0].reshape(2, 2)
    assert run.stop_reason == "stationary"
    np.testing.assert_allclose(run.final.full(), least, atol=1e-6)
    steps = rf.train(rf.two_by_two(), start_of(3), rf.GradientFlow(), stop=rf.Stop(steps=7))
    assert steps.stop_reason == "steps" and int(steps.trajectory["step"][0, -1]) == 7
    soon = rf.train(rf.two_by_two(), start_of(3), rf.GradientFlow(), stop=rf.Stop(seconds=1e-9))
    assert soon.stop_reason == "seconds"
    stuck = rf.train(rf.two_by_two(), start_of(3), rf.GradientFlow(1e-15, diffrax.Tsit5()), stop=rf.Stop(seconds=60))
    assert stuck.stop_reason in ("stalled", "steps")
    huge = rf.MatrixFactorization([np.full((2, 2), 1e200)] * 2)
    assert rf.train(rf.two_by_two(), huge, rf.GradientFlow()).stop_reason == "diverged"


def test_refusals():
    for make, words in (
        (lambda: rf.GradientFlow(0.5), "rtol is 0.5"),
        (lambda: rf.GradientFlow(solver="euler"), "solver is 'euler'"),
        (lambda: rf.GradientFlow(solver=diffrax.Euler()), "Euler, which estimates no error"),
        (lambda: rf.EndToEndFlow(solver="radau"), "solver is 'radau'"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
    import optax

    with pytest.raises(ValueError, match="flow time, but this rule has none"):
        rf.train(rf.two_by_two(), start_of(2), rf.GradientDescent(optax.sgd(0.1)), stop=rf.Stop(flow_time=1.0))
