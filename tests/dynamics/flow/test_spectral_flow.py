"""Gradient flow in singular values: against high precision, at ties and crossings, and every way it can be refused."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import rankfall as rf

ORACLE = json.loads((Path(__file__).parents[2] / "oracles" / "factor_flow.json").read_text())["records"]
MATRICES = {"symmetric": [[0.6, 0.2], [0.2, 0.9]], "general": [[0.6, -0.2], [0.5, 0.9]]}
# Facts of depth 2 from alpha I: alpha, time, (w11, w12, w22).
TABLE = [
    (1.0, (1.0, 10.0, 100.0), [(1.42677018832, 0.697986621694, 0.528764445537),
                               (3.27095315296, 0.929284067377, 0.264203780726),
                               (7.97770297619, 0.9851884772, 0.121663634069)]),
    (0.5, (1.0, 10.0, 100.0), [(0.893368087705, 0.57039748981, 0.476538512942),
                               (3.05863949724, 0.921583761451, 0.277731034073),
                               (7.93243558185, 0.985028471742, 0.122318180858)]),
    (0.1, (1.0, 10.0, 100.0), [(0.287652551374, 0.248652106764, 0.240862188455),
                               (2.84729267147, 0.912648673169, 0.292536607676),
                               (7.89113345755, 0.984880249498, 0.122921391593)]),
    (0.01, (1.0, 10.0, 100.0), [(0.0363862822815, 0.0346510472789, 0.0356513321573),
                                (2.64260657842, 0.902539389166, 0.308247755158),
                                (7.85455292828, 0.984747158784, 0.123460491716)]),
]  # fmt: skip


def spectral(scale, kind="general", depth=3):
    return rf.SpectralFactorization.from_end_to_end(scale * np.array(MATRICES[kind]), depth)


def follow(start, problem=None, flow=None, **options):
    record = options.pop("record", rf.Record(every=1, measures=["end_to_end"]))
    run = rf.train(problem or rf.two_by_two(), start, flow or rf.SpectralFlow(), record=record, stop=rf.Stop(**options))
    return run, run.trajectory.isel(lane=0)


@pytest.fixture(scope="module")
def deep():
    """One path to loss 1e-12 for each depth, from a start that is not symmetric."""
    return {depth: follow(spectral(1e-2, depth=depth), loss=1e-12) for depth in (2, 3, 4, 8)}


CASES = sorted({(r["depth"], r["start"], r["scale"]) for r in ORACLE})


@pytest.mark.parametrize(("depth", "kind", "scale"), CASES)
def test_agrees_with_fifty_digits_of_the_factors(depth, kind, scale):
    rows = [r for r in ORACLE if (r["depth"], r["start"], r["scale"]) == (depth, kind, scale)]
    levels = [float(r["loss"]) for r in rows]
    record = rf.Record(at_losses=levels, measures=["end_to_end"])
    run, path = follow(spectral(float(scale), kind, depth), loss=min(levels), record=record)
    assert run.stop_reason == "loss"
    for row in rows:
        here = path.isel(record=int(np.abs(np.log(path["loss"].values / float(row["loss"]))).argmin()))
        w = here["end_to_end"].values
        ours = [float(here["time"]), *w.ravel(), float(here["log_abs_det"])]
        wanted = [float(row[name]) for name in ("time", "w11", "w12", "w21", "w22", "log_det")]
        # The issue asks for 1e-8; the control is in the last digits of a looser tolerance.
        np.testing.assert_allclose(ours, wanted, rtol=1e-10)


def test_a_looser_tolerance_is_seen():
    row = next(r for r in ORACLE if (r["depth"], r["start"], r["scale"], r["loss"]) == (3, "general", "1e-2", "1e-3"))
    _, path = follow(spectral(1e-2), flow=rf.SpectralFlow(rtol=1e-5), loss=1e-3)
    assert 1e-10 < abs(float(path["time"][-1]) / float(row["time"]) - 1) < 1e-4


@pytest.mark.parametrize(("alpha", "times", "rows"), TABLE)
@pytest.mark.parametrize("flow", [rf.SpectralFlow(), rf.IdentityFlow(), rf.SymmetricFlow()])
def test_table_of_depth_two(alpha, times, rows, flow):
    start = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=alpha)
    run, path = follow(start, flow=flow, flow_time=times[-1], record=rf.Record(at_times=times, measures=["end_to_end"]))
    assert run.stop_reason == "flow_time"
    np.testing.assert_array_equal(path["time"].values, [0.0, *times])
    w = path["end_to_end"].values[1:]
    ours = np.stack([w[:, 0, 0], w[:, 0, 1], w[:, 1, 1]], axis=1)
    np.testing.assert_allclose(ours, rows, rtol=1e-9)


def test_keeps_its_laws_to_loss_1e_12(deep):
    for depth, (run, path) in deep.items():
        loss, x = path["loss"].values, np.abs(path["unobserved"].values[:, 0])
        assert run.stop_reason == "loss" and loss[-1] == pytest.approx(1e-12, rel=1e-11)
        assert (np.diff(loss) < 0).all() and path["energy_error"].max() < 1e-8
        assert (x >= rf.theory.unobserved_lower_bound(loss) * (1 - 1e-9)).all()
        assert (path["det_sign"] == 1).all() and path.sizes["record"] < 1000
        # The determinant of the entries, where they still know it.
        w = path["end_to_end"].values
        early = loss > 0.05
        np.testing.assert_allclose(np.log(np.linalg.det(w[early])), path["log_abs_det"].values[early], rtol=1e-6)
        # |w11| / B - 1 = det W to first order (facts 7): at depth 2 nothing is left of it.
        det = np.exp(path["log_abs_det"].values)
        late = (loss < 1e-4) & (loss > 1e-7)
        above = x[late] / rf.theory.unobserved_lower_bound(loss[late]) - 1
        np.testing.assert_allclose(above, det[late], rtol=0.02, atol=1e-9)
        if depth in (3, 4):
            law = rf.theory.depth_law_determinant(x[x > 1e4], depth)
            np.testing.assert_allclose(det[x > 1e4], law, rtol=0.02)
        if depth == 2:
            assert path["log_abs_det"].values[-1] == pytest.approx(-(x[-1] ** 2) / 2, rel=1e-6)


def test_final_state_carries_what_factors_cannot(deep):
    run, _ = deep[2]
    final = run.final
    assert isinstance(final, rf.SpectralFactorization) and final.depth == 2.0
    assert final.log_abs_det < -1e11 and final.det_sign == 1 and final.singular_values[1] == 0.0
    assert final.to_factors().full() == pytest.approx(final.full(), rel=1e-6, abs=1e-5)
    assert rf.measures.det_sign(final.to_factors().factors) == 0


@pytest.mark.parametrize("position", [(0, 1), (1, 1)])
def test_every_position_is_the_same_flow_turned(position, deep):
    """Swapping rows or columns is an orthogonal change of the outer layers."""
    rows, columns = np.eye(2)[:: 1 - 2 * position[0]], np.eye(2)[:: 1 - 2 * position[1]]
    problem = rf.two_by_two(position=position)
    start = rf.SpectralFactorization.from_end_to_end(rows @ spectral(1e-2).full() @ columns, 3)
    assert start.det_sign == problem.required_det_sign
    _, path = follow(start, problem, loss=1e-6)
    levels, reference = path["loss"].values[-1], deep[3][1]
    at = np.interp(-np.log(levels), -np.log(reference["loss"].values), np.log(reference["time"].values.clip(1e-300)))
    assert np.log(float(path["time"][-1])) == pytest.approx(at, abs=1e-3)
    assert abs(float(path["unobserved"][-1, 0])) == pytest.approx(707.1, rel=1e-3)


@pytest.mark.parametrize(("values", "loss"), [((1.0, 1.0, 0.3), "half_sse"), ((-2.0, 0.5, 0.1), "mse")])
def test_two_by_two_agrees_with_the_plain_equation(values, loss):
    """Two independent forms; both signs of the determinant, both losses."""
    problem = rf.two_by_two(*values, loss=loss)
    w = np.stack([spectral(0.3).full() @ np.diag([1, flip]) for flip in (1, -1)])
    start = rf.SpectralFactorization.from_end_to_end(w, 3)
    options = {"stop": rf.Stop(flow_time=4.0), "record": rf.Record()}
    small = rf.train(problem, start, rf.SpectralFlow(), **options).final
    plain = rf.train(problem, start, rf.EndToEndFlow(rtol=1e-12), **options).final
    np.testing.assert_allclose(small.full(), plain.full(), rtol=1e-9, atol=1e-10)
    np.testing.assert_array_equal(small.det_sign, np.sign(np.linalg.det(w)))


def test_crossing_of_singular_values():
    """A diagonal start under a diagonal target: the smaller value overtakes the larger one, and is followed."""
    problem = rf.MatrixCompletion.from_dense([[0.5, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 1.0]])
    w = np.diag([0.4, 0.2, 0.3])
    start = rf.SpectralFactorization.from_end_to_end(w, 3)
    run, path = follow(start, problem, loss=1e-10)
    assert run.stop_reason == "loss"
    aligned, _ = follow(start, problem, rf.AlignedFlow(), loss=1e-10)
    np.testing.assert_allclose(run.final.full(), aligned.final.full(), atol=1e-9)
    assert float(path["time"][-1]) == pytest.approx(float(aligned.trajectory["time"][0, -1]), rel=1e-8)
    first, last = path["end_to_end"].values[0], path["end_to_end"].values[-1]
    assert np.argmax(np.diag(first)) == 0 and np.argmax(np.diag(last)) == 1


def test_zero_singular_values_stay_zero():
    rng = np.random.default_rng(0)
    problem = rf.low_rank_completion((6, 4), rank=2, observed=16, frobenius=4.0, key=jax.random.key(0))
    start = rf.SpectralFactorization.from_end_to_end(0.1 * rng.normal(size=(6, 2)) @ rng.normal(size=(2, 4)), 3)
    assert start.rank == 2
    run, path = follow(start, problem, flow_time=20.0)
    assert run.final.rank == 2 and np.linalg.matrix_rank(run.final.full(), tol=1e-9) == 2
    assert (path["singular_values"].values[:, 2:] == 0).all()
    assert np.isneginf(path["log_singular_values"].values[:, 2:]).all()
    assert path["frame_error"].max() < 1e-10 and path["energy_error"].max() < 1e-8


@pytest.mark.optimised
def test_lanes_are_the_runs_of_each_alone():
    whole = rf.SpectralFactorization.from_end_to_end(
        np.stack([scale * np.array(MATRICES["general"]) for scale in (1e-2, 1e-4, 1e-6)]), 3
    )
    run = rf.train(rf.two_by_two(), whole, rf.SpectralFlow(), stop=rf.Stop(loss=1e-8))
    assert list(run.stop_reason) == ["loss"] * 3 and run.final.lanes == 3
    for lane in range(3):
        alone, path = follow(whole.lane(lane), loss=1e-8)
        ours = run.trajectory.isel(lane=lane).dropna("record", subset=["time"])
        assert float(ours["time"][-1]) == pytest.approx(float(path["time"][-1]), rel=1e-11)
        np.testing.assert_allclose(run.final.lane(lane).full(), alone.final.full(), rtol=1e-10)


def test_refusals():
    key = jax.random.key(0)
    unbalanced = rf.MatrixFactorization.init((2, 2), depth=3, scale=0.1, key=key)
    shallow = rf.SpectralFactorization.from_end_to_end(np.eye(2), 1.5)
    single = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=0.1, key=key, dtype="float32")
    for start, problem, words in (
        (unbalanced, rf.two_by_two(), r"imbalance of \d.*balance\(\)"),
        (shallow, rf.two_by_two(), "depth 1.5, but SpectralFlow needs depth 2"),
        (rf.MatrixFactorization([np.eye(2)]), rf.two_by_two(), "depth 1, but SpectralFlow"),
        (single, rf.two_by_two(dtype="float32"), "dtype float32, but SpectralFlow needs float64"),
        (rf.SpectralFactorization.from_end_to_end(np.eye(3), 3), rf.two_by_two(), "shape"),
    ):
        with pytest.raises(ValueError, match=words):
            rf.train(problem, start, rf.SpectralFlow())


@pytest.mark.optimised
@pytest.mark.parametrize("depth", [2.0, 3.0])
def test_follows_larger_matrices_to_the_limit(depth):
    """A 3 x 3 start of two blocks: the first is the 2 x 2 flow, which is known to rounding, and the third entry is one.

    In these coordinates nothing is known of the blocks; rounding in the logarithms (at depth 2 one of them is -2.5e11)
    and in the residuals (1e-12 beside entries of 7e5) would end the flow at losses of 1e-6 and 1e-10.
    """
    block, start = 0.1 * np.array(MATRICES["general"]), 0.05 * np.eye(3)
    start[:2, :2] = block
    times = [1e2, 1e5, 1e8, 1e11, 1e14]
    record = rf.Record(at_times=times, measures=["end_to_end"])
    run, path = follow(
        rf.SpectralFactorization.from_end_to_end(start, depth), rf.two_by_two(size=3), record=record, flow_time=1e14
    )
    small = rf.SpectralFactorization.from_end_to_end(block, depth)
    _, right = follow(small, record=record, flow_time=1e14)
    assert run.stop_reason == "flow_time"
    np.testing.assert_array_equal(path["time"][-4:], right["time"][-4:])
    for name in ("unobserved", "loss", "log_abs_det"):
        np.testing.assert_allclose(path[name][-4:], right[name][-4:], rtol=1e-9)
    np.testing.assert_allclose(path["end_to_end"][-1, 2], [0, 0, 1], atol=1e-9)
    assert path["loss"][-1] < 1e-10 and path["energy_error"].max() < 1e-10
    # The matrix knows its residuals, about one over its largest entry, to the rounding of that entry.
    assert (path["residual_drift"] < 16 * np.finfo(float).eps * np.maximum(path["unobserved"][:, 0] ** 2, 1)).all()


def test_values_far_apart_come_together_again():
    """A rotated start with a singular value of 1e-150 (a block of its own) that grows until both are the target's.

    Modes aligned with the target are logistic at depth 2: s / (c - s) = s0 / (c - s0) exp(2 c t).
    """
    turn, other = (np.linalg.qr(np.random.default_rng(k).normal(size=(2, 2)))[0] for k in (0, 1))
    target, small = np.array([2.0, 1.5]), np.array([1e-1, 1e-150])
    problem = rf.MatrixCompletion.from_dense(turn @ np.diag(target) @ other.T)
    plain = rf.SpectralFactorization.from_end_to_end(turn @ np.diag([1e-1, 1e-2]) @ other.T, 2.0)
    start = dataclasses.replace(
        plain,
        left=turn,
        right=other,
        log_singular_values=np.log(small),
        matrix=turn @ np.diag(small) @ other.T,
        log_abs_det=np.log(small).sum(),
    )
    times = np.array([1.0, 50.0, 100.0, 114.0, 115.0, 116.0, 120.0])
    run, path = follow(start, problem, record=rf.Record(at_times=times), flow_time=120.0)
    at = [int(np.abs(path["time"].values - t).argmin()) for t in times]
    ratio = np.log(small / (target - small)) + 2 * target * times[:, None]
    right = np.log(target) - np.logaddexp(0, -ratio)
    assert run.stop_reason == "flow_time"
    ours = np.sort(path["log_singular_values"].values[at], axis=1)
    np.testing.assert_allclose(ours, np.sort(right, axis=1), rtol=1e-8, atol=1e-8)
    assert (right[:4].min(axis=1) < -1).all() and right[-1].min() > 0.4


def test_another_loss_than_squares():
    """Residuals are not carried where the loss is not theirs, and descent entry by entry takes the loss's own slope."""

    @dataclasses.dataclass(frozen=True)
    class Quartic(rf.problems.losses.AbstractLoss):
        name = "quartic"

        def value(self, prediction, target):
            return (prediction - target) ** 4 / 4 + (prediction - target) ** 2 / 2

        def slope(self, prediction, target):
            return (prediction - target) ** 3 + (prediction - target)

    problem = rf.MatrixCompletion.from_dense([[np.nan, 1.0], [1.0, 0.5]], loss=Quartic())
    start = rf.SpectralFactorization.from_end_to_end([[0.3, 0.1], [-0.1, 0.4]], 3.0)
    runs = [follow(start, problem, flow, loss=1e-6) for flow in (rf.SpectralFlow(), rf.EndToEndFlow(rtol=1e-11))]
    (_, path), (_, plain) = runs
    np.testing.assert_allclose(path["time"][-1], plain["time"][-1], rtol=1e-7)
    np.testing.assert_allclose(path["end_to_end"][-1], plain["end_to_end"][-1], rtol=1e-7)
    small_steps = rf.GradientDescent(1e-4)
    descent = rf.train(
        problem, start.to_factors(), small_steps, record=rf.Record(every=10_000), stop=rf.Stop(steps=10_000)
    )
    flow = rf.train(problem, start, rf.SpectralFlow(), stop=rf.Stop(flow_time=1.0))
    np.testing.assert_allclose(descent.final.full(), flow.final.full(), rtol=1e-3)


@pytest.mark.parametrize("loss", [1e-12, 1e-16, 1e-20])
def test_a_level_finer_than_the_rounding_of_the_loss_is_met_soon(loss):
    # One measurement: its residual near 1e-10 is a few units in the last place, and the loss jumps over the level.
    problem = rf.MatrixSensing(np.diag([1.0, 2.0])[None], np.array([1.0]))
    start = rf.SpectralFactorization.from_end_to_end(1e-6 * np.eye(2), 2)
    run = rf.train(problem, start, rf.SpectralFlow(), stop=rf.Stop(loss=loss), progress=False)
    assert run.stop_reason == "loss" and run.trajectory["step"].max() < 200
    assert run.trajectory["loss"].values[0, -1] <= loss * (1 + 1e-8)
