"""The clock changes the steps of a flow and nothing else."""

import diffrax
import jax
import numpy as np
import pytest

import rankfall as rf

TIMES, LEVELS = [5.0, 50.0, 100.0], [1e-2, 1e-4]


def start_of(depth, **how):
    how = {"kind": "balanced", "scale": 1e-2, "det_sign": 1, "key": jax.random.key(0)} | how
    return rf.MatrixFactorization.init((2, 2), depth=depth, **how)


def both(start, flow, stop, problem=None):
    record = rf.Record(at_times=TIMES, at_losses=LEVELS)
    return [
        rf.train(problem or rf.two_by_two(), start, flow(clock), stop=stop, record=record).trajectory.isel(lane=0)
        for clock in ("time", "log_time")
    ]


@pytest.mark.parametrize(
    ("flow", "depth", "how", "loss"),
    [
        (lambda c: rf.SpectralFlow(clock=c), 3, {}, 1e-12),
        (lambda c: rf.GradientFlow(clock=c), 3, {}, 1e-5),
        (lambda c: rf.GradientFlow(solver=diffrax.Dopri8(), clock=c), 3, {}, 1e-3),
        (
            lambda c: rf.IdentityFlow(clock=c),
            2,
            {"kind": "identity", "alpha": 0.5, "det_sign": None, "scale": None, "key": None},
            1e-6,
        ),
    ],
    ids=["spectral", "factors", "explicit", "identity"],
)
def test_same_trajectory_on_the_logarithm_of_time(flow, depth, how, loss):
    plain, clocked = both(start_of(depth, **how), flow, rf.Stop(loss=loss))
    for name in ("time", "loss", "unobserved", "dissipated"):
        np.testing.assert_allclose(clocked[name], plain[name], rtol=1e-8, atol=1e-10)
    assert set(TIMES) <= set(clocked["time"].values)  # exactly, not nearly
    for level in {*LEVELS, loss} - {level for level in LEVELS if level < loss}:
        assert np.abs(clocked["loss"].values / level - 1).min() < 1e-11


def test_fewer_steps_on_the_logarithm_far_down():
    plain, clocked = both(start_of(2), lambda c: rf.SpectralFlow(clock=c), rf.Stop(loss=1e-12))
    assert float(plain["time"][-1]) > 1e16  # where the power law has long set in
    assert int(clocked["step"][-1]) < 0.75 * int(plain["step"][-1])


def test_ends_are_those_of_flow_time():
    plain, clocked = both(start_of(3), lambda c: rf.SpectralFlow(clock=c), rf.Stop(flow_time=1234.5))
    assert float(clocked["time"][-1]) == float(plain["time"][-1]) == 1234.5
    rng = np.random.default_rng(0)
    noisy = rf.MatrixSensing(rng.normal(size=(9, 2, 2)), rng.normal(size=9))
    rest = rf.train(noisy, start_of(2), rf.GradientFlow(certify=False, clock="log_time"))
    assert rest.stop_reason == "stationary"
    saddle = start_of(3, scale=1e-9)
    assert (
        rf.train(rf.two_by_two(), saddle, rf.GradientFlow(clock="log_time"), stop=rf.Stop(loss=1e-2)).stop_reason
        == "loss"
    )


def test_the_clock_is_written_into_the_result():
    run = rf.train(rf.two_by_two(), start_of(3), rf.SpectralFlow(clock="log_time"), stop=rf.Stop(loss=1e-1))
    assert run.trajectory.attrs["clock"] == "log_time"
    with pytest.raises(ValueError, match="clock is 'loss'"):
        rf.SpectralFlow(clock="loss")
