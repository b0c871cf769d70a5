"""Descent whose steps do not shrink with the gradient: of one length, or scaled by one over the loss."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._declared import declared
from .._types import Array, ArrayLike
from ..factorizations.base import AbstractFactorization
from ..problems import AbstractProblem
from ..problems.losses import AbstractMarginLoss
from .base import AbstractDescent
from .rules import AbstractRule, Limits, Step, moves, steady
from .steps import for_lanes, step_size_of

KINDS = ("gradient", "loss")


@declared("dynamics", "normalized-descent", lanes=("step_size",))
class NormalizedDescent(AbstractDescent):
    """Gradient descent with the gradient divided by its norm, or by the loss.

    Parameters
    ----------
    step_size : float or array_like of float, shape (lanes,)
        Length of every step (``by="gradient"``), or the step along the gradient of the loss's logarithm
        (``by="loss"``).
    by : {"gradient", "loss"}
        What the gradient is divided by.

    Raises
    ------
    ValueError
        If a step size is not positive, ``by`` is another word, or, on ``train``, the gradient is to be divided by a
        loss other than ``"logistic"`` and ``"exponential"``.

    Notes
    -----
    Losses that decay exponentially have vanishing gradients on separable data, where plain descent takes time
    exponential in the norm of the weights. Divided by the loss, the gradient is that of the loss's logarithm, which is
    computed without the loss: it goes on where that underflows, and ``log_loss`` is recorded.

    It is gradient flow by Euler's rule in another time: a step takes a flow time of its size over the norm of the
    gradient (over the loss), and ``time`` is their sum.

    References
    ----------
    Nacson, Lee, Gunasekar, Savarese, Srebro and Soudry (2019), Convergence of gradient descent on separable data;
    Lyu and Li (2020), Gradient descent maximizes the margin of homogeneous neural networks.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.LinearClassification([[1.0, 2.0], [-2.0, -1.0]], [1, -1], loss="exponential")
    >>> start = rf.MatrixFactorization([np.zeros((2, 1))])
    >>> run = rf.train(problem, start, rf.NormalizedDescent(1.0, by="loss"), stop=rf.Stop(steps=1000))
    >>> float(run.trajectory["loss"][0, -1]), bool(run.trajectory["log_loss"][0, -1] < -1000)
    (0.0, True)
    """

    _lanes_a_thread = 32

    def __init__(self, step_size: ArrayLike, by: str = "gradient") -> None:
        self.step_size = step_size_of(step_size)
        _checks.one_of("by", by, KINDS)
        self.by = by

    def __repr__(self) -> str:
        return f"NormalizedDescent({self.step_size.tolist()!r}, by={self.by!r})"

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        decays = isinstance(problem.loss_function, AbstractMarginLoss)
        if self.by == "loss" and not decays:
            raise ValueError(
                f"by is 'loss', but must be 'gradient' for the loss {problem.loss_kind!r}, which does not decay "
                "exponentially; 'logistic' and 'exponential' do."
            )
        return NormalizedRule(self.by == "loss", decays)

    def given(self, lanes: int) -> np.ndarray:
        """Return the step size of each lane."""
        return for_lanes(self.step_size, lanes)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        return {"dynamics": "NormalizedDescent", "step_size": np.unique(self.step_size).tolist(), "by": self.by}


class NormalizedState(NamedTuple):
    """Flow time so far."""

    time: Any


@dataclasses.dataclass(frozen=True)
class NormalizedRule(AbstractRule[AbstractFactorization, NormalizedState, Array]):
    """Steps along the gradient of the loss, or of its logarithm where it has one."""

    by_loss: bool
    decays: bool

    def init(self, problem: AbstractProblem, model: AbstractFactorization, given: Array) -> NormalizedState:
        """No time has passed."""
        return NormalizedState(jnp.zeros_like(given))

    def observe(
        self, problem: AbstractProblem, model: AbstractFactorization, state: NormalizedState
    ) -> tuple[Any, dict[str, Any]]:
        """Return the model, the time, and the logarithm of a loss that has one."""
        own = {"time": state.time}
        return model, own | {"log_loss": problem.log_loss_of(model)} if self.decays else own

    def step(
        self,
        problem: AbstractProblem,
        model: AbstractFactorization,
        state: NormalizedState,
        given: Array,
        limits: Limits,
    ) -> Step:
        """``w - h g / |g|``, or ``w - h g / loss``."""
        if self.decays:
            # The gradients of the loss and of its logarithm have one direction; that of the logarithm never underflows.
            log_loss, gradient = jax.value_and_grad(problem.log_loss_of)(model)
            loss = jnp.exp(log_loss)
        else:
            loss, gradient = model.loss_and_gradient(problem)
            log_loss = 0.0
        length = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient)))
        factor = given if self.by_loss else given / jnp.where(length > 0, length, 1.0)
        moved = jax.tree.map(lambda w, g: w - factor * g, model, gradient)
        # Flow time is the multiple of the gradient of the loss: that is the loss times the gradient of its logarithm.
        time = NormalizedState(state.time + factor * jnp.exp(-log_loss))
        return steady(moved, time, moves(loss, limits))
