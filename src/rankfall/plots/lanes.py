"""From lanes of different lengths to curves over the loss."""

from collections.abc import Iterator

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from numpy.typing import NDArray

Array = NDArray[np.float64]


def groups(dataset: xr.Dataset, *names: str) -> Iterator[tuple[tuple, xr.Dataset]]:
    """Lanes that agree in the coordinates ``names``, with the values they share, in ascending order of these."""
    labels = list(zip(*(dataset[name].values.tolist() for name in names), strict=True))
    for values in sorted(set(labels)):
        yield values, dataset.isel(lane=[number for number, own in enumerate(labels) if own == values])


def unobserved(lanes: xr.Dataset) -> Array:
    """Absolute value of the one unobserved entry, by lane and record."""
    return np.abs(lanes["unobserved"].isel(entry=0).transpose("lane", "record").values.astype(np.float64))


def losses(lanes: xr.Dataset) -> Array:
    """Losses by lane and record."""
    return lanes["loss"].transpose("lane", "record").values.astype(np.float64)


def loss_range(loss: Array, points: int = 300) -> Array:
    """Losses from the largest to the least recorded one; empty if nothing was recorded."""
    found = loss[np.isfinite(loss) & (loss > 0)]
    return np.geomspace(found.max(), found.min(), points) if found.size else np.empty(0)


def ends(loss: Array, value: Array) -> tuple[Array, Array]:
    """Loss and value at the last record of each lane that has one."""
    there = np.isfinite(loss) & np.isfinite(value)
    rows = np.flatnonzero(there.any(axis=1))
    last = loss.shape[1] - 1 - there[rows, ::-1].argmax(axis=1) if rows.size else rows
    return loss[rows, last], value[rows, last]


def on_grid(loss: Array, value: Array, grid: Array) -> Array:
    """Value of each lane at the losses of ``grid``, NaN where the lane has none."""
    return np.stack([_interpolate(own, one, np.log(grid)) for own, one in zip(loss, value, strict=True)])


def _interpolate(loss: Array, value: Array, at: Array) -> Array:
    there = np.isfinite(loss) & np.isfinite(value) & (loss > 0)
    loss, value = loss[there], value[there]
    if not loss.size:
        return np.full(at.shape, np.nan)
    # Where the loss rose for a while, only its new minima count.
    new = loss <= np.minimum.accumulate(loss)
    log, first = np.unique(np.log(loss[new])[::-1], return_index=True)
    found = np.interp(at, log, value[new][::-1][first])
    return np.where((at < log[0] - 1e-9) | (at > log[-1] + 1e-9), np.nan, found)


def draw_group(
    ax: Axes, lanes: xr.Dataset, value: Array, colour: str, style: str, width: float = 1.6, band: bool = True
) -> None:
    """Draw the median of some lanes over the loss, and, if wanted and there are several, a band from least to largest.

    The median ends where fewer than half of the lanes are left, since it would jump there.
    """
    loss = losses(lanes)
    grid = loss_range(loss)
    if not grid.size:
        return
    found = on_grid(loss, value, grid)
    enough = np.isfinite(found).sum(axis=0) * 2 >= len(found)
    some = np.isfinite(found).any(axis=0)
    ax.plot(grid[enough], np.nanmedian(found[:, enough], axis=0), color=colour, linestyle=style, linewidth=width)
    if band and len(found) > 1:
        low, high = np.nanmin(found[:, some], axis=0), np.nanmax(found[:, some], axis=0)
        ax.fill_between(grid[some], low, high, color=colour, alpha=0.15, linewidth=0)
