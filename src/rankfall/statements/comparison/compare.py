"""``compare``: does training from smaller and smaller starts end where a norm is least? One call, and a verdict."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr

from ... import _checks
from ..._execution import interrupts, raise_if_interrupted, side_by_side
from ..._types import Key, Self
from ..._version import __version__
from ...dynamics import ExponentialDescent, Record, SpectralFlow, Stop, train
from ...dynamics.base import AbstractDynamics
from ...factorizations import MatrixFactorization, SpectralFactorization
from ...factorizations.initialisation import KINDS as KINDS_OF_START
from ...measures.named_norms import EXPECTED, named_norm
from ...problems import AbstractProblem, LinearRegression, MatrixCompletion, MatrixSensing
from ...references import MinimalL2, NormMinimal, NuclearNorm, Reference
from ...references.base import check_kind
from ...references.units import in_range
from .results import dataset, of_smallest, recorded, with_smaller
from .verdict import Comparison

KINDS = (MatrixCompletion, MatrixSensing, LinearRegression)
SCALES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
# Where the flow is followed in logarithms smaller starts take hardly longer; added where a verdict waits for them.
FURTHER = (1e-12, 1e-25, 1e-50, 1e-100, 1e-200)
# Loss, as a multiple of the last one, from which on the growth of a norm is measured.
BEFORE = 100.0
# Entries up to which the flow itself is followed.
SMALL = 25
# Largest gap of a least norm that was not found to its own tolerance and is taken all the same: verdicts use the bound.
CLOSE = 1e-4


def compare(
    problem: AbstractProblem | Callable[[Key], AbstractProblem],
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
    key: Key | None = None,
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
        Of what ``rankfall.references.NormMinimal`` takes: names (``"nuclear"``, ``"schatten-0.5"``, ...) and functions
        of a matrix; or of ``NormMinimal`` itself, for convex expressions.
    depths : sequence of int
        Numbers of factors.
    scales : sequence of float
        Two or more sizes of the start: the standard deviation of an end-to-end entry. Where the flow itself is followed
        and a norm still moves too much for a verdict, sizes down to 1e-200 are added.
    draws : int
        Starts (and problems, if they are drawn) for every depth and scale.
    kind : {"gaussian", "balanced", "orthogonal", "identity"}
        Kind of the start, as in ``MatrixFactorization.init``, with the determinant's sign that the problem requires if
        it does; ``"identity"`` is ``scale`` times the identity, the same in every draw.
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
    >>> import rankfall as rf
    >>> rf.compare(rf.two_by_two(), ["nuclear"], [2], scales=[1e-2, 1e-4], draws=1, progress=False)
    MatrixCompletion 2 x 2, 3 observed; draws: 1, starts down to 0.0001
      nuclear, depth 2: NOT MINIMISED: from 0.0001 it ends at up to 3536 times the least (1 of 1 draws), and grows like
        loss^-0.50 as the loss falls.
    """
    settings = _Settings.checked(norms, depths, scales, draws, kind, dynamics, loss, steps, tolerance)
    _checks.flag("progress", progress)
    base = jax.random.key(0) if key is None else key
    _checks.key("key", base)
    keys = [jax.random.split(one) for one in jax.random.split(base, settings.draws)]
    problems = _problems(problem, [pair[0] for pair in keys])
    least = {name: [_least(norm, one) for one in problems] for name, norm in settings.norms.items()}
    starts = [pair[1] for pair in keys]
    data = settings.measured(problems, starts, settings.scales, least, progress)
    further = settings.further(problems[0])
    if further and Comparison(data).moves:
        data = with_smaller(data, settings.measured(problems, starts, further, least, progress))
    return Comparison(of_smallest(data))


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
    def checked(
        cls, norms: object, depths: object, scales: object, draws: object, kind: str, dynamics: object, *limits: object
    ) -> Self:
        loss, steps, tolerance = limits
        listed = [_minimal(n) for n in _some("norms", norms, "a list of norms, such as ['nuclear']")]
        numbers = [_checks.integer("depths", d, 1) for d in _some("depths", depths, "a list of depths, such as [2, 3]")]
        sizes = _checks.positive("scales", _checks.sequence("scales", scales, "a list of sizes of the start"))
        if sizes.ndim != 1 or len(set(sizes.tolist())) < 2:
            raise ValueError(
                f"scales is {_checks.shortened(scales)}, but must have two different values or more: what smaller "
                "starts would do is read off the last two."
            )
        _checks.one_of("kind", kind, KINDS_OF_START)
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

    def rule(self, problem: AbstractProblem, depth: int) -> AbstractDynamics:
        """Return the flow itself where it is quick, and descent that stays near it elsewhere, unless told otherwise."""
        small = depth > 1 and problem.shape[0] * problem.shape[1] <= SMALL
        return self.dynamics or (SpectralFlow() if small else ExponentialDescent())

    def start(self, problem: AbstractProblem, depth: int, key: Key, scale: float) -> MatrixFactorization:
        """Draw a start."""
        if self.kind == "identity":
            return MatrixFactorization.init(problem.shape, depth, kind="identity", alpha=scale)
        sign = problem.required_det_sign
        return MatrixFactorization.init(problem.shape, depth, key=key, kind=self.kind, scale=scale, det_sign=sign)

    def further(self, problem: AbstractProblem) -> list[float]:
        """Return smaller sizes of the start, where every depth follows the flow of a small matrix."""
        rules = [self.rule(problem, depth) for depth in self.depths]
        small = problem.shape[0] * problem.shape[1] <= SMALL
        if not (small and all(isinstance(rule, SpectralFlow) for rule in rules)):
            return []
        return [scale for scale in FURTHER if scale < self.scales[-1]]

    def measured(
        self, problems: list[AbstractProblem], starts: list[Key], scales: list[float],
        least: dict[str, list[Reference]], progress: bool,
    ) -> xr.Dataset:  # fmt: skip
        """Train every depth from every start of some sizes, and put everything into one dataset."""
        # Starts of one problem are lanes of one batch.
        batches = [starts] if len(problems) == 1 else [[key] for key in starts]
        tasks = [
            partial(self.trained, one, depth, list(itertools.product(batch, scales)), progress)
            for depth in self.depths
            for one, batch in zip(problems, batches, strict=True)
        ]
        with interrupts():
            runs = side_by_side(tasks)
        axes = {"depth": self.depths, "scale": scales, "draw": np.arange(self.draws)}
        data = dataset(problems, axes, {name: norm.value for name, norm in self.norms.items()}, least, runs)
        data.attrs = self.describe(problems[0])
        return data

    def trained(
        self, problem: AbstractProblem, depth: int, cases: list[tuple[Key, float]], progress: bool
    ) -> dict[str, np.ndarray]:
        """Train one depth from starts, each a key and a size."""
        raise_if_interrupted()
        start: Any = MatrixFactorization.stack([self.start(problem, depth, *case) for case in cases])
        dynamics = self.rule(problem, depth)
        if isinstance(dynamics, SpectralFlow):
            start = SpectralFactorization.from_end_to_end(start.full(), depth)
        end = self.loss * _zero_loss(problem)
        record = Record(at_losses=[BEFORE * end, end], measures=["end_to_end"])
        stop = Stop(loss=end, steps=self.steps)
        run = train(problem, start, dynamics, stop=stop, record=record, progress=progress)
        raise_if_interrupted()
        return recorded(run, BEFORE * end)

    def describe(self, problem: AbstractProblem) -> dict[str, Any]:
        """Facts that are written into the result."""
        shape = " x ".join(map(str, problem.shape))
        return {
            "rankfall_version": __version__,
            "what": f"{type(problem).__name__} {shape}, {problem.observed} observed",
            "tolerance": self.tolerance, "relative_loss": self.loss, "kind": self.kind,
            **{k: str(v) if isinstance(v, bool | type(None)) else v for k, v in problem.describe().items()},
            "dynamics": [str(self.rule(problem, depth).describe()["dynamics"]) for depth in self.depths],
        }  # fmt: skip


def _some(name: str, value: object, expected: str) -> list[Any]:
    listed = _checks.sequence(name, value, expected)
    if not listed:
        raise ValueError(f"{name} is empty, but must be {expected}.")
    return listed


def _minimal(norm: str | Callable[[Any], Any] | NormMinimal | None) -> NormMinimal:
    if norm is None:
        raise ValueError(f"norms holds None, but must hold {EXPECTED}.")
    with _one_of_norms():
        found = norm if isinstance(norm, NormMinimal) else NormMinimal(norm)
    if found.tolerance > 0:
        raise ValueError(
            f"norms holds a NormMinimal of tolerance {found.tolerance:g}, but must be 0: training ends at solutions "
            "that fit, and the least norm of those that need not is lower."
        )
    return found


@contextmanager
def _one_of_norms() -> Iterator[None]:
    """Name the argument: what NormMinimal calls ``norm`` is one of ``norms`` here."""
    try:
        yield
    except ValueError as error:
        words = str(error)
        raise ValueError(words.replace("norm is", "norms holds", 1) if words.startswith("norm is") else words) from None


def _named(norms: list[NormMinimal]) -> dict[str, NormMinimal]:
    names: dict[str, NormMinimal] = {}
    for norm in norms:
        if norm.name in names:
            raise ValueError(f"norms holds two of the name {norm.name!r}, but names must differ; rename a function.")
        names[norm.name] = norm
    return names


def _problems(given: object, keys: list[Key]) -> list[AbstractProblem]:
    """Return the one problem, or one drawn for each key."""
    drawn = [given(key) for key in keys] if not isinstance(given, AbstractProblem) and callable(given) else [given]
    problems: list[AbstractProblem] = []
    for found in drawn:
        one = in_range(check_kind("compare", found, KINDS))
        problems.append(one)
        if one.shape != problems[0].shape:
            raise ValueError(
                f"problem draws shapes {problems[0].shape} and {one.shape}, but all draws must have one shape."
            )
        if not _zero_loss(one) > 0:
            raise ValueError("problem has observations that are all zero, but the zero matrix must not be a solution.")
    return problems


def _zero_loss(problem: AbstractProblem) -> float:
    return float(problem.loss(np.zeros(problem.shape)))


def _least(norm: NormMinimal, problem: AbstractProblem) -> Reference:
    """Find the least norm by the method that is quickest, and goes furthest, for it."""
    raise_if_interrupted()
    found = None
    known = None if norm.norm is None else named_norm("norms", norm.norm)
    kind = None if known is None else (known.family, known.order)
    if kind in (("schatten", 2.0), ("entrywise", 2.0)):
        found = MinimalL2().solve(problem)
    elif kind == ("schatten", 1.0) and not isinstance(problem, LinearRegression):
        found = NuclearNorm().solve(problem)
    if found is None or (found.status != "optimal" and found.gap > CLOSE):
        with _one_of_norms():
            found = norm.solve(problem)
    if not found.objective > 0:
        raise ValueError(f"norms holds {norm.name}, which is {found.objective:g} at a solution, but must be positive.")
    return found
