"""Component norms over flow time, a panel for each size of the start, and the error of the whole tensor."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...plots.style import FAINT, PALETTE, figure, figure_legend, key, label, legend_below, power


def draw(ds: xr.Dataset) -> Figure:
    """Draw one panel of norms for each start, of the target of median error, and one of the errors of all targets."""
    stds, rank = np.unique(ds["factor_std"].values).tolist(), int(ds.attrs["rank"])
    title = f"From a small start components are learned one after another (order {ds.attrs['order']}, rank {rank})"
    whole, axes = figure(title, len(stds) + 1, height=4.6)
    shown, entries = _typical(ds), []
    for number, std in enumerate(stds):
        lanes = np.flatnonzero(ds["factor_std"].values == std)
        typical = next(lane for lane in lanes if ds["target"].values[lane] == shown)
        path, ax = ds.isel(lane=typical), axes[number]
        seen = np.isfinite(path["loss"].values)
        time, norms = path["time"].values[seen], path["component_norms"].values[seen]
        # Up to a little beyond the last of the needed components reaching its place.
        settled = int(np.argmax(path["loss"].values[seen] <= 1e-4 * path["loss"].values[0]))
        end = 1.15 * time[settled] if settled else time[-1]
        for component in range(norms.shape[1]):
            needed = component < rank
            colour = PALETTE[component % len(PALETTE)] if needed else FAINT
            ax.plot(time, norms[:, component], color=colour, linewidth=2 if needed else 1, zorder=2 + needed)
        ax.set_xlim(0, end)
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.ticklabel_format(axis="x", style="sci", scilimits=(0, 0))
        label(ax, f"factors of deviation {power(std)}", "flow time", "component norm")
        line = ("-", "--", ":")[number % 3]
        for lane in lanes:
            other = ds.isel(lane=lane)
            seen = np.isfinite(other["loss"].values)
            error, step = other["reconstruction_error"].values[seen], other["step"].values[seen]
            colour, width = ("#444444", 1.8) if lane == typical else (FAINT, 1.0)
            axes[-1].plot(step, error, color=colour, linestyle=line, linewidth=width)
        entries.append(key(f"deviation {power(std)}", linestyle=line, linewidth=1.8))
    axes[-1].set_xscale("symlog")
    axes[-1].set_yscale("log")
    label(axes[-1], "error of the whole tensor", "step", "relative error")
    legend_below(axes[-1], entries)
    names = [key(f"component {k + 1}", color=PALETTE[k % len(PALETTE)], linewidth=2) for k in range(rank)]
    figure_legend(whole, [*names, key("those that are not needed", color=FAINT)], rank + 1)
    return whole


def _typical(ds: xr.Dataset) -> int:
    """Target whose error from the smallest start ends at the median."""
    small = ds.isel(lane=np.flatnonzero(ds["factor_std"].values == ds["factor_std"].values.min()))
    end = [path[np.isfinite(path)][-1] for path in small["reconstruction_error"].values]
    return int(small["target"].values[np.argsort(end)[len(end) // 2]])
