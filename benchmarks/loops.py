"""The descent of tiny matrices beside a loop in C, compiled here with ``cc -O3 -march=native``.

Both take the same steps from the same starts, on the same number of cores, by turns; the matrices at the end have to
agree. ``python benchmarks/loops.py`` prints these rows alone; ``--flags ...`` compiles the C loop with other options.
"""

import argparse
import ctypes
import os
import shutil
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

import rankfall as rf

SOURCE = Path(__file__).with_name("loop.c")
FLAGS = ["-O3", "-march=native"]
# So short steps, and so few, that they stay short for the curvature that they come to: beyond, rounding is amplified.
RATE, LANES = 1e-3, 1024
STEPS = {1: 30_000_000, LANES: 200_000}


def compiler():
    """Path of a C compiler, or ``None``."""
    return shutil.which(os.environ.get("CC", "cc"))


def compiled(flags=FLAGS):
    """Return the C loops."""
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "loop.so"
        subprocess.run([compiler(), *flags, "-shared", "-fPIC", "-o", library, SOURCE], check=True)
        loops = ctypes.CDLL(str(library))
    pointer, size = ctypes.POINTER(ctypes.c_double), ctypes.c_ssize_t
    loops.one_lane.argtypes = [pointer, size, ctypes.c_double]
    loops.many_lanes.argtypes = [pointer, size, size, ctypes.c_double]
    return loops


def start(lanes):
    """Depth-3 start on the two-by-two problem."""
    key = jax.random.key(0) if lanes == 1 else jax.random.split(jax.random.key(0), lanes)
    return rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=1e-2, det_sign=1, key=key)


def measured(action):
    """Wall and processor seconds of an action, and what it returned."""
    wall, processor = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - wall, time.process_time() - processor, result


def by_rankfall(factors, steps):
    """``rf.train`` as users call it; final factors, shape ``(lanes, 2, 2)`` each."""
    run = rf.train(
        rf.two_by_two(), factors, rf.GradientDescent(RATE), stop=rf.Stop(steps=steps), record=rf.Record(every=steps)
    )
    return [np.reshape(w, (-1, 2, 2)) for w in run.final.factors]


def by_c(loops, factors, steps):
    """Return the same in C, lanes shared between the cores."""
    entries = np.concatenate([np.reshape(w, (-1, 4)).T for w in factors.factors])
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shares = [np.ascontiguousarray(part) for part in np.split(entries, cores if entries.shape[1] > 1 else 1, axis=1)]

    def run(share):
        place = share.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        if share.shape[1] == 1:
            loops.one_lane(place, steps, RATE)
        else:
            loops.many_lanes(place, share.shape[1], steps, RATE)

    if len(shares) == 1:
        run(shares[0])
    else:
        with ThreadPoolExecutor(len(shares)) as pool:
            list(pool.map(run, shares))
    after = np.concatenate(shares, axis=1)
    return [after[4 * j : 4 * j + 4].T.reshape(-1, 2, 2) for j in range(3)]


def compare(loops, lanes, times=5):
    """Lane-steps a second of both, by wall time and by processor time; the best of several, by turns."""
    factors, steps = start(lanes), STEPS[lanes]
    by_rankfall(factors, 1000)  # compiles
    best = {"rankfall": (np.inf, np.inf), "c": (np.inf, np.inf)}
    for _ in range(times):
        for name, action in (
            ("rankfall", lambda: by_rankfall(factors, steps)),
            ("c", lambda: by_c(loops, factors, steps)),
        ):
            wall, processor, final = measured(action)
            best[name] = min(best[name][0], wall), min(best[name][1], processor)
            if name == "rankfall":
                ours = final
        # Sums are contracted in another order; what that does to the last digit grows while singular values separate.
        for mine, theirs in zip(ours, final, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
    return {name: tuple(lanes * steps / seconds for seconds in both) for name, both in best.items()}


def rows(flags=FLAGS):
    """Measure one lane, and many in vector registers."""
    if compiler() is None:
        for lanes in STEPS:
            yield f"{lanes:,} lanes of 2x2 depth 3 beside C, lane-steps/s", "-", "no C compiler here", "-", "-", True
        return
    loops = compiled(flags)
    for lanes, goal in ((1, 0.8), (LANES, 0.8)):
        rates = compare(loops, lanes)
        (ours, ours_processor), (theirs, theirs_processor) = rates["rankfall"], rates["c"]
        yield (
            f"{'one lane' if lanes == 1 else f'{lanes} lanes'} of 2x2 depth 3, lane-steps/s",
            f"{ours:,.0f}",
            f"C, cc {' '.join(flags)} {theirs:,.0f}",
            f"{ours / theirs:.2f} (by processor time {ours_processor / theirs_processor:.2f})",
            f">= {goal}",
            ours / theirs >= goal,
        )


def main():
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=FLAGS)
    for *words, met in rows(parser.parse_args().flags):
        print("| " + " | ".join(words) + f" | {'met' if met else 'MISSED'} |", flush=True)


if __name__ == "__main__":
    main()
