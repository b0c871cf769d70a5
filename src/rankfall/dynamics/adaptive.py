"""Gradient descent with a backtracking step: leaves small starts fast, and converges to rounding."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._declared import declared
from .._execution import LARGE
from .._types import Array
from ..factorizations.base import AbstractFactorization
from ..problems import AbstractProblem
from .base import AbstractDescent, numbers
from .rules import AbstractRule, Limits, Step
from .stopping import FLOW_TIME, RUNNING, STALLED, STATIONARY

# Halvings in a row after which no step helps any more.
_MOST_FAILURES = 60


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "adaptive-descent")
class AdaptiveDescent(AbstractDescent):
    """Full-batch gradient descent whose step grows while the loss falls enough, and is cut where it does not.

    A step ``h`` along the negative gradient ``-g`` is taken if it lowers the loss by at least
    ``decrease * h * |g|^2`` (Armijo); then the next one is ``growth`` times as long. Otherwise it is tried again
    ``shrink`` times as long. At a saddle, where nothing limits the step, its length grows geometrically; near a minimum
    it settles below the stability limit, so that the loss falls to rounding.

    Parameters
    ----------
    first_step : float
        Length of the first step as a share of the length of all factors together.
    decrease : float
        Share of the decrease that the gradient promises, in (0, 1).
    growth, shrink : float
        Factors of the step after a success, above 1, and after a failure, below 1.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    It is gradient flow by Euler's rule, with steps as long as decrease allows: ``time`` (the sum of the steps) is flow
    time, recorded beside ``rejected_steps`` and ``step_size``. How far its path is from that of the flow depends on the
    problem and is measured in ``docs/tensors.md``. A lane ends with ``"stationary"`` where the gradient has vanished or
    no step along it lowers the loss by more than rounding, with ``"stalled"`` if the loss is no number nearby.

    References
    ----------
    Armijo (1966), Minimization of functions having Lipschitz continuous first partial derivatives.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-6, det_sign=1,
    ...                                     key=jax.random.key(0))
    >>> run = rf.train(rf.two_by_two(), start, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-3))
    >>> run.stop_reason
    'loss'
    """

    first_step: float = 1e-2
    decrease: float = 0.25
    growth: float = 1.1
    shrink: float = 0.5

    def apart(self, laned: AbstractFactorization) -> bool:
        """Whether every lane goes by itself."""
        return numbers(laned) > LARGE

    def __post_init__(self) -> None:
        _checks.positive_number("first_step", self.first_step)
        for name in ("decrease", "shrink"):
            if not 0 < _checks.number(name, getattr(self, name)) < 1:
                raise ValueError(f"{name} is {getattr(self, name):g}, but must lie between 0 and 1.")
        if not 1 <= _checks.number("growth", self.growth) < np.inf:
            raise ValueError(f"growth is {self.growth:g}, but must be 1 or more.")

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        return AdaptiveRule(self.first_step, self.decrease, self.growth, self.shrink)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        return {"dynamics": "AdaptiveDescent", **dataclasses.asdict(self)}


class AdaptiveProgress(NamedTuple):
    """What a lane knows beside its factors."""

    time: Any
    h: Any
    loss: Any
    slope: Any
    failures: Any
    rejected: Any


@dataclasses.dataclass(frozen=True)
class AdaptiveRule(AbstractRule[AbstractFactorization, AdaptiveProgress, tuple[()]]):
    """Steps along the negative gradient, tried until the loss falls enough."""

    first_step: float
    decrease: float
    growth: float
    shrink: float

    steady = False

    def init(self, problem: AbstractProblem, model: AbstractFactorization, given: tuple[()]) -> AdaptiveProgress:
        """Progress of a lane at the start."""
        loss, slope = model.loss_and_gradient(problem)
        length, steepness = jnp.sqrt(_square(model)), jnp.sqrt(_square(slope))
        h = self.first_step * length / jnp.where(steepness > 0, steepness, 1.0)
        none = jnp.zeros((), jnp.int32)
        return AdaptiveProgress(jnp.zeros((), jnp.float64), h, loss, slope, none, none)

    def observe(
        self, problem: AbstractProblem, model: AbstractFactorization, state: AdaptiveProgress
    ) -> tuple[Any, dict[str, Any]]:
        """Return what is measured: the factors, and what the rule knows on top."""
        p = state
        return model, {"loss": p.loss, "time": p.time, "rejected_steps": p.rejected, "step_size": p.h}

    def step(
        self,
        problem: AbstractProblem,
        model: AbstractFactorization,
        state: AdaptiveProgress,
        given: tuple[()],
        limits: Limits,
    ) -> Step:
        """Try one step."""
        p, next_time = state, limits.next_time
        left = (next_time - p.time).astype(p.h.dtype)
        h = jnp.minimum(p.h, left)
        lands = h == left
        moved = jax.tree.map(lambda w, g: w - h * g, model, p.slope)
        loss, slope = moved.loss_and_gradient(problem)
        square = _square(p.slope)
        taken = jnp.isfinite(loss) & (loss <= p.loss - self.decrease * h * square) & (square > 0)
        failures = jnp.where(taken, 0, p.failures + 1)
        # A step cut to land on a time says nothing about the one before it.
        grown = jnp.where(lands, jnp.maximum(h, p.h), self.growth * h)
        progress = AdaptiveProgress(
            time=jnp.where(taken, jnp.where(lands, next_time, p.time + h), p.time),
            h=jnp.where(taken, grown, self.shrink * h),
            loss=jnp.where(taken, loss, p.loss),
            slope=jax.tree.map(lambda a, b: jnp.where(taken, a, b), slope, p.slope),
            failures=failures,
            rejected=p.rejected + ~taken,
        )
        # What the step would have to gain is below the rounding of the loss: nothing is left to decide by.
        still = ~taken & (h * square <= jnp.finfo(p.loss.dtype).eps * p.loss)
        reason = jnp.where(failures > _MOST_FAILURES, STALLED, RUNNING)
        reason = jnp.where(still | (square == 0), STATIONARY, reason)
        reason = jnp.where(progress.time >= limits.last_time, FLOW_TIME, reason)
        return Step(moved, progress, taken, taken & (loss <= limits.threshold), reason)


def _square(model: AbstractFactorization) -> Array:
    return sum(jnp.sum(w * w) for w in jax.tree.leaves(model))
