"""Any norm: on the solutions of [[*, 1], [1, 0]], and along the path that training takes."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .solution_set import entry_axis
from .style import BOUND, PALETTE, figure, key, label, legend_below, loss_axis

NORM, LEAST, END = PALETTE[0], PALETTE[2], PALETTE[1]


def draw(challenge: Any) -> Figure:
    """Draw two panels: the norm over the unobserved entry of the solutions, and over the loss along the path."""
    name, x, times = challenge.name, challenge.minimiser, challenge.ratio
    end = float(challenge.path["loss"][-1])
    whole, (left, right) = figure(f"{name}: the flow ends at {times:.3g} times the least norm of a solution", 2)
    _on_solutions(left, challenge.solutions, challenge.path, x, challenge.minimum)
    label(left, f"among the solutions least at x = {x:.4g}", "unobserved entry x", r"norm of $W_x$")
    _along_path(right, challenge.path, challenge.minimum, challenge.constants.certified)
    rate = f"it grows like $(1/\\sqrt{{\\mathrm{{loss}}}})^{{{challenge.growth_rate:.3g}}}$ down to loss {end:.0e}"
    label(right, rate, loss_axis(right), "norm of the end-to-end matrix")
    return whole


def _on_solutions(ax: Axes, solutions: xr.Dataset, path: xr.Dataset, x: float, least: float) -> None:
    entry, norm = float(path["unobserved"][-1]), float(path["norm"][-1])
    ax.plot(solutions["x"].values, solutions["norm"].values, color=NORM, linewidth=1.6)
    ax.plot(x, least, "o", color=LEAST, markersize=7)
    ax.plot(entry, norm, "D", color=END, markersize=7)
    ax.set_yscale("log")
    entry_axis(ax, float(solutions["x"].max()))
    legend_below(ax, [
        key("norm of the solution", color=NORM),
        key(f"where it is least, {least:.4g}", linestyle="none", marker="o", color=LEAST),
        key(f"where the flow is, {norm:.4g}", linestyle="none", marker="D", color=END),
    ], 2)  # fmt: skip


def _along_path(ax: Axes, path: xr.Dataset, least: float, certified: bool) -> None:
    loss, norm = path["loss"].values, path["norm"].values
    sharp, published = (np.where(path[name] > 0, path[name], np.nan) for name in ("bound", "theorem1_bound"))
    doubt = "" if certified else ", not certified"
    ax.plot(loss, norm, color=NORM, linewidth=2.4)
    ax.plot(loss, sharp, color=BOUND, linewidth=1.2)
    ax.plot(loss, published, color=BOUND, linewidth=1.2, linestyle=(0, (5, 3)))
    ax.axhline(least, color=LEAST, linewidth=1.4)
    ax.plot(loss[-1], norm[-1], "D", color=END, markersize=7)
    ax.set_yscale("log")
    # Bounds that are nearly 0 spend decades below everything else.
    ax.set_ylim(bottom=min(norm.min(), least) / 3)
    legend_below(ax, [
        key("norm along the flow", color=NORM, linewidth=2.4),
        key("least norm of a solution", color=LEAST),
        key(f"proved lower bound{doubt}", color=BOUND, linewidth=1.2),
        key(f"theorem 1{doubt}", color=BOUND, linewidth=1.2, linestyle=(0, (5, 3))),
    ], 2)  # fmt: skip
