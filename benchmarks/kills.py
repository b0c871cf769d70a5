"""Kill a training with signal 9 at random moments, begin it again each time, and compare the end bit for bit.

    python benchmarks/kills.py --kills 20 --seed 0

Forty lanes of descent, whose checkpoint is written after every chunk of steps, so that many of the kills find it being
written. Exit status 1 if a number of the end is another one, or a file is left.
"""

import argparse
import os
import pickle
import signal
import sys
import tempfile
import time
from pathlib import Path

# A process that is killed while it writes into JAX's cache of compiled code leaves half an entry for all others.
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)

import jax  # noqa: E402
import numpy as np  # noqa: E402

import rankfall as rf  # noqa: E402

LANES = 40


def train(steps, checkpoint=None):
    problem = rf.low_rank_completion((4, 4), 1, 11, key=jax.random.key(0))
    starts = rf.MatrixFactorization.init((4, 4), 2, scale=1e-2, key=jax.random.split(jax.random.key(1), LANES))
    return rf.train(
        problem,
        starts,
        rf.GradientDescent(np.geomspace(1e-5, 1e-1, LANES)),
        stop=rf.Stop(loss=1e-10, steps=steps),
        record=rf.Record(log_steps=300, at_losses=np.geomspace(1.0, 1e-10, 50)),
        progress=False,
        checkpoint=checkpoint,
    )


def numbers(run):
    """Return all numbers of a run as bytes, by name."""
    found = {str(name): v.values for name, v in run.trajectory.variables.items()}
    found |= {f"factor {n}": w for n, w in enumerate(run.final.factors)}
    return {name: (str(a.dtype), a.shape, a.tobytes()) for name, a in found.items()}


def sitting(steps, end, checkpoint=None):
    """Begin, or go on, in a process of its own; return its number. Nothing of JAX has run before it is forked."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        found = numbers(train(steps, checkpoint))
        partly = end.with_suffix(".partly")
        partly.write_bytes(pickle.dumps(found))
        partly.rename(end)
        status = 0
    finally:
        os._exit(status)


def waited(child):
    """Wait for a process; return the seconds that took."""
    began = time.monotonic()
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit("a sitting ended with an error")
    return time.monotonic() - began


def moment(child, checkpoint, longest, rng):
    """Wait until a process is to be killed: of four one at once, others after the first checkpoint of their own."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else None
    pause = rng.uniform(0.0, longest)
    if rng.random() > 0.25:
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(1e-3)
    time.sleep(pause)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--longest", type=float, default=1.0, help="seconds of training until a kill, at most")
    arguments = parser.parse_args()
    rng, seconds, kept = np.random.default_rng(arguments.seed), [], 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        checkpoint, end, whole = out / "run.checkpoint", out / "end", out / "whole"
        alone = waited(sitting(arguments.steps, whole))
        for number in range(arguments.kills):
            began = time.monotonic()
            child = sitting(arguments.steps, end, rf.Checkpoint(checkpoint, every=0.0))
            moment(child, checkpoint, arguments.longest, rng)
            os.kill(child, signal.SIGKILL)
            waited(child)
            seconds.append(time.monotonic() - began)
            kept += checkpoint.exists()
            if end.exists():
                raise SystemExit(f"the training had ended before kill {number + 1}; give it more --steps")
        last = waited(sitting(arguments.steps, end, rf.Checkpoint(checkpoint, every=0.0)))
        same = pickle.loads(end.read_bytes()) == pickle.loads(whole.read_bytes())
        left = sorted({path.name for path in out.iterdir()} - {"end", "whole"})
    print(f"{arguments.kills} kills, after {', '.join(f'{s:.2f}' for s in seconds)} s; {kept} found a checkpoint")
    print(
        f"without kills {alone:.2f} s, with them {sum(seconds) + last:.2f} s; files left: {', '.join(left) or 'none'}"
    )
    print("bit for bit the same" if same else "NOT the same")
    return int(not same or bool(left) or not kept)


if __name__ == "__main__":
    sys.exit(main())
