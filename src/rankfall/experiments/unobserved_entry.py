"""The talk's first figure: the unobserved entry of [[*, 1], [1, 0]] grows without bound as the loss falls."""

from typing import Any

import numpy as np
import xarray as xr

from .. import theory
from ..dynamics import Record, Stop
from ..factorizations import MatrixFactorization
from ..problems import two_by_two
from ..theory.claim import Claim, Control, at_least, at_most
from .base import Experiment, Settings, join, last, run_lanes, signed_starts

SOURCE = "Razin and Cohen (2020), theorem 1 and figure 1"


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
    parts = []
    for depth in sorted(int(d) for d in settings.curves):
        groups = _groups(settings, depth)
        parts.append(run_lanes(two_by_two(), groups, Stop(loss=settings.loss, steps=settings.steps), record, progress))
        if depth > 1:
            balanced = [
                (s.lane(0), rate, {**label, "dtype": "float32"})
                for s, rate, label in groups
                if label["kind"] == "balanced"
            ]
            stop = Stop(loss=settings.loss, steps=settings.float32_steps)
            parts.append(run_lanes(two_by_two(dtype="float32"), balanced, stop, record, progress))
    dataset = join(parts)
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
    """Claims of the figure."""
    double = dataset.sel(lane=dataset["dtype"] == "float64")
    found = []
    for depth, kind in ((2, "identity"), (3, "balanced"), (4, "balanced")):
        of_depth = double.sel(lane=double["depth"] == depth)
        chosen = of_depth.sel(lane=of_depth["kind"] == kind)
        control = worst_ratio(of_depth.sel(lane=of_depth["kind"] == "negative determinant"))
        found.append(
            at_least(
                f"bound-depth-{depth}",
                f"Depth {depth} from {kind} starts of positive determinant: at every recorded point the unobserved "
                "entry is at least the proved bound B(loss) (worst ratio).",
                SOURCE,
                worst_ratio(chosen),
                1.0,
                1e-9,
                {
                    "what": "the same ratio from starts of negative determinant",
                    "measured": control,
                    "fails": control < 1 - 1e-9,
                },
            )
        )
        if kind == "balanced":
            reached = float((chosen["stop_reason"] == "loss").mean())
            grown = float(np.abs(last(chosen, "unobserved")).min())
            needed = float(theory.unobserved_lower_bound(float(np.max(last(chosen, "loss")))))
            other = float(
                np.abs(last(of_depth.sel(lane=of_depth["kind"] == "negative determinant"), "unobserved")).min()
            )
            found.append(
                at_least(
                    f"reached-depth-{depth}",
                    f"Depth {depth}: the share of balanced runs that reach the target loss.",
                    SOURCE,
                    reached,
                    1.0,
                    0.0,
                    _nowhere_near(double),
                )
            )
            found.append(
                at_least(
                    f"growth-depth-{depth}",
                    f"Depth {depth}: the smallest |unobserved entry| where a balanced run ends, and the bound there.",
                    SOURCE,
                    grown,
                    needed,
                    1e-9,
                    {
                        "what": "the smallest from starts of negative determinant",
                        "measured": other,
                        "fails": other < needed,
                    },
                )
            )
    one = double.sel(lane=double["depth"] == 1)
    moved = float(np.abs(last(one, "unobserved")[:, 0] - one["start_unobserved"].values).max())
    deep = double.sel(lane=(double["depth"] == 3) & (double["kind"] == "balanced"))
    far = float(np.abs(last(deep, "unobserved")[:, 0] - deep["start_unobserved"].values).min())
    found.append(
        at_most(
            "depth-1-stays",
            "Depth 1: the unobserved entry stays where it started (largest change).",
            SOURCE,
            moved,
            0.0,
            1e-15,
            {"what": "the smallest change at depth 3", "measured": far, "fails": far > 1e-15},
            absolute=True,
        )
    )
    return found


def _nowhere_near(double: xr.Dataset) -> Control:
    """Control: with a tenth of the loss as the target, no run has reached it."""
    loss = last(double, "loss")
    share = float((loss <= 0.1 * loss.min()).mean())
    return {"what": "share of runs below a tenth of the lowest loss", "measured": share, "fails": share < 1.0}


def worst_ratio(lanes: xr.Dataset) -> float:
    """Smallest |unobserved entry| / B(loss) over all recorded points with loss below 1/2."""
    loss = lanes["loss"].values
    entry = np.abs(lanes["unobserved"].values[..., 0])
    where = np.isfinite(loss) & (loss < 0.5)
    return float((entry[where] / np.asarray(theory.unobserved_lower_bound(loss[where]))).min())


EXPERIMENT = Experiment(
    name="unobserved-entry",
    title="The entry nobody observed grows without bound",
    question=(
        "Three entries of a two-by-two matrix are given, [[*, 1], [1, 0]]; the fourth may be anything. A product of "
        "depth matrices is trained on the three. If training preferred small norms, it would choose * = 0. Instead the "
        "unobserved entry grows as the loss falls, at least as fast as the proved bound (the black line), provided "
        "that the start is balanced and its determinant positive. A single matrix (depth 1) leaves the entry where it "
        "was. In floating point the depth-2 curves of random balanced starts freeze near 7 to 9: rounding flips the "
        "sign of the determinant, which exact gradient flow cannot do."
    ),
    settings=UnobservedEntry,
    compute=compute,
    claims=claims,
)
