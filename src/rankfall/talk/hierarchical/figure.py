"""Three factorizations side by side: norms from a small start, from a large one, and the error of the whole."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...plots.style import FAINT, LINE_STYLES, PALETTE, figure, figure_legend, key, label, power

TITLES = {"matrix": "matrix", "CP": "CP, order 3", "hierarchical": "hierarchical, order 4"}
AXES = {"matrix": "singular value", "CP": "component norm", "hierarchical": "local component norm"}
LOOKS = {"small": "-", "large": "--"}


def draw(ds: xr.Dataset) -> Figure:
    """Draw a column for each factorization: both starts, and their errors."""
    rank, kinds = int(ds.attrs["rank"]), list(TITLES)
    title = f"From a small start every factorization learns one component after another (rank {rank})"
    whole, axes = figure(title, 3 * len(kinds), rows=3, height=9.5)
    nodes: list[str] = []
    for column, kind in enumerate(kinds):
        for row, start in enumerate(LOOKS):
            chosen = (ds["factorization"].values == kind) & (ds["start"].values == start)
            lanes = ds.isel(lane=np.flatnonzero(chosen))
            # The root, last in the data, comes first.
            lanes = lanes.isel(lane=np.roll(np.arange(lanes.sizes["lane"]), 1))
            nodes = lanes["node"].values.tolist()
            _norms(axes[row * len(kinds) + column], lanes, rank)
            std = power(float(lanes["std"][0]))
            named = f"{TITLES[kind]}: deviation {std}"
            label(axes[row * len(kinds) + column], named, "step", f"{AXES[kind]} / largest")
            seen = np.isfinite(lanes["loss"].values[0])
            step, error = lanes["step"].values[0][seen], lanes["error"].values[0][seen]
            axes[2 * len(kinds) + column].plot(step, error, color="#444444", linestyle=LOOKS[start], linewidth=1.8)
        last = axes[2 * len(kinds) + column]
        last.set_yscale("log")
        last.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        label(last, f"{TITLES[kind]}: error", "step", "relative error of the whole")
    looks = zip(nodes, LINE_STYLES, strict=False)
    entries = [
        *(key(f"component {k + 1}", color=PALETTE[k % len(PALETTE)], linewidth=2) for k in range(rank)),
        key("those that are not needed", color=FAINT),
        *(key(f"of the root {node}" if at == 0 else f"of the node {node}", linestyle=line, linewidth=2)
          for at, (node, line) in enumerate(looks)),
        *(key(f"error from the {start} start", linestyle=line) for start, line in LOOKS.items()),
    ]  # fmt: skip
    figure_legend(whole, entries, 5)
    return whole


def _norms(ax: Axes, lanes: xr.Dataset, rank: int) -> None:
    """Draw the norms of every node as shares of its largest at the end, in the order in which they come."""
    for lane, line in zip(range(lanes.sizes["lane"]), LINE_STYLES, strict=False):
        seen = np.isfinite(lanes["loss"].values[lane])
        step, norms = lanes["step"].values[lane][seen], lanes["norms"].values[lane][seen]
        share = norms / norms[-1].max()
        half = np.argmax(share[:, :rank] >= share[-1, :rank] / 2, axis=0)
        colours = dict(zip(np.argsort(half, kind="stable").tolist(), PALETTE * rank, strict=False))
        for component in reversed(range(norms.shape[1])):
            needed = component in colours
            ax.plot(
                step,
                share[:, component],
                color=colours.get(component, FAINT),
                linestyle=line,
                linewidth=2 if needed else 0.8,
                zorder=2 + needed,
            )
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
