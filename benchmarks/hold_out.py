"""How many of four starts reach a tensor of which little is observed, and whether held-out entries tell which.

Prints the table of ``docs/tensors.md``.
"""

import jax
import numpy as np

import rankfall as rf

# Order, rank, extent, share of the entries observed, components.
CASES = [(5, 1, 4, 0.2, 100), (4, 2, 5, 0.25, 80), (3, 2, 6, 0.3, 60)]
STARTS = 4


def row(order, rank, extent, share, components):
    """Number of starts that reach the tensor, errors of the chosen and of the worst, and the largest norm."""
    rng = np.random.default_rng(0)
    truth = rf.CPFactorization([rng.normal(size=(extent, rank)) for _ in range(order)]).full()
    truth /= np.linalg.norm(truth)
    seen = rng.random(truth.shape) < share
    problem = rf.TensorCompletion.from_dense(np.where(seen, truth, np.nan), loss="mse", truth=truth)
    keys = jax.random.split(jax.random.key(0), STARTS)
    starts = rf.CPFactorization.init(problem.shape, components, factor_std=1e-3, key=keys)
    stop = rf.Stop(loss=1e-12, steps=600)
    run = rf.train(problem, starts, rf.ExponentialDescent(), stop=stop, hold_out=0.1)
    flat = run.final.full().reshape(STARTS, -1)
    errors = np.linalg.norm(flat - truth.ravel(), axis=1)
    chosen = np.linalg.norm(rf.best_of(run).final.full() - truth)
    return (errors < 1e-2).sum(), chosen, errors.max(), np.linalg.norm(flat, axis=1).max()


if __name__ == "__main__":
    print("| order | rank | extent | observed | reached by | error of best_of | largest error | largest norm |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in CASES:
        count, chosen, worst, norm = row(*case)
        order, rank, extent, share, _ = case
        print(
            f"| {order} | {rank} | {extent} | {share:.0%} | {count} of {STARTS} | {chosen:.1e} | {worst:.1e} "
            f"| {norm:.1e} |"
        )
