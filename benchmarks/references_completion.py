"""Speed and accuracy of the usual methods of completion, which training is compared with."""

import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

import rankfall as rf
from rankfall.references import AlternatingLeastSquares, SoftImpute

# Errors of the alternatives were measured earlier (nuclear norm by SCS, parafac with the rank known).
RATINGS = {"shape": (1682, 943), "observed": 100_000}


def ratings(shape, observed, seed=0):
    """Ratings from 1 to 5, a few rows and columns having most of them: biases, ten components and noise."""
    rng = np.random.default_rng(seed)
    often = np.outer(*(1 / (20 + rng.permutation(n)) for n in shape))
    flat = rng.choice(often.size, observed, replace=False, p=often.ravel() / often.sum())
    rows, columns = np.unravel_index(flat, shape)
    u, v = (rng.normal(size=(n, 11)) for n in shape)
    mean = 3.5 + 0.5 * u[rows, 0] + 0.4 * v[columns, 0]
    values = mean + 0.15 * np.sum(u[rows, 1:] * v[columns, 1:], axis=1) + 0.8 * rng.normal(size=observed)
    return rf.MatrixCompletion.from_coo(np.stack([rows, columns], axis=1), np.clip(values.round(), 1, 5), shape)


def path():
    """Seconds, largest gap and largest rank of a path of twenty penalties, and megabytes of its process."""
    began = time.perf_counter()
    found = SoftImpute().path(ratings(**RATINGS))
    seconds = time.perf_counter() - began
    assert {one.status for one in found} == {"optimal"} and len(found) == 20
    return seconds, max(one.gap for one in found), found[-1].details["rank"]


def peak_memory():
    """Megabytes (resident, at the most) of a fresh process that solves for the path."""
    code = "import memory, references_completion as r; r.path(); print(memory.peak())"
    return float(subprocess.check_output([sys.executable, "-c", code], cwd=Path(__file__).parent))


def errors(make, seeds):
    """Relative errors of alternating least squares, whom nobody tells the rank, sorted, and the median of seconds."""
    off, seconds = [], []
    for seed in range(seeds):
        problem = make(jax.random.key(seed))
        found = AlternatingLeastSquares().solve(problem)
        off.append(np.linalg.norm(found.solution - problem.truth) / np.linalg.norm(problem.truth))
        seconds.append(found.seconds)
    return np.sort(off), float(np.median(seconds))


def rows():
    """Measure the methods, one row after another."""
    seconds, gap, rank = path()
    yield (
        f"SoftImpute, path of 20 penalties, 1682 x 943, 100,000 ratings (gaps <= {gap:.1e}, rank to {rank}), s",
        f"{seconds:.1f}",
        "-",
        "-",
        "< 30",
        seconds < 30,
    )
    peak = peak_memory()
    yield "peak memory of its process, all 20 solutions with every entry, MB", f"{peak:.0f}", "-", "-", "< 1000", \
        peak < 1000  # fmt: skip
    for observed, noise, rival, goal in (
        (1500, 0.0, "nuclear norm .45 to .47", 1e-3),
        (2000, 0.0, "nuclear norm .19 to .22", 1e-5),
        (5000, 0.0, "nuclear norm 8e-4", 1e-6),
        (2000, 0.1, "nuclear norm .31 to .33", 0.11),
    ):
        off, seconds = errors(
            lambda key, n=observed, s=noise: rf.low_rank_completion((100, 100), 5, n, key=key, noise=s), 3
        )
        yield (
            f"ALS, 100 x 100 of rank 5, {observed} observed, noise {noise:g}: worst error of 3 ({seconds:.1f} s each)",
            f"{off[-1]:.2g}",
            rival,
            "-",
            f"<= {goal:g}",
            off[-1] <= goal,
        )
    for noise, rival, goal in ((0.0, "tensorly's masked parafac .67", 1e-5), (0.1, "-", 0.07)):
        # Noise as a share of the root mean square of an entry.
        off, seconds = errors(
            lambda key, s=noise: rf.low_cp_rank_completion((20,) * 3, 3, 800, key=key, noise=s / 8000**0.5), 5
        )
        yield (
            f"ALS, 20^3 of rank 3, 10 % observed, noise {noise:g}: worst error of 5 ({seconds:.1f} s each)",
            f"{off[-1]:.2g}",
            rival,
            "-",
            f"<= {goal:g}",
            off[-1] <= goal,
        )


if __name__ == "__main__":
    for row in rows():
        print("|", " | ".join([*map(str, row[:5]), "met" if row[5] else "MISSED"]), "|", flush=True)
