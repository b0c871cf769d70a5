"""Gradient descent: a fixed step, or any optax transformation; and group RMSprop as one."""

import contextlib
import dataclasses
import importlib.util
import inspect
import pickle
from collections.abc import Iterator
from typing import Any, TypeVar

import equinox as eqx
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
        A fixed step size; an array gives each lane its own. Or any optax optimiser; those that ask for ``value``,
        ``grad`` or ``value_fn`` (L-BFGS, Polyak's step) are given them. One with a random key of its own draws the same
        for every lane.

    Raises
    ------
    ValueError
        If a step size is not positive, or ``rule`` is neither a number nor an optax transformation; on ``train`` if
        the transformation fails on the factors.

    Notes
    -----
    Flow time is step size times steps for a fixed step and NaN for optax rules.

    Python's ``pickle`` takes no functions that are made on the spot, as optax's are. Where the package cloudpickle is
    installed it packs them; without it, and in the file of a run (`Run.save`), a rule comes back without its
    transformation, and does not train. `group_rmsprop` is kept everywhere.

    Examples
    --------
    >>> import optax, rankfall as rf
    >>> rf.GradientDescent(3e-3), rf.GradientDescent(optax.adam(1e-3))
    (GradientDescent(0.003), GradientDescent(optax))
    """

    default_steps = 10_000_000
    _lanes_a_thread = 32
    # Files hold no code, of which the transformations of optax are made.
    _may_be_lost = frozenset({"transformation"})

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

    def __getstate__(self) -> dict[str, Any]:
        """State for ``pickle``, with the transformation in a form that it takes."""
        return vars(self) | {"transformation": _packed(self.transformation)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what ``pickle`` kept."""
        vars(self).update(state | {"transformation": pickle.loads(state["transformation"])})

    def __copy__(self) -> "GradientDescent":
        # Nothing here changes, so that nothing has to go the way of pickle.
        return self

    def __deepcopy__(self, known: dict[int, object]) -> "GradientDescent":
        return self

    def __repr__(self) -> str:
        if self.step_size is None:
            return "GradientDescent(optax)"
        return f"GradientDescent({self.step_size.tolist()!r})"

    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""
        if self.transformation is not None:
            return OptaxRule(self.transformation, start.maker)
        if self.step_size is None:
            raise ValueError(
                "rule is an optax transformation that pickle could not keep, nor a file, but must be there to train; "
                "make the GradientDescent anew, or install cloudpickle where it is pickled."
            )
        return FixedStep()

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


def _packed(transformation: optax.GradientTransformation | None) -> bytes:
    """Bytes of a transformation for ``pickle``; those of ``None`` where nothing packs its functions."""
    try:
        return pickle.dumps(transformation)
    except (pickle.PicklingError, AttributeError, TypeError):
        if importlib.util.find_spec("cloudpickle") is None:
            return pickle.dumps(None)
        packed: bytes = importlib.import_module("cloudpickle").dumps(transformation)
        return packed


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
        with _told():
            return _hidden(self.transformation.init(self.like(model.factors)))

    def step(self, problem: AbstractProblem, model: Factors, state: State, given: tuple[()], limits: Limits) -> Step:
        """Take the transformation's step; its size is the transformation's own affair."""
        loss, gradient = model.loss_and_gradient(problem)
        go = moves(loss, limits)
        slope, place = self.like(gradient.factors), self.like(model.factors)
        # What line searches and rules of the value (Polyak's step, plateaus) ask for.
        more = self._asked({"value": loss, "grad": slope, "value_fn": problem.loss_of})
        with _told():
            updates, following = self.transformation.update(slope, _shown(state), place, **more)
            moved = jax.tree.map(lambda w, u: w + u.astype(w.dtype), place, updates)
        return steady(model.like(moved.factors), _hidden(following), go)

    def _asked(self, more: dict[str, Any]) -> dict[str, Any]:
        """Those arguments that the transformation takes."""
        if not isinstance(self.transformation, optax.GradientTransformationExtraArgs):
            return {}
        taken = inspect.signature(self.transformation.update).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
            return more
        return {name: value for name, value in more.items() if name in taken}


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Turn what a transformation raises while it is traced into a sentence about it."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"rule is an optax transformation that fails on these factors ({type(error).__name__}: "
            f"{_checks.shortened(str(error))}), but must work on gradients and parameters of one form, with no more "
            "than value, grad and value_fn; take another, such as optax.adam(1e-3)."
        ) from error


class _HiddenKey(eqx.Module):
    """A random key in the state of a transformation as plain numbers, which NumPy takes."""

    data: Array
    kind: Any = eqx.field(static=True)


def _hidden(state: Any) -> Any:
    def hide(leaf: Any) -> Any:
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return _HiddenKey(jax.random.key_data(leaf), jax.random.key_impl(leaf))
        return leaf

    return jax.tree.map(hide, state)


def _shown(state: Any) -> Any:
    def show(leaf: Any) -> Any:
        return jax.random.wrap_key_data(leaf.data, impl=leaf.kind) if isinstance(leaf, _HiddenKey) else leaf

    return jax.tree.map(show, state, is_leaf=lambda leaf: isinstance(leaf, _HiddenKey))


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
    rate = _checks.positive_number("learning_rate", learning_rate)
    offset, memory = _checks.positive_number("eps", eps), _checks.number("beta", beta)
    if not 0 <= memory < 1:
        raise ValueError(f"beta is {beta!r}, but must lie in [0, 1).")

    return optax.GradientTransformation(_no_gradients_yet, _GroupRMSprop(rate, memory, offset))


def _no_gradients_yet(params: object) -> tuple[Array, Array]:
    dtype = jax.tree.leaves(params)[0].dtype
    return jnp.zeros((), dtype), jnp.zeros((), dtype)


@dataclasses.dataclass(frozen=True)
class _GroupRMSprop:
    """Update of `group_rmsprop`; by its numbers it compares, which shares compiled code, and is pickled."""

    learning_rate: float
    beta: float
    eps: float

    def __call__(
        self, gradient: Parameters, state: tuple[Array, Array], params: object = None
    ) -> tuple[Parameters, tuple[Array, Array]]:
        del params
        mean, decay = state
        square = sum(jnp.sum(g * g) for g in jax.tree.leaves(gradient))
        mean = self.beta * mean + (1 - self.beta) * square
        # 1 - beta^k by its own recursion: no integer counter, no power of it to round.
        decay = self.beta * decay + (1 - self.beta)
        factor = -self.learning_rate / (jnp.sqrt(mean / decay) + self.eps)
        return jax.tree.map(lambda g: factor * g, gradient), (mean, decay)
