"""Bring any norm: where it is least among the solutions of ``[[*, 1], [1, 0]]``, and where training drives it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import _checks
from .._types import Array
from ..dynamics import Record, SpectralFlow, Stop, train
from ..factorizations import MatrixFactorization, SpectralFactorization
from ..measures.named_norms import NamedNorm, named_norm
from ..problems import two_by_two
from ..references.one_parameter import zoomed
from ..theory import (
    Claim,
    NormConstants,
    at_least,
    generic_norm_bound,
    minimiser_radius,
    norm_constants,
    solution,
    theorem1_any_norm_bound,
)
from ..theory.any_norm import Norm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SOURCE = "Razin and Cohen (2020), theorem 1"
# "Above the minimum" means by this factor at least.
FACTOR = 2.0
# A norm that grows like a lower power of 1 / sqrt(loss) than this, or falls, is not on its way up.
RISES = 0.1
# Size of the start of the control. From smaller ones, and deep, the entry goes far before it stays; from larger ones it
# is large at once.
CONTROL = 0.1
# Points of the grid over the whole interval that is searched for the minimum.
GRID = 1001


@dataclass(frozen=True, eq=False, repr=False)
class Challenge:
    """A norm put to the question whether training minimises it.

    Attributes
    ----------
    name : str
        Name of the norm.
    constants : NormConstants
        Its constants, and whether they are certified.
    minimiser : float
        The ``x`` at which ``[[x, 1], [1, 0]]`` has the least norm found; the nearest to 0 where several have it. Good
        to about 1e-7 of the larger of itself and 1, since norms are flat where they are least.
    minimum : float
        Norm there, which no solution is below by more than what follows.
    minimum_at_least : float
        Lower bound on the norm of every solution, as sure as the triangle constant ``c`` is certified: within 1e-6 of
        ``minimum`` for a norm, about ``minimum / c`` for a quasi-norm, which may jump between two points.
    solutions : xarray.Dataset
        ``norm`` on solutions (dim ``x``).
    path : xarray.Dataset
        Along the flow (dim ``record``): ``loss``, ``time``, ``unobserved``, ``end_to_end`` (dims ``row``, ``col``),
        ``norm``, and the bounds ``bound`` and ``theorem1_bound``.
    growth_rate : float
        Slope of ``log(norm)`` against ``log(1 / sqrt(loss))`` over the last two decades of the loss.
    claim : Claim
        The verdict: it holds where the norm is at twice its minimum or above, and theorem 1 keeps it there for every
        smaller loss, or says something of it while it rises still. Its control is the flow from a start of size 0.1 and
        of the other determinant sign, of which no theorem says that.
    """

    name: str
    constants: NormConstants
    minimiser: float
    minimum: float
    minimum_at_least: float
    solutions: xr.Dataset
    path: xr.Dataset
    growth_rate: float
    claim: Claim

    @property
    def ratio(self) -> float:
        """Norm at the end of the path over the least norm of a solution."""
        return float(self.path["norm"][-1]) / self.minimum

    @property
    def sure_below(self) -> float:
        """Loss below which the proved bound is above twice the minimum, as sure as the constants are; to 1 percent."""
        losses = np.geomspace(1e-60, 0.5, 14001)
        above = generic_norm_bound(losses, self.constants) > FACTOR * self.minimum
        return float(losses[above].max(initial=0.0))

    def figure(self) -> "Figure":
        """Draw the norm on the solutions, and along the path.

        Returns
        -------
        matplotlib.figure.Figure
            Two panels, known to no window system.

        Examples
        --------
        >>> import rankfall as rf
        >>> len(rf.challenge("nuclear", loss=1e-3).figure().axes)
        2
        """
        from .challenge_figure import draw  # matplotlib is not for everyone who imports the package

        return draw(self)

    @property
    def verdict(self) -> str:
        """The finding in words: where the norm is at the end of the path, and where it goes."""
        if self.claim.holds:
            return "driven above its minimum"
        if self.ratio < FACTOR:
            return f"NOT above {FACTOR:g} times its minimum yet"
        if self.growth_rate < RISES:
            goes = "falls with the loss" if self.growth_rate < -RISES else "hardly changes as the loss falls"
            return f"NOT driven above its minimum yet: it is above it, but {goes}"
        if not self.path["bound"][-1] > 0:
            return "NOT shown to be driven above its minimum: it is above it and rises, but theorem 1 says nothing yet"
        return "BELOW the bound of theorem 1: it is no norm, or its triangle constant is larger"

    def __repr__(self) -> str:
        end = self.path.isel(record=-1)
        c = f"triangle constant {self.constants.triangle_constant:.4g}"
        sure = f"certified, {c}" if self.constants.certified else f"not certified: {c} was only probed"
        bound, below = float(end["bound"]), self.sure_below
        here = f"at least {bound:.6g} there" if bound > 0 else "says nothing there (its bound is vacuous)"
        grows = "falling" if self.growth_rate < -RISES else "growing"
        later = f"above {FACTOR:g} times the minimum below loss {below:.2g}" if below else "nor at any loss above 1e-60"
        return (
            f"{self.name}: {self.verdict}\n"
            f"  least among the solutions [[x, 1], [1, 0]]: {self.minimum:.6g} at x = {self.minimiser:.6g}\n"
            f"  at loss {float(end['loss']):.3g} (x = {float(end['unobserved']):.6g}): {float(end['norm']):.6g}, "
            f"{self.ratio:.3g} times that, {grows} like (1/sqrt(loss))^{self.growth_rate:.3g}\n"
            f"  theorem 1: {here}, {later} ({sure})"
        )


def challenge(
    norm: Norm,
    *,
    triangle_constant: float | None = None,
    depth: int = 3,
    scale: float = 1e-3,
    loss: float = 1e-8,
    key: Array | None = None,
) -> Challenge:
    """Put any norm or quasi-norm to the question whether gradient flow on ``[[*, 1], [1, 0]]`` minimises it.

    Parameters
    ----------
    norm : str or callable
        As in `rankfall.theory.norm_constants`.
    triangle_constant : float, optional
        As in `rankfall.theory.norm_constants`. Without it, what theorem 1 says of a function is not certified.
    depth : int, default 3
        Number of factors, 2 or more.
    scale : float, default 1e-3
        Size of the start, end to end, from 1e-12 to 1e3: it is ``scale`` times the identity, or with a ``key`` has
        entries of that standard deviation.
    loss : float, default 1e-8
        Loss at which the path ends, from 1e-14 to 1e-2.
    key : JAX key, shape (), optional
        Draws a balanced start of positive determinant in place of the multiple of the identity.

    Returns
    -------
    Challenge
        Minimiser, path, growth and verdict; ``figure()`` draws them, ``print`` tells them.

    Raises
    ------
    ValueError
        If ``norm`` or ``triangle_constant`` is what `rankfall.theory.norm_constants` refuses, ``depth`` is below 2,
        ``scale`` or ``loss`` is out of range, or ``key`` is no single key.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorem 1 (all norms and quasi-norms are driven towards infinity).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> print(rf.challenge(lambda w: np.abs(w).max() + abs(w[0, 0] - w[0, 1]), triangle_constant=1, loss=1e-6))
    <lambda>: driven above its minimum
      least among the solutions [[x, 1], [1, 0]]: 1 at x = 1
      at loss 1e-06 (x = 707.105): 1413.21, 1.41e+03 times that, growing like (1/sqrt(loss))^1
      theorem 1: at least 1412.21 there, above 2 times the minimum below loss 0.058 (certified, triangle constant 1)
    """
    number = _checks.integer("depth", depth, 2)
    size = _checks.positive_number("scale", scale)
    end = _checks.positive_number("loss", loss)
    for name, value, low, high in (("scale", size, 1e-12, 1e3), ("loss", end, 1e-14, 1e-2)):
        if not low <= value <= high:
            raise ValueError(f"{name} is {value:g}, but must lie between {low:g} and {high:g}.")
    if key is not None:
        _checks.key("key", key)
    constants = norm_constants(norm, triangle_constant=triangle_constant)
    function = named_norm("norm", norm)
    x, least, at_least_this = _least(function, constants)
    path, other = (
        _measured(_path(number, start, end, key, det_sign=sign), function, constants)
        for start, sign in ((size, 1), (CONTROL, -1))
    )
    return Challenge(
        name=function.name,
        constants=constants,
        minimiser=x,
        minimum=least,
        minimum_at_least=at_least_this,
        solutions=_solutions(function, max(float(np.abs(path["unobserved"]).max()), 2.0 * abs(x))),
        path=path,
        growth_rate=_growth_rate(path),
        claim=_claim(function.name, constants, least, path, other),
    )


def _measured(path: xr.Dataset, function: NamedNorm, constants: NormConstants) -> xr.Dataset:
    """Add the norm along a path, and its bounds."""
    matrices = path["end_to_end"].transpose("record", "row", "col").values
    return path.assign(
        norm=("record", function.finite(matrices)),
        bound=("record", generic_norm_bound(path["loss"].values, constants)),
        theorem1_bound=("record", theorem1_any_norm_bound(path["loss"].values, constants)),
    )


def _path(depth: int, scale: float, loss: float, key: Array | None, det_sign: int = 1) -> xr.Dataset:
    """Follow the balanced gradient flow of a depth to a loss."""
    if key is None:
        # Of the other sign: no multiple of the identity, nor symmetric, which would keep x at 0.
        matrix = np.eye(2) if det_sign > 0 else np.array([[1.0, 0.5], [-0.5, -1.0]])
        start = SpectralFactorization.from_end_to_end(scale * matrix, depth)
    else:
        drawn = MatrixFactorization.init((2, 2), depth, kind="balanced", scale=scale, det_sign=det_sign, key=key)
        start = SpectralFactorization.from_factors(drawn)
    record = Record(every=1, measures=["end_to_end"])
    run = train(two_by_two(), start, SpectralFlow(), stop=Stop(loss=loss), record=record, progress=False)
    # Of the other sign nobody asked for an end.
    if run.stop_reason != "loss" and det_sign > 0:
        raise ValueError(
            f"loss is {loss:g}, but must be reached: the flow of depth {depth} from scale {scale:g} ended with "
            f"{run.stop_reason!r}; pass a larger loss, or another scale."
        )
    whole = run.trajectory.isel(lane=0)
    return whole[["loss", "time", "end_to_end"]].assign(unobserved=whole["unobserved"].isel(entry=0, drop=True))


def _claim(name: str, constants: NormConstants, least: float, path: xr.Dataset, other: xr.Dataset) -> Claim:
    """All parts of the verdict as one number; the control is a path that theorem 1 says nothing of."""
    end = float(path["loss"][-1])
    doubt = "" if constants.certified else " (not certified: the triangle constant was only probed)"
    vacuous = "" if path["bound"][-1] > 0 else ", which is vacuous at that loss"
    statement = (
        f"The flow drives {name} above its minimum: at loss {end:.3g} it is at least {FACTOR:g} times its minimum on "
        f"the solutions, and rises or is kept there by the bound of theorem 1{vacuous}; on the way it is never below "
        f"that bound{doubt} (the smaller ratio; 0 where it neither rises nor is kept, or the bound is vacuous)."
    )
    words = (f"the same from a start of size {CONTROL:g} and negative determinant", _driven(other, least))
    return at_least(f"challenge-{name}", statement, SOURCE + doubt, _driven(path, least), 1.0, 1e-9, words)


def _driven(path: xr.Dataset, least: float) -> float:
    """Return the smaller of the norm over twice its minimum, 0 where nothing holds it there, and over its bound."""
    norm, bound = path["norm"].values, path["bound"].values
    stays = bound[-1] >= FACTOR * least or (bound[-1] > 0 and _growth_rate(path) >= RISES)
    there = bound > 0
    above = norm[-1] / (FACTOR * least) if stays else 0.0
    return float(min(above, (norm[there] / bound[there]).min(initial=np.inf)))


def _growth_rate(path: xr.Dataset) -> float:
    """Slope of the logarithms over the last two decades of the loss; NaN of a path that does not move."""
    late = path["loss"].values <= 100.0 * float(path["loss"][-1])
    if late.sum() < 2:
        return float("nan")
    reach = -0.5 * np.log(path["loss"].values[late])
    return float(np.polyfit(reach, np.log(path["norm"].values[late]), 1)[0])


def _least(function: NamedNorm, constants: NormConstants) -> tuple[float, float, float]:
    """Return where a norm is least on the solutions, its value, and a lower bound on it.

    All minimisers lie within `minimiser_radius`. Norms are convex along ``x``, so the grid brackets their minimum. For
    ``c > 1`` nothing holds between the points of a grid but ``||W_y|| <= c (||W_x|| + |y - x| ||E_11||)``.
    """
    c, slope = constants.triangle_constant, constants.norm_e11
    with np.errstate(over="ignore"):
        reach = float(minimiser_radius(constants.norm_w0, slope, c))
    if not reach < 1e100:
        raise ValueError(
            f"norm is {function.name}, but must have its least value at an |x| below 1e100 for a search to find "
            f"it; the triangle constant {c:g} only says below {reach:g}."
        )
    # Spaced like the logarithms of the singular values of the solutions: fine near 0, wide where reach is large.
    x = 2.0 * np.sinh(np.linspace(-1, 1, GRID) * np.arcsinh(reach / 2.0))
    value = function.finite(solution(x))
    sure = (np.minimum(value[1:], value[:-1]) / c - slope * np.diff(x) / 2.0).min()
    points, values, width = zoomed(lambda some: function.finite(solution(some)), x, value)
    least = float(values.min())
    # Among values that differ by rounding, the entry nearest to 0.
    equal = values <= least * (1.0 + 1e-14)
    best = float(points[equal][np.abs(points[equal]).argmin()])
    if c == 1.0:
        sure = max(sure, least - slope * width)
    return best, least, float(min(max(sure, 0.0), least))


def _solutions(function: NamedNorm, reach: float) -> xr.Dataset:
    """Return the norm on solutions with entries up to ``reach`` and a little more."""
    x = 2.0 * np.sinh(np.linspace(-1, 1, 401) * np.arcsinh(reach))
    return xr.Dataset({"norm": ("x", function.finite(solution(x)))}, {"x": x})
