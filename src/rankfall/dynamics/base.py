"""What every dynamics offers to ``train``."""

import abc
import dataclasses
from typing import Any, ClassVar, Generic, TypeVar

import jax
import numpy as np

from .._execution import LARGE, TOGETHER, double_precision, shares
from ..factorizations.base import AbstractFactorization, AbstractModel, check_factorization
from ..problems import AbstractProblem
from .batch import AdaptiveBatch, Batch, SteadyBatch, Task
from .recording import Record
from .rules import AbstractRule
from .scaling import ScaledRule, scale_of

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
        """Share lanes out: return those that are moved together, by their numbers.

        Parameters
        ----------
        laned : model
            What `prepare` returned.

        Returns
        -------
        list of arrays of int, shapes (lanes together,)

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> start = rf.MatrixFactorization([np.ones((3, 2, 2))])
        >>> [len(group) for group in rf.GradientDescent(0.1).groups(start)]
        [3]
        """
        lanes = laned.lanes or 1
        if self.apart(laned):
            return [np.array([lane]) for lane in range(lanes)]
        return np.array_split(np.arange(lanes), max(1, min(shares(), lanes // self._lanes_a_thread)))

    def apart(self, laned: Laned) -> bool:
        """Say whether every lane goes by itself: where a step is so much arithmetic that company gains nothing.

        Parameters
        ----------
        laned : model
            What `prepare` returned.

        Returns
        -------
        bool

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.GradientDescent(0.1).apart(rf.MatrixFactorization([np.ones((3, 2, 2))]))
        False
        """
        return numbers(laned) > TOGETHER

    @property
    @abc.abstractmethod
    def default_record(self) -> Record:
        """What is recorded unless the user says otherwise."""

    @abc.abstractmethod
    def prepare(self, problem: AbstractProblem, start: object) -> Laned:
        """Check that the start fits, and return it as lanes in the form that is moved.

        Parameters
        ----------
        problem : AbstractProblem
        start : model

        Returns
        -------
        model
            With a lane axis.

        Raises
        ------
        ValueError
            If the start does not fit the problem or the dynamics.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.GradientDescent(0.1).prepare(rf.two_by_two(), rf.MatrixFactorization([np.eye(2)])).lanes
        1
        """

    @abc.abstractmethod
    def batch(self, task: Task, group: np.ndarray) -> Any:
        """Return the lanes of a group, ready to ``run``; afterwards they have ``reasons``, ``pieces``, ``final()``.

        Parameters
        ----------
        task : Task
            What is to be trained.
        group : array of int, shape (lanes together,)
            Numbers of the lanes.

        Returns
        -------
        Batch
            Or what can do the same.

        Raises
        ------
        ValueError
            If ``task`` asks for something that the dynamics does not have, such as a flow time.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> from rankfall.dynamics.batch import Task
        >>> start = rf.MatrixFactorization([np.ones((3, 2, 2))])
        >>> task = Task(rf.two_by_two(), None, start, rf.Stop(steps=1), rf.Record())
        >>> len(rf.GradientDescent(0.1).batch(task, np.arange(2)).group)
        2
        """

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""


class AbstractDescent(AbstractDynamics[AbstractFactorization]):
    """Descent on the factors by a rule: a subclass names the rule, and what each lane is given of its own."""

    default_steps = 1_000_000

    @abc.abstractmethod
    def rule(self, problem: AbstractProblem, start: AbstractFactorization) -> AbstractRule:
        """Return what the loop compiles to.

        Parameters
        ----------
        problem : AbstractProblem
        start : AbstractFactorization
            As lanes.

        Returns
        -------
        AbstractRule

        Raises
        ------
        ValueError
            If the rule does not work on the problem.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.GradientDescent(0.1).rule(rf.two_by_two(), rf.MatrixFactorization([np.ones((1, 2, 2))]))
        FixedStep()
        """

    def given(self, lanes: int) -> Any:
        """Return what each lane is given of its own: a step size, a key.

        Parameters
        ----------
        lanes : int

        Returns
        -------
        pytree of arrays, shapes (lanes, ...)

        Raises
        ------
        ValueError
            If there is one for each of another number of lanes.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.GradientDescent(0.5).given(2)
        array([0.5, 0.5])
        """
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
            problem, scale = task.problem, scale_of(task.problem, start)
            if scale is not None:
                start, rule = scale.down(problem, start)[1], ScaledRule(rule, scale)
            state = start.like([np.asarray(w).astype(problem.dtype) for w in start.factors])
            return AdaptiveBatch(task._replace(problem=problem.stripped(start)), rule, state, given, group)
