"""What runs and references say together: a dataset, and a verdict on each norm read off it."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINIMISED, NOT_MINIMISED, UNDECIDED = "minimised", "not minimised", "undecided"
# Exponents above this are growth.
GROWS = 0.05
# Falls as large as the last one that are still to be feared.
AHEAD = 20.0


@dataclass(frozen=True)
class Verdict:
    """What the runs say of one norm at one depth.

    Attributes
    ----------
    norm : str
    depth : int
    verdict : str
        ``"minimised"`` (in every draw the norm from the smallest start is within the tolerance of a lower bound on that
        of all solutions), ``"not minimised"`` (in some draw it is further than that above a solution, and would be
        after twenty more such falls as the last one), or ``"undecided"``.
    excess : float
        From the smallest start: norm over the least one known, less 1; the largest of the draws.
    foretold : float
        The same after twenty more falls as large as that from the last scale but one to the last; largest of the draws.
    growth : float
        The norm's exponent in the inverse of the loss, over its last two decades: 0 where it has settled, 1/2 for
        norms that are driven to infinity like ``1 / sqrt(loss)``; the median of the draws, NaN where it was not seen.
    against : int
        Draws that are evidence against the conjecture.
    draws : int
    why : str
        The finding in words.
    """

    norm: str
    depth: int
    verdict: str
    excess: float
    foretold: float
    growth: float
    against: int
    draws: int
    why: str


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Solutions by training beside those of least norm.

    Attributes
    ----------
    data : xarray.Dataset
        ``norm_of_trained`` (dims ``norm``, ``depth``, ``scale``, ``draw``), and ``loss``, ``steps``, ``stop_reason``,
        ``effective_rank`` (the same without ``norm``); ``minimum``, ``lower_bound``, ``status`` and
        ``effective_rank_of_least`` (dims ``norm``, ``draw``); the solutions themselves as ``trained`` (from the
        smallest start, dims ``depth``, ``draw``, ``row``, ``column``) and ``least`` (dims ``norm``, ``draw``, ``row``,
        ``column``); with a known truth ``error`` and ``error_of_least``, relative. Opens in plain xarray.
    """

    data: xr.Dataset

    @property
    def verdicts(self) -> list[Verdict]:
        """One for each norm and depth, read off `data`."""
        pairs = itertools.product(self.data["norm"].values.tolist(), self.data["depth"].values.tolist())
        return [
            verdict_of(self.data.sel(norm=norm, depth=depth), float(self.data.attrs["tolerance"]))
            for norm, depth in pairs
        ]

    def figure(self) -> "Figure":
        """Draw each norm against the size of the start, beside its least value.

        Returns
        -------
        matplotlib.figure.Figure
            Known to no window system.

        Examples
        --------
        >>> import rankfall as rf
        >>> found = rf.compare(rf.two_by_two(), ["nuclear"], [2], scales=[1e-2, 1e-3, 1e-4], progress=False)
        >>> len(found.figure().axes)
        1
        """
        from .figure import draw  # matplotlib is not for everyone who imports the package

        return draw(self.data, self.verdicts)

    def __repr__(self) -> str:
        smallest = float(self.data["scale"][-1])
        head = f"{self.data.attrs['what']}; draws: {self.data.sizes['draw']}, starts down to {smallest:g}"
        lines = [f"  {v.norm}, depth {v.depth}: {v.verdict.upper()}: {v.why}" for v in self.verdicts]
        return "\n".join([head, *lines])


def verdict_of(of: xr.Dataset, tolerance: float) -> Verdict:
    """Judge one norm at one depth."""
    least = of["minimum"].values[:, None]
    # Of a user's convex expression no bound is known but what the solver says.
    said = (of["status"].values == "optimal") & np.isneginf(of["lower_bound"].values)
    below = np.where(said, of["minimum"].values, of["lower_bound"].values)
    values = of["norm_of_trained"].transpose("draw", "scale").values
    fits = of["stop_reason"].transpose("draw", "scale").values == "loss"
    excess = values / least - 1
    foretold = _foretold(excess)
    # Of runs that do not fit nothing is said.
    against = fits[:, -2:].all(axis=1) & (foretold > tolerance)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = fits[:, -1] & (below > 0) & (abs(values[:, -1] / below - 1) <= tolerance)
    now, growth, draws = excess[:, -1], _growth(of), len(excess)
    smallest = f"from {float(of['scale'][-1]):g}"
    if against.any():
        verdict = NOT_MINIMISED
        rise = f", and grows like loss^-{growth:.2f} as the loss falls" if growth > GROWS else ""
        # Of a draw that does not fit the norm is no evidence, however large.
        times = f"{1 + now[against].max():.4g}"
        why = f"{smallest} it ends at up to {times} times the least ({against.sum()} of {draws} draws){rise}."
    elif reached.all():
        verdict = MINIMISED
        why = f"{smallest} it is within {100 * tolerance:g} % of the least in all of {draws} draws."
    else:
        verdict = UNDECIDED
        doubt = _doubt(fits, now, tolerance)
        why = f"{smallest} it is up to {1 + now.max():.4g} times the least known, but {doubt}."
    return Verdict(
        str(of["norm"].values), int(of["depth"]), verdict, float(now.max()), float(foretold.max()), growth,
        int(against.sum()), draws, why,
    )  # fmt: skip


def _doubt(fits: np.ndarray, now: np.ndarray, tolerance: float) -> str:
    """Say what keeps a verdict from being one."""
    short = int((~fits[:, -2:]).sum())
    if short:
        return f"{short} of the last {fits[:, -2:].size} runs did not reach the loss (more steps, or another dynamics)"
    if (now < -tolerance).any():
        return "that is below the least: the loss is too large for a comparison"
    if (now <= tolerance).all():
        return "no lower bound near it is known"
    return "it still falls as the start shrinks (smaller scales)"


def _foretold(excess: np.ndarray) -> np.ndarray:
    """Return the last value of each row less `AHEAD` falls as large as the last one, but not below the least.

    Where theory knows the limit it is approached like the inverse of the logarithm of the scale: what is still to come
    is then as many falls as there were decades, less one. What has stopped falling, or grows, is taken to stay.
    """
    last = excess[:, -1]
    fall = np.maximum(excess[:, -2] - last, 0.0)
    return np.maximum(last - AHEAD * fall, np.minimum(last, 0.0))


def _growth(of: xr.Dataset) -> float:
    """Exponent of the norm in the inverse of the loss, from the smallest start; median of the draws."""
    one = of.isel(scale=-1)
    falls = np.log(one["loss_before"].values / one["loss"].values)
    rises = np.log(one["norm_of_trained"].values / one["norm_before"].values)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(falls > np.log(10.0), rises / falls, np.nan)
    return float(np.nanmedian(rates)) if np.isfinite(rates).any() else np.nan
