"""Norms, effective rank and distance from rank 1 along the same runs."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ... import theory
from ...plots.lanes import draw_group, groups, loss_range, losses
from ...plots.style import (
    BOUND,
    LINE_STYLES,
    PALETTE,
    figure,
    figure_legend,
    floor,
    key,
    label,
    legend_below,
    loss_axis,
)

FADED = "#B8B8B8"
FLOOR = 1e-7  # depth 2 falls much further, without showing more
NAMES = {1.0: "nuclear", 2.0: "Frobenius", np.inf: "spectral"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw three panels over the loss: what rises, and two measures of rank that fall."""
    whole, (norms, rank, distance) = figure("As the loss falls, every norm rises and the rank falls", 3)
    depths = sorted(set(ds["depth"].values.tolist()))
    styles = {depth: LINE_STYLES[number % len(LINE_STYLES)] for number, depth in enumerate(depths)}
    grid = loss_range(losses(ds))
    _norms(norms, ds, styles)
    _rank(rank, ds, styles, grid)
    _distance(distance, ds, styles, grid)
    figure_legend(whole, [key(f"depth {depth}", linestyle=style) for depth, style in styles.items()], len(styles))
    return whole


def _values(lanes: xr.Dataset, name: str) -> np.ndarray:
    return lanes[name].transpose("lane", "record").values


def _norms(ax: Axes, ds: xr.Dataset, styles: dict[int, str]) -> None:
    entries = []
    for number, p in enumerate(ds["p"].values.tolist()):
        # Near rank 1 all these norms are equal: widths that decrease keep every one visible.
        colour, width = PALETTE[number % len(PALETTE)], max(5.5 - 1.4 * number, 1.0)
        name = f"p = {p:g}".replace("inf", "∞")
        entries.append(key(f"{name} ({NAMES[p]})" if p in NAMES else name, color=colour))
        for (depth,), lanes in groups(ds, "depth"):
            draw_group(ax, lanes, _values(lanes.isel(p=number), "schatten_norm"), colour, styles[depth], width)
    x = loss_axis(ax)
    ax.set_yscale("log")
    label(ax, "every Schatten norm rises", x, "Schatten-p (quasi-)norm")
    floor(ax, 0.1)
    legend_below(ax, entries, 2)


def _rank(ax: Axes, ds: xr.Dataset, styles: dict[int, str], grid: np.ndarray) -> None:
    for (depth,), lanes in groups(ds, "depth"):
        draw_group(ax, lanes, _values(lanes, "effective_rank") - 1, PALETTE[0], styles[depth])
    sharp = theory.effective_rank_bound(grid) - 1
    ax.plot(grid, sharp, color=BOUND, linewidth=2.2)
    ax.plot(grid, theory.theorem1_effective_rank_bound(grid) - 1, color=BOUND, linewidth=1.2, linestyle=(0, (5, 3)))
    x = loss_axis(ax)
    ax.set_yscale("log")
    ax.set_ylim(FLOOR, 3)
    label(ax, "the effective rank falls to its infimum, 1", x, "effective rank − 1")
    legend_below(ax, [
        key("effective rank − 1", color=PALETTE[0]),
        key("proved upper bound", color=BOUND, linewidth=2.2),
        key("theorem 1", color=BOUND, linewidth=1.2, linestyle=(0, (5, 3))),
    ])  # fmt: skip


def _distance(ax: Axes, ds: xr.Dataset, styles: dict[int, str], grid: np.ndarray) -> None:
    drawn = (("rank_suboptimality", PALETTE[1], 2.6), ("distance_to_infimal_rank", PALETTE[2], 1.4))
    for variable, colour, width in drawn:
        for (depth,), lanes in groups(ds, "depth"):
            draw_group(ax, lanes, _values(lanes, variable), colour, styles[depth], width)
    sharp = theory.smallest_singular_value_bound(grid)
    ax.plot(grid, theory.rank_suboptimality_bound(grid), color=FADED, linewidth=4)
    ax.plot(grid, sharp, color=BOUND, linewidth=2.2)
    ax.plot(grid, theory.theorem1_distance_bound(grid), color=BOUND, linewidth=1.2, linestyle=(0, (5, 3)))
    x = loss_axis(ax)
    ax.set_yscale("log")
    ax.set_ylim(FLOOR, 8)
    label(ax, "the distance from rank 1 falls to 0", x, "distance, rank suboptimality")
    legend_below(ax, [
        key("distance from rank 1", color=PALETTE[2]),
        key("rank suboptimality", color=PALETTE[1], linewidth=2.6),
        key("its proved bound", color=FADED, linewidth=4),
        key("proved bound, distance", color=BOUND, linewidth=2.2),
        key("theorem 1, distance", color=BOUND, linewidth=1.2, linestyle=(0, (5, 3))),
    ], 2)  # fmt: skip
