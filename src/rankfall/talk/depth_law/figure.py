"""The determinant against the unobserved entry at each depth, its exponent between depths, and what it measures."""

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from ...plots.lanes import groups, losses, unobserved
from ...plots.style import BOUND, FAINT, LEGEND_SIZE, PALETTE, figure, key, label, legend_below
from ...theory import unobserved_lower_bound

# Decades that are shown; depth 2 falls out of the picture at x = 10.
LEAST_DET, LEAST_ENTRY, VALLEY, LARGE_ENTRY = 1e-20, 0.5, 10.0, 1e4
X = "x = |unobserved entry|"


def draw(ds: xr.Dataset) -> Figure:
    """Draw the laws, the fitted exponents, and the excess of the entry over its bound."""
    whole, (law, exponent, excess) = figure(
        "The deeper the product, the more slowly it approaches rank 1 as the unobserved entry grows", 3
    )
    depths = sorted(set(ds["depth"].values.tolist()))
    _law(law, ds, depths)
    _exponent(exponent, ds, depths)
    _excess(excess, ds, depths)
    return whole


def _colour(depth: float, depths: list[float]) -> str:
    """Colours run from dark to light with the depth; depth 2, which is another law, stands out."""
    if depth == 2:
        return PALETTE[1]
    above = [one for one in depths if one > 2]
    return to_hex(colormaps["viridis"](0.88 * above.index(depth) / max(len(above) - 1, 1)))


def _limit(x: np.ndarray, depth: float) -> np.ndarray:
    return ((depth + 2) / (depth - 2)) ** (depth / (depth - 2)) * x ** (-4 / (depth - 2))


def _seen(lanes: xr.Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entry, determinant and loss of every lane and record."""
    return unobserved(lanes), np.exp(lanes["log_abs_det"].transpose("lane", "record").values), losses(lanes)


def _law(ax: Axes, ds: xr.Dataset, depths: list[float]) -> None:
    entries = []
    for (depth,), lanes in groups(ds, "depth"):
        colour = _colour(depth, depths)
        x, det, _ = _seen(lanes)
        for own, one in zip(x, det, strict=True):
            shown = (own > LEAST_ENTRY) & (one > LEAST_DET / 10)
            ax.plot(own[shown], one[shown], color=colour, linewidth=1.1, alpha=0.75)
        if depth > 2 and np.isfinite(x).any():
            grid = np.geomspace(30, np.nanmax(x), 100)
            ax.plot(grid, _limit(grid, depth), color=BOUND, linewidth=1.0, linestyle=(0, (4, 3)), zorder=3)
        entries.append(key(f"L = {depth:g}", color=colour, linewidth=2))
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(LEAST_DET, 10)
    ax.set_xlim(left=LEAST_ENTRY)
    label(ax, "det W falls like a power of x, at depth 2 faster", X, "det W")
    legend_below(ax, [*entries, key("law", color=BOUND, linewidth=1.0, linestyle=(0, (4, 3)))], 4)


def _exponent(ax: Axes, ds: xr.Dataset, depths: list[float]) -> None:
    above = [depth for depth in depths if depth > 2]
    for depth in above:
        x, det, _ = _seen(ds.isel(lane=np.flatnonzero(ds["depth"].values == depth)))
        large = (x > LARGE_ENTRY) & (det > 0)
        if large.sum() > 1:
            slope = np.polyfit(np.log(x[large]), np.log(det[large]), 1)[0]
            ax.plot(depth, -slope, "o", color=_colour(depth, depths), markersize=7, zorder=3)
    if above:
        grid = np.geomspace(min(above) - 0.08, max(above) + 1, 200)
        ax.plot(grid, 4 / (grid - 2), color=BOUND, linewidth=1.0)
    ax.axvline(2, color=PALETTE[1], linewidth=1.4, linestyle="--")
    ax.annotate(
        "depth 2: exp(−x²/2) x⁻³", (2, 0.5), (5, 0), xycoords=("data", "axes fraction"), textcoords="offset points",
        rotation=90, va="center", fontsize=LEGEND_SIZE, color=PALETTE[1],
    )  # fmt: skip
    ax.set_yscale("log")
    label(ax, "the exponent between whole depths", "depth L", "exponent e of det W ~ x⁻ᵉ")
    legend_below(ax, [
        key("fitted at x > 1e4", linestyle="none", marker="o", markersize=7),
        key("4 / (L − 2)", color=BOUND, linewidth=1.0),
    ])  # fmt: skip


def _excess(ax: Axes, ds: xr.Dataset, depths: list[float]) -> None:
    for (depth,), lanes in groups(ds, "depth"):
        x, det, loss = _seen(lanes)
        # Below 1e-13 the excess is rounding.
        shown = (x > VALLEY) & (det > 1e-13)
        excess = x[shown] / unobserved_lower_bound(loss[shown]) - 1
        ax.plot(det[shown], excess, linestyle="none", marker=".", markersize=3, color=_colour(depth, depths))
    line = np.geomspace(1e-13, 0.5, 50)
    ax.plot(line, line, color=BOUND, linewidth=1.0)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(1e-13, 10)
    ax.xaxis.set_inverted(True)
    label(ax, "det W is the excess over the bound", "det W (falls to the right)", "x / bound − 1")
    legend_below(ax, [
        key(f"records with x > {VALLEY:g}, coloured by depth", linestyle="none", marker=".", color=FAINT),
        key("excess = det W", color=BOUND, linewidth=1.0),
    ])  # fmt: skip
