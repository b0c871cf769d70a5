"""The talk's first figure: the unobserved entry of [[*, 1], [1, 0]] grows without bound as the loss falls."""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from ... import theory
from ...claims import Claim, at_least, at_most
from ...dynamics import Record, Stop
from ...dynamics.lanes import join, lanes_of, last, run_all, run_lanes, signed_starts
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...problems import two_by_two
from ..bounds import worst_ratio

SOURCE = "Razin and Cohen (2020), theorem 1 and figure 1"
# The bound is attained in the limit, so a ratio of 1 less rounding must pass: 1e-9, seven digits above float64's.
ROUNDING = 1e-9


class UnobservedEntry(Settings):
    """Settings: ``curves[depth]`` lists pairs (learning rate, end-to-end deviation of the start)."""

    curves: dict[str, list[tuple[float, float]]]
    identity_alpha: float
    seeds: int
    loss: float
    steps: int
    float32_steps: int
    levels: int


def compute(settings: UnobservedEntry, progress: bool) -> xr.Dataset:
    """Train every curve of every depth; one batch for each depth and precision."""
    record = Record(at_losses=np.geomspace(1.0, settings.loss, settings.levels))
    tasks = []
    for depth in sorted(int(d) for d in settings.curves):
        groups = _groups(settings, depth)
        stop = Stop(loss=settings.loss, steps=settings.steps)
        tasks.append(partial(run_lanes, two_by_two(), groups, stop, record, progress))
        if depth > 1:
            balanced = [
                (s.lane(0), rate, {**label, "dtype": "float32"})
                for s, rate, label in groups
                if label["kind"] == "balanced"
            ]
            stop = Stop(loss=settings.loss, steps=settings.float32_steps)
            tasks.append(partial(run_lanes, two_by_two(dtype="float32"), balanced, stop, record, progress))
    # The deepest, which take longest, first.
    dataset = join(run_all(tasks[::-1])[::-1])
    dataset.attrs["target_loss"] = settings.loss
    dataset["start_unobserved"] = ("lane", dataset["unobserved"].values[:, 0, 0].copy())
    return dataset


def _groups(settings: UnobservedEntry, depth: int) -> list[tuple[MatrixFactorization, float, dict[str, Any]]]:
    groups = []
    common: dict[str, Any] = {"depth": depth, "dtype": "float64"}
    for number, (rate, scale) in enumerate(settings.curves[str(depth)]):
        for kind in ("balanced", "gaussian"):
            start = signed_starts(
                (2, 2), depth, kind=kind, scale=scale, det_sign=1, seed=settings.seed + number, seeds=settings.seeds
            )
            groups.append((start, rate, {**common, "kind": kind, "scale": scale}))
    rate, scale = settings.curves[str(depth)][0]
    wrong = signed_starts(
        (2, 2), depth, kind="balanced", scale=scale, det_sign=-1, seed=settings.seed, seeds=settings.seeds
    )
    groups.append((wrong, rate, {**common, "kind": "negative determinant", "scale": scale}))
    identity = MatrixFactorization.init((2, 2), depth, kind="identity", alpha=settings.identity_alpha)
    groups.append((identity, rate, {**common, "kind": "identity", "scale": settings.identity_alpha}))
    return groups


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim the bound at each depth, how far it was followed, the sign that it rests on, and that depth 1 stays."""
    double = lanes_of(dataset, dtype="float64")
    bound = theory.unobserved_lower_bound
    found = []
    for depth, kind in ((2, "identity"), (3, "balanced"), (4, "balanced")):
        right, wrong = (lanes_of(double, depth=depth, kind=k) for k in (kind, "negative determinant"))
        found.append(
            at_least(
                f"bound-depth-{depth}",
                f"Depth {depth} from {kind} starts of positive determinant: at every recorded point the unobserved "
                "entry is at least the proved bound B(loss) (worst ratio).",
                SOURCE,
                worst_ratio(right, bound),
                1.0,
                ROUNDING,
                ("the same ratio from starts of negative determinant", worst_ratio(wrong, bound)),
            )
        )
    for depth in (3, 4):
        right, wrong = (lanes_of(double, depth=depth, kind=k) for k in ("balanced", "negative determinant"))
        found.append(
            at_least(
                f"growth-depth-{depth}",
                f"Depth {depth}: every balanced run gets as far as the bound at the target loss "
                f"{dataset.attrs['target_loss']:g} (smallest |unobserved entry| at the end).",
                SOURCE,
                np.abs(last(right, "unobserved")).min(),
                bound(dataset.attrs["target_loss"]),
                ROUNDING,
                ("the smallest from starts of negative determinant", np.abs(last(wrong, "unobserved")).min()),
            )
        )
    deep = double.isel(lane=np.flatnonzero(double["depth"].values > 1))
    sign = deep["det_sign"].values
    found.append(
        at_least(
            "bound-while-positive",
            "Depths 2 to 4, every start, balanced or not: wherever the determinant is still positive the bound holds "
            "(worst ratio). Curves that freeze below it do so after their determinant has changed sign.",
            "segment lemma: a statement about every matrix of positive determinant",
            worst_ratio(deep, bound, sign > 0),
            1.0,
            ROUNDING,
            ("the same ratio where the determinant is negative", worst_ratio(deep, bound, sign < 0)),
        )
    )
    found.append(
        at_most(
            "depth-1-stays",
            "Depth 1: the unobserved entry stays where it started (largest change).",
            SOURCE,
            _moved(lanes_of(double, depth=1)).max(),
            0.0,
            1e-15,
            ("the smallest change at depth 3", _moved(lanes_of(double, depth=3, kind="balanced")).min()),
            absolute=True,
        )
    )
    return found


def _moved(lanes: xr.Dataset) -> np.ndarray:
    """How far the unobserved entry has gone from where it started."""
    return np.abs(last(lanes, "unobserved")[:, 0] - lanes["start_unobserved"].values)


EXPERIMENT = Experiment(
    name="unobserved-entry",
    title="The entry nobody observed grows without bound",
    question=(
        "Three entries of a two-by-two matrix are given, [[*, 1], [1, 0]]; the fourth may be anything. A product of "
        "matrices (depth says how many) is trained on the three. If training preferred small norms, it would choose "
        "* = 0. Instead the unobserved entry grows as the loss falls, at least as fast as the proved bound (the black "
        "line), provided that the start is balanced and its determinant positive. A single matrix (depth 1) leaves the "
        "entry where it was. The depth-2 curves of random balanced starts of 1e-5 and 1e-6 freeze between 7.5 and 9.5, "
        "those of larger starts below (twenty of each in benchmarks/starts.py): descent takes finite "
        "steps, which unbalance the factors a little, and at depth 2 that little grows until the determinant changes "
        "sign, as it cannot along the exact flow (the experiment determinant-sign measures this). In float32 rounding "
        "does the same, and near the end of the deeper runs it swallows whole steps, so that they slow down or stall."
    ),
    settings=UnobservedEntry,
    compute=compute,
    claims=claims,
    published={"growth-depth-*": ("curves", "steps")},
)
