"""Singular values over flow time at each depth, and their speeds against the equation."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.lanes import groups
from ...plots.style import BOUND, FAINT, PALETTE, figure, key, label, legend_below
from .experiment import LARGE, SMALL, speeds

DEPTHS_SHOWN, RANKS_SHOWN = 3, 4
TRUE: dict[str, Any] = {"color": BOUND, "linewidth": 0.9, "linestyle": (0, (4, 3))}
MEASURED: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3.5, "markerfacecolor": "white"}
TIME = "flow time t"
FINDINGS = {2: "depth 2: more than the rank comes up", 4: "depth 4: one after another, and no more"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw the singular values of one start at three depths; below them speeds, and the two-by-two problem."""
    whole, axes = figure("Deeper products raise one singular value after another, and leave the rest", 6, 2, 8.6)
    completion = ds.isel(lane=np.flatnonzero(ds["task"].values == LARGE))
    by_depth = [(depth, lanes.isel(lane=slice(1))) for (depth,), lanes in groups(completion, "depth")][:DEPTHS_SHOWN]
    for number, (ax, (depth, lane)) in enumerate(zip(axes[:DEPTHS_SHOWN], by_depth, strict=True)):
        _values(ax, lane, depth, ds, number == 0)
    top = [ax.get_ylim() for ax in axes[:DEPTHS_SHOWN]]
    for ax in axes[:DEPTHS_SHOWN]:
        ax.set_ylim(max(1e-5, min(low for low, _ in top)), max(high for _, high in top))
    _speeds(axes[3], by_depth)
    _scatter(axes[4], completion)
    _two_by_two(axes[5], ds.isel(lane=np.flatnonzero(ds["task"].values == SMALL)))
    return whole


def _middle(lane: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return times and singular values (record, singular value) of the first lane."""
    sigma = lane["singular_values"].transpose("lane", "record", "stencil", "singular_value").values
    return lane["time"].transpose("lane", "record").values[0], sigma[0, :, 2]


def _values(ax: Axes, lane: xr.Dataset, depth: int, ds: xr.Dataset, first: bool) -> None:
    time, sigma = _middle(lane)
    rank = int(ds.attrs["rank"])
    for number in range(sigma.shape[1]):
        needed = number < rank
        look = {"color": PALETTE[number % len(PALETTE)], "linewidth": 2.2} if needed else {"color": PALETTE[4]}
        ax.plot(time, sigma[:, number], **(look if number <= rank else {"color": FAINT, "linewidth": 1.0}))
    for true in ds["true_singular_values"].values[:rank].tolist():
        ax.axhline(true, **TRUE)
    ax.set_yscale("log")
    label(ax, FINDINGS.get(depth, f"depth {depth}"), TIME, "singular values")
    ordinals = ("first", "second", "third", "fourth", "fifth")
    entries = [key(f"{ordinals[n]}, needed", color=PALETTE[n], linewidth=2.2) for n in range(min(rank, 5))]
    entries += [
        key(f"{ordinals[min(rank, 4)]}, superfluous", color=PALETTE[4]),
        key("others", color=FAINT, linewidth=1.0),
        key("of the true matrix", **TRUE),
    ]
    if first:
        legend_below(ax, entries, 2)


def _speeds(ax: Axes, by_depth: list[tuple[int, xr.Dataset]]) -> None:
    """Draw the speed of the first two singular values, as measured and as foretold, at the middle depth."""
    depth, lane = by_depth[len(by_depth) // 2]
    time, _ = _middle(lane)
    measured, foretold = speeds(lane)
    for number in range(min(2, measured.shape[-1])):
        colour = PALETTE[number]
        ax.plot(time, foretold[0, :, number], color=colour, linewidth=1.4)
        ax.plot(time[::2], measured[0, ::2, number], color=colour, **MEASURED)
    label(ax, f"depth {depth}: each has a speed of its own", TIME, "d sigma / dt")
    legend_below(ax, [key("equation", linewidth=1.4), key("finite differences of the flow", **MEASURED)], 2)


def _scatter(ax: Axes, completion: xr.Dataset) -> None:
    entries = []
    for number, ((depth,), lanes) in enumerate(groups(completion, "depth")):
        measured, foretold = speeds(lanes)
        look: dict[str, Any] = {"linestyle": "none", "marker": ".", "color": PALETTE[number % len(PALETTE)]}
        shown = np.isfinite(measured) & (measured > 0) & (foretold > 0)
        ax.plot(foretold[shown], measured[shown], markersize=2.5, **look)
        entries.append(key(f"depth {depth}", markersize=8, **look))
    ax.axline((1e-3, 1e-3), (1.0, 1.0), color=BOUND, linewidth=0.9)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlim(1e-8, 30)
    ax.set_ylim(1e-8, 30)
    label(ax, "every start, every rising singular value", "speed by the equation", "speed by finite differences")
    legend_below(ax, [*entries, key("equal", color=BOUND, linewidth=0.9)], 2)


def _two_by_two(ax: Axes, small: xr.Dataset) -> None:
    entries = []
    for number, ((depth,), lanes) in enumerate(groups(small, "depth")):
        time, sigma = _middle(lanes)
        colour = PALETTE[number % len(PALETTE)]
        ax.plot(time, sigma[:, 0], color=colour, linewidth=1.8)
        ax.plot(time, sigma[:, 1], color=colour, linewidth=1.8, linestyle="--")
        entries.append(key(f"depth {depth}", color=colour, linewidth=1.8))
    ax.set_yscale("log")
    label(ax, "[[∗, 1], [1, 0]]: one grows, the other falls", TIME, "singular values")
    legend_below(ax, [*entries, key("larger", linewidth=1.8), key("smaller", linewidth=1.8, linestyle="--")], 3)
