"""Gradient descent: a fixed step, or any optax transformation; and group RMSprop as one."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import _checks
from .._execution import LARGE, TOGETHER
from ..factorizations import MatrixFactorization
from ..factorizations.base import AbstractFactorization, check_factorization
from .base import AbstractDynamics, numbers
from .recording import Record
from .stopping import Stop


class GradientDescent(AbstractDynamics):
    """Full-batch gradient descent on the factors.

    Parameters
    ----------
    rule : float, array_like of float, shape (lanes,), or optax.GradientTransformation
        A fixed step size; an array gives each lane its own. Or any optax optimiser.

    Raises
    ------
    ValueError
        If a step size is not positive, or ``rule`` is neither a number nor an optax transformation.

    Notes
    -----
    Flow time is step size times steps for a fixed step and NaN for optax rules.

    Examples
    --------
    >>> import optax, rankfall as rf
    >>> rf.GradientDescent(3e-3), rf.GradientDescent(optax.adam(1e-3))
    (GradientDescent(0.003), GradientDescent(optax))
    """

    _default_steps = 10_000_000
    _lanes_a_thread = 32

    def __init__(self, rule: Any) -> None:
        self.step_size: np.ndarray | None = None
        if isinstance(rule, optax.GradientTransformation):
            self.rule: Any = rule
            return
        try:
            size = np.asarray(rule, dtype=np.float64)
        except (TypeError, ValueError):
            size = np.empty(0)
        if isinstance(rule, bool) or not size.size:
            raise ValueError(
                f"rule is {_checks.shortened(rule)}, but must be a step size, one for each lane, or an optax "
                "transformation."
            )
        _checks.positive("the step size", size)
        if size.ndim > 1:
            raise ValueError(f"the step size has shape {size.shape}, but must be a number or one for each lane.")
        self.rule, self.step_size = FIXED_STEP, size

    def __repr__(self) -> str:
        if self.step_size is None:
            return "GradientDescent(optax)"
        return f"GradientDescent({self.step_size.tolist()!r})"

    @property
    def _default_record(self) -> Record:
        """Two hundred log-spaced steps."""
        return Record(log_steps=200)

    def _apart(self, laned: Any) -> bool:
        return numbers(laned) > (TOGETHER if isinstance(laned, MatrixFactorization) else LARGE)

    def _prepare(self, problem: Any, start: Any) -> AbstractFactorization:
        """Check that the start fits, and return it as lanes."""
        check_factorization(start, problem.shape)
        laned: AbstractFactorization = start.as_lanes()
        self.step_sizes(laned.lanes or 1)
        return laned

    def _batch(self, problem: Any, start: AbstractFactorization, stop: Stop, record: Record, group: np.ndarray) -> Any:
        """Return the lanes of a group, ready to run."""
        from .batch import Batch

        timed = stop.flow_time is not None or record.times().size
        if self.step_size is None and timed:
            raise ValueError(
                "stop or record names a flow time, but an optax rule has none; give steps, or take a fixed step size."
            )
        stop = dataclasses.replace(stop, steps=stop.steps or self._default_steps)
        return Batch(problem, start, self, self.step_sizes(start.lanes or 1), stop, record, group)

    def step_sizes(self, lanes: int) -> np.ndarray:
        """Step size of each lane; NaN where the rule is not a fixed step.

        Parameters
        ----------
        lanes : int

        Returns
        -------
        array, shape (lanes,)

        Raises
        ------
        ValueError
            If there is a step size for each of another number of lanes.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.GradientDescent(0.5).step_sizes(2)
        array([0.5, 0.5])
        """
        if self.step_size is None:
            return np.full(lanes, np.nan)
        if self.step_size.ndim and len(self.step_size) != lanes:
            raise ValueError(f"the step size has {len(self.step_size)} values, but there are {lanes} lanes.")
        return np.broadcast_to(self.step_size, (lanes,)).copy()

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        size = self.step_size
        return {"dynamics": "GradientDescent", "step_size": "optax" if size is None else np.unique(size).tolist()}


class _FixedStep(NamedTuple):
    """The rule of a fixed step, in optax's shape; the step size is passed beside the state."""

    def init(self, model: Any) -> tuple[()]:
        return ()

    def observe(self, problem: Any, model: Any, state: Any) -> tuple[Any, dict[str, Any]]:
        return model, {}

    def step(self, gradient: Any, state: Any, model: Any, step_size: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda w, g: w - step_size * g, model, gradient), state


class OptaxRule(NamedTuple):
    """An optax transformation in the same shape.

    It is shown the factors as matrices, however the loop holds them: some rules (trust ratios, factored moments) treat
    each matrix as one.
    """

    transformation: optax.GradientTransformation
    like: Any

    def init(self, model: Any) -> Any:
        """Start the state of one lane."""
        return self.transformation.init(self.like(model.factors))

    def observe(self, problem: Any, model: Any, state: Any) -> tuple[Any, dict[str, Any]]:
        """Return what is measured: the model as it is, and nothing of the rule's own."""
        return model, {}

    def step(self, gradient: Any, state: Any, model: Any, step_size: Any) -> tuple[Any, Any]:
        """Take one step; the step size is the transformation's own affair."""
        del step_size
        slope, place = self.like(gradient.factors), self.like(model.factors)
        updates, state = self.transformation.update(slope, state, place)
        moved = jax.tree.map(lambda w, u: w + u.astype(w.dtype), place, updates)
        return model.like(moved.factors), state


FIXED_STEP = _FixedStep()


def group_rmsprop(learning_rate: float, beta: float = 0.99, eps: float = 1e-6) -> optax.GradientTransformation:
    """RMSprop with one scale for all parameters: a reparametrised gradient flow with adaptive time.

    ``v <- beta v + (1 - beta) ||g||^2`` over all parameters together, then a step
    ``learning_rate g / (sqrt(v / (1 - beta^k)) + eps)``; the first step has length about ``learning_rate``.

    Parameters
    ----------
    learning_rate : float
    beta : float
        Memory of the squared gradient, in [0, 1).
    eps : float
        1e-6 in the released code of Razin and Cohen (2020), which holds small starts at the saddle; 1e-14 lets go.

    Returns
    -------
    optax.GradientTransformation

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Arora, Cohen, Hu and Luo (2019), experiments.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.GradientDescent(rf.group_rmsprop(1e-2))
    GradientDescent(optax)
    """
    _checks.positive("learning_rate", learning_rate)
    _checks.positive("eps", eps)
    if not 0 <= _checks.number("beta", beta) < 1:
        raise ValueError(f"beta is {beta!r}, but must lie in [0, 1).")

    def init(params: Any) -> tuple[Any, Any]:
        dtype = jax.tree.leaves(params)[0].dtype
        return jnp.zeros((), dtype), jnp.zeros((), dtype)

    def update(gradient: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        del params
        mean, decay = state
        square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        mean = beta * mean + (1 - beta) * square
        # 1 - beta^k by its own recursion: no integer counter, no power of it to round.
        decay = beta * decay + (1 - beta)
        factor = -learning_rate / (jnp.sqrt(mean / decay) + eps)
        return jax.tree.map(lambda g: factor * g, gradient), (mean, decay)

    return optax.GradientTransformation(init, update)
