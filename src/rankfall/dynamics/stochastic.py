"""Stochastic gradient descent: each step sees some of the observations."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import _checks
from .._declared import declared
from .._types import Array, ArrayLike, Key
from ..factorizations.base import AbstractFactorization
from ..problems import AbstractProblem
from .base import AbstractDescent
from .rules import AbstractRule, Limits, Step, moves, steady
from .steps import for_lanes, step_size_of


@declared("dynamics", "stochastic-descent", lanes=("step_size", "key"))
class StochasticDescent(AbstractDescent):
    """Gradient descent on batches of observations, drawn without replacement.

    Each pass over the data takes them in a new random order, batch by batch; what is left over when the batch size does
    not divide their number is left out of that pass.

    Parameters
    ----------
    step_size : float or array_like of float, shape (lanes,)
        Of the gradient of a batch, scaled so that its mean over batches is the gradient of the whole loss: step sizes
        mean what they mean in `GradientDescent`.
    batch_size : int
        Observations of a batch.
    key : jax.random key, or array of keys, shape (lanes,)
        Of the order; a single key is split into one for each lane.

    Raises
    ------
    ValueError
        If a number is out of range, or, on ``train``, a batch is larger than the data or the observations cannot be
        taken apart.

    Notes
    -----
    The loss of all observations is looked at before every pass: there a run is ended by ``Stop(loss=)``, and there it
    meets the levels of ``Record(at_losses=)``. A step is one batch, and takes a time of its step size.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.low_rank_completion((8, 8), 1, 40, key=jax.random.key(0))
    >>> start = rf.MatrixFactorization.init((8, 8), 2, scale=0.1, key=jax.random.key(1))
    >>> rule = rf.StochasticDescent(0.02, batch_size=8, key=jax.random.key(2))
    >>> rf.train(problem, start, rule, stop=rf.Stop(loss=1e-3)).stop_reason
    'loss'
    """

    default_steps = 10_000_000

    def __init__(self, step_size: ArrayLike, batch_size: int, *, key: Key) -> None:
        self.step_size = step_size_of(step_size)
        self.batch_size = _checks.positive_integer("batch_size", batch_size)
        _checks.key("key", key, lanes=True)
        self.key = key

    def __repr__(self) -> str:
        return f"StochasticDescent({self.step_size.tolist()!r}, batch_size={self.batch_size}, key=...)"

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        problem.part(np.arange(1))
        if self.batch_size > problem.samples:
            raise ValueError(
                f"batch_size is {self.batch_size}, but must be at most the {problem.samples} observations of the "
                "problem; take rf.GradientDescent for all of them."
            )
        return StochasticRule(problem.samples, self.batch_size)

    def given(self, lanes: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the step size and the key of each lane."""
        if self.key.ndim and len(self.key) != lanes:
            raise ValueError(f"key has {len(self.key)} keys, but there are {lanes} lanes.")
        keys = self.key if self.key.ndim else jax.random.split(self.key, lanes)
        return for_lanes(self.step_size, lanes), np.asarray(jax.random.key_data(keys))

    def apart(self, laned: AbstractFactorization) -> bool:
        """Every lane goes by itself: moved together all would draw a new order at every step."""
        return True

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        size = np.unique(self.step_size).tolist()
        return {"dynamics": "StochasticDescent", "step_size": size, "batch_size": self.batch_size}


class StochasticState(NamedTuple):
    """Steps so far, the key, and the order of this pass."""

    count: Any
    key: Any
    order: Any


@dataclasses.dataclass(frozen=True)
class StochasticRule(AbstractRule[AbstractFactorization, StochasticState, tuple[Array, Array]]):
    """Steps along the gradients of batches."""

    samples: int
    batch: int

    def init(
        self, problem: AbstractProblem, model: AbstractFactorization, given: tuple[Array, Array]
    ) -> StochasticState:
        """Before the first pass."""
        return StochasticState(jnp.zeros((), jnp.int64), given[1], jnp.arange(self.samples))

    def pace(self, given: tuple[Array, Array]) -> Any:
        """Step size."""
        return given[0]

    def step(
        self,
        problem: AbstractProblem,
        model: AbstractFactorization,
        state: StochasticState,
        given: tuple[Array, Array],
        limits: Limits,
    ) -> Step:
        """Take a step along the gradient of the next batch; look at the loss, and draw an order, before a pass."""
        at = state.count % (self.samples // self.batch)

        def before_a_pass() -> Any:
            key, draw = jax.random.split(jax.random.wrap_key_data(state.key))
            order = jax.random.permutation(draw, self.samples)
            return problem.loss_of(model), jax.random.key_data(key), order.astype(state.order.dtype)

        def within_a_pass() -> Any:
            # The loss is not known here. This number lets the step be taken: it is above every level, and finite.
            return jnp.asarray(jnp.finfo(problem.dtype).max, problem.dtype), state.key, state.order

        loss, key, order = lax.cond(at == 0, before_a_pass, within_a_pass)
        which = lax.dynamic_slice(order, (at * self.batch,), (self.batch,))
        part = problem.part(which)
        _, gradient = part.loss_and_gradient(model)
        # The mean over batches must be the gradient of the whole loss. It is so of a mean; a sum over a batch is only
        # the batch's share of the sum.
        share = 1.0 if problem.loss_function.mean else self.samples / self.batch
        moved = jax.tree.map(lambda w, g: w - share * given[0] * g, model, gradient)
        return steady(moved, StochasticState(state.count + 1, key, order), moves(loss, limits))
