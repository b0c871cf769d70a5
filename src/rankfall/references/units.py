"""Data of any units: references work on data of size one, and scale what they find back, by powers of two."""

from typing import Any, NamedTuple

import equinox as eqx
import numpy as np

from .._types import Array
from ..problems import AbstractProblem

# Squares of data beyond these powers of ten, and sums of many of them, leave the range of float64.
_RANGE = 150


class Ordinary(NamedTuple):
    """A problem with data of size one, and the powers of two by which observations and solutions were larger."""

    problem: Any
    data: int
    solution: int

    def tolerance(self, value: float) -> float:
        """Return a tolerance on observations in the units of this problem."""
        return times_power(value, -self.data)

    def back(self, value: Any) -> Any:
        """Return a solution, or a norm of one, in the units of the user's data."""
        return times_power(value, self.solution)


def ordinary(problem: AbstractProblem) -> Ordinary:
    """Return the problem with observations, and what they are taken with, divided by powers of two."""
    data = exponent_of(problem.values)
    inputs = next((name for name in ("measurements", "inputs") if hasattr(problem, name)), None)
    if inputs is None:
        # In two steps: a single factor may be beyond the range.
        scaled = problem.scaled(2.0 ** (-data // 2)).scaled(2.0 ** (-data - -data // 2))
        return Ordinary(scaled, data, data)
    taken = getattr(problem, inputs)
    size = exponent_of(taken)
    new = (times_power(np.asarray(taken), -size), times_power(np.asarray(problem.values), -data))
    scaled = eqx.tree_at(lambda p: (getattr(p, inputs), p.values), problem, new)
    return Ordinary(scaled, data, data - size)


def exponent_of(values: Array) -> int:
    """Exponent of the power of two at or below the largest magnitude; 0 of zeros."""
    largest = float(np.max(np.abs(np.asarray(values)), initial=0.0))
    return int(np.frexp(largest)[1]) - 1 if largest else 0


def times_power(value: Any, exponent: int) -> Any:
    """Multiply by a power of two that may itself be beyond the range; a float stays one."""
    with np.errstate(over="ignore", under="ignore"):
        found = np.ldexp(value, exponent)
    return float(found) if isinstance(value, float) else found


def euclidean(values: Array) -> float:
    """Root of the sum of squares, where the squares are beyond the range too."""
    exponent = exponent_of(values)
    return times_power(float(np.linalg.norm(times_power(np.asarray(values, dtype=np.float64), -exponent))), exponent)


def in_range(problem: AbstractProblem) -> AbstractProblem:
    """Return a problem whose loss is a number; refuse one of data so large or small that their squares are none."""
    largest = float(np.max(np.abs(np.asarray(problem.values)), initial=0.0))
    if largest and not 10.0**-_RANGE < largest < 10.0**_RANGE:
        raise ValueError(
            f"problem has observations of size {largest:g}, but must have some between 1e-{_RANGE} and 1e{_RANGE}, "
            "whose squares float64 holds; divide them by a unit."
        )
    return problem
