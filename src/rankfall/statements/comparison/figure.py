"""Norms of trained solutions over the size of the start, beside the least norm of a solution."""

import itertools
from collections.abc import Sequence
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from ...plots.style import BOUND, FAINT, LINE_STYLES, PALETTE, figure, figure_legend, key, label

# Panels side by side at most, and how high a row of them is.
ACROSS, HEIGHT = 3, 3.6
# Of depths, whose curves may lie on one another.
LOOKS = [(colour, style) for style, colour in zip(itertools.cycle(LINE_STYLES), PALETTE, strict=False)]


def draw(data: xr.Dataset, verdicts: Sequence[Any]) -> Figure:
    """Draw a panel for each norm, with a curve for each depth and a dot for each draw that fits."""
    norms, depths = data["norm"].values.tolist(), data["depth"].values.tolist()
    across = min(ACROSS, len(norms))
    rows = -(-len(norms) // across)
    whole, axes = figure(data.attrs["what"], across * rows, rows, HEIGHT * rows + 0.9)
    for ax in axes[len(norms) :]:
        ax.remove()
    tolerance = float(data.attrs["tolerance"])
    for ax, norm in zip(axes, norms, strict=False):
        of = data.sel(norm=norm)
        ratio = (of["norm_of_trained"] / of["minimum"]).transpose("depth", "scale", "draw")
        fits = (of["stop_reason"] == "loss").transpose("depth", "scale", "draw")
        for (colour, style), depth in zip(LOOKS, depths, strict=False):
            one, there = ratio.sel(depth=depth), fits.sel(depth=depth)
            for draw_ in range(data.sizes["draw"]):
                for marker, chosen in ((".", there), ("x", ~there)):
                    dots = one.isel(draw=draw_).where(chosen.isel(draw=draw_))
                    ax.plot(data["scale"], dots, marker, color=colour, markersize=6, alpha=0.6)
            ax.plot(data["scale"], one.where(there).median("draw"), color=colour, linestyle=style, linewidth=1.6)
        ax.axhspan(1.0, 1 + tolerance, color=FAINT, alpha=0.25, linewidth=0)
        ax.axhline(1.0, color=BOUND, linewidth=1.4)
        ax.set_xscale("log")
        ax.invert_xaxis()
        if float(ratio.max()) > 10:
            ax.set_yscale("log")
        label(ax, _title(norm, verdicts), "scale of the start (falls to the right)", "norm / least norm")
    entries = [key(f"depth {d}", color=c, linestyle=s) for (c, s), d in zip(LOOKS, depths, strict=False)]
    entries += [key("least norm of a solution", color=BOUND),
                key(f"within {100 * tolerance:g} % of it", color=FAINT, linewidth=6, alpha=0.4)]  # fmt: skip
    if not bool((data["stop_reason"] == "loss").all()):
        entries.append(key("did not reach the loss", linestyle="none", marker="x"))
    figure_legend(whole, entries, 4)
    return whole


def _title(norm: str, verdicts: Sequence[Any]) -> str:
    """Say what became of a norm: once where all depths agree."""
    found = {v.depth: v.verdict for v in verdicts if v.norm == norm}
    if len(set(found.values())) == 1:
        return f"{norm}: {next(iter(found.values()))}"
    return f"{norm}: " + ", ".join(f"{word} at depth {depth}" for depth, word in found.items())
