"""Ten norms: on the solutions, along the flow, and where each is least."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import BOUND, LINE_STYLES, PALETTE, figure, figure_legend, key, label, loss_axis


def draw(ds: xr.Dataset) -> Figure:
    """Draw norms over the solutions, along the flow, and minimisers against the flow's end."""
    whole, (solutions, flow, ends) = figure("Every norm has a minimum, and the flow leaves it", 3)
    names = ds["norm"].values.tolist()
    looks: dict[str, dict[str, Any]] = {
        name: {"color": PALETTE[n % len(PALETTE)], "linestyle": LINE_STYLES[n // len(PALETTE) % len(LINE_STYLES)]}
        for n, name in enumerate(names)
    }
    for name, look in looks.items():
        one = ds.sel(norm=name)
        solutions.plot(ds["x"], one["on_solutions"] / one["minimum"], **look)
        flow.plot(ds["loss"], one["along_flow"].isel(depth=-1) / one["minimum"], **look)
    solutions.set_xscale("symlog", linthresh=1.0)
    solutions.set_xticks([-1e4, -1e2, 0.0, 1e2, 1e4])
    solutions.set_yscale("log")
    label(solutions, "on the solutions [[x, 1], [1, 0]]", "unobserved entry x", "norm / its least value")
    flow.set_yscale("log")
    x = loss_axis(flow)
    label(flow, f"along the flow, depth {int(ds['depth'][-1])}", x, "norm / its least value on the solutions")
    _ends(ends, ds, looks)
    figure_legend(whole, [key(name, **look) for name, look in looks.items()], 5)
    return whole


def _ends(ax: Axes, ds: xr.Dataset, looks: dict[str, dict[str, Any]]) -> None:
    """Where each norm is least, and where the flow of each depth ends."""
    for row, (name, look) in enumerate(looks.items()):
        ax.plot(ds["minimiser"].sel(norm=name), row, "o", color=look["color"], markersize=7)
    for depth in ds["depth"].values:
        ax.axvline(float(ds["unobserved"].sel(depth=depth)[-1]), color=BOUND, linestyle="--", linewidth=1.2)
    ax.set_xscale("symlog", linthresh=1.0)
    ax.set_xlim(-1e2, 1e2 * float(abs(ds["unobserved"].isel(record=-1)).max()))
    ax.set_xticks([-1e2, 0.0, 1e2, 1e4])
    ax.set_yticks(np.arange(len(looks)), list(looks))
    ax.invert_yaxis()
    label(ax, "minimisers; dashed: flow's end", "unobserved entry x", "norm")
