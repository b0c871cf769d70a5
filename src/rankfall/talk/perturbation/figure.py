"""The unobserved entry with other observed values, and in other positions."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.lanes import draw_group, groups, loss_range, losses, unobserved
from ...plots.style import BOUND, PALETTE, UNOBSERVED, figure, floor, key, label, legend_below, loss_axis, power
from ...theory import perturbed_limit, perturbed_unobserved_lower_bound

FLOOR = 0.05
BOUND_LOOK: dict[str, Any] = {"linestyle": (0, (2, 0.7)), "linewidth": 5.0, "alpha": 0.45}


def draw(ds: xr.Dataset) -> Figure:
    """Draw one panel over eps and one over positions."""
    whole, (left, right) = figure("The unobserved entry grows for other observations and positions too", 2)
    panels = ds["panel"].values
    _perturbed(left, ds.isel(lane=np.flatnonzero(panels == "eps")))
    _positions(right, ds.isel(lane=np.flatnonzero(panels == "positions")))
    return whole


def _perturbed(ax: Axes, ds: xr.Dataset) -> None:
    entries = []
    ds = ds.isel(lane=np.flatnonzero(ds["sign_matches"].values))
    for number, ((eps, z, z_prime), lanes) in enumerate(groups(ds, "eps", "z", "z_prime")):
        colour = PALETTE[number % len(PALETTE)]
        draw_group(ax, lanes, unobserved(lanes), colour, "-", 1.4)
        grid = loss_range(losses(lanes))
        bound = perturbed_unobserved_lower_bound(grid, z, z_prime, eps)
        # Wide and pale under the curve, which often lies right on it.
        ax.plot(grid, bound, color=colour, zorder=1.5, **BOUND_LOOK)
        limit = abs(float(perturbed_limit(z, z_prime, eps)))
        if np.isfinite(limit):
            ax.axhline(limit, color=colour, linestyle=":", linewidth=1.1)
        far = f"{limit:g}" if np.isfinite(limit) else "∞"
        entries.append(key(f"eps = {power(eps)}, limit {far}", color=colour))
    entries += [
        key("proved lower bound", **BOUND_LOOK),
        key("limit |z z′/eps|", linestyle=":", linewidth=1.1),
    ]
    first = ds.isel(lane=0) if ds.sizes["lane"] else None
    matrix = "" if first is None else f" of [[∗, {float(first['z']):g}], [{float(first['z_prime']):g}, eps]]"
    x = loss_axis(ax)
    _vertical(ax)
    label(ax, f"the entry{matrix} grows towards z z′/eps", x, UNOBSERVED)
    legend_below(ax, entries, 3)


def _positions(ax: Axes, ds: xr.Dataset) -> None:
    colours: dict[str, str] = {}
    for (position, matches), lanes in groups(ds, "position", "sign_matches"):
        colour = colours.setdefault(position, PALETTE[len(colours) % len(PALETTE)])
        # The curves of different positions may coincide: widths that decrease keep all of them visible.
        width = max(5.5 - 1.4 * list(colours).index(position), 1.0) if matches else 1.1
        draw_group(ax, lanes, unobserved(lanes), colour, "-" if matches else "-.", width, matches)
    grid = loss_range(losses(ds))
    ax.plot(grid, perturbed_unobserved_lower_bound(grid, 1.0, 1.0, 0.0), "--", color=BOUND, linewidth=1.4)
    entries = [key(f"unobserved at {position}", color=colour, linewidth=3) for position, colour in colours.items()]
    entries.append(key("proved lower bound", color=BOUND, linestyle="--", linewidth=1.4))
    if not ds["sign_matches"].values.all():
        entries.append(key("start of the other sign, median", linestyle="-.", linewidth=1.1))
    x = loss_axis(ax)
    _vertical(ax)
    label(ax, "any position, if det has the right sign at the start", x, UNOBSERVED)
    legend_below(ax, entries, 2)


def _vertical(ax: Axes) -> None:
    ax.set_yscale("log")
    floor(ax, FLOOR)
