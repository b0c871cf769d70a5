"""Pictures that a declaration asks for, drawn of the stored runs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..plots.lanes import loss_range, on_grid
from ..plots.style import BOUND, PALETTE, figure, figure_legend, key, label, loss_axis, power
from .look import ALONG, FigureTable, bound_of, check
from .reading import chosen, grid_of, inner, keys_of, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 300


def draw(results: xr.Dataset, table: FigureTable, place: str = "figure") -> "Figure":
    """Draw one picture."""
    check(table, keys_of(results), place)
    runs = chosen(results, table.where)
    panels = list(_groups(runs, table.facets))
    drawn, axes = figure(table.title or f"{table.y} over {table.x}", len(panels), height=4.8)
    handles: dict[str, Any] = {}
    for ax, (facet, part) in zip(axes, panels, strict=True):
        for n, (value, own) in enumerate(_groups(part, table.hue)):
            colour = PALETTE[n % len(PALETTE)]
            _curve(ax, own, table, colour)
            if table.hue is not None:
                words = f"{table.hue} = {_written(value)}"
                handles.setdefault(words, key(words, color=colour))
        if table.bound is not None:
            _draw_bound(ax, part, table, place)
            handles.setdefault("bound", key("proved bound", color=BOUND, linestyle="--"))
        _finish(ax, table, "" if table.facets is None else f"{table.facets} = {_written(facet)}")
    ends = [ax.get_ylim() for ax in axes]
    for ax in axes:  # panels side by side are compared
        ax.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))
    if handles:
        figure_legend(drawn, list(handles.values()), min(4, len(handles)))
    return drawn


def _groups(runs: xr.Dataset, by: str | None) -> Iterator[tuple[Any, xr.Dataset]]:
    if by is None:
        yield None, runs
        return
    for value in dict.fromkeys(runs[by].values.tolist()):
        yield value, chosen(runs, {by: value})


def _written(value: object) -> str:
    return power(float(value)) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _curve(ax: "Axes", runs: xr.Dataset, table: FigureTable, colour: str) -> None:
    if table.x in ALONG:
        x, y = _along(runs, table)
    else:
        x, y = _over_key(runs, table)
    some = np.isfinite(y).any(axis=0)
    if not some.any():
        return
    x, y = x[some], y[:, some]
    # The median ends where fewer than half of the runs are left, since it would jump there.
    enough = np.isfinite(y).sum(axis=0) * 2 >= len(y)
    marker = "" if table.x in ALONG else "o"
    ax.plot(x[enough], np.nanmedian(y[:, enough], axis=0), color=colour, marker=marker, markersize=3)
    if table.band != "none" and len(y) > 1:
        low, high = np.nanquantile(y, [0, 1] if table.band == "range" else [0.25, 0.75], axis=0)
        ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)


def _along(runs: xr.Dataset, table: FigureTable) -> tuple[np.ndarray, np.ndarray]:
    """Values of each run on a common grid of losses, steps or times."""
    dims = (*grid_of(runs), "record")
    there = (runs["step"] >= 0).transpose(*dims).values
    y = inner(runs, table.y, table.select).transpose(*dims).values.astype(float)
    x = runs[table.x].transpose(*dims).values.astype(float)
    x, y = (np.where(there, a, np.nan).reshape(-1, there.shape[-1]) for a in (x, abs(y) if table.absolute else y))
    if table.x == "loss":
        grid = loss_range(x, _POINTS)
        return grid, on_grid(x, y, grid) if grid.size else np.empty((0, 0))
    good = np.isfinite(x) & np.isfinite(y) & ((x > 0) | (not table.x_log))
    if not good.any():
        return np.empty(0), np.empty((0, 0))
    low, high = x[good].min(), x[good].max()
    grid = np.geomspace(low, high, _POINTS) if table.x_log else np.linspace(low, high, _POINTS)
    rows = [
        np.interp(grid, a[g], b[g], left=np.nan, right=np.nan) if g.any() else np.full(grid.shape, np.nan)
        for a, b, g in zip(x, y, good, strict=True)
    ]
    return grid, np.stack(rows)


def _over_key(runs: xr.Dataset, table: FigureTable) -> tuple[np.ndarray, np.ndarray]:
    """Values of the runs of each value of a swept key: its own values, or their places where they are words."""
    found = measured(runs, table.y, table.at, table.absolute, table.select)
    held = runs[table.x]
    (dim,) = held.dims
    y = found.transpose(..., dim).values.reshape(-1, found.sizes[dim])
    x = held.values if held.dtype.kind in "iuf" else np.arange(held.size)
    order = np.argsort(x, kind="stable")
    return x[order].astype(float), y[:, order]


def _draw_bound(ax: "Axes", runs: xr.Dataset, table: FigureTable, place: str) -> None:
    function, given = bound_of(table, place)
    loss = runs["loss"].values
    grid = loss_range(loss, _POINTS)
    if grid.size:
        told = {k: float(v) for k, v in given.items()}
        ax.plot(grid, function(loss=grid, **told), color=BOUND, linestyle="--", linewidth=1.2)


def _finish(ax: "Axes", table: FigureTable, title: str) -> None:
    if table.y_log:
        ax.set_yscale("log")
    x = table.x
    if table.x == "loss":
        x = loss_axis(ax)
    elif table.x_log:
        ax.set_xscale("log")
    y = f"|{table.y}|" if table.absolute else table.y
    label(ax, title, x, y if table.x in ALONG else f"{y} ({table.at})")
