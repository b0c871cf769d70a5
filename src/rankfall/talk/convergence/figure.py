"""Unobserved entry and loss over flow time from alpha I, and what the start costs."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ...plots.lanes import Array, losses, unobserved
from ...plots.style import BOUND, FAINT, LEGEND_SIZE, UNOBSERVED, figure, figure_legend, key, label, power

LAW: dict[str, Any] = {"color": BOUND, "linewidth": 1.2, "linestyle": (0, (4, 3))}
FIRST_TIME, LATE, LEAST_OFFSET = 1e-2, 1e3, -9.0
TIME = "flow time t"


def draw(ds: xr.Dataset) -> Figure:
    """Draw entry and loss over time for every alpha, and the constant of time against alpha."""
    whole, (entry, loss, offset) = figure("Depth 2 from alpha I: every start converges, at the cube root of time", 3)
    right, wrong = (ds.isel(lane=np.flatnonzero(ds["start_sign"].values == sign)) for sign in (1, -1))
    alphas = right["alpha"].values
    colours = dict(zip(sorted(set(alphas.tolist())), _shades(len(set(alphas.tolist()))), strict=True))
    _over_time(entry, right, wrong, unobserved, colours)
    _over_time(loss, right, wrong, losses, colours)
    t = np.geomspace(10, np.nanmax(right["time"].values, initial=100.0), 100)
    entry.plot(t, np.cbrt(6 * t), zorder=3, **LAW)
    loss.plot(t, (6 * t) ** (-2 / 3) / 2, zorder=3, **LAW)
    loss.set_ylim(top=3)
    label(entry, r"the entry grows like $(6t)^{1/3}$", TIME, UNOBSERVED)
    label(loss, r"the loss falls like $(6t)^{-2/3}/2$", TIME, "loss")
    _offset(offset, right, colours)
    entries = [key(f"alpha = {power(alpha)}", color=colour, linewidth=2) for alpha, colour in colours.items()]
    entries += [
        key("diag(alpha, −alpha): det < 0", color=FAINT, linewidth=0.9, linestyle="-."),
        key("law", **LAW),
    ]
    figure_legend(whole, entries, 5)
    return whole


def _shades(count: int) -> list[str]:
    return [to_hex(colormaps["viridis"](0.9 * number / max(count - 1, 1))) for number in range(count)]


def _over_time(
    ax: Axes, right: xr.Dataset, wrong: xr.Dataset, value: Callable[[xr.Dataset], Array], colours: dict[float, str]
) -> None:
    """Draw every lane; those of negative determinant end with a cross, since they are at the loss already."""
    for lanes, positive in ((wrong, False), (right, True)):
        t, seen = lanes["time"].transpose("lane", "record").values, value(lanes)
        for alpha, own, one in zip(lanes["alpha"].values.tolist(), t, seen, strict=True):
            shown = own > FIRST_TIME
            if positive:
                ax.plot(own[shown], one[shown], color=colours[alpha], linewidth=1.6)
            else:
                ax.plot(own[shown], one[shown], color=FAINT, linewidth=0.9, linestyle="-.")
                ax.plot(own[shown][-1:], one[shown][-1:], "x", color=FAINT, markersize=4)
    ax.set_xscale("log")
    ax.set_yscale("log")


def _offset(ax: Axes, right: xr.Dataset, colours: dict[float, str]) -> None:
    """Draw t - x^3/6 - 5 x/2 - 4/x of a late record; what is far below stands at the edge, with its value."""
    x, t = unobserved(right), right["time"].transpose("lane", "record").values
    alphas = right["alpha"].values
    for alpha, own, one in zip(alphas.tolist(), x, t, strict=True):
        late = np.flatnonzero(own < LATE)
        if not late.size:
            continue
        at, when = own[late[-1]], one[late[-1]]
        value = when - at**3 / 6 - 5 * at / 2 - 4 / at
        inside = value > LEAST_OFFSET
        ax.plot(alpha, max(value, LEAST_OFFSET), "o" if inside else "v", color=colours[alpha], markersize=7, zorder=3)
        if not inside:
            ax.annotate(f"−{-value:.0f}", (alpha, LEAST_OFFSET), (0, 7), textcoords="offset points", ha="center",
                        fontsize=LEGEND_SIZE)  # fmt: skip
    grid = np.geomspace(alphas.min(), 1, 50)
    ax.plot(grid, 0.5 * np.log(1 / grid) - 3.19, **LAW)
    middle = float(np.sqrt(alphas.min()))
    ax.annotate("ln(1/alpha)/2 − 3.19", (middle, 0.5 * np.log(1 / middle) - 3.19), (6, 6), textcoords="offset points",
                fontsize=LEGEND_SIZE)  # fmt: skip
    ax.set_xscale("log")
    ax.set_ylim(bottom=LEAST_OFFSET - 0.6)
    label(ax, "what the start costs, or saves", "alpha", "c = t − x³/6 − 5x/2 − 4/x")
