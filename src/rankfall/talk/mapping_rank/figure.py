"""Effective ranks of the input-output mapping while networks train: a panel for each, and the ends of all cuts."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import PALETTE, figure, figure_legend, key, label, legend_below

_COLOURS = {"small": PALETTE[0], "large": PALETTE[1]}


def draw(ds: xr.Dataset) -> Figure:
    """Draw mean effective rank against loss for every network, and against the cut at the end."""
    networks = [str(n) for n in dict.fromkeys(ds["network"].values.tolist())]
    whole, axes = figure("Training keeps the rank of the input-output mapping low", len(networks) + 1, height=4.4)
    target, filled = ds["target"].values, ds["zeros_elsewhere"].values
    for ax, network in zip(axes, networks, strict=False):
        for lane in np.flatnonzero(ds["network"].values == network):
            path = ds.isel(lane=lane)
            seen = np.isfinite(path["loss"].values)
            ax.plot(
                path["loss"].values[seen],
                path["effective_rank"].values[seen].mean(axis=1),
                color=_COLOURS[str(path["start"].values)],
                linewidth=1.4,
                alpha=0.85,
            )
        ax.axhline(target.mean(), color="#444444", linestyle="--", linewidth=1.2)
        ax.axhline(filled.mean(), color="#444444", linestyle=":", linewidth=1.2)
        ax.set_xscale("log")
        ax.invert_xaxis()
        ax.set_ylim(0, 1.1 * filled.mean())
        label(ax, network, "loss on the labels seen", "effective rank, mean over cuts")
    _ends(axes[-1], ds, networks)
    entries = [key(f"from a {size} start", color=colour, linewidth=2) for size, colour in _COLOURS.items()]
    entries += [
        key("the target", color="#444444", linestyle="--"),
        key("labels, zeros elsewhere", color="#444444", linestyle=":"),
    ]
    figure_legend(whole, entries, 4)
    return whole


def _ends(ax: Axes, ds: xr.Dataset, networks: list[str]) -> None:
    cuts = [str(c) for c in ds["cut"].values]
    places = np.arange(len(cuts))
    count = (ds["step"].values >= 0).sum(axis=1)
    ends = ds["effective_rank"].values[np.arange(len(count)), count - 1]
    for number, network in enumerate(networks):
        for size, colour in _COLOURS.items():
            chosen = (ds["network"].values == network) & (ds["start"].values == size)
            shift = 0.18 * (number - (len(networks) - 1) / 2)
            mean = ends[chosen].mean(axis=0)
            ax.plot(places + shift, mean, marker="os^"[number % 3], markersize=5, linestyle="none", color=colour)
    ax.plot(places, ds["target"].values, color="#444444", linestyle="--", linewidth=1.2)
    ax.plot(places, ds["zeros_elsewhere"].values, color="#444444", linestyle=":", linewidth=1.2)
    ax.set_xticks(places, cuts)
    ax.set_ylim(bottom=0)
    label(ax, "at the end, by cut", "positions on one side", "effective rank")
    marks = [key(n, color="#444444", marker="os^"[k % 3], linestyle="none") for k, n in enumerate(networks)]
    legend_below(ax, marks)
