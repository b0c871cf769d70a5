"""Tensor completion: error and rank over the number of observations, for every target rank and size of the start."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import BOUND, FAINT, PALETTE, figure, figure_legend, key, label, power


def draw(ds: xr.Dataset) -> Figure:
    """Draw a column for each target rank: the error above, the bracket of the rank below."""
    ranks = ds["target_rank"].values.tolist()
    order = ds.attrs["order"]
    title = f"From a small start and enough observations, a CP factorization ends at the least rank (order {order})"
    whole, axes = figure(title, 2 * len(ranks), rows=2, height=7.0)
    sizes = np.atleast_1d(ds.attrs["factor_std"]).tolist()
    for number, rank in enumerate(ranks):
        above, below = axes[number], axes[len(ranks) + number]
        for place, std in enumerate(sizes):
            chosen = (ds["rank"] == rank) & (ds["factor_std"] == std) & (ds["rule"] == "exponential")
            _one(above, below, ds.isel(run=np.flatnonzero(chosen)), PALETTE[place], 1 + 0.03 * (place - 0.5))
        large = (ds["rank"] == rank) & (ds["factor_std"] == ds.attrs["large_std"])
        _one(above, below, ds.isel(run=np.flatnonzero(large)), PALETTE[len(sizes)], 1.0)
        linear = ds.sel(target_rank=rank)
        above.plot(linear["count"], linear["linear_error"], color=FAINT, linestyle="--", marker="s", markersize=4)
        below.plot(linear["count"], linear["linear_lower"], color=FAINT, linestyle="--", marker="s", markersize=4)
        below.axhline(rank, color=BOUND, linewidth=1.0, zorder=0)
        for ax in (above, below):
            ax.set_yscale("log")
        label(above, f"target of rank {rank}: relative error of the whole tensor", "observations", "relative error")
        within = power(ds.attrs["rtol"])
        label(below, f"least CP rank within {within}, as a bracket", "observations", "rank")
    names = [key(f"factors of deviation {power(std)}", color=PALETTE[place]) for place, std in enumerate(sizes)]
    names.append(key(f"deviation {power(ds.attrs['large_std'])}, too large", color=PALETTE[len(sizes)]))
    names.append(key("observed values, zeros elsewhere (rank: at least)", color=FAINT, linestyle="--", marker="s"))
    names.append(key("rank of the target", color=BOUND, linewidth=1.0))
    figure_legend(whole, names, 3)
    return whole


def _one(above: Axes, below: Axes, runs: xr.Dataset, colour: str, aside: float) -> None:
    """Median, quartiles and every run of one size of start."""
    look: dict[str, Any] = {"color": colour, "linewidth": 2, "marker": "o", "markersize": 4}
    counts, medians, quartiles = [], [], []
    for count, part in runs.groupby("observed"):
        error = part["error"].values
        counts.append(float(count))
        medians.append(np.median(error))
        quartiles.append(np.quantile(error, [0.25, 0.75]))
        above.plot(np.full(error.shape, float(count)), error, ".", color=colour, markersize=3, alpha=0.6)
        for low, high in zip(part["lower"].values, part["upper"].values, strict=True):
            mark = "o" if low == high else "_"
            below.plot([float(count) * aside] * 2, [low, high], color=colour, linewidth=2, marker=mark, markersize=6)
    band = np.array(quartiles).reshape(-1, 2)
    above.plot(counts, medians, **look)
    above.fill_between(counts, band[:, 0], band[:, 1], color=colour, alpha=0.2, linewidth=0)
