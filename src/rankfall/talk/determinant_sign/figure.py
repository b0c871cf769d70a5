"""How likely the sign of the determinant is, what it decides, and what loses it."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import BOUND, FAINT, PALETTE, UNOBSERVED, figure, key, label, legend_below
from ...theory import unobserved_lower_bound

SIGNS = (1, -1)
DEPTH_COLOURS, DEPTH_MARKERS = PALETTE[2:6], "o^Dv"
PRECISIONS = {"float64": ("-", "o"), "float32": ("--", "x")}
REASONS = {"loss": "reached", "steps": "out of steps", "diverged": "diverged"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw six panels: the chance, what becomes of both halves, who reaches the loss, and what loses the sign."""
    title = "The sign of the determinant is a coin toss, and it decides where the unobserved entry goes"
    whole, axes = figure(title, 6, rows=2, height=8.6)
    for panel, ax in zip((_chance, _outcome, _reached, _imbalance, _step_entry, _step_imbalance), axes, strict=True):
        panel(ax, ds)
    return whole


def _depth_look(number: int, sign: int = 1) -> dict[str, Any]:
    """Return how a depth is drawn: filled for starts of det > 0, empty for the others."""
    fill = {} if sign > 0 else {"markerfacecolor": "white"}
    return fill | {"color": DEPTH_COLOURS[number % 4], "marker": DEPTH_MARKERS[number % 4], "markersize": 4.5}


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
    label(ax, "det > 0 with probability 1/2", "share of starts with det > 0", "kind of start")
    ax.set_yticks(places, ds["depth_kind"].values.tolist())
    ax.locator_params(axis="x", nbins=5)
    band = key("one half, four standard deviations", color="#C4C4C4", linewidth=7)
    legend_below(ax, [band, key("share drawn", linestyle="none", marker="o", color=PALETTE[0])], 2)


def _outcome(ax: Axes, ds: xr.Dataset) -> None:
    """Draw where runs end, as a share of the bound at the loss that they end at."""
    depth, scale, start, loss = (ds[name].values for name in ("depth", "scale", "start_sign", "final_loss"))
    there = np.isfinite(ds["unobserved"].values) & np.isfinite(loss) & (loss < 0.5)
    share = np.full(len(depth), np.nan)
    share[there] = ds["unobserved"].values[there] / unobserved_lower_bound(loss[there])
    depths = sorted(set(depth.tolist()))
    for number, one in enumerate(depths):
        for sign in SIGNS:
            here = there & (depth == one) & (start == sign)
            # Depths side by side, det > 0 filled and det < 0 empty.
            x = scale[here] * 1.6 ** (number - (len(depths) - 1) / 2)
            ax.plot(x, share[here], linestyle="none", **_depth_look(number, sign))
    ax.axhline(1, color=BOUND, linewidth=0.9, linestyle="--")
    ax.set_xscale("log")
    ax.set_yscale("log")
    label(ax, "depths 3, 4: det > 0 gets to the bound", "size of the start", f"final {UNOBSERVED} / bound")
    entries = [key(f"depth {one}", linestyle="none", **_depth_look(number)) for number, one in enumerate(depths)]
    entries.append(key("start of det < 0", linestyle="none", marker="o", markerfacecolor="white"))
    legend_below(ax, entries, 2)


def _reached(ax: Axes, ds: xr.Dataset) -> None:
    """Draw, for each depth, size and sign of the start, the share of runs that reaches the loss."""
    depth, scale, sign, reason = (ds[name].values for name in ("depth", "scale", "start_sign", "reason"))
    depths, scales = sorted(set(depth.tolist())), sorted(set(scale.tolist()))
    entries = []
    for number, one in enumerate(depths):
        for own in SIGNS:
            cells = [(depth == one) & (sign == own) & (scale == s) for s in scales]
            share = np.array([(reason[cell] == "loss").mean() if cell.any() else np.nan for cell in cells])
            x = np.array(scales) * 1.25 ** (2 * number + (own < 0) - len(depths) + 0.5)
            ax.plot(x, share, linestyle=(0, (1, 2)), linewidth=0.8, **_depth_look(number, own))
        entries.append(key(f"depth {one}", linestyle="none", **_depth_look(number)))
    for reason_given, height in (("diverged", 0.12), ("steps", 0.04)):
        where = scale[reason == reason_given]
        if where.size:
            middle = float(np.exp(np.log(where).mean()))
            ax.text(middle, height, REASONS[reason_given], ha="center", fontsize=8.5, color=FAINT)
    ax.set_xscale("log")
    ax.set_ylim(-0.05, 1.1)
    label(ax, "which balanced starts reach the loss", "size of the start", "share of runs")
    legend_below(ax, [*entries, key("start of det < 0", linestyle="none", marker="o", markerfacecolor="white")], 2)


def _imbalance(ax: Axes, ds: xr.Dataset) -> None:
    entries = []
    for number, depth in enumerate(ds["imbalance_depth"].values.tolist()):
        look = _depth_look(number)
        values = ds["unobserved_by_imbalance"].isel(imbalance_depth=number).transpose("imbalance", "seed").values
        ax.plot(ds["imbalance"].values, np.nanmedian(values, axis=1), **look)
        ax.plot(ds["imbalance"].values, values, linestyle="none", alpha=0.45, **(look | {"markersize": 2.5}))
        entries.append(key(f"depth {depth}, median", **look))
    bound = float(unobserved_lower_bound(ds.attrs["target_loss"]))
    ax.axhline(bound, color=BOUND, linewidth=0.9, linestyle="--")
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=1)
    ax.set_ylim(bottom=0)
    label(ax, "how unbalanced a start may be", "relative imbalance of the factors", f"{UNOBSERVED} while det > 0")
    legend_below(ax, [*entries, key("bound at the target loss", color=BOUND, linewidth=0.9, linestyle="--")], 2)


def _step_entry(ax: Axes, ds: xr.Dataset) -> None:
    _over_step_size(ax, ds, "unobserved_by_step_size")
    label(ax, "depth 2: small steps keep det > 0", "step size", f"{UNOBSERVED} while det > 0")


def _step_imbalance(ax: Axes, ds: xr.Dataset) -> None:
    size, middle = _over_step_size(ax, ds, "unbalancedness")
    ax.plot(size, middle[size.argmin()] * size / size.min(), color=BOUND, linewidth=0.9, linestyle=":")
    ax.set_yscale("log")
    label(ax, "depth 2: the steps unbalance", "step size", "unbalancedness at the end")


def _over_step_size(ax: Axes, ds: xr.Dataset, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Draw a variable over the step size, falling to the right; return the sizes and its float64 medians."""
    size, entries, middle = ds["step_size"].values, [], np.empty(0)
    for precision, (style, marker) in PRECISIONS.items():
        values = ds[name].sel(precision=precision).transpose("step_size", "seed").values
        look: dict[str, Any] = {"color": PALETTE[0] if precision == "float64" else FAINT, "marker": marker}
        ax.plot(size, np.nanmedian(values, axis=1), linestyle=style, markersize=5, **look)
        ax.plot(size, values, linestyle="none", markersize=2.5, alpha=0.5, **look)
        entries.append(key(f"{precision}, median", linestyle=style, **look))
        middle = np.nanmedian(values, axis=1) if precision == "float64" else middle
    if name == "unbalancedness":
        entries.append(key("in proportion to the step", color=BOUND, linewidth=0.9, linestyle=":"))
    ax.set_xscale("log")
    ax.xaxis.set_inverted(True)
    legend_below(ax, entries, 2)
    return size, middle
