"""Share of matrices recovered, and errors, over the number of observations."""

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from ...plots.style import BOUND, PALETTE, figure, figure_legend, key, label


def draw(ds: xr.Dataset) -> Figure:
    """Draw the share recovered, and the median error with every repetition as a dot."""
    whole, (share, errors) = figure("Training recovers low rank from fewer entries than the nuclear norm", 2)
    small = float(ds.attrs["recovered"])
    for colour, name in zip(PALETTE, ds["solution"].values.tolist(), strict=False):
        error = ds["error"].sel(solution=name).transpose("multiple", "repetition")
        share.plot(ds["multiple"], (error < small).mean("repetition"), "o-", color=colour)
        errors.plot(ds["multiple"], error.median("repetition"), color=colour)
        at = np.repeat(ds["multiple"].values, error.sizes["repetition"])
        errors.plot(at, error.values.ravel(), ".", color=colour)
    errors.axhline(small, color=BOUND, linestyle=":", linewidth=1.2)
    errors.set_yscale("log")
    x = "observations / degrees of freedom"
    label(share, f"share recovered (error below {small:g})", x, "share of repetitions")
    label(
        errors,
        f"{ds.attrs['extent']} x {ds.attrs['extent']}, rank {ds.attrs['rank']}",
        x,
        "relative error of all entries",
    )
    entries = [key(name, color=colour) for colour, name in zip(PALETTE, ds["solution"].values.tolist(), strict=False)]
    figure_legend(whole, entries, 3)
    return whole
