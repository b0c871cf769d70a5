"""What all pictures share: size, colours, words at the axes, legends outside the data."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

# Okabe and Ito (2008): told apart with every common kind of colour blindness.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BOUND, FAINT = "#000000", "#8A8A8A"
LINE_STYLES = ("-", "--", ":", "-.")
TITLE_SIZE, PANEL_SIZE, LABEL_SIZE, TICK_SIZE, LEGEND_SIZE = 13, 10.5, 10, 8.5, 8.5
UNOBSERVED = r"|unobserved entry|"


def figure(title: str, panels: int, rows: int = 1, height: float = 4.5) -> tuple[Figure, list[Axes]]:
    """Return an empty figure with its title, and its axes in reading order."""
    # Not through pyplot, which would keep the figure and look for a window system.
    empty = Figure(figsize=(11.0, height), layout="constrained")
    empty.suptitle(title, fontsize=TITLE_SIZE, fontweight="bold")
    axes = [empty.add_subplot(rows, panels // rows, number + 1) for number in range(panels)]
    for ax in axes:
        ax.grid(True, color="#E4E4E4", linewidth=0.6)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
    return empty, axes


def label(ax: Axes, title: str, x: str, y: str) -> None:
    """Write the finding above a panel and the quantities at its axes."""
    ax.set_title(title, fontsize=PANEL_SIZE)
    ax.set_xlabel(x, fontsize=LABEL_SIZE)
    ax.set_ylabel(y, fontsize=LABEL_SIZE)
    ax.tick_params(which="both", labelsize=TICK_SIZE)


def loss_axis(ax: Axes) -> str:
    """Make the horizontal axis one of the loss, with training going to the right; return its name."""
    ax.set_xscale("log")
    ax.xaxis.set_inverted(True)
    return "loss (falls to the right)"


def entry_axis(ax: Axes, largest: float) -> None:
    """Make the horizontal axis one of the unobserved entry, from ``-largest`` to ``largest``."""
    # The scale on which the singular values exp(u) and exp(-u) move: u = arcsinh(|x| / 2).
    ax.set_xscale("asinh", linear_width=2.0)
    decades = int(np.floor(np.log10(largest) + 1e-9))
    # Where the axis is long, there is no room for 1 beside 0.
    powers = 10.0 ** np.arange(int(decades > 2), decades + 1)
    ticks = [*-powers[::-1], 0.0, *powers]
    ax.set_xticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.axvline(0, color="#BBBBBB", linewidth=0.9, zorder=0)


def legend_below(ax: Axes, handles: Sequence[Any], columns: int = 1) -> None:
    """Put a legend under the panel, where it hides no data."""
    ax.legend(
        handles=list(handles), loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=columns, fontsize=LEGEND_SIZE,
        frameon=False, handlelength=2.6, columnspacing=1.2, borderaxespad=0.0,
    )  # fmt: skip


def figure_legend(whole: Figure, handles: Sequence[Any], columns: int) -> None:
    """Put a legend that holds for all panels at the foot of the figure."""
    whole.legend(
        handles=list(handles), loc="outside lower center", ncols=columns, fontsize=LEGEND_SIZE, frameon=False,
        handlelength=2.6, columnspacing=1.2,
    )  # fmt: skip


def floor(ax: Axes, least: float) -> None:
    """Cut off what lies below ``least``, where small starts spend decades; a higher end of the axis stays."""
    ax.set_ylim(bottom=max(least, ax.get_ylim()[0]))


def key(text: str, **look: Any) -> Line2D:
    """Entry of a legend that stands for a way of drawing rather than for one line."""
    return Line2D([], [], label=text, **({"color": "#444444"} | look))


def power(value: float) -> str:
    """Write a setting such as 0.001 as people read it.

    Examples
    --------
    >>> power(1e-5), power(6e-3), power(0.5)
    ('1e-5', '6e-3', '0.5')
    """
    if value == 0 or 0.01 <= abs(value) < 1e4:
        return f"{value:g}"
    mantissa, exponent = f"{value:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
