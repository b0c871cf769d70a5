"""Any norm: on the solutions of [[*, 1], [1, 0]], and along the path that training takes."""

from typing import Any

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..plots.style import BOUND, PALETTE, entry_axis, figure, key, label, legend_below, loss_axis, power
from .challenges import Challenge

NORM, LEAST, END = PALETTE[0], PALETTE[2], PALETTE[1]


def draw(challenge: Challenge) -> Figure:
    """Draw two panels: the norm over the unobserved entry of the solutions, and over the loss along the path."""
    path, times, end = challenge.path, challenge.ratio, f"loss {power(float(challenge.path['loss'][-1]))}"
    verdict = "training drives it to" if challenge.claim.holds else "it is not driven up yet, and is"
    title = f"{challenge.name}: at {end}, {verdict} {_times(times)} times the least of the solutions"
    whole, (left, right) = figure(title, 2)
    _on_solutions(left, challenge.solutions, path, challenge.minimiser, challenge.minimum)
    label(
        left,
        f"among the solutions it is least at x = {challenge.minimiser:.4g}",
        "unobserved entry x",
        r"norm of $W_x$",
    )
    _along_path(right, path, challenge.minimum, challenge.constants.certified)
    rate = f"along the way it grows like $(1/\\sqrt{{\\mathrm{{loss}}}})^{{{challenge.growth_rate:.2f}}}$"
    label(right, rate, loss_axis(right), "norm of the end-to-end matrix")
    return whole


def _on_solutions(ax: Axes, solutions: xr.Dataset, path: xr.Dataset, x: float, least: float) -> None:
    entry, norm = float(path["unobserved"][-1]), float(path["norm"][-1])
    ax.plot(solutions["x"].values, solutions["norm"].values, color=NORM, linewidth=1.6)
    ax.plot(x, least, "o", color=LEAST, markersize=7)
    ax.plot(entry, norm, "D", color=END, markersize=7)
    if solutions["norm"].max() > 10 * solutions["norm"].min():
        ax.set_yscale("log")
    entry_axis(ax, float(solutions["x"].max()))
    legend_below(ax, [
        key("norm of the solution", color=NORM),
        key(f"where it is least, {least:.4g}", linestyle="none", marker="o", color=LEAST),
        key(f"where the flow is, {norm:.4g}", linestyle="none", marker="D", color=END),
    ], 2)  # fmt: skip


def _along_path(ax: Axes, path: xr.Dataset, least: float, certified: bool) -> None:
    loss, norm = path["loss"].values, path["norm"].values
    doubt = "" if certified else ", not certified"
    ax.plot(loss, norm, color=NORM, linewidth=2.4)
    bounds = []
    for name, words, style in (("bound", "proved lower bound", "-"), ("theorem1_bound", "theorem 1", (0, (5, 3)))):
        above = path[name].values > 0
        look: dict[str, Any] = {"color": BOUND, "linewidth": 1.2, "linestyle": style}
        ax.plot(loss[above], path[name].values[above], **look)
        bounds += [key(words + doubt, **look)] if above.any() else []
    ax.axhline(least, color=LEAST, linewidth=1.4)
    ax.plot(loss[-1], norm[-1], "D", color=END, markersize=7)
    ax.set_yscale("log")
    # Bounds that are nearly 0 spend decades below everything else.
    ax.set_ylim(bottom=min(norm.min(), least) / 3)
    legend_below(ax, [
        key("norm along the flow", color=NORM, linewidth=2.4),
        key("least norm of a solution", color=LEAST),
        *bounds,
    ], 2)  # fmt: skip


def _times(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.3g}"
