"""What the engine of sweeps costs: a thousand runs, a second call, opening them, ten thousand runs, many problems.

And what workers bring: two of a core each beside one of a core.
"""

import os
import resource
import tempfile
import time
from pathlib import Path

import rankfall as rf
from rankfall._execution import VARIABLE
from rankfall.experiments import cluster, lanes
from rankfall.experiments.engine import run_sweep


def base(**tables):
    given = {
        "problem": {"name": "two-by-two"},
        "factorization": {"name": "matrix", "depth": 3, "kind": "balanced", "det_sign": 1},
        "dynamics": {"name": "gradient-descent", "step_size": 3e-3},
        "stop": {"loss": 1e-3},
        "sweep": {"factorization.scale": {"geomspace": [1e-5, 1e-1, 50]}},
        "seeds": 20,
    }
    return rf.Sweep(**given | tables)


class Clock:
    """Seconds in ``rf.train`` and what is drawn for it, beside those of all."""

    def __init__(self):
        self.inside, self.real = 0.0, lanes.trained

    def __call__(self, cells, **options):
        began = time.perf_counter()
        try:
            return self.real(cells, **options)
        finally:
            self.inside += time.perf_counter() - began


def timed(sweep, out, words):
    clock = lanes.trained = Clock()
    began = time.perf_counter()
    try:
        # One thread, so that the parts add up.
        run_sweep(sweep, out, progress=False)
    finally:
        lanes.trained = clock.real
    seconds, runs = time.perf_counter() - began, len(sweep.cells())
    print(f"{words}: {seconds:.1f} s for {runs:,} runs, {1e3 * (seconds - clock.inside) / runs:.2f} ms a run outside")


def spread(out, count):
    """Seconds that so many workers of a core each take for a sweep of many long trainings."""
    os.environ[VARIABLE] = str(count)  # cores that workers share
    sweep = base(problem={"name": "completion", "shape": [30, 30], "rank": 2, "observed": 300, "seed": "each"},
                 factorization={"name": "matrix", "depth": 3, "scale": 1e-2}, stop={"steps": 4000},
                 record={"every": 1000}, sweep={}, seeds=24)  # fmt: skip
    with cluster.connected(count, None) as client:
        address = client.cluster.scheduler_address
        # Compiled once by each, which is not what is compared.
        client.run(warm, sweep.cells()[0])
        began = time.perf_counter()
        run_sweep(sweep, out, progress=False, cluster=address)
        seconds = time.perf_counter() - began
    del os.environ[VARIABLE]
    return seconds


def warm(cell):
    from rankfall.experiments import parts

    parts.trained([cell], None, 0.0)


def workers(out):
    one, two = (spread(out / f"{count} workers", count) for count in (1, 2))
    print(f"24 trainings on workers of a core each: one {one:.1f} s, two {two:.1f} s, {one / two:.2f} times as fast")


def main():
    from rankfall.experiments import engine

    engine.side_by_side = lambda tasks: [task() for task in tasks]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        timed(base(), out / "scales", "50 scales x 20 seeds to loss 1e-3")
        began = time.perf_counter()
        base().run(out / "scales", progress=False)
        print(f"a second call: {time.perf_counter() - began:.2f} s")
        began = time.perf_counter()
        results = rf.open_results(out / "scales")
        opened = time.perf_counter()
        results["effective_rank"].load()
        print(f"opening: {opened - began:.3f} s, reading a measure: {time.perf_counter() - opened:.3f} s")
        problems = base(sweep={"problem.eps": {"linspace": [0.0, 0.5, 500]}}, seeds=2, stop={"loss": 0.1},
                        factorization={"name": "matrix", "depth": 3, "kind": "balanced", "scale": 0.1})  # fmt: skip
        timed(problems, out / "problems", "500 problems x 2 seeds to loss 0.1")
        many = base(sweep={"factorization.scale": {"geomspace": [1e-3, 1e-1, 500]}}, stop={"loss": 0.1})
        timed(many, out / "many", "500 scales x 20 seeds to loss 0.1")
        workers(out)
    print(f"memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10:.0f} MB")


if __name__ == "__main__":
    main()
