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
# What smaller starts may settle.
STILL = "as the start shrinks"
# Digits of a norm that rounding, or another stop, may change; a smaller fall is none.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """What the runs say of one norm at one depth.

    Attributes
    ----------
    norm : str
    depth : int
    verdict : str
        ``"minimised"`` (in every draw the norm from the smallest start is within the tolerance of a lower bound on that
        of all solutions, and would be after one more such rise as the last one), ``"not minimised"`` (in some draw it
        is further than that above a solution, and would be after the farthest fall that a law of theory has left at the
        rate it falls at), or ``"undecided"``.
    excess : float
        From the smallest start: norm over the least one known, less 1; the largest of the draws.
    foretold : float
        The same after that fall, so the least that it may end at; the largest of the draws.
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
    def moves(self) -> bool:
        """Whether a norm at a depth is undecided because it moves as the start shrinks."""
        return any(STILL in v.why for v in self.verdicts)

    @property
    def verdicts(self) -> list[Verdict]:
        """One for each norm and depth, read off `data`."""
        return [verdict_of(one, float(self.data.attrs["tolerance"])) for one in self._each()]

    def _each(self) -> list[xr.Dataset]:
        pairs = itertools.product(self.data["norm"].values.tolist(), self.data["depth"].values.tolist())
        return [self.data.sel(norm=norm, depth=depth) for norm, depth in pairs]

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
    now, slope, small = values[:, -1] / least[:, 0] - 1, _slope(of), _smallness(of)
    foretold = np.maximum(now - _left(slope, small, min(of.sizes["row"], of.sizes["column"])), np.minimum(now, 0.0))
    # Of runs that do not fit nothing is said.
    against = fits[:, -2:].all(axis=1) & (foretold > tolerance)
    with np.errstate(divide="ignore", invalid="ignore"):
        near = fits[:, -1] & (below > 0) & (abs(values[:, -1] / below - 1) <= tolerance)
    # What is near, but would leave by one more such rise as the last one, is not there for good.
    step = np.log(float(of["scale"][-2] / of["scale"][-1]))
    leaves = now - np.minimum(slope, 0.0) * step > tolerance
    growth, draws = _growth(of), len(values)
    smallest = f"from {float(of['scale'][-1]):g}"
    if against.any():
        verdict = NOT_MINIMISED
        rise = f", and grows like loss^-{growth:.2f} as the loss falls" if growth > GROWS else ""
        # Of a draw that does not fit the norm is no evidence, however large.
        times = f"{1 + now[against].max():.4g}"
        why = f"{smallest} it ends at up to {times} times the least ({against.sum()} of {draws} draws){rise}."
    elif (near & ~leaves).all():
        verdict = MINIMISED
        why = f"{smallest} it is within {100 * tolerance:g} % of the least in all of {draws} draws."
    else:
        verdict = UNDECIDED
        doubt = _doubt(fits, now, leaves, tolerance)
        why = f"{smallest} it is up to {1 + now.max():.4g} times the least known, but {doubt}."
    return Verdict(
        str(of["norm"].values), int(of["depth"]), verdict, float(now.max()), float(foretold.max()), growth,
        int(against.sum()), draws, why,
    )  # fmt: skip


def _doubt(fits: np.ndarray, now: np.ndarray, leaves: np.ndarray, tolerance: float) -> str:
    """Say what keeps a verdict from being one."""
    short = int((~fits[:, -2:]).sum())
    if short:
        return f"{short} of the last {fits[:, -2:].size} runs did not reach the loss (more steps, or another dynamics)"
    if (now < -tolerance).any():
        return "that is below the least: the loss is too large for a comparison"
    if (now <= tolerance).all() and leaves.any():
        return f"it still rises {STILL} (smaller scales)"
    if (now <= tolerance).all():
        return "no lower bound near it is known"
    return f"it still falls {STILL}, and by no law that tells where it ends (smaller scales)"


def _slope(of: xr.Dataset) -> np.ndarray:
    """Fall of the excess for each factor e in the size of the start, over the last two sizes; shape (draw,).

    Runs may stop at different losses. What is left of the residual falls like the root of the loss, and the norm moves
    with it: of the falls with and without that, the larger one counts.
    """
    last = of.isel(scale=slice(-2, None)).transpose("draw", "scale", ...)
    value, before = last["norm_of_trained"].values, last["norm_before"].values
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = (before - value) / (np.sqrt(last["loss_before"].values / last["loss"].values) - 1)
    settled = value - np.where(np.isfinite(rest), rest, 0.0)
    falls = np.stack([one[:, 0] - one[:, 1] for one in (value, settled)]) / of["minimum"].values
    falls[abs(falls) < ROUNDING] = 0.0
    scale = last["scale"].values
    return np.asarray(falls.max(axis=0) / np.log(scale[0] / scale[1]))


def _smallness(of: xr.Dataset) -> np.ndarray:
    """Logarithm of the size of the least solution over that of the smallest start, shape (draw,)."""
    size = np.linalg.norm(of["least"].transpose("draw", "row", "column").values, axis=(1, 2))
    return np.asarray(np.log(size) - np.log(float(of["scale"][-1])))


def _left(slope: np.ndarray, small: np.ndarray, size: int) -> np.ndarray:
    """Farthest fall that is left to what falls at a rate, by the laws that theory knows.

    For commuting measurements the flow from ``alpha I`` ends at the solution that minimises ``sum s_i + h(s_i) / u``
    over its singular values, at depth 2 with ``u = ln(1 / alpha)`` and ``h(s) = s ln s - s``. By convexity its excess
    ``e`` over the least nuclear norm is at most ``(h(s*) - h(s)) / u``: at the slowest it falls like ``1 / u``, and
    what falls so has ``u`` times its slope left. But measurements close in size are told apart like a slow power of
    ``alpha``, at first by nothing that can be seen. There ``de/du = -|P s|^2`` and ``e = <P s, s - s*>`` in the metric
    ``1 / s``, with the projection ``P`` onto what the measurements do not see, so ``e^2 <= size |de/du|`` (the largest
    singular value is at least their mean): a smaller slope is the end. Deeper flows are faster.
    A start as large as the solution tells nothing.
    """
    falls = np.maximum(slope, 0.0)
    left = np.maximum(small * falls, np.sqrt(size * falls))
    return np.where(small > 0, left, np.inf)


def _growth(of: xr.Dataset) -> float:
    """Exponent of the norm in the inverse of the loss, from the smallest start; median of the draws."""
    one = of.isel(scale=-1)
    falls = np.log(one["loss_before"].values / one["loss"].values)
    rises = np.log(one["norm_of_trained"].values / one["norm_before"].values)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(falls > np.log(10.0), rises / falls, np.nan)
    return float(np.nanmedian(rates)) if np.isfinite(rates).any() else np.nan
