"""Flows of few numbers and closed forms: against formulas on paper, and what they refuse."""

import jax
import numpy as np
import pytest

import rankfall as rf

TARGET = rf.MatrixCompletion.from_dense(np.diag([3.0, 1.0, 0.25]))


def test_aligned_modes_are_logistic_at_depth_two():
    first, target, time = np.array([2e-3, 1e-3, 1e-4]), np.array([3.0, 1.0, 0.25]), 3.0
    start = rf.SpectralFactorization.from_end_to_end(np.diag(first), 2)
    run = rf.train(TARGET, start, rf.AlignedFlow(), stop=rf.Stop(flow_time=time))
    grown = np.exp(2 * target * time)
    np.testing.assert_allclose(np.diag(run.final.full()), target * grown / (grown - 1 + target / first), rtol=1e-9)
    assert float(run.trajectory["energy_error"].max()) < 1e-10


def test_aligned_is_the_flow_of_any_depth():
    start = rf.SpectralFactorization.from_end_to_end(np.diag([0.5, 0.4, 0.3]), 3)
    options = {"stop": rf.Stop(flow_time=5.0), "record": rf.Record()}
    aligned = rf.train(TARGET, start, rf.AlignedFlow(), **options).final
    plain = rf.train(TARGET, start, rf.EndToEndFlow(1e-12), **options).final
    np.testing.assert_allclose(aligned.full(), plain.full(), atol=1e-10)


def test_symmetric_flow_is_the_spectral_flow():
    start = rf.SpectralFactorization.from_end_to_end(1e-3 * np.array([[0.6, 0.2], [0.2, 0.9]]), 4)
    ours, other = (
        rf.train(rf.two_by_two(), start, flow, stop=rf.Stop(loss=1e-10), record=rf.Record()).trajectory.isel(lane=0)
        for flow in (rf.SymmetricFlow(), rf.SpectralFlow())
    )
    for name in ("time", "log_abs_det"):
        assert float(ours[name][-1]) == pytest.approx(float(other[name][-1]), rel=1e-9)


def test_regression_flow_is_the_closed_form():
    rng = np.random.default_rng(0)
    X, y, w0 = rng.normal(size=(4, 7)), rng.normal(size=4), rng.normal(size=7)
    problem = rf.LinearRegression(X, y)
    start = rf.MatrixFactorization([w0[:, None]])
    for time in (0.3, 5.0):
        run = rf.train(problem, start, rf.LinearFlow(), stop=rf.Stop(flow_time=time))
        assert run.stop_reason == "flow_time"
        np.testing.assert_allclose(run.final.full()[:, 0], rf.theory.flow_iterate(X, y, time, w0), rtol=1e-11)
    flow = rf.train(problem, start, rf.GradientFlow(), stop=rf.Stop(flow_time=0.3), record=rf.Record())
    np.testing.assert_allclose(flow.final.full()[:, 0], rf.theory.flow_iterate(X, y, 0.3, w0), rtol=1e-9)
    ended = rf.train(problem, start, rf.LinearFlow())
    assert ended.stop_reason == "stationary"
    np.testing.assert_allclose(ended.final.full()[:, 0], rf.theory.descent_limit(X, y, w0), rtol=1e-10)


@pytest.mark.parametrize("loss", ["half_sse", "mse"])
def test_completion_of_depth_one_leaves_the_unobserved_entry(loss):
    problem = rf.two_by_two(loss=loss)
    start = rf.MatrixFactorization(
        [np.stack([np.array([[5.0, 0.0], [0.5, 0.2]]), np.array([[-3.0, 1.0], [0.0, 0.0]])])]
    )
    run = rf.train(problem, start, rf.LinearFlow(), stop=rf.Stop(loss=1e-10), record=rf.Record(at_losses=[1e-2, 1e-5]))
    assert list(run.stop_reason) == ["loss"] * 2
    np.testing.assert_array_equal(run.final.full()[:, 0, 0], [5.0, -3.0])
    np.testing.assert_allclose(run.trajectory["loss"].values[:, -3:], [[1e-2, 1e-5, 1e-10]] * 2, rtol=1e-12)
    # A residual r falls as r exp(-t), or at 2/3 of that for the mean of three squares.
    speed = 1.0 if loss == "half_sse" else 2 / 3
    first = float(run.trajectory["loss"][0, 0])
    assert float(run.trajectory["time"][0, -1]) == pytest.approx(np.log(first / 1e-10) / (2 * speed), rel=1e-12)


def test_refusals():
    balanced = rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=0.1, det_sign=1, key=jax.random.key(0))
    one = rf.MatrixFactorization([np.eye(2)])
    for flow, problem, start, words in (
        (rf.IdentityFlow(), rf.two_by_two(), balanced, "IdentityFlow needs depth 2"),
        (rf.IdentityFlow(), rf.two_by_two(2.0), balanced, "problem is not rf.two_by_two()"),
        (rf.SymmetricFlow(), rf.two_by_two(), balanced, "SymmetricFlow needs depth 2 or more and a symmetric"),
        (rf.AlignedFlow(), rf.two_by_two(), balanced, "entries that nobody observed"),
        (rf.LinearFlow(), rf.two_by_two(), balanced, "depth 3, but LinearFlow is for depth 1"),
        (rf.SymmetricFlow(), rf.two_by_two(), one, "depth 1"),
    ):
        with pytest.raises(ValueError, match=words):
            rf.train(problem, start, flow)
    full = rf.MatrixCompletion.from_dense([[1.0, 2.0], [3.0, -4.0]])
    with pytest.raises(ValueError, match="away from the target's singular vectors"):
        rf.train(full, balanced, rf.AlignedFlow())
