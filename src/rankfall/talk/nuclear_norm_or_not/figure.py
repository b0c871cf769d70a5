"""Error, nuclear norm and effective rank over the size of the start, beside the solution of least nuclear norm."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import BOUND, LINE_STYLES, PALETTE, figure, figure_legend, key, label

PANELS = (
    ("error", "error of all entries", "relative error"),
    ("nuclear", "nuclear norm", "nuclear norm / that of the target"),
    ("effective_rank", "effective rank", "effective rank"),
)


def draw(ds: xr.Dataset) -> Figure:
    """Draw a row for completion and one for sensing, where there is one: three measures each."""
    kinds = list(dict.fromkeys(ds["kind"].values.tolist()))
    counts = sorted(set(ds["observed"].values.tolist()))
    depths = sorted(set(ds["depth"].values.tolist()))
    title = "From few observations training does not pick the least nuclear norm"
    whole, axes = figure(title, 3 * len(kinds), len(kinds), 4.5 + 3.1 * (len(kinds) - 1))
    for row, kind in enumerate(kinds):
        for ax, (name, words, y) in zip(axes[3 * row : 3 * row + 3], PANELS, strict=True):
            for style, count in zip(LINE_STYLES, counts, strict=False):
                for colour, depth in zip(PALETTE, depths, strict=False):
                    chosen = (ds["kind"] == kind) & (ds["observed"] == count) & (ds["depth"] == depth)
                    _curve(ax, ds.isel(run=np.flatnonzero(chosen)), ds, name, color=colour, linestyle=style)
                case = ds.isel(case=np.flatnonzero((ds["case_kind"] == kind) & (ds["case_observed"] == count)))
                least = case[f"least_{name}"] / (case["true_nuclear"] if name == "nuclear" else 1)
                ax.axhline(float(least.median()), color=BOUND, linestyle=style, linewidth=1.4)
            ax.set_xscale("log")
            ax.invert_xaxis()
            if name == "error":
                ax.set_yscale("log")
            label(ax, f"{kind}: {words}", "scale of the start (falls to the right)", y)
    entries = [key(f"depth {depth}", color=colour) for colour, depth in zip(PALETTE, depths, strict=False)]
    entries += [key("least nuclear norm", color=BOUND)]
    entries += [key(f"{count} observations", color="#444444", linestyle=style)
                for style, count in zip(LINE_STYLES, counts, strict=False)]  # fmt: skip
    figure_legend(whole, entries, 3)
    return whole


def _curve(ax: Axes, runs: xr.Dataset, ds: xr.Dataset, name: str, **look: Any) -> None:
    """Draw the median over repetitions, and every run as a dot."""
    unit = float(ds["true_nuclear"].median()) if name == "nuclear" else 1.0
    scales = np.unique(runs["scale"].values)
    values = runs[name].values / unit
    ax.plot(runs["scale"], values, ".", color=look["color"], markersize=4, alpha=0.6)
    ax.plot(scales, [np.median(values[runs["scale"].values == scale]) for scale in scales], **look)
