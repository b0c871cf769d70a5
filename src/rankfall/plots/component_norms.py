"""Component norms over flow time, a panel for each size of the start, and the error of the whole tensor."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .style import FAINT, PALETTE, figure, figure_legend, key, label, legend_below, power


def draw(ds: xr.Dataset) -> Figure:
    """Draw one panel of norms for each start, and one of the errors."""
    stds, rank = ds["factor_std"].values.tolist(), int(ds.attrs["rank"])
    title = f"From a small start components are learned one after another (order {ds.attrs['order']}, rank {rank})"
    whole, axes = figure(title, len(stds) + 1, height=4.6)
    entries = []
    for number, std in enumerate(stds):
        path, ax = ds.isel(lane=number), axes[number]
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
        error, step = path["reconstruction_error"].values[seen], path["step"].values[seen]
        axes[-1].plot(step, error, color="#444444", linestyle=line, linewidth=1.8)
        entries.append(key(f"deviation {power(std)}", linestyle=line, linewidth=1.8))
    axes[-1].set_xscale("symlog")
    axes[-1].set_yscale("log")
    label(axes[-1], "error of the whole tensor", "step", "relative error")
    legend_below(axes[-1], entries)
    names = [key(f"component {k + 1}", color=PALETTE[k % len(PALETTE)], linewidth=2) for k in range(rank)]
    figure_legend(whole, [*names, key("those that are not needed", color=FAINT)], rank + 1)
    return whole
