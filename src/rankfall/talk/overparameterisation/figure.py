"""Error and rank over the number of components and the hidden width, from a small and from a large start."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import BOUND, FAINT, PALETTE, figure, figure_legend, key, label, power

SIZES = {"tensor": "components", "matrix": "hidden width"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw a row for the tensor and one for the matrix: the error on the left, the rank on the right."""
    whole, axes = figure("From a small start the rank does not depend on the size of the factorization", 4, 2, 7.0)
    for row, family in enumerate(SIZES):
        runs = ds.isel(run=np.flatnonzero(ds["family"] == family))
        _family(axes[2 * row], axes[2 * row + 1], runs, family)
    starts = [np.sort(np.atleast_1d(ds.attrs[f"{family}_starts"])) for family in SIZES]
    names = []
    for place, word in enumerate(("small", "large")):
        tensor, matrix = (power(float(sizes[place])) for sizes in starts)
        names.append(key(f"{word} start (tensor {tensor}, matrix {matrix})", color=PALETTE[place], marker="o"))
    names.append(key("rank of the target", color=BOUND, linewidth=1.0))
    names.append(key("size that is enough for any target", color=FAINT, linewidth=1.2, linestyle="--"))
    figure_legend(whole, names, 4)
    return whole


def _family(error: Axes, rank: Axes, runs: xr.Dataset, family: str) -> None:
    starts = np.sort(np.atleast_1d(runs.attrs[f"{family}_starts"]))
    for place, start in enumerate(starts):
        chosen = runs.isel(run=np.flatnonzero(runs["start"] == start))
        _one(error, rank, chosen, PALETTE[place], 1 + 0.04 * (place - 0.5))
    rank.axhline(int(runs.attrs[f"{family}_rank"]), color=BOUND, linewidth=1.0, zorder=0)
    ticks = np.unique(runs["size"].values)
    for ax in (error, rank):
        ax.axvline(int(runs.attrs[f"{family}_most"]), color=FAINT, linewidth=1.2, linestyle="--", zorder=0)
        ax.set_xscale("log")
        ax.set_yscale("log")
        ax.set_xticks(ticks, [f"{size}" for size in ticks])
        ax.minorticks_off()
    ends = np.unique([runs["lower"].min(), runs.attrs[f"{family}_rank"], runs["lower"].max(), runs["upper"].max()])
    rank.set_yticks(ends, [f"{end:g}" for end in ends])
    extent, order = int(runs.attrs[f"{family}_extent"]), int(runs.attrs[f"{family}_order"])
    shape, x = " x ".join([f"{extent}"] * order), SIZES[family]
    depth = f", depth {int(runs.attrs['matrix_depth'])}" if family == "matrix" else ""
    label(error, f"{family} {shape}{depth}: error of all entries", x, "relative error")
    measured = "least rank" if family == "matrix" else "least CP rank, as a bracket,"
    label(rank, f"{family}: {measured} within {power(float(runs.attrs['rtol']))}", x, "rank")


def _one(error: Axes, rank: Axes, runs: xr.Dataset, colour: str, aside: float) -> None:
    """Every run, and the medians of the error."""
    look: dict[str, Any] = {"color": colour, "linewidth": 2}
    size = runs["size"].values.astype(float)
    medians = runs["error"].groupby("size").median()
    error.plot(size, runs["error"], ".", color=colour, markersize=6, alpha=0.7)
    error.plot(medians["size"], medians, **look)
    for place, low, high in zip(size, runs["lower"].values, runs["upper"].values, strict=True):
        rank.plot([place * aside] * 2, [low, high], marker="o" if low == high else "_", markersize=6, **look)
