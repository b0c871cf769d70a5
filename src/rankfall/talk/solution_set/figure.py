"""Norms and measures of rank over the solutions."""

from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from ...plots.style import BOUND, LINE_STYLES, PALETTE, entry_axis, figure, key, label, legend_below

RANKS = {
    "effective_rank": "effective rank",
    "rank_suboptimality": "rank suboptimality",
    "distance_to_infimal_rank": "distance from rank 1",
}
WORDS = {"S_1": "nuclear, $S_1$", "S_2": "Frobenius, $S_2$", "S_inf": r"spectral, $S_\infty$"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw two panels over the unobserved entry: the norms, and the rank."""
    whole, (norms, ranks) = figure("Among the solutions, norms are least where the rank is largest", 2)
    x = ds["x"].values
    entries = []
    for number, name in enumerate(ds["norm"].values.tolist()):
        look: dict[str, Any] = {
            "color": PALETTE[number % len(PALETTE)],
            "linestyle": LINE_STYLES[number // len(PALETTE)],
        }
        values = ds["norm_value"].isel(norm=number).values
        norms.plot(x, values, linewidth=1.6, **look)
        norms.plot(x[values.argmin()], values.min(), "o", color=look["color"], markersize=5)
        entries.append(key(_name(name), **look))
    entries.append(key("where it is least", linestyle="none", marker="o", markersize=5))
    norms.set_yscale("log")
    label(norms, "norms grow away from 0", "unobserved entry x", r"norm of $W_x$")
    legend_below(norms, entries, 3)
    for number, (name, words) in enumerate(RANKS.items()):
        values = ds[name].values
        ranks.plot(x, values, color=PALETTE[number], linewidth=3.4 if number == 1 else 1.6, label=words)
        ranks.plot(x[values.argmax()], values.max(), "v", color=PALETTE[number], markersize=7)
    ranks.axhline(1, color=BOUND, linewidth=0.9, linestyle="--", label="infimum of the effective rank, not attained")
    ranks.set_ylim(0, 2.15)
    label(ranks, "the rank falls away from 0", "unobserved entry x", "value")
    most = key("where it is largest", linestyle="none", marker="v", markersize=7)
    legend_below(ranks, [*ranks.get_legend_handles_labels()[0], most], 2)
    for ax in (norms, ranks):
        entry_axis(ax, float(x.max()))
    return whole


def _name(name: str) -> str:
    """Write the stored name of a norm for people."""
    if name in WORDS:
        return WORDS[name]
    return f"${name.replace('S_', 'S_{')}}}$" if name.startswith("S_") else name.replace("_", " ")
