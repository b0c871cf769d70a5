"""Depth 2 from alpha I: the flow converges from every alpha, and at a known rate."""

from typing import Any

import numpy as np
import xarray as xr

from ... import theory
from ...claims import Claim, at_least, at_most, close_to
from ...dynamics.lanes import join, lanes_of, last
from ...experiments import Experiment, Settings
from ...factorizations import SpectralFactorization
from ...problems import two_by_two
from ..flows import STATE, largest, run_flow

SOURCE = "Razin and Cohen (2020), convergence from alpha I at depth 2"
DERIVED = "integral of the reduced equations of [[x, y], [y, q]], derived here"
# Where the terms beyond 4/x are small, and t, which grows like x^3 / 6, still has the digits of c.
VALLEY = (100.0, 1000.0)
# What counts as small, and which constant then remains of c(alpha).
SMALL_ALPHA, SMALL_CONSTANT = 1e-2, -3.19


class Convergence(Settings):
    """Settings: alphas; ``diag(alpha, -alpha)`` goes beside each as its control."""

    alphas: list[float]
    loss: float
    levels: int


def compute(settings: Convergence, progress: bool) -> xr.Dataset:
    """Follow the flow from alpha I and from diag(alpha, -alpha)."""
    alphas = np.array(settings.alphas)
    parts = []
    for sign in (1.0, -1.0):
        start = SpectralFactorization.from_end_to_end(alphas[:, None, None] * np.diag([1.0, sign]), 2)
        labels: dict[str, Any] = {"alpha": alphas, "start_sign": int(sign)}
        parts.append(run_flow(two_by_two(), start, settings.loss, settings.levels, progress, **labels))
    lanes = join(parts)
    w, over = lanes["end_to_end"].values, ("lane", "record")
    dataset = lanes[list(STATE)].assign(beside=(over, w[..., 0, 1]), opposite=(over, w[..., 1, 1]))
    dataset.attrs = {**lanes.attrs, "target_loss": settings.loss}
    return dataset


def time_offset(lanes: xr.Dataset, inverse: float = 4.0) -> np.ndarray:
    """``c`` in ``t = x^3/6 + 5 x/2 + c + 4/x`` at every record in the valley, NaN elsewhere."""
    x, t = np.abs(lanes["unobserved"].values[..., 0]), lanes["time"].values
    with np.errstate(invalid="ignore", divide="ignore"):
        offset = t - x**3 / 6 - 5 * x / 2 - inverse / x
    return np.where((x > VALLEY[0]) & (x < VALLEY[1]), offset, np.nan)


def offset_of_lane(lanes: xr.Dataset) -> np.ndarray:
    """``c`` of each lane, NaN for those that never get to the valley."""
    offset = time_offset(lanes)
    there = np.isfinite(offset)
    return np.where(there, offset, 0.0).sum(axis=1) / np.where(there.any(axis=1), there.sum(axis=1), np.nan)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim that every alpha converges, when it does, along which curve, and what it does on the way."""
    right, wrong = lanes_of(dataset, start_sign=1), lanes_of(dataset, start_sign=-1)
    loss = dataset.attrs["target_loss"]
    words = f"Every alpha from {right['alpha'].values.min():g} to {right['alpha'].values.max():g}"
    return [
        at_least(
            "every-alpha-converges",
            f"{words}: the flow reaches the loss {loss:g} at the predicted time (2 loss)^(-3/2) / 6, a thousandth more "
            "or less (share).",
            SOURCE,
            _in_time(right, loss),
            1.0,
            0.0,
            ("diag(alpha, -alpha), which gets there far sooner", _in_time(wrong, loss)),
        ),
        close_to(
            "entry-grows-like-the-cube-root-of-time",
            f"{words}: at the end the unobserved entry is (6 t)^(1/3), and so goes to infinity (the ratio furthest "
            "from 1).",
            "x' = 2 / x^2 along the valley",
            _furthest(_end_ratio(right)),
            1.0,
            1e-6,
            ("diag(alpha, -alpha), whose entry converges", _furthest(_end_ratio(wrong))),
        ),
        at_most(
            "time-to-the-next-orders",
            f"{words}: t = x^3/6 + 5 x/2 + c(alpha) + 4/x with one number c(alpha) all along {VALLEY[0]:g} < x < "
            f"{VALLEY[1]:g} (largest spread of c within a run).",
            DERIVED,
            _spread(time_offset(right)),
            0.0,
            5e-3,
            ("without 4/x", _spread(time_offset(right, inverse=0.0))),
            absolute=True,
        ),
        _small_starts(right),
        *_on_the_way(right, wrong),
    ]


def _small_starts(right: xr.Dataset) -> Claim:
    alphas = right["alpha"].values
    distance = np.abs(offset_of_lane(right) - 0.5 * np.log(1 / alphas) - SMALL_CONSTANT)
    return at_most(
        "small-starts-pay-the-escape",
        f"alpha up to {SMALL_ALPHA:g}: c(alpha) = ln(1/alpha)/2 {SMALL_CONSTANT:g}, the time to escape from zero less "
        "a constant (largest difference).",
        "escape time of the linear equation at zero; the constant is measured",
        largest(distance[alphas <= SMALL_ALPHA]),
        0.0,
        0.01,
        ("the smallest for alpha of 1 and above, which need not escape", -largest(-distance[alphas >= 1])),
        absolute=True,
    )


def _on_the_way(right: xr.Dataset, wrong: xr.Dataset) -> list[Claim]:
    return [
        at_least(
            "trace-difference-rises",
            "x - q, q the entry opposite, rises from record to record along every run (least change over x).",
            "d(x - q)/dt = 2 q^2",
            _least_rise(right),
            0.0,
            0.0,
            ("diag(alpha, -alpha)", _least_rise(wrong)),
        ),
        at_most(
            "beside-stays-inside",
            "At every record after the start the entry y beside the unobserved one is between 0 and 1 (share outside).",
            SOURCE,
            _outside(right),
            0.0,
            0.0,
            ("diag(alpha, -alpha)", _outside(wrong)),
        ),
    ]


def _in_time(lanes: xr.Dataset, loss: float) -> float:
    reached = last(lanes, "loss") <= loss * (1 + 1e-9)
    return float((reached & (np.abs(last(lanes, "time") / theory.flow_time(loss, 2) - 1) < 1e-3)).mean())


def _end_ratio(lanes: xr.Dataset) -> np.ndarray:
    t = last(lanes, "time")
    return last(lanes, "unobserved")[:, 0] / np.cbrt(6 * t)


def _furthest(ratio: np.ndarray) -> float:
    return float(ratio[np.abs(ratio - 1).argmax()])


def _spread(offset: np.ndarray) -> float:
    """Largest difference within a lane."""
    inside = offset[np.isfinite(offset).any(axis=1)]
    return largest(np.nanmax(inside, axis=1) - np.nanmin(inside, axis=1)) if inside.size else float("nan")


def _least_rise(lanes: xr.Dataset) -> float:
    x, q = lanes["unobserved"].values[..., 0], lanes["opposite"].values
    rise = np.diff(x - q, axis=1) / np.abs(x[:, 1:])
    return -largest(-rise)


def _outside(lanes: xr.Dataset) -> float:
    y = lanes["beside"].values[:, 1:]
    y = y[np.isfinite(y)]
    return float(((y <= 0) | (y >= 1)).mean()) if y.size else float("nan")


EXPERIMENT = Experiment(
    name="convergence",
    title="Depth 2 from alpha I converges, at the cube root of time",
    question=(
        "That the unobserved entry must be large when the loss is small says nothing yet about whether the loss "
        "becomes small. At depth 2, from alpha times the identity, it does, for every alpha: the entry goes to "
        "infinity like (6 t)^(1/3), and the loss to zero like (6 t)^(-2/3) / 2. Time is followed to the next orders, "
        "t = x^3/6 + 5 x/2 + c(alpha) + 4/x, where only c knows the start. The proof rests on quantities that rise or "
        "stay between bounds all along; they are watched here. The same size with one sign changed, diag(alpha, "
        "-alpha), has a negative determinant: it gets to the loss in no time, at a finite entry."
    ),
    settings=Convergence,
    compute=compute,
    claims=claims,
    published={"every-alpha-converges": ("loss",), "entry-grows-like-the-cube-root-of-time": ("loss",)},
)
