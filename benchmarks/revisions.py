"""Two revisions side by side: each measurement in processes of their own, in turn, on the same machine in one run.

``python benchmarks/revisions.py [REVISION] [--pairs N]`` compares the working tree with a revision (by default the
commit before the last). A ratio is the speed of the working tree over that of the revision, pair by pair; its median is
to be 0.9 or more. Only what both revisions offer to users is called.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).parents[1]
_START = "rf.MatrixFactorization.init((2, 2), 3, kind='balanced', scale=1e-2, det_sign=1, key=KEYS)"
_DESCENT = f"""
KEYS = jax.random.split(jax.random.key(0), {{lanes}}) if {{lanes}} > 1 else jax.random.key(0)
start, rule = {_START}, rf.GradientDescent(1e-3)
def work():
    rf.train(rf.two_by_two(), start, rule, stop=rf.Stop(steps={{steps}}), record=rf.Record(every=1000), progress=False)
"""
_TENSOR = """
rng = np.random.default_rng(0)
truth = rf.CPFactorization([rng.normal(size=(8, 1)) for _ in range(4)]).full()
where = rng.permutation(8**4)[:2000]
seen = np.full(8**4, np.nan)
seen[where] = (truth / np.linalg.norm(truth)).ravel()[where]
problem = rf.TensorCompletion.from_dense(seen.reshape((8,) * 4), loss="mse", dtype="{dtype}")
start = rf.CPFactorization.init((8,) * 4, 512, factor_std=1e-2, key=jax.random.key(0), dtype="{dtype}")
def work():
    often = rf.Record(every=2000)
    rf.train(problem, start, rf.GradientDescent(1e-9), stop=rf.Stop(steps=2000), record=often, progress=False)
"""
_FLOW = """
if {size} == 2:
    problem = rf.two_by_two()
    start = rf.SpectralFactorization.from_end_to_end([[6e-3, 2e-3], [-1e-3, 9e-3]], 3)
else:
    problem = rf.low_rank_completion((20, 20), 2, 200, key=jax.random.key(0))
    start = rf.MatrixFactorization.init((20, 20), 3, kind="balanced", scale=1e-3, key=jax.random.key(1))
def work():
    rf.train(problem, start, rf.SpectralFlow(), stop=rf.Stop(loss={loss}), progress=False)
"""
# Name, what defines ``work``, and how often it is done after the first time, which compiles.
CASES = [
    ("one lane of 2x2, depth 3", _DESCENT.format(lanes=1, steps=20_000_000), 2),
    ("1000 lanes of 2x2, depth 3", _DESCENT.format(lanes=1000, steps=200_000), 3),
    ("CP 8^4, 512 components, float32", _TENSOR.format(dtype="float32"), 3),
    ("CP 8^4, 512 components, float64", _TENSOR.format(dtype="float64"), 3),
    ("2x2 spectral flow to 1e-12", _FLOW.format(size=2, loss=1e-12), 10),
    ("20x20 spectral flow to 1e-3", _FLOW.format(size=20, loss=1e-3), 1),
]
_TIMED = """
import time, warnings
warnings.simplefilter("ignore")
import jax, numpy as np, rankfall as rf
{case}
work()
took = []
for _ in range({times}):
    began = time.perf_counter()
    work()
    took.append(time.perf_counter() - began)
print(min(took))
"""
_IMPORT = "import time; t = time.perf_counter(); import rankfall; print(time.perf_counter() - t)"


def seconds(source: pathlib.Path, code: str) -> float:
    """Run code with the package of a source tree; return what it prints last."""
    env = os.environ | {"PYTHONPATH": str(source / "src")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout.split()[-1])


def main() -> int:
    """Print a row for each measurement; fail where a median is below 0.9."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("revision", nargs="?", default="HEAD^")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    poor = 0
    with tempfile.TemporaryDirectory() as folder:
        old = pathlib.Path(folder)
        archive = subprocess.run(["git", "archive", options.revision, "src"], cwd=ROOT, capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        codes = [(name, _TIMED.format(case=case, times=times)) for name, case, times in CASES]
        print("| measure | before, s | now, s | speed: least, median, largest ratio |\n| --- | --- | --- | --- |")
        for name, code in [*codes, ("import", _IMPORT)]:
            pairs = [(seconds(old, code), seconds(ROOT, code)) for _ in range(options.pairs)]
            ratios = sorted(before / now for before, now in pairs)
            before, now = (min(pair[i] for pair in pairs) for i in (0, 1))
            middle = statistics.median(ratios)
            poor += middle < 0.9
            print(f"| {name} | {before:.3g} | {now:.3g} | {ratios[0]:.2f} {middle:.2f} {ratios[-1]:.2f} |", flush=True)
    return int(poor > 0)


if __name__ == "__main__":
    sys.exit(main())
