"""The flow along its bound, gradient descent leaving it, and the determinant that tells them apart."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.lanes import draw_group, ends, groups, loss_range, losses, unobserved
from ...plots.style import (
    BOUND,
    FAINT,
    LEGEND_SIZE,
    PALETTE,
    UNOBSERVED,
    figure,
    figure_legend,
    key,
    label,
    loss_axis,
    power,
)
from ...theory import unobserved_lower_bound

LAST_ENTRY = 12.0
STYLES = {"flow": "-", "descent": "--"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw the entry and its share of the bound over the loss, and the determinant at depth 2 over the entry."""
    whole, (entry, share, determinant) = figure(
        f"Gradient flow meets the bound to a loss of {power(ds.attrs['target_loss'])}; descent leaves it at depth 2", 3
    )
    right = ds.isel(lane=np.flatnonzero(ds["start_sign"].values > 0))
    wrong = ds.isel(lane=np.flatnonzero(ds["start_sign"].values < 0))
    depths = sorted(set(ds["depth"].values.tolist()))
    _entry(entry, right, wrong, depths)
    _share(share, right, depths)
    _determinant(determinant, right.isel(lane=np.flatnonzero(right["depth"].values == 2)))
    figure_legend(whole, _legend(ds, depths), 4)
    return whole


def _look(depth: int, depths: list[int], method: str, dtype: str) -> tuple[str, str, float]:
    """Colour, style and width: the flows lie on each other, so widths decrease and keep every one visible."""
    number = depths.index(depth)
    if method == "flow":
        return PALETTE[number % len(PALETTE)], "-", max(6.0 - 1.6 * number, 1.0)
    return (FAINT, ":", 1.6) if dtype == "float32" else (PALETTE[number % len(PALETTE)], "--", 1.4)


def _curves(ds: xr.Dataset) -> Iterator[tuple[tuple[int, str, str], xr.Dataset]]:
    """Lanes by depth, method and precision; the flow first, so that descent is drawn over it."""
    yield from sorted(groups(ds, "depth", "method", "dtype"), key=lambda pair: pair[0][1] != "flow")


def _entry(ax: Axes, right: xr.Dataset, wrong: xr.Dataset, depths: list[int]) -> None:
    grid = loss_range(losses(right))
    ax.plot(grid, unobserved_lower_bound(grid), color=BOUND, linewidth=9, alpha=0.25, zorder=1.2)
    for (depth, method, dtype), lanes in _curves(right):
        colour, style, width = _look(depth, depths, method, dtype)
        draw_group(ax, lanes, unobserved(lanes), colour, style, width, band=False)
        if method != "flow":
            ax.plot(*ends(losses(lanes), unobserved(lanes)), "x", color=colour, markersize=4)
    for (depth,), lanes in groups(wrong, "depth"):
        lanes = lanes.isel(lane=slice(1))  # each start ends at a value of its own
        draw_group(ax, lanes, unobserved(lanes), PALETTE[depths.index(depth) % len(PALETTE)], "-.", 0.9, band=False)
    x = loss_axis(ax)
    ax.set_yscale("log")
    ax.set_ylim(bottom=1e-2)
    label(ax, "the flow goes on, descent freezes", x, UNOBSERVED)


def _share(ax: Axes, right: xr.Dataset, depths: list[int]) -> None:
    for (depth, method, dtype), lanes in _curves(right):
        colour, style, width = _look(depth, depths, method, dtype)
        draw_group(ax, lanes, unobserved(lanes) * np.sqrt(2 * losses(lanes)), colour, style, width, band=False)
    ax.axhline(1, color=BOUND, linewidth=0.9, linestyle=":")
    x = loss_axis(ax)
    label(ax, "share of 1/√(2 loss) that is reached", x, f"{UNOBSERVED} · √(2 loss)")


def _determinant(ax: Axes, depth_2: xr.Dataset) -> None:
    """Draw one start: the flow's determinant falls for ever, descent's changes sign and then grows back to 1."""
    for (_, method, dtype), lanes in _curves(depth_2):
        colour, style, width = _look(2, [2], method, dtype)
        x, fallen = unobserved(lanes)[0], -lanes["log_abs_det"].transpose("lane", "record").values[0]
        shown = x < LAST_ENTRY
        ax.plot(x[shown], fallen[shown], color=colour, linestyle=style, linewidth=4.0 if method == "flow" else width)
        if method == "flow" and shown.any():
            x, start = np.linspace(0, LAST_ENTRY, 200), fallen[shown][0]
            ax.plot(x, start + x**2 / 2, color=BOUND, linewidth=1.0, linestyle=(0, (6, 4)))
            place = (0.72 * LAST_ENTRY, start + (0.72 * LAST_ENTRY) ** 2 / 2)
            ax.annotate(
                "x²/2 + start", place, (8, -10), textcoords="offset points", fontsize=LEGEND_SIZE, va="top"
            )  # fmt: skip
    label(ax, "depth 2: where descent loses det > 0", f"x = {UNOBSERVED}", "−ln |det W|")


def _legend(ds: xr.Dataset, depths: list[int]) -> list:
    entries = [
        key(f"flow, depth {depth}", color=_look(depth, depths, "flow", "")[0], linewidth=3, linestyle="-")
        for depth in depths
    ]
    entries.append(key("proved lower bound", color=BOUND, linewidth=9, alpha=0.25))
    methods = set(zip(ds["method"].values.tolist(), ds["dtype"].values.tolist(), strict=True))
    looks: dict[str, dict[str, Any]] = {"float64": {"linestyle": "--"}, "float32": {"linestyle": ":", "color": FAINT}}
    entries += [
        key(f"gradient descent, {dtype}", **look) for dtype, look in looks.items() if ("descent", dtype) in methods
    ]
    if (ds["start_sign"].values < 0).any():
        entries.append(key("flow, det < 0", linestyle="-.", linewidth=0.9))
    return entries
