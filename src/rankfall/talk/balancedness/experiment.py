"""How much imbalance a depth bears: where the flow of unbalanced factors loses the determinant's sign."""

from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from scipy.interpolate import PchipInterpolator

from ...claims import Claim, at_most, close_to
from ...dynamics import GradientFlow
from ...dynamics.lanes import join, lanes_of, last, recorded, run_all
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...problems import two_by_two
from ..flows import STATE, largest, run_flow

SOURCE = "Razin and Cohen (2020), theorem 1, which asks for balanced factors"
DERIVED = "gradient flow of the layers' second singular direction, derived here"
# K = K(k) with k^2 = 1/2, the complete elliptic integral, from the three squared layers of depth 3.
K_SQUARED = 1.8540746773013719**2
# What counts as small: corrections to the laws in closed form fall with the imbalance, at depth 2 like 1/x^2.
SMALL, SMALL_DEPTH_3 = 1e-6, 1e-4
# Imbalances from here on are well above the rounding of factors of size sqrt(10).
ABOVE_ROUNDING = 1e-8


class Balancedness(Settings):
    """Settings: imbalances of the factors of ``alpha I``, at each depth; 0 among them is the balanced flow."""

    depths: list[int]
    alpha: float
    imbalances: list[float]
    loss: float
    levels: int


def compute(settings: Balancedness, progress: bool) -> xr.Dataset:
    """Follow the flow of the factors at each depth from all imbalances, beyond the point where the sign is lost."""
    parts = run_all([partial(_of_depth, settings, depth, progress) for depth in settings.depths])
    dataset = join(parts)
    dataset.attrs["target_loss"] = settings.loss
    return dataset


def _of_depth(settings: Balancedness, depth: int, progress: bool) -> xr.Dataset:
    imbalance = np.array(settings.imbalances)
    square = settings.alpha ** (2 / depth)
    # W_1 -> c W_1, W_L -> W_L / c leaves the product; square * (c^2 - c^-2) is the imbalance, of every direction.
    half = imbalance / (2 * square)
    c = np.sqrt(half + np.sqrt(half**2 + 1))[:, None, None]
    layer = np.broadcast_to(np.sqrt(square) * np.eye(2), (len(imbalance), 2, 2))
    start = MatrixFactorization([layer * c, *[layer] * (depth - 2), layer / c])
    labels: dict[str, Any] = {"depth": depth, "imbalance": imbalance}
    dynamics = GradientFlow(certify=False)
    lanes = run_flow(two_by_two(), start, settings.loss, settings.levels, progress, dynamics, **labels)
    kept = lanes[[*STATE, "unbalancedness", "balance_drift"]]
    logs = lanes["log_singular_values"].values
    over = ("lane", "record")
    return kept.assign(log_larger=(over, logs[..., 0]), log_smaller=(over, logs[..., 1]))


def crossings(lanes: xr.Dataset) -> np.ndarray:
    """Unobserved entry of each lane where its determinant first vanishes, NaN where it keeps its sign.

    The smaller singular value, with the determinant's sign, goes through zero like a hyperbolic sine.
    """
    found = np.full(lanes.sizes["lane"], np.nan)
    for number, imbalance in enumerate(lanes["imbalance"].values.tolist()):
        lane = lanes.isel(lane=number)
        sign, x = lane["det_sign"].values, np.abs(lane["unobserved"].values[..., 0])
        lost = np.flatnonzero(sign < 0)
        if not lost.size or lost[0] == 0:
            continue
        here = np.array([lost[0] - 1, lost[0]])
        with np.errstate(divide="ignore"):
            unit = imbalance ** (float(lane["depth"]) / 2) or np.exp(lane["log_smaller"].values[here]).min()
        height = np.arcsinh(2 * sign[here] * np.exp(lane["log_smaller"].values[here]) / unit)
        found[number] = x[here[0]] + (x[here[1]] - x[here[0]]) * height[0] / (height[0] - height[1])
    return found


def balanced_singular_value(lanes: xr.Dataset, x: np.ndarray) -> np.ndarray:
    """Smaller singular value of the balanced lane where its unobserved entry is ``x``, as far as it keeps the sign."""
    lane = lanes_of(lanes, imbalance=0.0).isel(lane=0)
    kept = np.logical_and.accumulate(lane["det_sign"].values > 0)
    own, logs = np.log(np.abs(lane["unobserved"].values[kept, 0])), lane["log_smaller"].values[kept]
    own, first = np.unique(own, return_index=True)
    if len(own) < 2:
        return np.full(x.shape, np.nan)
    return np.asarray(np.exp(PchipInterpolator(own, logs[first], extrapolate=False)(np.log(x))))


def predicted(imbalance: np.ndarray, depth: int) -> np.ndarray:
    """Smaller singular value of the balanced flow at which an imbalance takes the sign."""
    return imbalance / 4 if depth == 2 else (imbalance / K_SQUARED) ** 1.5


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim where the sign is lost at either depth, what that means in x, and what is conserved."""
    by_depth = {depth: lanes_of(dataset, depth=depth) for depth in (2, 3)}
    return [
        *(_crossing(by_depth[depth], depth) for depth in (2, 3)),
        *_law_claims(by_depth[2], by_depth[3]),
        *_conservation(dataset, by_depth[2], by_depth[3]),
    ]


def _crossing(lanes: xr.Dataset, depth: int) -> Claim:
    x, imbalance = crossings(lanes), lanes["imbalance"].values
    there = np.isfinite(x) & (imbalance > 0)
    balanced = balanced_singular_value(lanes, x[there])
    words = {2: "imbalance / 4", 3: "(imbalance / K^2)^(3/2), K = 1.854"}
    return close_to(
        f"crossing-depth-{depth}",
        f"Depth {depth}, imbalances {imbalance[there].min(initial=1):.0e} to {imbalance.max():.0e}: the determinant "
        f"vanishes where the smaller singular value of the balanced flow has fallen to {words[depth]} (the ratio "
        "furthest from 1).",
        DERIVED,
        _furthest(balanced / predicted(imbalance[there], depth)),
        1.0,
        0.05,
        (f"the ratio to the law of depth {5 - depth}", _furthest(balanced / predicted(imbalance[there], 5 - depth))),
    )


def _law_claims(depth_2: xr.Dataset, depth_3: xr.Dataset) -> list[Claim]:
    balanced_2, balanced_3 = (lanes_of(lanes, imbalance=0.0) for lanes in (depth_2, depth_3))
    return [
        close_to(
            "depth-2-bears-a-logarithm",
            f"Depth 2, imbalances up to {SMALL:g}: where the determinant vanishes, x^2/2 + 4 ln x grows like "
            "ln(1/imbalance) (slope), so that x is hardly more than sqrt(2 ln(1/imbalance)).",
            DERIVED,
            _slope(depth_2, 4.0),
            1.0,
            0.05,
            ("the slope of x^2/2 alone", _slope(depth_2, 0.0)),
        ),
        at_most(
            "depth-3-bears-a-power",
            f"Depth 3, imbalances up to {SMALL_DEPTH_3:g}: the determinant vanishes at x = 3.804 imbalance^(-3/10) "
            "(largest relative difference).",
            DERIVED,
            _power_error(depth_3),
            0.0,
            0.03,
            ("the same at depth 2", _power_error(depth_2)),
            absolute=True,
        ),
        at_most(
            "rounding-is-imbalance-enough",
            "Depth 2, balanced start: in float64 the determinant vanishes before the unobserved entry is 10 (the entry "
            "there), although the exact flow keeps its sign for ever.",
            "measured",
            crossings(balanced_2)[0],
            10.0,
            0.0,
            (
                "depth 3, which keeps it to the end (the entry there)",
                np.abs(last(balanced_3, "unobserved"))[0, 0] if (last(balanced_3, "det_sign") > 0).all() else np.nan,
            ),
        ),
    ]


def _conservation(dataset: xr.Dataset, depth_2: xr.Dataset, depth_3: xr.Dataset) -> list[Claim]:
    return [
        at_most(
            "balance-is-conserved",
            "Balanced starts: the differences of squared layers, W_{j+1}^T W_{j+1} - W_j W_j^T, stay zero (largest "
            "drift over the largest squared layer).",
            "Arora, Cohen and Hazan (2018), theorem 1",
            largest(lanes_of(dataset, imbalance=0.0)["balance_drift"].values),
            0.0,
            1e-10,
            ("the drift of the squared layers themselves", _drift_of_layers(dataset)),
            absolute=True,
        ),
        at_most(
            "imbalance-is-conserved",
            f"Depth 2, imbalances of {ABOVE_ROUNDING:g} and more: the imbalance of the start is that of the end "
            "(largest relative change).",
            "Arora, Cohen and Hazan (2018), theorem 1",
            largest(_relative_change(depth_2)[depth_2["imbalance"].values >= ABOVE_ROUNDING]),
            0.0,
            1e-5,
            (
                "depth 3, the smallest imbalance, once the layers have grown and round by more than it",
                largest(_relative_change(depth_3)[_smallest_imbalance(depth_3)]),
            ),
            absolute=True,
        ),
    ]


def _furthest(ratio: np.ndarray) -> float:
    ratio = ratio[np.isfinite(ratio)]
    return float(ratio[np.abs(np.log(ratio)).argmax()]) if ratio.size else float("nan")


def _slope(lanes: xr.Dataset, logarithms: float) -> float:
    x, imbalance = crossings(lanes), lanes["imbalance"].values
    small = np.isfinite(x) & (imbalance > 0) & (imbalance <= SMALL)
    if small.sum() < 2:
        return float("nan")
    height = x[small] ** 2 / 2 + logarithms * np.log(x[small])
    return float(np.polyfit(-np.log(imbalance[small]), height, 1)[0])


def _power_error(lanes: xr.Dataset) -> float:
    x, imbalance = crossings(lanes), lanes["imbalance"].values
    small = (imbalance > 0) & (imbalance <= SMALL_DEPTH_3)
    # sigma_2 = 125 / x^5 along the balanced flow: the law of depth 3.
    law = (125 * (K_SQUARED / imbalance[small]) ** 1.5) ** 0.2
    return largest(np.abs(x[small] / law - 1))


def _drift_of_layers(lanes: xr.Dataset) -> float:
    """Smallest change, over all lanes, of the largest squared layer, as a share of itself at the end."""
    share = 2 / lanes["depth"].values
    change = 1 - np.exp(share * (lanes["log_larger"].values[:, 0] - last(lanes, "log_larger")))
    return -largest(-change)


def _relative_change(lanes: xr.Dataset) -> np.ndarray:
    """Largest change of the imbalance of each lane, relative to its start."""
    values, there = lanes["unbalancedness"].values, recorded(lanes)
    change = np.where(there, np.abs(values - values[:, :1]), 0.0).max(axis=1)
    start = values[:, 0]
    return np.where(start > 0, change / np.where(start > 0, start, 1.0), np.nan)


def _smallest_imbalance(lanes: xr.Dataset) -> np.ndarray:
    imbalance = lanes["imbalance"].values
    return imbalance == imbalance[imbalance > 0].min()


EXPERIMENT = Experiment(
    name="balancedness",
    title="Depth 2 bears no imbalance, deeper products bear some",
    question=(
        "Balanced factors stay balanced along the flow, and then the determinant keeps its sign. What if they are "
        "unbalanced by a little? The imbalance is conserved to the last digit; but the smaller singular value falls, "
        "and once it is no larger than what the imbalance allows, the determinant vanishes and changes sign, and the "
        "entry freezes. At depth 2 the singular value falls like exp(-x^2/2) x^-4, so that an imbalance of 1e-12 is "
        "met at x = 6 and rounding alone at 8: the plateau of the published curves. At depth 3 it falls like 125 x^-5, "
        "and the same imbalance is met beyond x = 1e4. Both places follow from the balanced flow without a free "
        "constant."
    ),
    settings=Balancedness,
    compute=compute,
    claims=claims,
    published={
        "crossing-*": ("alpha", "imbalances"),
        "depth-*-bears-*": ("alpha", "imbalances"),
        "rounding-is-imbalance-enough": ("alpha", "loss"),
    },
)
