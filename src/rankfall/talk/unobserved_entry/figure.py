"""The unobserved entry against the loss, one panel for each depth."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.lanes import draw_group, ends, groups, loss_range, losses, unobserved
from ...plots.style import (
    BOUND,
    FAINT,
    PALETTE,
    UNOBSERVED,
    figure,
    figure_legend,
    key,
    label,
    legend_below,
    loss_axis,
    power,
)
from ...theory import unobserved_lower_bound

STYLES = {"balanced": "-", "gaussian": "--", "identity": ":", "negative determinant": "-."}
WORDS = {
    "balanced": "balanced, det > 0",
    "gaussian": "Gaussian, det > 0 at the start",
    "identity": "identity",
    "negative determinant": "balanced, det < 0",
}
FLOOR = 0.02
BOUND_LOOK: dict[str, Any] = {"color": BOUND, "linewidth": 4.0}


def draw(ds: xr.Dataset) -> Figure:
    """Draw the unobserved entry of every lane, with the proved lower bound."""
    depths = sorted(set(ds["depth"].values.tolist()))
    whole, axes = figure(
        "With two or more factors and det > 0, the entry nobody observed grows as the loss falls", len(depths)
    )
    top = float(np.nanmax(unobserved(ds), initial=1.0))
    for ax, depth in zip(axes, depths, strict=True):
        lanes = ds.isel(lane=np.flatnonzero(ds["depth"].values == depth))
        colours = _colours(lanes)
        for (kind, scale, rate, dtype), own in groups(lanes, "kind", "scale", "learning_rate", "dtype"):
            _draw_kind(ax, own, STYLES.get(kind, "-"), colours[kind == "identity", scale, rate], dtype == "float32")
        grid = loss_range(losses(lanes))
        ax.plot(grid, unobserved_lower_bound(grid), zorder=1.5, **(BOUND_LOOK | ({"alpha": 0.3} if depth == 1 else {})))
        name = loss_axis(ax)
        label(ax, _finding(depth), name, UNOBSERVED if ax is axes[0] else "")
        _vertical(ax, depth, top)
        legend_below(ax, [key(_start(*one), color=colour, linewidth=4) for one, colour in colours.items()])
    figure_legend(whole, _styles(ds), 4)
    return whole


def _draw_kind(ax: Axes, lanes: xr.Dataset, style: str, colour: str, single: bool) -> None:
    """Draw lanes that differ only in their seed; those that ran out of steps end with an open circle."""
    loss, value = losses(lanes), unobserved(lanes)
    if single:
        for own, one in zip(loss, value, strict=True):
            ax.plot(own, one, color=FAINT, linewidth=0.7, zorder=1.2)
        ax.plot(*ends(loss, value), linestyle="none", marker="x", markersize=5, color=FAINT, zorder=5)
    else:
        draw_group(ax, lanes, value, colour, style)
    stopped = lanes["stop_reason"].values == "steps"
    look: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": FAINT if single else colour}
    ax.plot(*ends(loss[stopped], value[stopped]), linestyle="none", marker="o", markersize=5, zorder=6, **look)


def _colours(lanes: xr.Dataset) -> dict[tuple[bool, float, float], str]:
    """Return one colour for each size of the start and each step size."""
    found = zip(
        (lanes["kind"].values == "identity").tolist(),
        lanes["scale"].values.tolist(),
        lanes["learning_rate"].values.tolist(),
        strict=True,
    )
    return {one: PALETTE[number % len(PALETTE)] for number, one in enumerate(sorted(set(found)))}


def _start(identity: bool, scale: float, rate: float) -> str:
    size = f"start {power(scale)} I" if identity else f"start size {power(scale)}"
    return f"{size}, step {power(rate)}"


def _finding(depth: int) -> str:
    return "depth 1: it stays" if depth == 1 else f"depth {depth}"


def _vertical(ax: Axes, depth: int, top: float) -> None:
    if depth == 1:
        ax.set_yscale("symlog", linthresh=1e-6)
        ax.set_ylim(bottom=0)
    else:
        ax.set_yscale("log")
        ax.set_ylim(FLOOR, 2 * top)


def _styles(ds: xr.Dataset) -> list:
    """Entries for what every panel draws alike, as far as it occurs."""
    kinds = set(ds["kind"].values.tolist())
    found = [key("proved lower bound", **BOUND_LOOK)]
    if (ds["depth"].values == 1).any():
        found.append(key("the same bound, not proved for depth 1", alpha=0.3, **BOUND_LOOK))
    found += [key(WORDS[kind], linestyle=STYLES[kind]) for kind in STYLES if kind in kinds]
    if (ds["dtype"].values == "float32").any():
        found.append(key("in float32, each run", color=FAINT, linewidth=0.7, marker="x", markersize=5))
    if (ds["stop_reason"].values == "steps").any():
        found.append(key("out of steps", linestyle="none", marker="o", markerfacecolor="white"))
    return found
