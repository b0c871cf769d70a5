"""How likely the sign of the determinant is, what it decides, and what loses it."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..theory import unobserved_lower_bound
from .style import BOUND, FAINT, PALETTE, UNOBSERVED, figure, key, label, legend_below, power

SIGNS = {1: (PALETTE[0], "o", "det > 0"), -1: (PALETTE[1], "s", "det < 0")}
OFFSET = 0.16


def draw(ds: xr.Dataset) -> Figure:
    """Draw four panels: the chance, the two outcomes, who reaches the loss, and who keeps the sign."""
    title = "The sign of the determinant is a coin toss, and it decides where the unobserved entry goes"
    whole, (chance, outcome, reached, kept) = figure(title, 4, rows=2, height=7.6)
    _chance(chance, ds)
    _outcome(outcome, ds)
    _reached(reached, ds)
    _kept(kept, ds)
    return whole


def _chance(ax: Axes, ds: xr.Dataset) -> None:
    """Draw the share of positive determinants; one far from the interval stands at the edge, with its value."""
    share, low, high = (ds[name].values for name in ("probability", "low", "high"))
    places = np.arange(len(share))[::-1]
    middle, half = (low + high) / 2, (high - low) / 2
    reach = 2.5 * half.max()
    near = np.abs(share - middle) <= reach
    ax.errorbar(middle, places, xerr=half, fmt="none", ecolor="#C4C4C4", elinewidth=7)
    ax.plot(share[near], places[near], "o", color=PALETTE[0], markersize=5)
    for value, centre, place in zip(share[~near], middle[~near], places[~near], strict=True):
        right = value > centre
        at = centre + (reach if right else -reach)
        ax.plot(at, place, ">" if right else "<", color=PALETTE[1], markersize=7)
        ax.annotate(f"{value:.3g}", (at, place), (-8 if right else 8, 0), textcoords="offset points", va="center",
                    ha="right" if right else "left", fontsize=8.5)  # fmt: skip
    ax.axvline(0.5, color=BOUND, linewidth=0.9, linestyle="--")
    label(ax, "random starts: det > 0 with probability 1/2", "share of starts with det > 0", "kind of start")
    ax.set_yticks(places, ds["depth_kind"].values.tolist())
    ax.locator_params(axis="x", nbins=5)
    band = key("one half, four standard deviations", color="#C4C4C4", linewidth=7)
    legend_below(ax, [band, key("share drawn", linestyle="none", marker="o", color=PALETTE[0])], 2)


def _outcome(ax: Axes, ds: xr.Dataset) -> None:
    depth, start, final, loss = (ds[name].values for name in ("depth", "start_sign", "final_unobserved", "final_loss"))
    reached = ds["reached"].values.astype(bool)
    for sign, (colour, marker, _) in SIGNS.items():
        here = (start == sign) & np.isfinite(final)
        x = depth - sign * OFFSET + _aside(depth, here)
        ax.plot(x[here & reached], np.abs(final[here & reached]), marker, color=colour, markersize=4.5)
        look: dict[str, Any] = {"markerfacecolor": "white", "color": colour, "markersize": 4.5}
        ax.plot(x[here & ~reached], np.abs(final[here & ~reached]), marker, **look)
        if sign > 0:
            ax.plot(x[here], unobserved_lower_bound(loss[here]), "_", color=BOUND, markersize=7, zorder=3)
    ax.set_yscale("log")
    ax.set_xticks(sorted(set(depth.tolist())))
    label(ax, "it grows from one sign, and stays finite from the other", "depth", f"final {UNOBSERVED}")
    entries = [key(text, linestyle="none", marker=marker, color=colour) for colour, marker, text in SIGNS.values()]
    entries.append(key("proved lower bound, det > 0", linestyle="none", marker="_", color=BOUND, markersize=9))
    if not reached.all():
        entries.append(key("loss not reached", linestyle="none", marker="o", markerfacecolor="white"))
    legend_below(ax, entries, 2)


def _aside(depth: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Return shifts that put the chosen runs of a depth side by side, so that none hides another."""
    shift = np.zeros(len(depth))
    for one in np.unique(depth[here]):
        group = np.flatnonzero(here & (depth == one))
        shift[group] = np.linspace(-0.12, 0.12, len(group))
    return shift


def _reached(ax: Axes, ds: xr.Dataset) -> None:
    depth, scale, sign = (ds[f"cell_{name}"].values for name in ("depth", "scale", "sign"))
    scales, depths = sorted(set(scale.tolist())), sorted(set(depth.tolist()))
    entries = [key(text, linestyle="none", marker=marker, color=FAINT) for _, marker, text in SIGNS.values()]
    for number, one in enumerate(depths):
        colour = PALETTE[2 + number % 4]
        entries.append(key(f"depth {one}", color=colour, linewidth=5))
        for place, (own, (_, marker, _)) in enumerate(SIGNS.items()):
            here = np.flatnonzero((depth == one) & (sign == own))
            shift = (2 * number + place - len(depths) + 0.5) * 0.8 / (2 * len(depths))
            x = np.array([scales.index(s) for s in scale[here].tolist()], dtype=float) + shift
            share = ds["fraction"].values[here]
            ax.vlines(x, 0, share, color=colour, linewidth=3, alpha=0.6)
            ax.plot(x, share, marker, color=colour, markersize=5)
    ax.set_xticks(range(len(scales)), [power(s) for s in scales])
    ax.set_ylim(0, 1.1)
    label(ax, "which balanced starts reach the loss", "size of the start", "share of runs")
    legend_below(ax, entries, 5)


def _kept(ax: Axes, ds: xr.Dataset) -> None:
    entries = []
    for number, depth in enumerate(ds["imbalance_depth"].values.tolist()):
        look: dict[str, Any] = {"color": PALETTE[2 + number % 4], "marker": "o^Dv"[number % 4]}
        ax.plot(ds["imbalance"].values, ds["kept_sign"].isel(imbalance_depth=number).values, markersize=5, **look)
        entries.append(key(f"depth {depth}", **look))
    ax.set_xscale("log")
    ax.set_ylim(-0.03, 1.1)
    label(ax, "how unbalanced a start may be", "relative imbalance of the factors", "share that keeps det > 0")
    legend_below(ax, entries, 4)
