"""What every dynamics offers to ``train``."""

import abc
import dataclasses
from typing import Any, ClassVar, Generic, TypeVar

import jax
import numpy as np

from .._execution import LARGE, TOGETHER, cores, double_precision
from ..factorizations.base import AbstractFactorization, AbstractModel, check_factorization
from ..problems import AbstractProblem
from .batch import AdaptiveBatch, Batch, SteadyBatch, Task
from .recording import Record
from .rules import AbstractRule

# The form that a dynamics moves lanes in.
Laned = TypeVar("Laned", bound=AbstractModel)


def numbers(laned: AbstractModel) -> int:
    """Count the numbers of a lane."""
    return sum(w[0].size for w in jax.tree.leaves(laned))


def factorization(start: object, problem: AbstractProblem) -> AbstractFactorization:
    """Return a start that is a factorization and fits the problem; refuse any other."""
    check_factorization(start, problem)
    assert isinstance(start, AbstractFactorization)
    return start


class AbstractDynamics(abc.ABC, Generic[Laned]):
    """How a start is moved: gradient descent, a flow, or a closed form.

    Attributes
    ----------
    follows_flow : bool
        Whether what is trained is the trajectory of gradient flow, to a tolerance that the dynamics keeps; theorems
        about the flow are certified of such runs alone.
    default_steps : int
        Steps after which a lane ends unless ``Stop`` says otherwise, so that nothing runs for ever.
    """

    follows_flow: ClassVar[bool] = False
    default_steps: ClassVar[int]
    # Lanes are shared out to threads when every thread gets at least this many.
    _lanes_a_thread: ClassVar[int] = 1

    def groups(self, laned: Laned) -> list[np.ndarray]:
        """Lanes that are moved together, by their numbers."""
        lanes = laned.lanes or 1
        if self.apart(laned):
            return [np.array([lane]) for lane in range(lanes)]
        return np.array_split(np.arange(lanes), max(1, min(cores(), lanes // self._lanes_a_thread)))

    def apart(self, laned: Laned) -> bool:
        """Whether every lane goes by itself: where a step is so much arithmetic that company gains nothing."""
        return numbers(laned) > TOGETHER

    @property
    @abc.abstractmethod
    def default_record(self) -> Record:
        """What is recorded unless the user says otherwise."""

    @abc.abstractmethod
    def prepare(self, problem: AbstractProblem, start: object) -> Laned:
        """Check that the start fits, and return it as lanes in the form that is moved."""

    @abc.abstractmethod
    def batch(self, task: Task, group: np.ndarray) -> Any:
        """Return the lanes of a group, ready to ``run``; afterwards they have ``reasons``, ``pieces``, ``final()``."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""


class AbstractDescent(AbstractDynamics[AbstractFactorization]):
    """Descent on the factors by a rule: a subclass names the rule, and what each lane is given of its own."""

    default_steps = 1_000_000

    @abc.abstractmethod
    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to."""

    def given(self, lanes: int) -> Any:
        """Return what each lane is given, as arrays with the lanes first."""
        return ()

    @property
    def default_record(self) -> Record:
        """Two hundred log-spaced steps."""
        return Record(log_steps=200)

    def apart(self, laned: AbstractFactorization) -> bool:
        """As for any dynamics; a lane of tensors is large sooner than one of matrices."""
        return numbers(laned) > (TOGETHER if laned.chain else LARGE)

    def prepare(self, problem: AbstractProblem, start: object) -> AbstractFactorization:
        """Check that the start fits, and return it as lanes."""
        laned: AbstractFactorization = factorization(start, problem).as_lanes()
        self.given(laned.lanes or 1)
        return laned

    def batch(self, task: Task, group: np.ndarray) -> Batch:
        """Return the lanes of a group, ready to run."""
        rule, start = self.rule(task.problem, task.start), task.start
        given = jax.tree.map(lambda a: np.asarray(a)[group], self.given(start.lanes or 1))
        stop = dataclasses.replace(task.stop, steps=task.stop.steps or self.default_steps)
        task = task._replace(stop=stop)
        if rule.steady:
            return SteadyBatch(task, rule, given, group)
        with double_precision():
            state = start.like([np.asarray(w).astype(task.problem.dtype) for w in start.factors])
            return AdaptiveBatch(task._replace(problem=task.problem.stripped(start)), rule, state, given, group)
