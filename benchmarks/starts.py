"""Numbers of the documents that depend on the start, each over twenty: ``python benchmarks/starts.py``, two minutes."""

import itertools

import jax
import numpy as np

import rankfall as rf
from rankfall.dynamics import lanes

STARTS = 20


def drawn(depth, scale, det_sign=1, kind="balanced"):
    """Twenty starts of one size."""
    keys = jax.random.split(jax.random.key(0), STARTS)
    return rf.MatrixFactorization.init((2, 2), depth, kind=kind, scale=scale, det_sign=det_sign, key=keys)


def ended(problem, start, rule, **stop):
    """Unobserved entries (without sign), signs of the determinant, losses and reasons at the end of each run."""
    run = rf.train(problem, start, rule, stop=rf.Stop(**stop), record=rf.Record(log_steps=5), progress=False)
    path = run.trajectory
    x, sign, loss = (np.ravel(lanes.last(path, name)) for name in ("unobserved", "det_sign", "loss"))
    return x, sign, loss, np.asarray(run.stop_reason)


def said(what, x, sign, reasons):
    """One line of a range."""
    size = np.abs(x)
    print(
        f"| {what} | {np.median(size):.3g} | {size.min():.3g} to {size.max():.3g} | {(sign > 0).sum()} of {len(x)} | "
        f"{(reasons == 'loss').sum()} of {len(x)} |",
        flush=True,
    )


def main():
    """Print the table."""
    print("| runs | median size of the entry | range | determinant positive still | reach the loss |")
    print("| --- | --- | --- | --- | --- |")
    problem = rf.two_by_two()
    for scale in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6):
        x, sign, _, why = ended(problem, drawn(2, scale), rf.GradientDescent(3e-3), loss=1e-4, steps=2_000_000)
        said(f"descent, depth 2, scale {scale:g}, to loss 1e-4", x, sign, why)
    for kind, depth, scale in itertools.product(("gaussian", "balanced"), (2, 3), (1e-2, 1e-4, 1e-6)):
        start = drawn(depth, scale, kind=kind)
        x, sign, _, why = ended(problem, start, rf.ExponentialDescent(), loss=1e-8, steps=5_000)
        said(f"ExponentialDescent, {kind}, depth {depth}, scale {scale:g}, to loss 1e-8", x, sign, why)
    for scale in (1e-2, 1e-6):
        x, sign, _, why = ended(problem, drawn(2, scale), rf.GradientFlow(), loss=1e-4, flow_time=1e7, steps=20_000)
        said(f"GradientFlow, depth 2, scale {scale:g}, to loss 1e-4", x, sign, why)
    for eps in (0.5, 0.1, 0.01):
        perturbed = rf.two_by_two(-2.0, 0.5, eps)
        start = rf.SpectralFactorization.from_end_to_end(drawn(3, 1e-3, det_sign=-1).full(), 3)
        x, _, loss, why = ended(perturbed, start, rf.SpectralFlow(), loss=1e-12, steps=3_000)
        limit, stalled = -1.0 / eps, why != "loss"
        near = np.abs(x[~stalled] / limit - 1)
        print(
            f"[[*, -2], [0.5, {eps:g}]], depth 3, scale 1e-3: {(~stalled).sum()} of {STARTS} within "
            f"{near.max(initial=0):.2g} of z z'/eps; the others at loss / (eps^2 / 2) = "
            f"{np.round(loss[stalled] / (eps**2 / 2), 6).tolist()}",
            flush=True,
        )


if __name__ == "__main__":
    main()
