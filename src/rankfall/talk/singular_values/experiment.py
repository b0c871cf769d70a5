"""The singular values along the flow of the factors, against the equation that they are said to obey."""

from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr

from ...claims import Claim, at_most
from ...datasets import low_rank_completion
from ...dynamics import GradientFlow, Record, Stop, train
from ...dynamics.lanes import join, lanes_of, not_interrupted, run_all, signed_starts
from ...experiments import Experiment, Settings
from ...problems import MatrixCompletion, two_by_two
from ..flows import largest

SOURCE = "Arora, Cohen, Hu and Luo (2019), theorem 3"
LARGE, SMALL = "completion", "two by two"
# Weights of the derivative at the middle of five equally spaced values, for spacing 1; the error is of fourth order.
WEIGHTS = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / 12
# Where singular values meet, they have no derivative of their own: what counts as apart, relative to the value itself.
APART = 0.1
# Speeds are compared relative to themselves, or to this share of the largest of the same singular value.
LEAST_SPEED = 1e-3
# Singular values round like the largest, and their differences are divided by the spacing: speeds below so many times
# that have not the three digits that are claimed.
ROUNDINGS = 2e3
# The share of the starts that a claim about all but a few is of; of four starts, that is all of them.
MOST = 0.8


class SingularValues(Settings):
    """Settings: a random completion and the two-by-two problem; how long to follow each depth, and how closely."""

    rows: int
    rank: int
    observed: int
    scale: float
    seeds: int
    horizons: dict[str, float]
    two_by_two_horizons: dict[str, float]
    records: int
    spacing: float


def compute(settings: SingularValues, progress: bool) -> xr.Dataset:
    """Follow the factors at every depth on both problems, recorded at five close times around each point of a grid."""
    shape = (settings.rows, settings.rows)
    completion = low_rank_completion(shape, settings.rank, settings.observed, key=jax.random.key(settings.seed))
    tasks = [
        partial(_follow, settings, problem, name, int(depth), horizon, progress)
        for problem, name, horizons in (
            (completion, LARGE, settings.horizons),
            (two_by_two(), SMALL, settings.two_by_two_horizons),
        )
        for depth, horizon in horizons.items()
    ]
    dataset = join(run_all(tasks))
    dataset["true_singular_values"] = ("singular_value", np.linalg.svd(np.asarray(completion.truth), compute_uv=False))
    dataset.attrs |= {"rank": settings.rank, "spacing": settings.spacing}
    return dataset


def _follow(
    settings: SingularValues, problem: MatrixCompletion, name: str, depth: int, horizon: float, progress: bool
) -> xr.Dataset:
    import diffrax  # half a second: only where a flow runs

    start = signed_starts(
        problem.shape,
        depth,
        kind="balanced",
        scale=settings.scale,
        det_sign=1,
        seed=settings.seed,
        seeds=settings.seeds,
    )
    middle = np.linspace(horizon / settings.records, horizon, settings.records)
    times = middle[:, None] + settings.spacing * np.arange(-2, 3)
    run = train(
        problem,
        start,
        # Explicit, of order 8, on the factors: nothing in it knows of singular values.
        GradientFlow(solver=diffrax.Dopri8()),
        stop=Stop(flow_time=float(times.max())),
        record=Record(at_times=times.ravel(), measures=["end_to_end"]),
        progress=progress,
    )
    labels: dict[str, Any] = {
        "task": name,
        "depth": depth,
        "seed": np.arange(settings.seeds),
        "stop_reason": not_interrupted(run),
    }
    recorded = run.trajectory.isel(record=slice(1, 1 + times.size))
    sigma = recorded["singular_values"].values.reshape(settings.seeds, *times.shape, -1)
    room = ((0, 0), (0, 0), (0, 0), (0, settings.rows - sigma.shape[-1]))
    matrices = recorded["end_to_end"].values.reshape(settings.seeds, *times.shape, *problem.shape)[:, :, 2]
    over = ("lane", "record")
    values = {
        "step": (over, recorded["step"].values.reshape(settings.seeds, *times.shape)[..., 2]),
        "time": (over, np.broadcast_to(middle, (settings.seeds, len(middle)))),
        "loss": (over, recorded["loss"].values.reshape(settings.seeds, *times.shape)[..., 2]),
        "singular_values": ((*over, "stencil", "singular_value"), np.pad(sigma, room, constant_values=np.nan)),
        "alignment": (
            (*over, "singular_value"),
            np.pad(_alignment(problem, matrices), room[:2] + room[3:], constant_values=np.nan),
        ),
    }
    lanes = xr.Dataset(values, attrs={k: run.trajectory.attrs[k] for k in ("problem", "loss", "dtype")})
    return lanes.assign_coords({k: ("lane", np.broadcast_to(v, settings.seeds)) for k, v in labels.items()})


def _alignment(problem: MatrixCompletion, matrices: np.ndarray) -> np.ndarray:
    """Return <gradient of the loss, u_r v_r^T> of every matrix."""
    gradient = problem.gradient(matrices)
    u, _, vt = np.linalg.svd(matrices)
    return np.asarray(np.einsum("...ir,...ij,...rj->...r", u, gradient, vt))


def speeds(lanes: xr.Dataset, exponent_of: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Speed of every singular value by finite differences, and by the equation; NaN where they are not apart.

    ``exponent_of`` adds to the depth in the equation's exponent, to see what a wrong one would say.
    """
    sigma = lanes["singular_values"].transpose("lane", "record", "stencil", "singular_value").values
    measured = np.einsum("lrks,k->lrs", sigma, WEIGHTS) / lanes.attrs["spacing"]
    middle, depth = sigma[:, :, 2], lanes["depth"].values[:, None, None]
    foretold = -depth * middle ** (2 - 2 / (depth + exponent_of)) * lanes["alignment"].values
    padded = np.pad(sigma, ((0, 0), (0, 0), (0, 0), (1, 1)), constant_values=np.nan)
    gaps = np.fmin(padded[..., :-2] - padded[..., 1:-1], padded[..., 1:-1] - padded[..., 2:])
    apart = (gaps > APART * sigma).all(axis=2)
    return np.where(apart, measured, np.nan), np.where(apart, foretold, np.nan)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim the equation at every depth on both problems, and that depth makes the rank lower."""
    completion, small = lanes_of(dataset, task=LARGE), lanes_of(dataset, task=SMALL)
    found = [
        _equation(lanes_of(completion, depth=depth), f"equation-depth-{depth}", f"Depth {depth}, random completion")
        for depth in np.unique(completion["depth"].values).tolist()
    ]
    depths = np.unique(small["depth"].values).tolist()
    words = f"[[*, 1], [1, 0]], depth {', '.join(map(str, depths))}"
    found.append(_equation(small, "equation-two-by-two", words))
    deepest = int(completion["depth"].values.max())
    return [
        *found,
        at_most(
            "deeper-is-lower-rank",
            f"Random completion of rank {dataset.attrs['rank']}, depth {deepest}: the first superfluous singular value "
            "over the last needed one, at the end (of four starts in five: of many, a few end at a higher rank).",
            "measured; a small singular value grows like its own power 2 - 2/L",
            float(np.quantile(_superfluous(lanes_of(completion, depth=deepest)), MOST, method="higher")),
            0.01,
            0.0,
            (
                "four in five at depth 2 are above",
                float(np.quantile(_superfluous(lanes_of(completion, depth=2)), 1 - MOST, method="lower")),
            ),
        ),
    ]


def _equation(lanes: xr.Dataset, name: str, words: str) -> Claim:
    measured, foretold = speeds(lanes)
    floor = _floor(lanes)
    compared, there = np.isfinite(measured).sum(), np.isfinite(lanes["alignment"].values).sum()
    return at_most(
        name,
        f"{words}: d sigma_r / dt = -L sigma_r^(2-2/L) <gradient, u_r v_r^T>, against finite differences of the flow "
        f"of the factors, where singular values are apart ({compared} of {there} points; largest relative difference).",
        SOURCE,
        relative_difference(measured, foretold, floor),
        0.0,
        1e-3,
        ("with the exponent of one more layer", relative_difference(*speeds(lanes, exponent_of=1), floor)),
        absolute=True,
    )


def _floor(lanes: xr.Dataset) -> float:
    return float(ROUNDINGS * np.finfo(float).eps * largest(lanes["singular_values"].values) / lanes.attrs["spacing"])


def relative_difference(measured: np.ndarray, foretold: np.ndarray, floor: float = 0.0) -> float:
    """Largest difference, relative to the measured speed, a share of the largest of that value in its lane, a floor."""
    top = np.where(np.isfinite(measured), np.abs(measured), 0.0).max(axis=1, keepdims=True)
    scale = np.maximum(np.abs(measured), np.maximum(LEAST_SPEED * top, floor))
    return largest(np.abs(measured - foretold) / np.where(scale > 0, scale, np.nan))


def _superfluous(lanes: xr.Dataset) -> np.ndarray:
    """First singular value beyond the rank over the last one within it, at the end of each lane."""
    end = lanes["singular_values"].values[:, -1, 2]
    rank = int(lanes.attrs["rank"])
    return np.asarray(end[:, rank] / end[:, rank - 1])


EXPERIMENT = Experiment(
    name="singular-values",
    title="Singular values grow by their own size, one after another",
    question=(
        "Why does depth prefer low rank? Along balanced gradient flow every singular value of the product moves at a "
        "speed of its own: L sigma^(2-2/L) times the slope of the loss along its singular vectors. Small ones hardly "
        "move, the more so the deeper the product, and so they emerge one after another. Here the factors themselves "
        "are integrated, by a method that knows nothing of singular values, and finite differences of the singular "
        "values of their product are held against the equation: on a random completion of low rank, and on "
        "[[*, 1], [1, 0]]. At depth 2 a third singular value comes along; at depth 4 it stays where it started."
    ),
    settings=SingularValues,
    compute=compute,
    claims=claims,
    published={"deeper-is-lower-rank": ("rows", "rank", "observed", "scale", "horizons"), "equation-*": ("spacing",)},
)
