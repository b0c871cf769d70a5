"""``GradientFlow``, ``SpectralFlow`` and ``EndToEndFlow``: the flows as dynamics for ``train``."""

import abc
import dataclasses
from typing import Any

import jax
import numpy as np

from ... import _checks
from ..._declared import declared
from ..._execution import double_precision
from ...factorizations import MatrixFactorization, SpectralFactorization
from ...factorizations.base import AbstractFactorization, check_factorization
from ...problems import AbstractProblem
from ..base import AbstractDynamics, Laned, factorization
from ..batch import AdaptiveBatch, Task
from ..recording import Record
from ..rules import AbstractRule
from ..scaling import ScaledRule, scale_of
from . import end_to_end, factors, polar, two_by_two
from .clock import CLOCKS
from .explicit import Diffrax
from .radau import Radau
from .rule import FlowRule
from .system import AbstractSystem

# Up to so many numbers an implicit step costs less than the many explicit ones that stiffness asks for.
_LARGEST_IMPLICIT = 100


@dataclasses.dataclass(frozen=True)
class AbstractFlow(AbstractDynamics[Laned]):
    """What the flows have in common."""

    rtol: float = 1e-9
    solver: Any = "auto"
    clock: str = "time"

    follows_flow = True
    default_steps = 100_000

    def __post_init__(self) -> None:
        if not 1e-15 <= _checks.positive_number("rtol", self.rtol) <= 1e-2:
            raise ValueError(f"rtol is {self.rtol:g}, but must lie between 1e-15 and 0.01; 1e-9 is the default.")
        if isinstance(self.solver, str):
            _checks.one_of("solver", self.solver, ("auto", "radau"))
        else:
            Diffrax.of(self.solver, self.rtol)
        _checks.one_of("clock", self.clock, CLOCKS)

    @property
    def default_record(self) -> Record:
        """Every step: an adaptive integrator takes few."""
        return Record(every=1)

    @abc.abstractmethod
    def _start(self, problem: AbstractProblem, start: Laned) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, and their determinant signs and depths."""

    def batch(self, task: Task, group: np.ndarray) -> AdaptiveBatch:
        """Return the lanes of a group, ready to run."""
        with double_precision():
            problem, stop = task.problem, task.stop
            scale = scale_of(problem, task.start)
            inside = (problem, task.start) if scale is None else scale.down(problem, task.start)
            system, state, given = self._start(*inside)
            count = sum(int(np.prod(np.shape(a)[1:])) for a in jax.tree.leaves(state))
            rtol = max(self.rtol, 100 * float(np.finfo(problem.dtype).eps))
            rule: AbstractRule = FlowRule(system, self._solver(count, rtol), rtol, self._certify(), self.clock)
            rule = rule if scale is None else ScaledRule(rule, scale)
            stop = dataclasses.replace(stop, steps=stop.steps or self.default_steps)
            task = task._replace(problem=problem.stripped(task.start), stop=stop)
            given = tuple(np.asarray(a, dtype=np.float64)[group] for a in given)
            return AdaptiveBatch(task, rule, state, given, group)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        solver = self.solver if isinstance(self.solver, str) else type(self.solver).__name__
        return {"dynamics": type(self).__name__, "rtol": self.rtol, "solver": solver, "clock": self.clock}

    def _certify(self) -> bool:
        return True

    def _solver(self, count: int, rtol: float) -> Any:
        if self.solver == "radau" or (self.solver == "auto" and count <= _LARGEST_IMPLICIT):
            return Radau()
        if self.solver == "auto":
            import diffrax  # half a second: only where a flow runs

            return Diffrax.of(diffrax.Dopri8(), rtol)
        return Diffrax.of(self.solver, rtol)


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "gradient-flow", solver=str)
class GradientFlow(AbstractFlow[AbstractFactorization]):
    """Gradient flow on the factors, ``W_j' = -d loss / d W_j``.

    Parameters
    ----------
    rtol : float
        Tolerated error of a step, relative to each number; not below what the problem's precision allows.
    solver : {"auto", "radau"} or diffrax solver
        ``"radau"`` (order 9, for stiff equations) or any adaptive solver of diffrax (``diffrax.Tsit5()``,
        ``diffrax.Kvaerno5()``); ``"auto"`` takes Radau for up to 100 numbers and ``diffrax.Dopri8()`` beyond.
    clock : {"time", "log_time"}
        What the steps are taken in: flow time, or its logarithm, in which the power laws of the way to the limit are
        straight (a third fewer steps to a loss of 1e-12 with Radau). The trajectory is the same.
    certify : bool
        End with ``stop_reason`` ``"certificate"`` once what the flow conserves is lost: the balance of the layers, the
        sign of a balanced start's determinant, or the energy (loss lost against the integral of the squared
        gradient).
    balance_tolerance : float
        Drift of ``W_{j+1}^T W_{j+1} - W_j W_j^T``, as a share of the largest squared factor, that counts as lost.

    Raises
    ------
    ValueError
        If a number is out of range or ``solver`` is not an adaptive solver.

    Notes
    -----
    Recorded beside the standard measures: ``time``, ``dissipated`` (the integral), ``energy_error``, ``velocity_error``
    (difference from the loss differentiated automatically), ``balance_drift`` and ``rejected_steps``. ``Stop`` counts
    accepted steps.

    References
    ----------
    Razin and Cohen (2020), section 2 (gradient flow); Arora, Cohen and Hazan (2018), theorem 1 (conservation).

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.two_by_two()
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-2, det_sign=1,
    ...                                     key=jax.random.key(0))
    >>> run = rf.train(problem, start, rf.GradientFlow(), stop=rf.Stop(loss=1e-3))
    >>> run.stop_reason, round(float(run.trajectory["unobserved"][0, -1, 0]), 2)
    ('loss', -22.32)
    """

    certify: bool = True
    balance_tolerance: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        _checks.flag("certify", self.certify)
        _checks.positive_number("balance_tolerance", self.balance_tolerance)

    def prepare(self, problem: AbstractProblem, start: object) -> AbstractFactorization:
        """Check that the start fits, and return it as lanes."""
        laned: AbstractFactorization = factorization(start, problem).as_lanes()
        return laned

    def _start(self, problem: AbstractProblem, start: AbstractFactorization) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, and their determinant signs and depths."""
        if not isinstance(start, MatrixFactorization):
            given = (np.zeros(start.lanes or 1), np.full(start.lanes or 1, len(start.factors)))
            tensors = factors.TensorSystem(start.maker, self.balance_tolerance)
            return tensors, factors.state_of(start, problem.dtype), given
        system = factors.FactorSystem(self.balance_tolerance)
        signs = factors.signs_of(start, self.balance_tolerance)
        return system, factors.state_of(start, problem.dtype), (signs, depths_of(start))

    def _certify(self) -> bool:
        return self.certify


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "spectral-flow", solver=str)
class SpectralFlow(AbstractFlow[SpectralFactorization]):
    """Gradient flow of balanced factors, followed in the singular values of their product.

    The singular values are carried as logarithms: none can reach zero or change sign, however small it becomes, and the
    determinant keeps its sign. Where the matrix grows large and the solver is implicit the residuals are carried
    themselves (on 2 x 2 completions with one unobserved entry always), and losses near rounding can be reached.

    Parameters
    ----------
    rtol : float
        Tolerated error of a step, relative to each number.
    solver : {"auto", "radau"} or diffrax solver
        As in `GradientFlow`.
    clock : {"time", "log_time"}
        As in `GradientFlow`.

    Raises
    ------
    ValueError
        If a number is out of range or ``solver`` is not an adaptive solver; on ``train``, if the start is not balanced,
        its depth is below 2, or the problem is in single precision.

    Notes
    -----
    The start is a balanced `MatrixFactorization`, or a `SpectralFactorization` of any real depth; ``run.final`` is a
    `SpectralFactorization`. Singular values that are zero stay zero and are left out. Recorded beside the standard
    measures: ``time``, ``dissipated``, ``energy_error``, ``velocity_error`` (difference from the plain end-to-end
    equation, as a share of the velocity), ``log_singular_values``. A flow that has lost its digits
    (the energy off by more than 1e-6, singular vectors no longer orthonormal) ends with ``"certificate"``.

    References
    ----------
    Arora, Cohen, Hu and Luo (2019), theorem 3 (singular values) and lemma 2 (singular vectors).

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-2, det_sign=1,
    ...                                     key=jax.random.key(0))
    >>> run = rf.train(rf.two_by_two(), start, rf.SpectralFlow(), stop=rf.Stop(loss=1e-12))
    >>> run.stop_reason, round(float(run.trajectory["unobserved"][0, -1, 0]))
    ('loss', -707107)
    """

    def prepare(self, problem: AbstractProblem, start: object) -> SpectralFactorization:
        """Check that the start is balanced and fits, and return it as lanes."""
        spectral = spectral_start("SpectralFlow", problem, start)
        if spectral.depth < 2:
            raise ValueError(
                f"start has depth {spectral.depth:g}, but SpectralFlow needs depth 2 or more (below it a singular "
                "value reaches zero in finite time); take rf.GradientFlow()."
            )
        return spectral

    def _start(self, problem: AbstractProblem, start: SpectralFactorization) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, and their determinant signs and depths."""
        if two_by_two.fits(problem, start):
            system = two_by_two.TwoByTwoSystem()
            return system, two_by_two.two_by_two_of(start), (start.det_sign, depths_of(start))
        numbers = start.rank * (start.rank + sum(start.shape)) + problem.observed
        implicit = self.solver == "radau" or (self.solver == "auto" and numbers <= _LARGEST_IMPLICIT)
        state = polar.polar_of(problem, start, carried=implicit and problem.least_squares)
        return polar.PolarSystem(start.depth), state, (start.det_sign, depths_of(start))


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "end-to-end-flow", solver=str)
class EndToEndFlow(AbstractFlow[SpectralFactorization]):
    """Gradient flow of balanced factors by the plain equation of their product, for comparison.

    Parameters
    ----------
    rtol : float
        Tolerated error of a step, relative to the largest entry.
    solver : {"auto"} or diffrax solver
        ``"auto"`` is ``diffrax.Dopri8()``. ``"radau"`` is refused: the equation has no derivative where singular
        values meet.
    clock : {"time", "log_time"}
        As in `GradientFlow`.

    Raises
    ------
    ValueError
        If a number is out of range or ``solver`` is not an adaptive explicit solver; on ``train``, as in
        `SpectralFlow`, but for the depth, which may be any from 1 on.

    Notes
    -----
    Start and result are those of `SpectralFlow`, which is the one to use: this one knows singular values to the
    rounding of the largest only, and takes small steps where the equation is stiff.

    References
    ----------
    Arora, Cohen and Hazan (2018), theorem 1.

    Examples
    --------
    >>> import rankfall as rf
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="identity", alpha=0.1)
    >>> run = rf.train(rf.two_by_two(), start, rf.EndToEndFlow(), stop=rf.Stop(loss=1e-2))
    >>> round(float(run.trajectory["unobserved"][0, -1, 0]), 2)
    6.97
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.solver == "radau":
            raise ValueError(
                "solver is 'radau', but must be explicit, such as diffrax.Dopri8(); SpectralFlow is stiff."
            )

    def prepare(self, problem: AbstractProblem, start: object) -> SpectralFactorization:
        """Check that the start is balanced and fits, and return it as lanes."""
        return spectral_start("EndToEndFlow", problem, start)

    def _start(self, problem: AbstractProblem, start: SpectralFactorization) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, and their determinant signs and depths."""
        given = (start.det_sign, depths_of(start))
        return end_to_end.EndToEndSystem(start.depth), end_to_end.end_to_end_of(start), given

    def _solver(self, count: int, rtol: float) -> Any:
        import diffrax  # half a second: only where a flow runs

        return Diffrax.of(diffrax.Dopri8() if self.solver == "auto" else self.solver, rtol)


def depths_of(start: MatrixFactorization | SpectralFactorization) -> np.ndarray:
    """Depth of each lane, as a number."""
    return np.full(start.lanes or 1, float(start.depth))


def spectral_start(name: str, problem: AbstractProblem, start: object) -> SpectralFactorization:
    """Return a balanced start as lanes of a spectral factorization; refuse any other."""
    if problem.dtype != "float64":
        raise ValueError(f"problem has dtype {problem.dtype}, but {name} needs float64; build it with dtype='float64'.")
    if not isinstance(start, SpectralFactorization):
        if not isinstance(start, MatrixFactorization):
            check_factorization(start, problem)
            raise ValueError(
                f"start is a {type(start).__name__}, but {name} is of matrix factorizations; take rf.GradientFlow()."
            )
        start = SpectralFactorization.from_factors(start)
    _checks.same_shape("the start's end-to-end matrix", start.shape, problem.shape, "start from the problem's shape")
    return start.as_lanes()
