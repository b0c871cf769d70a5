"""Singular values over flow time at each depth, the gradient in the singular vectors, and what depth leaves behind."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...plots.lanes import groups
from ...plots.style import FAINT, LINE_STYLES, PALETTE, figure, figure_legend, key, label, legend_below, loss_axis

TIME = "flow time"
FINDINGS = {1: "depth 1: all together", 2: "depth 2: further apart"}
DEEP = "depth {}: one after another"
# Of ratings nobody knows the rank.
NUMBERED = 5


def draw(ds: xr.Dataset) -> Figure:
    """Draw a panel for each depth, from the small start on the first target; then the two that compare."""
    small = ds.isel(lane=np.flatnonzero((ds["start"].values == "small") & (ds["target"].values == 0)))
    by_depth = [(depth, lanes.isel(lane=0)) for (depth,), lanes in groups(small, "depth")]
    rank = int(ds.attrs["rank"]) if ds.attrs["task"] == "random" else None
    words = "ratings of MovieLens 100K" if rank is None else f"a random matrix of rank {rank}"
    spare = len(by_depth) % 2
    whole, axes = figure(f"Depth separates singular values ({words})", len(by_depth) + 2 + spare, 2, 8.8)
    for _ in range(spare):
        whole.delaxes(axes.pop(len(by_depth)))
    colours = PALETTE[: NUMBERED if rank is None else rank]
    for ax, (depth, lane) in zip(axes, by_depth, strict=False):
        _values(ax, lane, colours, rank is None)
        label(ax, FINDINGS.get(depth, DEEP.format(depth)), TIME, "singular values")
    _gradient(axes[-2], next(lane for depth, lane in by_depth if depth == 2))
    _compare(axes[-1], by_depth, rank)
    entries = [key(f"singular value {n + 1}", color=colour, linewidth=2.0) for n, colour in enumerate(colours)]
    others = "others" if rank is None else "those that are not needed"
    figure_legend(whole, [*entries, key(others, color=FAINT)], len(entries) + 1)
    return whole


def _seen(lane: xr.Dataset, *names: str) -> list[np.ndarray]:
    there = np.isfinite(lane["loss"].values)
    return [lane[name].values[there] for name in names]


def _values(ax: Axes, lane: xr.Dataset, colours: Sequence[str], log: bool) -> None:
    time, sigma = _seen(lane, "time", "singular_values")
    for number in reversed(range(sigma.shape[1])):
        needed = number < len(colours)
        ax.plot(time, sigma[:, number], color=colours[number] if needed else FAINT, linewidth=2.0 if needed else 1.0)
    if log:
        # The mean of all ratings is a singular value of thousands, the next ones are hundreds.
        ax.set_yscale("log")
    ax.set_ylim(bottom=float(log))
    ax.xaxis.set_major_locator(MaxNLocator(4))


def _gradient(ax: Axes, lane: xr.Dataset) -> None:
    time, mean, largest = _seen(lane, "time", "gradient_mean", "gradient_largest")
    entries = []
    for number, place in enumerate(lane["place"].values.tolist()):
        look: dict[str, Any] = {"color": PALETTE[number]}
        ax.plot(time, mean[:, number], linewidth=2.0, **look)
        ax.plot(time, largest[:, number], linewidth=1.0, linestyle="--", **look)
        entries.append(key(place, linewidth=2.0, **look))
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(4))
    label(ax, "depth 2: the gradient is nearly diagonal", TIME, r"entries of $|U^T \nabla V|$")
    legend_below(ax, [*entries, key("mean", linewidth=2.0), key("largest", linestyle="--", linewidth=1.0)], 2)


def _compare(ax: Axes, by_depth: list[tuple[int, xr.Dataset]], rank: int | None) -> None:
    """Draw what is left behind at every depth, or the effective rank where the rank is not known."""
    entries = []
    for number, (depth, lane) in enumerate(by_depth):
        loss, sigma, found = _seen(lane, "loss", "singular_values", "effective_rank")
        if rank is not None:
            found = sigma[:, rank] / sigma[:, rank - 1]
        look: dict[str, Any] = {"color": PALETTE[number], "linestyle": LINE_STYLES[number % 4], "linewidth": 1.8}
        ax.plot(loss, found, **look)
        entries.append(key(f"depth {depth}", **look))
    ax.set_yscale("log")
    finding, quantity = "the deeper, the fewer at the same loss", "effective rank"
    if rank is not None:
        finding, quantity = "the deeper, the less is left over", f"singular value {rank + 1} / singular value {rank}"
    label(ax, finding, loss_axis(ax), quantity)
    legend_below(ax, entries, 2)
