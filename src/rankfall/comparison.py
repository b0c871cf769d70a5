"""Put a conjecture to the test: does training from smaller and smaller starts end where a norm is least?"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
import xarray as xr

from . import _checks, measures
from ._types import Array
from ._version import __version__
from .dynamics import ExponentialDescent, Record, SpectralFlow, Stop, train
from .dynamics.base import AbstractDynamics
from .dynamics.monitor import interrupts, raise_if_interrupted
from .dynamics.threads import side_by_side
from .factorizations import MatrixFactorization, SpectralFactorization
from .problems import AbstractProblem, LinearRegression, MatrixCompletion, MatrixSensing
from .references import MinimalL2, NormMinimal, NuclearNorm, Reference
from .references.base import check_kind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (MatrixCompletion, MatrixSensing, LinearRegression)
SCALES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
MINIMISED, NOT_MINIMISED, UNDECIDED = "minimised", "not minimised", "undecided"
# Loss, as a multiple of the last one, from which on the growth of a norm is measured.
BEFORE = 100.0
# Entries up to which the flow itself is followed.
SMALL = 25
# As many falls as the last one are foretold at most.
AHEAD = 20.0
# Exponents above this are growth.
_GROWS = 0.05


@dataclass(frozen=True)
class Verdict:
    """What the runs say of one norm at one depth.

    Attributes
    ----------
    norm : str
    depth : int
    verdict : str
        ``"minimised"`` (in every draw the norm from the smallest start is within the tolerance of a lower bound on that
        of all solutions), ``"not minimised"`` (in some draw it is further than that above a solution, and would be from all smaller starts
        if it went on as it did), or ``"undecided"``.
    excess : float
        From the smallest start: norm over the least one known, less 1; the largest of the draws.
    foretold : float
        The same from ever smaller starts, if each fall is to the one before as the last one seen, for twenty falls of
        the last one's size at most; largest of the draws.
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
            _verdict(self.data.sel(norm=norm, depth=depth), float(self.data.attrs["tolerance"]))
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
        from .plots.comparison import draw  # matplotlib is not for everyone who imports the package

        return draw(self.data, self.verdicts)

    def __repr__(self) -> str:
        smallest = float(self.data["scale"][-1])
        head = f"{self.data.attrs['what']}; {self.data.sizes['draw']} draws, starts down to {smallest:g}"
        lines = [f"  {v.norm}, depth {v.depth}: {v.verdict.upper()}: {v.why}" for v in self.verdicts]
        return "\n".join([head, *lines])


def compare(
    problem: Any,
    norms: Sequence[Any] = ("nuclear",),
    depths: Sequence[int] = (2, 3),
    *,
    scales: Sequence[float] = SCALES,
    draws: int = 3,
    kind: str = "gaussian",
    dynamics: AbstractDynamics | None = None,
    loss: float = 1e-8,
    steps: int = 5_000,
    tolerance: float = 0.01,
    key: Array | None = None,
    progress: bool = True,
) -> Comparison:
    """Ask whether training from smaller and smaller starts ends at a solution of least norm.

    Every problem is trained at every depth from starts that differ in their size alone, and the least norm among its
    solutions is found beside it, with a lower bound where one is known (`rankfall.references`).

    Parameters
    ----------
    problem : MatrixCompletion, MatrixSensing or LinearRegression, or callable
        One problem for all draws, which then differ in the start; or a function of a key that draws one.
    norms : sequence
        Of what ``rankfall.references.NormMinimal`` takes: names (``"nuclear"``, ``"schatten-0.5"``, ...) and functions of a
        matrix; or of ``NormMinimal`` itself, for convex expressions.
    depths : sequence of int
        Numbers of factors.
    scales : sequence of float
        Three or more sizes of the start: the standard deviation of an end-to-end entry.
    draws : int
        Starts (and problems, if they are drawn) for every depth and scale.
    kind : {"gaussian", "balanced", "orthogonal"}
        Kind of the start, as in ``MatrixFactorization.init``; with the determinant's sign that the problem requires, if
        it does.
    dynamics : dynamics, optional
        By default ``SpectralFlow()`` (from the start made balanced) for matrices of up to 25 entries, and beyond that,
        or for a single factor, ``ExponentialDescent()``. Finite steps do not keep what the flow conserves: on
        ``[[*, 1], [1, 0]]`` they may end at a solution that no flow reaches.
    loss : float
        Loss at which training ends, as a share of that of the zero matrix.
    steps : int
        Limit on the steps of a run.
    tolerance : float
        Share of the least norm within which it counts as reached.
    key : JAX key, shape (), optional
        For all draws; ``jax.random.key(0)`` by default.
    progress : bool
        As in `train`.

    Returns
    -------
    Comparison
        ``print`` tells the verdicts, ``figure()`` draws the curves, ``data`` has all numbers and the solutions.

    Raises
    ------
    ValueError
        If an argument is out of range, a problem is of another kind or has no solution, or nothing is known to minimise
        a norm on it. All norms are minimised before training begins.

    References
    ----------
    Gunasekar et al. (2017) (the conjecture on the nuclear norm); Arora et al. (2019); Razin and Cohen (2020).

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> print(rf.compare(rf.two_by_two(), ["nuclear"], [2], scales=[1e-2, 1e-3, 1e-4], progress=False))
    """
    settings = _Settings.checked(norms, depths, scales, draws, kind, dynamics, loss, steps, tolerance)
    _checks.flag("progress", progress)
    base = jax.random.key(0) if key is None else key
    _checks.key("key", base)
    keys = [jax.random.split(one) for one in jax.random.split(base, settings.draws)]
    problems = _problems(problem, [pair[0] for pair in keys])
    least = {name: [_least(norm, one) for one in problems] for name, norm in settings.norms.items()}
    # Starts of one problem are lanes of one batch.
    starts = [pair[1] for pair in keys]
    batches = [starts] if len(problems) == 1 else [[key] for key in starts]
    tasks = [
        partial(settings.trained, one, depth, batch, progress)
        for depth in settings.depths
        for one, batch in zip(problems, batches, strict=True)
    ]
    with interrupts():
        runs = side_by_side(tasks)
    return Comparison(settings.dataset(problems, least, runs))


@dataclass(frozen=True)
class _Settings:
    """What was asked for, checked."""

    norms: dict[str, NormMinimal]
    depths: list[int]
    scales: list[float]
    draws: int
    kind: str
    dynamics: AbstractDynamics | None
    loss: float
    steps: int
    tolerance: float

    @classmethod
    def checked(cls, norms: Any, depths: Any, scales: Any, draws: Any, kind: Any, dynamics: Any, *limits: Any) -> Any:
        loss, steps, tolerance = limits
        listed = [_minimal(n) for n in _some("norms", norms, "a list of norms, such as ['nuclear']")]
        numbers = [_checks.integer("depths", d, 1) for d in _some("depths", depths, "a list of depths, such as [2, 3]")]
        sizes = _checks.positive("scales", _checks.sequence("scales", scales, "a list of sizes of the start"))
        if sizes.ndim != 1 or len(set(sizes.tolist())) < 3:
            raise ValueError(
                f"scales is {_checks.shortened(scales)}, but must have at least three different values: what smaller "
                "starts would do is read off the last three."
            )
        _checks.one_of("kind", kind, ("gaussian", "balanced", "orthogonal"))
        if not (dynamics is None or isinstance(dynamics, AbstractDynamics)):
            raise ValueError(f"dynamics is {_checks.shortened(dynamics)}, but must be one such as rf.SpectralFlow().")
        share = _checks.positive_number("loss", loss)
        if share >= 1:
            raise ValueError(f"loss is {share:g}, but must be below 1: it is a share of the loss of the zero matrix.")
        return cls(
            norms=_named(listed),
            depths=sorted(set(numbers)),
            scales=sorted(set(sizes.tolist()), reverse=True),
            draws=_checks.positive_integer("draws", draws),
            kind=kind,
            dynamics=dynamics,
            loss=share,
            steps=_checks.positive_integer("steps", steps),
            tolerance=_checks.positive_number("tolerance", tolerance),
        )

    def trained(self, problem: Any, depth: int, keys: list[Any], progress: bool) -> dict[str, np.ndarray]:
        """Train one depth from every size of every start."""
        raise_if_interrupted()
        options = {"kind": self.kind, "det_sign": problem.required_det_sign}
        cases = itertools.product(keys, self.scales)
        starts = [MatrixFactorization.init(problem.shape, depth, key=key, scale=s, **options) for key, s in cases]
        start, dynamics = MatrixFactorization.stack(starts), self.dynamics or _usual(problem.shape, depth)
        if isinstance(dynamics, SpectralFlow):
            start = SpectralFactorization.from_end_to_end(start.full(), depth)
        end = self.loss * _zero_loss(problem)
        record = Record(at_losses=[BEFORE * end, end], measures=["end_to_end"])
        stop = Stop(loss=end, steps=self.steps)
        run = train(problem, start, dynamics, stop=stop, record=record, progress=progress)
        raise_if_interrupted()
        return _recorded(run, BEFORE * end)

    def dataset(self, problems: list[Any], least: dict[str, list[Reference]], runs: list[dict[str, Any]]) -> xr.Dataset:
        """Put everything into one."""
        dims = ("depth", "draw", "scale")
        grid = (len(self.depths), self.draws, len(self.scales))
        shaped = {
            name: np.concatenate([run[name] for run in runs]).reshape(*grid, *np.shape(runs[0][name])[1:])
            for name in runs[0]
        }
        values = {name: norm.value for name, norm in self.norms.items()}
        variables: dict[str, Any] = {
            name: (dims, shaped[name]) for name in ("loss", "loss_before", "steps", "stop_reason")
        }
        matrices = (*dims, "row", "column")
        variables["trained"] = (("depth", "draw", "row", "column"), shaped["matrix"][:, :, -1])
        variables["effective_rank"] = (dims, measures.effective_rank(shaped["matrix"]))
        for name, source in (("norm_of_trained", "matrix"), ("norm_before", "matrix_before")):
            found = np.array([np.asarray(value(shaped[source])) for value in values.values()])
            variables[name] = (("norm", *dims), found)
        answers = [_each(found, self.draws) for found in least.values()]
        for name, read in _OF_LEAST.items():
            numbers = np.array([[read(answer) for answer in row] for row in answers])
            variables[name] = (("norm", "draw", "row", "column")[: numbers.ndim], numbers)
        variables["effective_rank_of_least"] = (("norm", "draw"), measures.effective_rank(variables["least"][1]))
        if problems[0].truth is not None:
            truth = np.stack([np.asarray(one.truth, float) for one in _each(problems, self.draws)])
            variables["error"] = (dims, _error(shaped["matrix"], truth[None, :, None]))
            variables["error_of_least"] = (("norm", "draw"), _error(variables["least"][1], truth[None]))
        coords = {"norm": list(self.norms), "depth": self.depths, "scale": self.scales, "draw": np.arange(self.draws)}
        dataset = xr.Dataset(variables, coords)
        shape = " x ".join(map(str, problems[0].shape))
        dataset.attrs = {
            "rankfall_version": __version__,
            "what": f"{type(problems[0]).__name__} {shape}, {problems[0].observed} observed",
            "tolerance": self.tolerance, "relative_loss": self.loss, "kind": self.kind,
            **{k: str(v) if isinstance(v, bool | type(None)) else v for k, v in problems[0].describe().items()},
            "dynamics": [str((self.dynamics or _usual(problems[0].shape, d)).describe()["dynamics"]) for d in self.depths],
        }  # fmt: skip
        return dataset


_OF_LEAST: dict[str, Callable[[Reference], Any]] = {
    "least": lambda answer: answer.solution,
    "minimum": lambda answer: answer.objective,
    "lower_bound": lambda answer: answer.lower_bound,
    "status": lambda answer: answer.status,
}


def _some(name: str, value: Any, expected: str) -> list[Any]:
    listed = _checks.sequence(name, value, expected)
    if not listed:
        raise ValueError(f"{name} is empty, but must be {expected}.")
    return listed


def _minimal(norm: Any) -> NormMinimal:
    found = norm if isinstance(norm, NormMinimal) else NormMinimal(norm)
    if found.tolerance > 0:
        raise ValueError(
            f"norms holds a NormMinimal of tolerance {found.tolerance:g}, but must be 0: training ends at solutions "
            "that fit, and the least norm of those that need not is lower."
        )
    return found


def _named(norms: list[NormMinimal]) -> dict[str, NormMinimal]:
    names: dict[str, NormMinimal] = {}
    for norm in norms:
        if norm.name in names:
            raise ValueError(f"norms holds two of the name {norm.name!r}, but names must differ; rename a function.")
        names[norm.name] = norm
    return names


def _problems(given: Any, keys: list[Any]) -> list[Any]:
    """The one problem, or one drawn for each key."""
    drawn = callable(given) and not isinstance(given, AbstractProblem)
    problems = [given(key) for key in keys] if drawn else [given]
    for one in problems:
        check_kind("compare", one, KINDS)
        if one.shape != problems[0].shape:
            raise ValueError(
                f"problem draws shapes {problems[0].shape} and {one.shape}, but all draws must have one shape."
            )
        if not _zero_loss(one) > 0:
            raise ValueError("problem has observations that are all zero, but the zero matrix must not be a solution.")
    return problems


def _each(found: list[Any], draws: int) -> list[Any]:
    return found if len(found) == draws else found * draws


def _usual(shape: tuple[int, int], depth: int) -> Any:
    """The flow itself where it is quick; descent that stays near it elsewhere."""
    return SpectralFlow() if depth > 1 and shape[0] * shape[1] <= SMALL else ExponentialDescent()


def _zero_loss(problem: Any) -> float:
    return float(problem.loss(np.zeros(problem.shape)))


def _least(norm: NormMinimal, problem: Any) -> Reference:
    """Find the least norm by the method that is quickest, and goes furthest, for it."""
    raise_if_interrupted()
    if norm.norm == "frobenius":
        return MinimalL2().solve(problem)
    if norm.norm == "nuclear" and not isinstance(problem, LinearRegression):
        found = NuclearNorm().solve(problem)
        # On a problem of one free parameter, or a small one, the general search may have the last word.
        if found.status == "optimal":
            return found
    return norm.solve(problem)


def _recorded(run: Any, before: float) -> dict[str, np.ndarray]:
    """Last matrix of every lane, and the first whose loss is within two decades of the last."""
    path = run.trajectory
    count = path.sizes["lane"]
    found: dict[str, list[Any]] = {name: [] for name in ("loss", "loss_before", "steps", "matrix", "matrix_before")}
    for lane in range(count):
        one = path.isel(lane=lane)
        there = np.flatnonzero(one["step"].values >= 0)
        losses, last = one["loss"].values[there], there[-1]
        first = there[int(np.argmax(losses <= before))] if (losses <= before).any() else last
        for name, at in (("", last), ("_before", first)):
            found[f"loss{name}"].append(float(one["loss"][at]))
            found[f"matrix{name}"].append(one["end_to_end"].values[at])
        found["steps"].append(int(one["step"][last]))
    reasons = np.broadcast_to(np.asarray(path["stop_reason"].values, dtype=str), (count,))
    return {name: np.array(values) for name, values in found.items()} | {"stop_reason": reasons}


def _error(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(truth, axis=(-2, -1))
    return np.asarray(np.linalg.norm(found - truth, axis=(-2, -1)) / lengths)


def _verdict(of: xr.Dataset, tolerance: float) -> Verdict:
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
    against = fits[:, -3:].all(axis=1) & (foretold > tolerance)
    with np.errstate(divide="ignore", invalid="ignore"):
        reached = fits[:, -1] & (below > 0) & (abs(values[:, -1] / below - 1) <= tolerance)
    now, growth, draws = excess[:, -1], _growth(of), len(excess)
    smallest = f"from {float(of['scale'][-1]):g}"
    if against.any():
        verdict = NOT_MINIMISED
        rise = f", and grows like loss^-{growth:.2f} as the loss falls" if growth > _GROWS else ""
        why = (
            f"{smallest} it ends at up to {1 + now.max():.4g} times the least ({against.sum()} of {draws} draws){rise}."
        )
    elif reached.all():
        verdict = MINIMISED
        why = f"{smallest} it is within {100 * tolerance:g} % of the least in all of {draws} draws."
    else:
        verdict = UNDECIDED
        why = f"{smallest} it is up to {1 + now.max():.4g} times the least known, but {_doubt(fits, below, now, tolerance)}."
    return Verdict(
        str(of["norm"].values), int(of["depth"]), verdict, float(now.max()), float(foretold.max()), growth,
        int(against.sum()), draws, why,
    )  # fmt: skip


def _doubt(fits: np.ndarray, below: np.ndarray, now: np.ndarray, tolerance: float) -> str:
    """Say what keeps a verdict from being one."""
    if not fits[:, -3:].all():
        return f"{(~fits[:, -3:]).sum()} of {fits[:, -3:].size} runs did not reach the loss (more steps, or another dynamics)"
    if (now < -tolerance).any():
        return "that is below the least: the loss is too large for a comparison"
    if (now <= tolerance).all():
        return "no lower bound near it is known"
    return "it still falls as the start shrinks (smaller scales)"


def _foretold(excess: np.ndarray) -> np.ndarray:
    """Where the last value of each row is going, if falls go on in the ratio of the last two, for `AHEAD` falls at most.

    What has stopped falling, or grows, is taken to stay; and nothing is foretold to fall below the least.
    """
    before, fall = excess[:, -3] - excess[:, -2], excess[:, -2] - excess[:, -1]
    last = excess[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(before > 0, fall / before, np.inf)
        rest = fall * np.where(ratio < 1, np.minimum(ratio / (1 - ratio), AHEAD), AHEAD)
    return np.where(fall <= 0, last, np.maximum(last - rest, np.minimum(last, 0.0)))


def _growth(of: xr.Dataset) -> float:
    """Exponent of the norm in the inverse of the loss, from the smallest start; median of the draws."""
    one = of.isel(scale=-1)
    falls = np.log(one["loss_before"].values / one["loss"].values)
    rises = np.log(one["norm_of_trained"].values / one["norm_before"].values)
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = np.where(falls > np.log(10.0), rises / falls, np.nan)
    return float(np.nanmedian(rates)) if np.isfinite(rates).any() else np.nan
