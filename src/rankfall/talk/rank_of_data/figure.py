"""Error of predictors of growing CP rank on real and on random data."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...plots.style import BOUND, PALETTE, figure, figure_legend, key, label


def draw(ds: xr.Dataset) -> Figure:
    """Draw training and test error over the rank, and the classes one by one at the lowest rank."""
    title = f"A tensor of rank 1 fits much of real data and little of random data (order {ds.attrs['order']})"
    whole, (train, test, classes) = figure(title, 3, height=4.6)
    variants = ds["variant"].values.tolist()
    variance = float(ds["variance"].mean())
    for ax, name, words in ((train, "train_error", "training images"), (test, "test_error", "test images")):
        for colour, variant in zip(PALETTE, variants, strict=False):
            _over_rank(ax, ds[name].sel(variant=variant), colour)
        ax.axhline(variance, color=BOUND, linewidth=1.0, linestyle="--", zorder=0)
        ax.set_xscale("log", base=2)
        ax.set_xticks(ds["rank"].values, [f"{rank}" for rank in ds["rank"].values])
        ax.minorticks_off()
        count = ds.attrs["images" if name == "train_error" else "test_images"]
        label(ax, f"{words} ({count}), mean of ten classes", "CP rank of the predictor", "mean squared error")
    top = 1.05 * max(train.get_ylim()[1], test.get_ylim()[1])
    for ax in (train, test):
        ax.set_ylim(0, top)
    lowest = ds.isel(rank=int(ds["rank"].argmin("rank")))
    for place, (colour, variant) in enumerate(zip(PALETTE, variants, strict=False)):
        values = lowest["train_error"].sel(variant=variant)
        classes.plot(ds["class"] + 0.15 * (place - 1), values, "o", color=colour, markersize=5)
    classes.plot(ds["class"], ds["variance"], color=BOUND, linewidth=1.0, linestyle="--", zorder=0)
    classes.set_xticks(ds["class"].values)
    classes.set_ylim(0, top)
    first = int(lowest["rank"])
    label(classes, f"every class at rank {first}, training images", "class against all", "mean squared error")
    names = [key(variant, color=colour, marker="o") for colour, variant in zip(PALETTE, variants, strict=False)]
    names.append(key("variance of the labels", color=BOUND, linewidth=1.0, linestyle="--"))
    figure_legend(whole, names, 4)
    return whole


def _over_rank(ax: Axes, error: xr.DataArray, colour: str) -> None:
    """Mean of the classes."""
    mean = error.mean("class").sortby("rank")
    ax.plot(mean["rank"], np.asarray(mean), color=colour, linewidth=2, marker="o", markersize=4)
