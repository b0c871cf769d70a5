"""Data of any units: training runs on data of size one, and all that is seen of it is scaled back.

Squares of data of 1e100 overflow, and those of 1e-100 vanish. Gradient flow knows no units, though: with data ``c``
times as large, a model that is homogeneous of degree ``L`` in its factors takes the same path, with factors
``c^(1/L)`` times as large, in a time ``c^(2/L - 2)`` times as long, with losses ``c^2`` times as large. For whole ``L``
all of these are powers of two, so that nothing is rounded.
"""

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np

from ..factorizations import AbstractModel
from ..problems import AbstractProblem
from .rules import AbstractRule, Limits, Step

# Data whose largest value is between these powers of two are taken as they are.
_ORDINARY = 20


@dataclasses.dataclass(frozen=True)
class Scale:
    """How many times as large data, factors and flow times are as those that the loop works with."""

    data: float
    factor: float
    time: float

    def loss(self, value: Any) -> Any:
        """Return a loss in the data's units; one factor after the other, since their product may overflow."""
        return value * self.data * self.data

    def down(self, problem: AbstractProblem, model: AbstractModel) -> tuple[AbstractProblem, Any]:
        """Return problem and model in the loop's units."""
        return problem.scaled(1.0 / self.data), model.scaled(1.0 / self.data, 1.0 / self.factor)


def scale_of(problem: AbstractProblem, model: AbstractModel) -> Scale | None:
    """Return the scale of a problem; ``None`` where its data are of ordinary size, or the path depends on units."""
    degree = model.degree
    largest = float(np.max(np.abs(problem.values)))
    if degree is None or not problem.least_squares or not largest > 0:
        return None
    exponent = math.frexp(largest)[1]
    if abs(exponent) <= _ORDINARY:
        return None
    if degree != round(degree):
        return Scale(2.0**exponent, 2.0 ** (exponent / degree), 2.0 ** (exponent * (2.0 / degree - 2.0)))
    root = round(exponent / degree)
    data, factor = 2.0 ** (root * degree), 2.0**root
    return Scale(data, factor, 2.0 ** (root * (2.0 - 2.0 * degree)))


class ScaledState(NamedTuple):
    """State of the rule, in the loop's units, and what the loop is told of it."""

    inner: Any
    time: Any
    rejected: Any


@dataclasses.dataclass(frozen=True)
class ScaledRule(AbstractRule):
    """A rule that finds its own steps, on data of size one."""

    rule: AbstractRule
    scale: Scale

    steady = False

    def init(self, problem: AbstractProblem, model: Any, given: Any) -> ScaledState:
        """State of the rule at a model that is in the loop's units already."""
        inner = self.rule.init(problem.scaled(1.0 / self.scale.data), model, given)
        return ScaledState(inner, inner.time * self.scale.time, inner.rejected)

    def observe(self, problem: AbstractProblem, model: Any, state: Any) -> tuple[Any, dict[str, Any]]:
        """Return what the rule shows, in the data's units."""
        scale = self.scale
        seen, own = self.rule.observe(problem.scaled(1.0 / scale.data), model, state.inner)
        units = {"time": scale.time, "step_size": scale.time}
        scaled = {name: value * units.get(name, 1.0) for name, value in own.items()}
        scaled |= {name: scale.loss(own[name]) for name in ("loss", "dissipated") if name in own}
        return seen.scaled(scale.data, scale.factor), scaled

    def step(self, problem: AbstractProblem, model: Any, state: Any, given: Any, limits: Limits) -> Step:
        """Try one step in the loop's units."""
        scale = self.scale
        inside = Limits(
            limits.threshold / scale.data / scale.data,
            limits.free,
            limits.next_time / scale.time,
            limits.last_time / scale.time,
        )
        found = self.rule.step(problem.scaled(1.0 / scale.data), model, state.inner, given, inside)
        inner = found.state
        return found._replace(state=ScaledState(inner, inner.time * scale.time, inner.rejected))
