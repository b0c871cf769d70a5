"""Linear regression: the distance to the solution of least norm, and the norm, step by step."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ...plots.style import BOUND, PALETTE, figure, figure_legend, key, label, legend_below


def draw(ds: xr.Dataset) -> Figure:
    """Draw two panels over the steps, a colour for each method."""
    whole, (distance, norm) = figure("In linear regression, descent from zero does find the least norm", 2)
    steps = ds["step"].values
    later = steps > 0  # a log axis has no place for the start
    entries = []
    for number, method in enumerate(ds["method"].values.tolist()):
        one, colour = ds.isel(method=number), PALETTE[number % len(PALETTE)]
        entries.append(key(method, color=colour))
        to_least, to_own = (_seen(one[name].values[later]) for name in ("distance_to_min_l2", "distance"))
        distance.plot(steps[later], to_least, color=colour, linewidth=2)
        distance.plot(steps[later], to_own, color=colour, linewidth=1.4, linestyle=":")
        norm.plot(steps[later], one["norm"].values[later], color=colour, linewidth=max(4.5 - 1.4 * number, 1.2))
    norm.axhline(float(ds.attrs["min_l2_norm"]), color=BOUND, linewidth=1.2, linestyle="--")
    for ax in (distance, norm):
        ax.set_xscale("log")
    distance.set_yscale("log")
    norm.set_ylim(bottom=0)
    label(distance, "only from zero does it end at the least norm", "step", r"$\ell_2$ distance")
    label(norm, "the norm along the way", "step", r"$\ell_2$ norm of the weights")
    legend_below(distance, [
        key(r"to the interpolator of least $\ell_2$ norm", linewidth=2),
        key("to the closed form of its own limit", linewidth=1.4, linestyle=":"),
    ], 2)  # fmt: skip
    legend_below(norm, [key(r"least $\ell_2$ norm of an interpolator", color=BOUND, linewidth=1.2, linestyle="--")])
    figure_legend(whole, entries, len(entries))
    return whole


def _seen(values: np.ndarray) -> np.ndarray:
    """Return the values, with NaN in place of exact zeros, which a log axis cannot show."""
    return np.where(values > 0, values, np.nan)
