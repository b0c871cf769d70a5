"""Mirror descent: steps in the dual of a potential, whose geometry chooses among the solutions."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from .. import _checks
from .._execution import double_precision
from .._types import Array, ArrayLike
from ..factorizations.base import AbstractFactorization
from ..problems import AbstractProblem
from .base import AbstractDescent
from .potentials import AbstractPotential
from .rules import AbstractRule, Limits, Step, moves, steady
from .steps import for_lanes, step_size_of


class MirrorDescent(AbstractDescent):
    """Mirror descent: gradient steps on the gradient of a potential of all weights.

    ``grad psi(w_(k+1)) = grad psi(w_k) - h grad loss(w_k)``. On an underdetermined linear problem it ends at the
    solution nearest to the start in the potential's Bregman divergence.

    Parameters
    ----------
    potential : AbstractPotential
        ``rf.potentials.SquaredNorm(p)``, ``Entropy()``, ``Hypentropy(beta)``, or your own subclass.
    step_size : float or array_like of float, shape (lanes,)

    Raises
    ------
    ValueError
        If a number is out of range, ``potential`` is none, or, on ``train``, its gradient is not finite at the start.

    Notes
    -----
    The dual vector is carried, so that nothing is lost by going back and forth. ``time`` is step size times steps.

    References
    ----------
    Gunasekar, Lee, Soudry and Srebro (2018), Characterizing implicit bias in terms of optimization geometry.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.LinearRegression([[1.0, 2.0]], [1.0])
    >>> start = rf.MatrixFactorization([np.full((2, 1), 0.1)])
    >>> run = rf.train(problem, start, rf.MirrorDescent(rf.potentials.Entropy(), 0.1), stop=rf.Stop(loss=1e-24))
    >>> w = run.final.full().ravel()
    >>> bool(abs(np.log(w[1] / 0.1) - 2 * np.log(w[0] / 0.1)) < 1e-9)  # a multiple of the row, in the dual
    True
    """

    _lanes_a_thread = 8

    def __init__(self, potential: AbstractPotential, step_size: ArrayLike) -> None:
        if not isinstance(potential, AbstractPotential):
            raise ValueError(
                f"potential is {_checks.shortened(potential)}, but must be a potential such as "
                "rf.potentials.SquaredNorm(1.5)."
            )
        self.potential, self.step_size = potential, step_size_of(step_size)

    def __repr__(self) -> str:
        return f"MirrorDescent({self.potential!r}, {self.step_size.tolist()!r})"

    def prepare(self, problem: AbstractProblem, start: object) -> AbstractFactorization:
        """Check that the start fits and is where the potential is smooth, and return it as lanes."""
        laned = super().prepare(problem, start)
        with double_precision():
            for name, w in ((f"factors[{j}]", w) for j, w in enumerate(laned.factors)):
                if not bool(jnp.isfinite(self.potential.dual(jnp.ravel(jnp.asarray(w)))).all()):
                    raise ValueError(
                        f"start has {name} of which the gradient of {self.potential!r} is not finite, but it must be "
                        "so; of entropies start from positive weights."
                    )
        return laned

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        return MirrorRule(self.potential)

    def given(self, lanes: int) -> np.ndarray:
        """Return the step size of each lane."""
        return for_lanes(self.step_size, lanes)

    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
        size = np.unique(self.step_size).tolist()
        return {"dynamics": "MirrorDescent", "potential": repr(self.potential), "step_size": size}


class MirrorState(NamedTuple):
    """Gradient of the potential at the weights."""

    dual: Any


@dataclasses.dataclass(frozen=True)
class MirrorRule(AbstractRule[AbstractFactorization, MirrorState, Array]):
    """Steps of the dual vector."""

    potential: AbstractPotential

    def init(self, problem: AbstractProblem, model: AbstractFactorization, given: Array) -> MirrorState:
        """Dual vector of the start."""
        return MirrorState(self.potential.dual(ravel_pytree(model)[0]))

    def pace(self, given: Array) -> Any:
        """Step size."""
        return given

    def step(
        self, problem: AbstractProblem, model: AbstractFactorization, state: MirrorState, given: Array, limits: Limits
    ) -> Step:
        """``z - h g``, and the weights of that."""
        loss, gradient = model.loss_and_gradient(problem)
        unravel = ravel_pytree(model)[1]
        dual = state.dual - given * ravel_pytree(gradient)[0]
        return steady(unravel(self.potential.primal(dual)), MirrorState(dual), moves(loss, limits))
