"""Speed goals of the package, measured side by side with the alternative in one run: ``make bench``.

Prints a table; nothing here is a test. One thread where the rival has one, float64 throughout.
"""

import subprocess
import sys
import time

import jax
import numpy as np
import torch

import rankfall as rf


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


def import_seconds(module):
    """Wall time of importing a module in a fresh interpreter."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    return min(float(subprocess.check_output([sys.executable, "-c", code])) for _ in range(3))


def main():
    """Measure and print."""
    rows = []
    rankfall_steps_per_second(None, 1000, 1000)  # compile
    one = best_of(3, lambda: rankfall_steps_per_second(None, 20_000_000, 1_000_000))
    rival = best_of(3, torch_steps_per_second)
    rows.append(
        ("one lane, steps/s", f"{one:,.0f}", f"plain PyTorch loop {rival:,.0f}", f"{one / rival:,.0f}x", ">= 3000x")
    )
    rankfall_steps_per_second(1000, 1000, 1000)
    many = best_of(3, lambda: rankfall_steps_per_second(1000, 200_000, 1000))
    sparse = best_of(3, lambda: rankfall_steps_per_second(1000, 200_000, 100_000))
    rows.append(("1000 lanes, recorded every 1000, lane-steps/s", f"{many:,.0f}", "-", "-", ">= 60,000,000"))
    rows.append(("cost of recording every 1000 steps", f"{(sparse / many - 1) * 100:.1f} %", "-", "-", "< 10 %"))
    ours, base = import_seconds("rankfall"), import_seconds("jax")
    rows.append(("import, s", f"{ours:.2f}", f"jax {base:.2f}", f"+{ours - base:.2f} s", "< +1.5 s"))
    print(f"rankfall {rf.__version__}, jax {jax.__version__}, torch {torch.__version__}, numpy {np.__version__}")
    print("| measure | rankfall | alternative | ratio | goal |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
