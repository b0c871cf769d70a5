"""What every reference is: something else than training that picks a solution, and says how far to trust it."""

import abc
import time
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from .._types import Array, ArrayLike
from ..problems import AbstractProblem

Kind = TypeVar("Kind", bound=AbstractProblem)


@dataclass(frozen=True, eq=False, repr=False)
class Reference:
    """What a method other than training picks.

    Attributes
    ----------
    solution : array, shape (*problem.shape)
        NumPy, finite.
    objective : float
        What the method minimises, at the solution.
    residual : float
        Largest difference between an observation and what the solution says of it.
    status : str
        ``"optimal"`` (the least value, to the tolerance asked for), ``"inaccurate"`` (not to it), ``"local"``,
        ``"grid"`` (the least of a grid of solutions) or ``"computed"`` (nothing is claimed to be least).
    seconds : float
        Wall time.
    lower_bound : float
        What the objective of no admissible solution is below, ``-inf`` where nothing is known.
    details : dict
        What the method has to say beside: iterations, the solver's own status, the rank that was chosen.
    """

    solution: Array
    objective: float
    residual: float
    status: str
    seconds: float
    lower_bound: float = -np.inf
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def gap(self) -> float:
        """Objective above its lower bound, as a share of the objective; ``inf`` where no bound is known."""
        if np.isinf(self.objective):  # a sum of squares beyond the range
            return np.inf
        above = self.objective - self.lower_bound
        return float(above / abs(self.objective)) if above > 0 and self.objective != 0 else float(max(above, 0.0))

    def __repr__(self) -> str:
        gap = f", gap {self.gap:.2g}" if np.isfinite(self.gap) else ""
        shape = " x ".join(map(str, self.solution.shape))
        return (
            f"Reference({self.status}: objective {self.objective:.6g}, residual {self.residual:.2g}{gap}, "
            f"{shape}, {self.seconds:.2g} s)"
        )


class AbstractReference(abc.ABC):
    """A method that picks a solution of a problem without training a factorization."""

    @abc.abstractmethod
    def solve(self, problem: AbstractProblem) -> Reference:
        """Pick a solution.

        Parameters
        ----------
        problem : problem
            As for ``rankfall.train``.

        Returns
        -------
        Reference

        Raises
        ------
        ValueError
            If the problem is of a kind that the method is not made for.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.references.FillWithZeros().solve(rf.two_by_two()).solution
        array([[0., 1.],
               [1., 0.]])
        """


def answer(
    problem: AbstractProblem,
    solution: ArrayLike,
    objective: float,
    status: str,
    began: float,
    lower_bound: float = -np.inf,
    details: dict[str, Any] | None = None,
) -> Reference:
    """Put an answer together; ``began`` is a reading of ``time.perf_counter``.

    A solution that is not finite is no answer, whatever a solver calls it.
    """
    found = np.asarray(solution, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ArithmeticError(
            f"The answer ({status}) is not finite. Scale the problem so that its observations are of size one, or ask "
            "for a larger tolerance."
        )
    residual = float(abs(np.asarray(problem.residuals(found), dtype=np.float64)).max())
    return Reference(found, float(objective), residual, status, time.perf_counter() - began, lower_bound, details or {})


def check_kind(name: str, problem: object, kinds: tuple[type[Kind], ...]) -> Kind:
    """Return the problem, known to be of a kind the method is made for; refuse any other."""
    if not isinstance(problem, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"problem is of type {type(problem).__name__}, but {name} is made for {wanted}.")
    problem.require_least_squares(name)
    return problem
