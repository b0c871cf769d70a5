"""Circuits on top of the factorizations they are, how far apart rounding drives them, and the ranks of the deep one."""

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ...plots.style import FAINT, LINE_STYLES, PALETTE, figure, key, label, legend_below, power

MODELS = {"shallow": "shallow circuit, CP", "deep": "deep circuit, hierarchical", "order 2": "two positions, depth 2"}
LEAST = 1e-17


def draw(ds: xr.Dataset) -> Figure:
    """Draw the losses, the differences, and the singular values along and across the tree."""
    whole, axes = figure("A convolutional arithmetic circuit is a tensor factorization, step by step", 3, height=5.2)
    _losses(axes[0], ds)
    _differences(axes[1], ds)
    _ranks(axes[2], ds)
    return whole


def _lane(ds: xr.Dataset, model: str, path: str) -> xr.Dataset:
    return ds.isel(lane=np.flatnonzero((ds["model"] == model) & (ds["path"] == path))[0])


def _losses(ax: Axes, ds: xr.Dataset) -> None:
    step = ds["step"].values
    for number, model in enumerate(MODELS):
        # Of two positions the line is that of the matrix factorization.
        line = _lane(ds, model, "depth 2" if model == "order 2" else "factorization")
        ax.plot(step, line["loss"], color=PALETTE[number], linewidth=1.8)
        few = slice(number * len(step) // 60, None, max(1, len(step) // 16))
        points = _lane(ds, model, "network")["loss"].values[few]
        ax.plot(step[few], points, "o", color=PALETTE[number], markersize=5, markerfacecolor="white")
    ax.set_yscale("log")
    label(ax, "circuits train as their factorizations do", "step", "loss")
    entries = [key(text, color=PALETTE[number], linewidth=1.8) for number, text in enumerate(MODELS.values())]
    circle = key("circuit", linestyle="", marker="o", markerfacecolor="white")
    legend_below(ax, [*entries, key("factorization"), circle])


def _differences(ax: Axes, ds: xr.Dataset) -> None:
    step, nudge = ds["step"].values, float(ds.attrs["nudge"])
    for number, model in enumerate(MODELS):
        nudged = _lane(ds, model, "nudged network")["distance"].values
        paths = {
            "-": _lane(ds, model, "network")["distance"].values,
            "--": nudged,
            ":": nudged * np.finfo(float).eps / nudge,
        }
        for style, values in paths.items():
            ax.plot(step, np.maximum(values, LEAST), color=PALETTE[number], linestyle=style, linewidth=1.5)
    ax.set_yscale("log")
    label(ax, "apart by rounding alone", "step", "relative distance of the tensors")
    styles = ("-", "--", ":")
    texts = ("circuit", f"circuit that starts {power(nudge)} away", "what one rounding of the start becomes")
    legend_below(ax, [key(text, linestyle=style) for style, text in zip(styles, texts, strict=True)])


def _ranks(ax: Axes, ds: xr.Dataset) -> None:
    spectra = ds["singular_values"].sel(circuit="deep")
    *single, along, across = spectra["cut"].values.tolist()
    order = int(ds.attrs["order"])
    entries = []
    for number, cut in enumerate((single[0], along, across)):
        values = spectra.sel(cut=cut).values
        values = values[np.isfinite(values)] / values[0]
        look: dict[str, Any] = {
            "color": PALETTE[number + 3],
            "linestyle": LINE_STYLES[number],
            "marker": "o",
            "markersize": 4,
        }
        ax.plot(np.arange(1, len(values) + 1), np.maximum(values, LEAST), **look)
        names = cut.split(",")
        rest = ",".join(str(n + 1) for n in range(order) if str(n + 1) not in names)
        where = ("one position", "along the tree", "across the tree")[number]
        entries.append(key(f"{{{cut}}} | {{{rest}}}, {where}: rank {int((values > 1e-10).sum())}", **look))
    ax.axhline(np.finfo(float).eps, color=FAINT, linewidth=1.0, zorder=0)
    ax.set_yscale("log")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    label(ax, "the tree bounds the ranks (deep)", "number", "singular value, over the largest")
    legend_below(ax, [*entries, key("rounding", color=FAINT, linewidth=1.0)])
