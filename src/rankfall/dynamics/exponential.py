"""Gradient flow by exponential steps: the curvature that limits descent is integrated exactly, in a Krylov space."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree

from .. import _checks
from .._declared import declared
from .._types import Array
from ..factorizations.base import AbstractFactorization
from ..problems import AbstractProblem
from .base import AbstractDescent
from .krylov import local_model
from .recording import Record
from .rules import AbstractRule, Limits, Step
from .stopping import FLOW_TIME, RUNNING, STALLED, STATIONARY

# A step that cannot be taken is cut; the next one aims at this share of the disagreement allowed, within these factors.
_SHRINK, _MOST_CUTS = 0.4, 60
_AIM, _SLOWEST, _FASTEST = 0.25, 0.5, 2.0
# How far a step's end may be led by the gradient that the model did not see coming, as a share of the step: losses
# alone agree on leaps to other solutions, far away, too.
_ASTRAY = 1.0
# Beyond exp(-40) of what was to be lost along every direction of the model the step is at its minimum: no growth.
_AT_MINIMUM = 40.0
# No saddle is this much flatter than the steepest direction.
_LONGEST = 1e20
_ROUNDINGS = 4.0


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "exponential-descent")
class ExponentialDescent(AbstractDescent):
    """Gradient flow on the factors in exponential steps, as long as loss and local quadratic model agree.

    A step of time ``h`` solves the flow of the local quadratic model, ``w' = -(g + H (w - w_0))``, in the Krylov space
    of the Hessian ``H`` from the gradient ``g``: ``w = w_0 - h phi(-h H) g`` with ``phi(z) = (e^z - 1) / z``. What has
    been learned, and limits the step of gradient descent by its curvature, decays exactly, and what leaves a saddle
    grows exactly; so the step is as long as the loss is quadratic. Near a minimum it becomes a Newton step.

    Parameters
    ----------
    krylov : int
        Dimension of the Krylov space: Hessian-vector products of a step. Fewer are quicker for each step; too few
        leave small curvatures unresolved, and the end takes more steps.
    agreement : float
        Largest difference between the loss lost in a step and what the model says, as a share of the latter, below 1.
        Smaller values follow the flow more closely; the path is of second order in the step.
    first_step : float
        Length of the first step as a share of the length of all factors together, to first order.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    A step is cut, too, if the gradient at its end that the model did not see coming would lead further than the step
    itself. Nothing keeps what the flow conserves: on ``[[*, 1], [1, 0]]`` the determinant changes its sign, and the run
    ends at a solution that no flow reaches; take ``SpectralFlow`` there.

    ``time`` (the sum of the steps) is flow time as far as the Krylov space resolves the flow; recorded beside it are
    ``rejected_steps`` and ``step_size``. How far the path is from that of the flow depends on the problem and is
    measured in ``docs/tensors.md``. A lane ends with ``"stationary"`` where the gradient has vanished or the model's
    minimum is no lower than rounding can tell.

    References
    ----------
    Hochbruck and Ostermann (2010), Exponential integrators (the exponential Rosenbrock-Euler method); Saad (1992),
    Analysis of some Krylov subspace approximations to the matrix exponential operator.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.TensorCompletion.from_dense([[[1.0, 1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, float("nan")]]])
    >>> start = rf.CPFactorization.init((2, 2, 2), factor_std=1e-3, key=jax.random.key(0))
    >>> run = rf.train(problem, start, rf.ExponentialDescent(), stop=rf.Stop(loss=1e-20))
    >>> run.stop_reason, round(float(run.final.full()[1, 1, 1]), 3)
    ('loss', 1.0)
    """

    krylov: int = 24
    agreement: float = 0.2
    first_step: float = 1e-2

    default_steps = 100_000

    def apart(self, laned: AbstractFactorization) -> bool:
        """Every lane goes by itself."""
        # The eigenvalue problem of each step would keep lanes one after another: see `lanes_together`.
        return True

    def __post_init__(self) -> None:
        _checks.positive_integer("krylov", self.krylov)
        if not 0 < _checks.number("agreement", self.agreement) < 1:
            raise ValueError(f"agreement is {self.agreement:g}, but must lie between 0 and 1.")
        _checks.positive_number("first_step", self.first_step)

    @property
    def default_record(self) -> Record:
        """Every step: there are few."""
        return Record(every=1)

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        numbers = sum(w[0].size for w in start.factors)
        return ExponentialRule(min(self.krylov, numbers), self.agreement, self.first_step)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        return {"dynamics": "ExponentialDescent", **dataclasses.asdict(self)}


class ExponentialProgress(NamedTuple):
    """What a lane knows beside its factors."""

    time: Any
    h: Any
    loss: Any
    first_loss: Any
    slope: Any
    rejected: Any


@dataclasses.dataclass(frozen=True)
class ExponentialRule(AbstractRule[AbstractFactorization, ExponentialProgress, tuple[()]]):
    """Exponential steps, cut until loss and local model agree."""

    krylov: int
    agreement: float
    first_step: float

    steady = False

    def init(self, problem: AbstractProblem, model: AbstractFactorization, given: tuple[()]) -> ExponentialProgress:
        """Progress of a lane at the start."""
        loss, slope = model.loss_and_gradient(problem)
        w, g = ravel_pytree(model)[0], ravel_pytree(slope)[0]
        steepness = jnp.linalg.norm(g)
        h = self.first_step * jnp.linalg.norm(w) / jnp.where(steepness > 0, steepness, 1.0)
        return ExponentialProgress(jnp.zeros((), jnp.float64), h, loss, loss, slope, jnp.zeros((), jnp.int32))

    def observe(
        self, problem: AbstractProblem, model: AbstractFactorization, state: ExponentialProgress
    ) -> tuple[Any, dict[str, Any]]:
        """Return what is measured: the factors, and what the rule knows on top."""
        p = state
        return model, {"loss": p.loss, "time": p.time, "rejected_steps": p.rejected, "step_size": p.h}

    def step(
        self,
        problem: AbstractProblem,
        model: AbstractFactorization,
        state: ExponentialProgress,
        given: tuple[()],
        limits: Limits,
    ) -> Step:
        """Take one step, cut until it can be taken."""
        p, next_time = state, limits.next_time
        w, unravel = ravel_pytree(model)
        g = ravel_pytree(p.slope)[0]

        def value(v: Array) -> tuple[Array, Array]:
            loss, slope = unravel(v).loss_and_gradient(problem)
            return loss, ravel_pytree(slope)[0]

        near = local_model(lambda v: value(v)[1], w, g, self.krylov)
        # Residuals round like the data, whose square is about the first loss, and the loss by that times a residual.
        blur = _ROUNDINGS * jnp.finfo(w.dtype).eps * jnp.sqrt(p.loss * jnp.maximum(p.loss, p.first_loss))
        # Moves that are no longer do not take a run elsewhere.
        negligible = jnp.sqrt(jnp.finfo(w.dtype).eps) * jnp.linalg.norm(w)

        def at(h: Array) -> _Trial:
            step, promised = near.flow(h)
            end = w + near.basis.T @ step
            loss, slope = value(end)
            led = near.unseen(h, step, slope) / (jnp.linalg.norm(step) + negligible)
            # At a saddle the promise can be below the rounding of the loss.
            off = jnp.maximum(abs(loss - p.loss - promised) - blur, 0.0)
            # Where nothing is left to gain, what leads astray is rounding.
            return _Trial(h, end, loss, slope, promised, off, jnp.where(-promised > blur, led, 0.0))

        # The first trial is one of the loop's, which is thereby compiled once; no trial has failed before it.
        def again(carry: tuple[Array, Array, _Trial]) -> tuple[Array, Array, _Trial]:
            count, h, _ = carry
            following = at(h)
            return count + 1, _SHRINK * h, following

        left, nan = (next_time - p.time).astype(p.h.dtype), jnp.full_like(p.loss, jnp.nan)
        none = _Trial(p.h, w, nan, g, *3 * (nan,))
        count, _, trial = lax.while_loop(
            lambda c: self._fails(c[2]) & (c[0] <= _MOST_CUTS),
            again,
            (jnp.zeros((), jnp.int32), jnp.minimum(p.h, left), none),
        )
        cuts, h = count - 1, trial.h
        taken = ~self._fails(trial) & (near.length > 0)
        ended = (jnp.min(h * near.curvature) > _AT_MINIMUM) | (h * jnp.max(abs(near.curvature)) > _LONGEST)
        grow = self._growth(trial)
        grow = jnp.where(ended, jnp.minimum(grow, 1.0), grow)
        lands = h == left
        progress = ExponentialProgress(
            time=jnp.where(taken, jnp.where(lands, next_time, p.time + h), p.time),
            h=jnp.where(lands & (cuts == 0), jnp.maximum(p.h, grow * h), grow * h),
            loss=jnp.where(taken, trial.loss, p.loss),
            first_loss=p.first_loss,
            slope=jax.tree.map(lambda a, b: jnp.where(taken, a, b), unravel(trial.slope), p.slope),
            rejected=p.rejected + cuts,
        )
        reason = jnp.where(taken, RUNNING, STALLED)
        still = (near.length == 0) | ((~taken | ended) & (-trial.promised <= blur))
        reason = jnp.where(still, STATIONARY, reason)
        reason = jnp.where(progress.time >= limits.last_time, FLOW_TIME, reason)
        return Step(unravel(trial.end), progress, taken, taken & (trial.loss <= limits.threshold), reason)

    def _fails(self, trial: "_Trial") -> Any:
        return ~((trial.off <= self.agreement * -trial.promised) & (trial.astray <= _ASTRAY))

    def _growth(self, trial: "_Trial") -> Any:
        """Return the factor to the next step: the disagreement goes with the square of the time, straying with it."""
        off, astray = (jnp.where(x > 0, x, 1.0) for x in (trial.off, trial.astray))
        by_loss = jnp.sqrt(_AIM * self.agreement * -trial.promised / off)
        by_path = 0.5 * _ASTRAY / astray
        by_loss, by_path = jnp.clip(by_loss, _SLOWEST, _FASTEST), jnp.clip(by_path, _SLOWEST, _FASTEST)
        by_loss = jnp.where(trial.off > 0, by_loss, _FASTEST)
        return jnp.minimum(by_loss, jnp.where(trial.astray > 0, by_path, _FASTEST))


class _Trial(NamedTuple):
    """A step of length ``h``: where it ends, what it lost, what was promised, and by how much they disagree."""

    h: Any
    end: Any
    loss: Any
    slope: Any
    promised: Any
    off: Any
    astray: Any
