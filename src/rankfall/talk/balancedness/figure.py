"""Curves of unbalanced starts at both depths, where they lose the determinant's sign, and what decides it."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ...plots.lanes import groups, loss_range, losses, unobserved
from ...plots.style import BOUND, PALETTE, UNOBSERVED, figure, figure_legend, key, label, legend_below, loss_axis, power
from ...theory import unobserved_lower_bound
from .experiment import K_SQUARED, crossings

BOUND_LOOK: dict[str, Any] = {"color": BOUND, "linewidth": 6, "alpha": 0.25}
LAW: dict[str, Any] = {"color": BOUND, "linewidth": 1.0, "linestyle": (0, (4, 3))}
FINDINGS = {2: "depth 2: the least imbalance is too much", 3: "depth 3 bears it far longer"}
MARKERS = {2: "o", 3: "D"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw the entry over the loss at each depth, and the entry at which the sign is lost over the imbalance."""
    whole, axes = figure("Imbalance freezes the unobserved entry: at depth 2 almost at once, at depth 3 late", 3)
    imbalances = sorted(set(ds["imbalance"].values.tolist()))
    for ax, ((depth,), lanes) in zip(axes[:2], groups(ds, "depth"), strict=True):
        _curves(ax, lanes, imbalances)
        x = loss_axis(ax)
        ax.set_yscale("log")
        label(ax, FINDINGS.get(depth, f"depth {depth}"), x, UNOBSERVED)
    top = max(ax.get_ylim()[1] for ax in axes[:2])
    for ax in axes[:2]:
        ax.set_ylim(0.08, top)
    _crossings(axes[2], ds, imbalances)
    shown = imbalances[:: max(1, len(imbalances) // 8)]
    entries = [
        key(f"imbalance {power(one)}" if one else "balanced", color=_colour(one, imbalances), linewidth=2)
        for one in shown
    ]
    entries += [key("proved bound, balanced", **BOUND_LOOK), key("det W changes sign", linestyle="none", marker="x")]
    figure_legend(whole, entries, 5)
    return whole


def _colour(imbalance: float, imbalances: list[float]) -> str:
    """Colours run from dark to light with the imbalance; balanced starts stand out."""
    if imbalance == 0:
        return PALETTE[1]
    above = [one for one in imbalances if one > 0]
    return to_hex(colormaps["viridis"](0.92 * above.index(imbalance) / max(len(above) - 1, 1)))


def _curves(ax: Axes, lanes: xr.Dataset, imbalances: list[float]) -> None:
    grid = loss_range(losses(lanes))
    grid = grid[grid < 0.45]
    ax.plot(grid, unobserved_lower_bound(grid), zorder=1.2, **BOUND_LOOK)
    lost = crossings(lanes)
    for number, imbalance in enumerate(lanes["imbalance"].values.tolist()):
        loss, x = losses(lanes)[number], unobserved(lanes)[number]
        colour = _colour(imbalance, imbalances)
        ax.plot(loss, x, color=colour, linewidth=1.5 if imbalance else 3.5, zorder=2.5 if imbalance else 2)
        if np.isfinite(lost[number]):
            there = np.isfinite(x)
            at = np.interp(lost[number], x[there], loss[there])
            ax.plot(at, lost[number], "x", color=colour, markersize=7, markeredgewidth=2, zorder=4)


def _crossings(ax: Axes, ds: xr.Dataset, imbalances: list[float]) -> None:
    """Draw where the sign is lost, and where the balanced flow's smaller singular value says it must be."""
    for (depth,), lanes in groups(ds, "depth"):
        lost, own = crossings(lanes), lanes["imbalance"].values
        for x, imbalance in zip(lost, own.tolist(), strict=True):
            if imbalance > 0:
                ax.plot(imbalance, x, MARKERS.get(depth, "o"), color=_colour(imbalance, imbalances), zorder=3)
        balanced = lanes.isel(lane=np.flatnonzero(own == 0))
        for x, smaller, sign in zip(
            unobserved(balanced), balanced["log_smaller"].values, balanced["det_sign"].values, strict=True
        ):
            kept = np.logical_and.accumulate(sign > 0)
            value = np.exp(smaller[kept])
            met = 4 * value if depth == 2 else K_SQUARED * value ** (2 / 3)
            shown = (met >= 1e-13) & (met <= 0.3)
            ax.plot(met[shown], x[kept][shown], **LAW)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.xaxis.set_inverted(True)
    label(ax, "both places follow from the balanced flow", "imbalance", f"{UNOBSERVED} where det W = 0")
    legend_below(ax, [
        *(key(f"depth {depth}", linestyle="none", marker=marker) for depth, marker in MARKERS.items()),
        key("predicted from the balanced flow", **LAW),
    ], 2)  # fmt: skip
