"""The contract of a rule: how one lane moves by one step. Compiled loops know nothing else of a dynamics.

A rule is a frozen dataclass, since compiled code is shared by rules that are equal. It has `AbstractRule.init`, which
makes its state, `AbstractRule.step`, which tries one step, and `AbstractRule.observe`, which says what is recorded. A
step may evaluate the loss and its gradient (``model.loss_and_gradient(problem)``) where it likes and as often as it
likes, of all the data or of ``problem.part(...)``; it says itself whether it is taken.

A *steady* rule takes a step whenever it may (gradient descent): its lanes are moved in lockstep by the fastest loop.
Any other rule tries steps and may refuse them (backtracking, integrators): its state has the attributes ``time`` and
``rejected``, the flow time so far and the number of steps refused.
"""

import abc
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

import jax
import jax.numpy as jnp

from .._types import Array
from ..factorizations.base import AbstractFactorization
from ..factorizations.entrywise import EntrywiseFactorization
from ..problems import AbstractProblem
from .stopping import RUNNING

# What descent moves; tiny matrices may be held entry by entry.
Factors: TypeAlias = AbstractFactorization | EntrywiseFactorization

# What a rule moves (a model, or the state of a flow), the rule's own state, and what a lane is given of its own.
Moved = TypeVar("Moved")
State = TypeVar("State")
Given = TypeVar("Given")
Tree = TypeVar("Tree")


@runtime_checkable
class Trials(Protocol):
    """State of a rule that may refuse steps."""

    @property
    def time(self) -> Array:
        """Flow time so far."""
        ...

    @property
    def rejected(self) -> Array:
        """Number of steps refused."""
        ...


class Limits(NamedTuple):
    """What a step has to heed.

    Attributes
    ----------
    threshold : array
        Loss of the lane's next event: at or below it the lane waits.
    free : array of bool
        Whether the lane may move at all (a steady lane that is at its event may not).
    next_time, last_time : array
        Flow time of the next record, and of the end; steps of rules that are not steady land on them.
    """

    threshold: Any
    free: Any
    next_time: Any
    last_time: Any


class Step(NamedTuple):
    """What a step has come to.

    Attributes
    ----------
    model, state : pytree
        After the step. The loop puts the model before it back if the step was not taken; the state of a steady rule
        too, while any other rule keeps what it has learned from a refusal.
    taken : array of bool
    met : array of bool
        Whether the lane is at its loss level.
    ended : array of int
        A reason to end, of `stopping`; ``RUNNING`` for none.
    """

    model: Any
    state: Any
    taken: Any
    met: Any
    ended: Any


class AbstractRule(abc.ABC, Generic[Moved, State, Given]):
    """How one lane moves; see the head of this file.

    Attributes
    ----------
    steady : bool
        Whether every step is taken.
    entrywise : bool
        Whether the rule, a steady one, works on any pytree of numbers: then tiny matrices are moved entry by entry,
        several times as fast. `EntrywiseFactorization` has the factors as matrices where they are needed.
    one_function : bool
        Whether the compiler may be asked for one native function of all steps; see `in_one_function`.
    """

    steady: ClassVar[bool] = True
    entrywise: ClassVar[bool] = False
    one_function: ClassVar[bool] = False

    @abc.abstractmethod
    def init(self, problem: AbstractProblem, model: Moved, given: Given) -> State:
        """Return the state of a lane at the start; ``given`` is the lane's own (a step size, a key)."""

    @abc.abstractmethod
    def step(self, problem: AbstractProblem, model: Moved, state: State, given: Given, limits: Limits) -> Step:
        """Try one step."""

    def observe(self, problem: AbstractProblem, model: Moved, state: State) -> tuple[Any, dict[str, Any]]:
        """Return the factorization that is measured, and what the rule has to record of its own, by name."""
        return model, {}

    def pace(self, given: Given) -> Any:
        """Flow time that a step of a steady rule takes, of each lane; zero where the rule has none."""
        return 0.0


def moves(loss: Array, limits: Limits) -> Array:
    """Whether a steady lane moves on from where its loss is this: it does not where an event is."""
    return _moves(loss, limits.threshold, limits.free)


@jax.jit
def _moves(loss: Array, threshold: Array, free: Array) -> Array:
    # A compiled function of its own: otherwise XLA computes the comparison anew for every number that depends on it.
    # A loss that is not finite holds the lane too: its last finite state is kept.
    return (loss > threshold) & (loss < jnp.inf) & free


def steady(model: object, state: object, go: Array) -> Step:
    """Return the step of a steady rule, taken where ``go`` is true."""
    return Step(model, state, go, ~go, jnp.full_like(go, RUNNING, jnp.int32))


def choose(flag: Array, new: Tree, old: Tree) -> Tree:
    """Return one pytree or the other."""
    chosen: Tree = jax.tree.map(lambda a, b: jnp.where(flag, a, b), new, old)
    return chosen
