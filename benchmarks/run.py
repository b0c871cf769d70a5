"""Speed goals of the package, measured side by side with the alternative in one run: ``make bench``.

Prints a table; nothing here is a test. One thread where the rival has one, float64 throughout.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import flows
import jax
import loops
import numpy as np
import tensors
import torch

import rankfall as rf
import references
from rankfall.dynamics import batch
from rankfall.talk import EXPERIMENTS

# The first figures, of descent, together; those of tensor completion together; every other by itself.
DESCENT = (
    "solution-set",
    "unobserved-entry",
    "norms-and-rank",
    "perturbation",
    "norm-of-regression",
    "determinant-sign",
)
TENSORS = ("tensor-order3", "tensor-order4")


def best_of(count, measure):
    """Highest rate of several measurements: the machine is shared, and noise only slows."""
    return max(measure() for _ in range(count))


def start(lanes=None):
    """Depth-3 start on the two-by-two problem; one, or many lanes."""
    key = jax.random.key(0) if lanes is None else jax.random.split(jax.random.key(0), lanes)
    return rf.MatrixFactorization.init((2, 2), 3, kind="balanced", scale=1e-2, det_sign=1, key=key)


def torch_steps_per_second(steps=3000):
    """Plain loop: autograd and an in-place SGD update, no logging, one thread."""
    torch.set_num_threads(1)
    factors = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in start().factors]
    mask = torch.tensor([[0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)
    target = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    began = time.perf_counter()
    for _ in range(steps):
        loss = 0.5 * (mask * (factors[2] @ factors[1] @ factors[0] - target)).square().sum()
        loss.backward()
        with torch.no_grad():
            for w in factors:
                w.sub_(w.grad, alpha=3e-3)
                w.grad = None
    return steps / (time.perf_counter() - began)


def rankfall_steps_per_second(lanes, steps, every):
    """Lane-steps a second of ``rf.train`` as users call it, recording included."""
    record = rf.Record(every=every)
    began = time.perf_counter()
    rf.train(rf.two_by_two(), start(lanes), rf.GradientDescent(3e-3), stop=rf.Stop(steps=steps), record=record)
    return (lanes or 1) * steps / (time.perf_counter() - began)


def unhinted_steps_per_second(steps=1_000_000):
    """One lane as a version of JAX runs it that the hint was not tried with."""
    hint, batch.takes_hint = batch.takes_hint, lambda: False
    try:
        rankfall_steps_per_second(None, 1000, 1000)
        return rankfall_steps_per_second(None, steps, steps)
    finally:
        batch.takes_hint = hint


def recording_cost(lanes=1000, steps=200_000):
    """Extra time of recording every 1,000 steps against 200 times fewer records, the two by turns, best of six."""
    best = {1000: 0.0, steps: 0.0}
    for _ in range(6):
        for every in best:
            best[every] = max(best[every], rankfall_steps_per_second(lanes, steps, every))
    return best[steps] / best[1000] - 1, best[1000]


def peak_memory(steps, records):
    """Megabytes (resident, at the most) of a fresh process that trains 200 lanes."""
    code = f"""
import memory, jax, rankfall as rf
start = rf.MatrixFactorization.init((2, 2), 3, scale=1e-2, key=jax.random.split(jax.random.key(0), 200))
run = rf.train(rf.two_by_two(), start, rf.GradientDescent(3e-3), stop=rf.Stop(steps={steps}),
               record=rf.Record(every={steps // records}))
assert run.trajectory.sizes["record"] == {records} + 1
print(memory.peak(), run.trajectory.nbytes / 2**20)
"""
    return [
        float(word) for word in subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parent).split()
    ]


def reproduce_seconds(*words, command="reproduce"):
    """Wall time of the command as a whole: imports, compilation, training, drawing, page."""
    with tempfile.TemporaryDirectory() as out:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "rankfall", command, *words, "--quiet", "--out", out],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return time.perf_counter() - began


def import_seconds(module):
    """Wall time of importing a module in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3))


def rows():
    """Measure everything, one row after another."""
    rankfall_steps_per_second(None, 1000, 1000)  # compile
    one = best_of(3, lambda: rankfall_steps_per_second(None, 20_000_000, 1_000_000))
    rival = best_of(3, torch_steps_per_second)
    ratio = one / rival
    yield ("one lane of 2x2 depth 3, steps/s", f"{one:,.0f}", f"plain PyTorch loop {rival:,.0f}", f"{ratio:,.0f}x",
           "-", True)  # fmt: skip
    yield from loops.rows()
    plain = unhinted_steps_per_second()
    yield "the same without the hint to the compiler", f"{plain:,.0f}", "-", f"{plain / rival:,.0f}x", "-", True
    rankfall_steps_per_second(1000, 1000, 1000)
    cost, many = recording_cost()
    yield "1000 lanes, recorded every 1000, lane-steps/s", f"{many:,.0f}", "-", "-", ">= 60,000,000", many >= 60e6
    yield "cost of recording every 1000 steps", f"{cost:.1%}", "-", "-", "< 10 %", cost < 0.1
    few, size = peak_memory(100_000, 100)
    longer, _ = peak_memory(1_000_000, 100)
    more, larger = peak_memory(1_000_000, 10_000)
    yield ("peak memory, ten times the steps, MB", f"{few:.0f} to {longer:.0f}", "-", f"{longer - few:+.0f}",
           "no growth (< 20)", longer - few < 20)  # fmt: skip
    recorded = larger - size
    ratio = (more - longer) / recorded
    yield ("peak memory, a hundred times the records, MB", f"{longer:.0f} to {more:.0f}", f"recorded {recorded:.0f}",
           f"{ratio:.1f}x", "as recorded (< 5x)", ratio < 5)  # fmt: skip
    for name, goal in (("unobserved-entry", 20), ("nuclear-norm-or-not", 1200)):
        full = reproduce_seconds(name, "--full")
        yield f"reproduce {name} --full, s", f"{full:.1f}", "-", "-", f"< {goal}", full < goal
    six, two = reproduce_seconds(*DESCENT), reproduce_seconds(*TENSORS)
    yield "reproduce (the six of descent, reduced), s", f"{six:.1f}", "-", "-", "< 60", six < 60
    yield "reproduce tensor-order3 tensor-order4 (reduced), s", f"{two:.1f}", "-", "-", "< 30", two < 30
    for name in EXPERIMENTS:
        if name not in (*DESCENT, *TENSORS):
            one, goal = reproduce_seconds(name), 60 if name == "nuclear-norm-or-not" else 10
            yield f"reproduce {name} (reduced), s", f"{one:.1f}", "-", "-", f"< {goal}", one < goal
    for words in (["two-by-two"], ["completion"]):
        one = reproduce_seconds(*words, command="compare")
        yield f"compare {words[0]} (two depths, five scales, three draws), s", f"{one:.1f}", "-", "-", "-", True
    yield from flows.rows()
    yield from tensors.rows()
    yield from references.rows()
    ours, base = import_seconds("rankfall"), import_seconds("jax")
    yield "import, s", f"{ours:.2f}", f"jax {base:.2f}", f"+{ours - base:.2f} s", "< +1.5 s", ours - base < 1.5


def main():
    """Print the table, row by row as measured."""
    print(f"rankfall {rf.__version__}, jax {jax.__version__}, torch {torch.__version__}, numpy {np.__version__}\n")
    print("| measure | rankfall | alternative | ratio | goal | |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    for *words, met in rows():
        print("| " + " | ".join(words) + f" | {'met' if met else 'MISSED'} |", flush=True)


if __name__ == "__main__":
    main()
