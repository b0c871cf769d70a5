"""Speed and accuracy goals of the flows; their rows are part of ``make bench``."""

import json
import subprocess
import sys
import time
from pathlib import Path

import diffrax
import jax
import numpy as np
from scipy.integrate import BDF

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.dynamics.flow.reduced import SymmetricState, SymmetricSystem
from rankfall.dynamics.flow.system import Constants

MATRICES = {"symmetric": [[0.6, 0.2], [0.2, 0.9]], "general": [[0.6, -0.2], [0.5, 0.9]]}
CASES = [(depth, kind, scale) for depth in (2, 3, 4, 8) for kind in MATRICES for scale in (1e-2, 1e-6)]
ORACLE = Path(__file__).parents[1] / "tests" / "oracles" / "factor_flow.json"


def seconds(action):
    """Wall time of an action, and what it returned."""
    began = time.perf_counter()
    result = action()
    return time.perf_counter() - began, result


def flow(depth, kind, scale, loss, record=None):
    """One balanced start to a loss, as users call it."""
    start = rf.SpectralFactorization.from_end_to_end(scale * np.array(MATRICES[kind]), depth)
    return rf.train(rf.two_by_two(), start, rf.SpectralFlow(), stop=rf.Stop(loss=loss), record=record)


def slowest(loss):
    """Longest wall time of the sixteen cases, compiled before, and whether all reached the loss."""
    flow(*CASES[0], loss)
    times = [seconds(lambda case=case: flow(*case, loss)) for case in CASES]
    return max(t for t, _ in times), all(run.stop_reason == "loss" for _, run in times)


def scipy_seconds(loss, rtol=1e-10):
    """SciPy's BDF on the symmetric state without cancellation, depth 3, with compiled velocity and Jacobian."""
    system, depth = SymmetricSystem(), 3.0
    constants = Constants(1.0, 1.0, depth)
    w = 1e-2 * np.array(MATRICES["symmetric"])

    def velocity(y):
        moved = system.velocity(None, SymmetricState(y[0], y[1], y[2], 0.0), constants)
        return jax.numpy.stack([moved.log_x, moved.residual, moved.log_det])

    with double_precision():
        rate, slope = jax.jit(velocity), jax.jit(jax.jacfwd(velocity))
        first = np.array([np.log(w[0, 0]), 1 - w[0, 1], np.linalg.slogdet(w)[1]])
        rate(first), slope(first)
        began = time.perf_counter()
        solver = BDF(lambda t, y: np.asarray(rate(y)), 0.0, first, 1e60, rtol=rtol, atol=1e-18,
                     jac=lambda t, y: np.asarray(slope(y)))  # fmt: skip
        while solver.status == "running":
            solver.step()
            x, y = np.exp(solver.y[0]), 1 - solver.y[1]
            if solver.y[1] ** 2 + ((y * y + np.exp(solver.y[2])) / x) ** 2 / 2 <= loss:
                break
        return time.perf_counter() - began


def worst_error():
    """Largest relative error of time, entries and log-determinant against the fifty-digit table."""
    rows, worst = json.loads(ORACLE.read_text())["records"], 0.0
    for case in CASES:
        mine = [r for r in rows if (r["depth"], r["start"], float(r["scale"])) == case]
        levels = [float(r["loss"]) for r in mine]
        record = rf.Record(at_losses=levels, measures=["end_to_end"])
        path = flow(*case, min(levels), record).trajectory.isel(lane=0)
        for r in mine:
            here = path.isel(record=int(np.abs(np.log(path["loss"].values / float(r["loss"]))).argmin()))
            got = [here["time"], here["end_to_end"][0, 0], here["log_abs_det"]]
            wanted = [float(r[name]) for name in ("time", "w11", "log_det")]
            worst = max(worst, *(abs(float(g) / w - 1) for g, w in zip(got, wanted, strict=True)))
    return worst


def first_seconds():
    """Wall time of the first flow of a process, compilation included, imports not."""
    code = """
import time, numpy as np, rankfall as rf
began = time.perf_counter()
start = rf.SpectralFactorization.from_end_to_end([[6e-3, -2e-3], [5e-3, 9e-3]], 3)
rf.train(rf.two_by_two(), start, rf.SpectralFlow(), stop=rf.Stop(loss=1e-8))
print(time.perf_counter() - began)
"""
    return float(subprocess.check_output([sys.executable, "-c", code]))


def lanes_ratio(flow, lanes=100, loss=1e-2):
    """Starts a second of a `GradientFlow`: a batch, and one after another."""
    keys = jax.random.split(jax.random.key(0), lanes)
    starts = rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=1e-2, det_sign=1, key=keys)

    def run(start):
        return rf.train(rf.two_by_two(), start, flow, stop=rf.Stop(loss=loss), record=rf.Record())

    run(starts), run(starts.lane(0))
    together, _ = seconds(lambda: run(starts))
    apart, _ = seconds(lambda: [run(starts.lane(i)) for i in range(lanes)])
    return lanes / together, lanes / apart


def cores_used(lanes=64):
    """Processor time over wall time of many lanes of `SpectralFlow`."""
    w = np.geomspace(1e-6, 1e-1, lanes)[:, None, None] * np.array(MATRICES["general"])
    start = rf.SpectralFactorization.from_end_to_end(w, 3)

    def run():
        return rf.train(rf.two_by_two(), start, rf.SpectralFlow(), stop=rf.Stop(loss=1e-12), record=rf.Record())

    run()
    before = time.process_time()
    wall, _ = seconds(run)
    return (time.process_time() - before) / wall, lanes / wall


def large(size, loss):
    """Wall time, steps, and milliseconds a step of the spectral flow of a square completion of rank 5, depth 3."""
    problem = rf.low_rank_completion(
        (size, size), rank=min(5, size // 2), observed=size * size // 2, key=jax.random.key(0)
    )
    start = rf.MatrixFactorization.init((size, size), 3, kind="balanced", scale=1e-3, key=jax.random.key(1))
    wall, run = seconds(
        lambda: rf.train(
            problem, start, rf.SpectralFlow(1e-8), stop=rf.Stop(loss=loss, seconds=300), record=rf.Record()
        )
    )
    last = run.trajectory.isel(lane=0, record=-1)
    trials = int(last["step"]) + int(last["rejected_steps"])
    return wall, run.stop_reason, trials, 1e3 * wall / trials


def rows():
    """Measure the flows, one row after another."""
    first = first_seconds()
    yield "first spectral flow of a process (compilation), s", f"{first:.1f}", "-", "-", "-", True
    for loss, goal in ((1e-8, 2.0), (1e-12, 3.0)):
        ours, reached = slowest(loss)
        theirs = scipy_seconds(loss)
        yield (
            f"2x2 spectral flow to loss {loss:g}, slowest of 16 cases, s",
            f"{ours:.3f}",
            f"SciPy BDF, one case {theirs:.2f}",
            f"{theirs / ours:.1f}x",
            f"< {goal:g}",
            reached and ours < goal,
        )
    error = worst_error()
    yield "its largest error against fifty digits", f"{error:.1e}", "-", "-", "<= 1e-8", error <= 1e-8
    for solver, name in ((diffrax.Dopri8(), "Dopri8"), ("radau", "Radau")):
        together, apart = lanes_ratio(rf.GradientFlow(solver=solver))
        yield (
            f"100 starts of GradientFlow, {name}, to loss 1e-2, starts/s",
            f"{together:.0f}",
            f"one after another {apart:.0f}",
            f"{together / apart:.1f}x",
            ">= 10x",
            together >= 10 * apart,
        )
    cores, rate = cores_used()
    yield (
        f"64 lanes of SpectralFlow to 1e-12 ({rate:.0f} starts/s), cores used",
        f"{cores:.2f}",
        "-",
        "-",
        "> 1.5",
        cores > 1.5,
    )
    for size in (10, 20, 50):
        wall, reason, trials, cost = large(size, 1e-4)
        goal, met = ("minutes (< 300 s)", wall < 300 and reason == "loss") if size == 50 else ("-", reason == "loss")
        yield (
            f"{size}x{size} spectral flow to loss 1e-4 ({trials} trials), s",
            f"{wall:.1f}",
            "-",
            f"{cost:.2f} ms a trial",
            goal,
            met,
        )
