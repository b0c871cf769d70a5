"""Gradient descent: a fixed step, or any optax transformation; and group RMSprop as one."""

import dataclasses
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from .. import _checks
from .._types import Array, ArrayLike
from ..factorizations.base import AbstractFactorization
from ..problems import AbstractProblem
from .base import AbstractDescent
from .rules import AbstractRule, Factors, Limits, State, Step, moves, steady
from .steps import for_lanes, step_size_of

# A pytree of parameters, and of changes to them.
Parameters = TypeVar("Parameters")


class GradientDescent(AbstractDescent):
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

    default_steps = 10_000_000
    _lanes_a_thread = 32

    def __init__(self, rule: ArrayLike | optax.GradientTransformation) -> None:
        self.step_size: np.ndarray | None = None
        self.transformation: optax.GradientTransformation | None = None
        if isinstance(rule, optax.GradientTransformation):
            self.transformation = rule
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
        self.step_size = step_size_of(size, "the step size")

    def __repr__(self) -> str:
        if self.step_size is None:
            return "GradientDescent(optax)"
        return f"GradientDescent({self.step_size.tolist()!r})"

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        return FixedStep() if self.transformation is None else OptaxRule(self.transformation, start.maker)

    def given(self, lanes: int) -> Any:
        """Return the step size of each lane, nothing for an optax rule."""
        return () if self.step_size is None else self.step_sizes(lanes)

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
        return for_lanes(self.step_size, lanes, "the step size")

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        size = self.step_size
        return {"dynamics": "GradientDescent", "step_size": "optax" if size is None else np.unique(size).tolist()}


@dataclasses.dataclass(frozen=True)
class FixedStep(AbstractRule[Factors, tuple[()], Array]):
    """A fixed step along the negative gradient."""

    entrywise = True
    one_function = True

    def init(self, problem: AbstractProblem, model: Factors, given: Array) -> tuple[()]:
        """No state."""
        return ()

    def step(self, problem: AbstractProblem, model: Factors, state: tuple[()], given: Array, limits: Limits) -> Step:
        """``w - h g``, with the lane's own step size ``h``."""
        loss, gradient = model.loss_and_gradient(problem)
        go = moves(loss, limits)
        return steady(jax.tree.map(lambda w, g: w - given * g, model, gradient), state, go)

    def pace(self, given: Array) -> Any:
        """Step size: a step is one of Euler's rule for the flow."""
        return given


@dataclasses.dataclass(frozen=True)
class OptaxRule(AbstractRule[Factors, State, tuple[()]]):
    """An optax transformation.

    It is shown the factors as matrices, however the loop holds them: some rules (trust ratios, factored moments) treat
    each matrix as one.
    """

    transformation: optax.GradientTransformation
    like: Any

    entrywise = True

    def init(self, problem: AbstractProblem, model: Factors, given: tuple[()]) -> Any:
        """State of the transformation."""
        return self.transformation.init(self.like(model.factors))

    def step(self, problem: AbstractProblem, model: Factors, state: State, given: tuple[()], limits: Limits) -> Step:
        """Take the transformation's step; its size is the transformation's own affair."""
        loss, gradient = model.loss_and_gradient(problem)
        go = moves(loss, limits)
        slope, place = self.like(gradient.factors), self.like(model.factors)
        updates, following = self.transformation.update(slope, state, place)
        moved = jax.tree.map(lambda w, u: w + u.astype(w.dtype), place, updates)
        return steady(model.like(moved.factors), following, go)


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

    def init(params: object) -> tuple[Array, Array]:
        dtype = jax.tree.leaves(params)[0].dtype
        return jnp.zeros((), dtype), jnp.zeros((), dtype)

    def update(
        gradient: Parameters, state: tuple[Array, Array], params: object = None
    ) -> tuple[Parameters, tuple[Array, Array]]:
        del params
        mean, decay = state
        square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        mean = beta * mean + (1 - beta) * square
        # 1 - beta^k by its own recursion: no integer counter, no power of it to round.
        decay = beta * decay + (1 - beta)
        factor = -learning_rate / (jnp.sqrt(mean / decay) + eps)
        return jax.tree.map(lambda g: factor * g, gradient), (mean, decay)

    return optax.GradientTransformation(init, update)
