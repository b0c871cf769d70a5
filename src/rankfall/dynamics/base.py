"""What every dynamics offers to ``train``."""

import abc
from typing import Any

import jax
import numpy as np

from .._execution import TOGETHER, cores
from .recording import Record
from .stopping import Stop


def numbers(laned: Any) -> int:
    """Count the numbers of a lane."""
    return sum(w[0].size for w in jax.tree.leaves(laned))


class AbstractDynamics(abc.ABC):
    """How a start is moved: gradient descent, a flow, or a closed form."""

    # Steps after which a lane ends unless ``Stop`` says otherwise, so that nothing runs for ever.
    _default_steps: int
    # Lanes are shared out to threads when every thread gets at least this many.
    _lanes_a_thread: int

    def _groups(self, laned: Any) -> list[np.ndarray]:
        """Lanes that are moved together, by their numbers."""
        lanes = laned.lanes
        if self._apart(laned):
            return [np.array([lane]) for lane in range(lanes)]
        return np.array_split(np.arange(lanes), max(1, min(cores(), lanes // self._lanes_a_thread)))

    def _apart(self, laned: Any) -> bool:
        """Whether every lane goes by itself: where a step is so much arithmetic that company gains nothing."""
        return numbers(laned) > TOGETHER

    @property
    @abc.abstractmethod
    def _default_record(self) -> Record:
        """What is recorded unless the user says otherwise."""

    @abc.abstractmethod
    def _prepare(self, problem: Any, start: Any) -> Any:
        """Check that the start fits, and return it as lanes in the form that is moved."""

    @abc.abstractmethod
    def _batch(self, problem: Any, start: Any, stop: Stop, record: Record, group: np.ndarray) -> Any:
        """Return the lanes of a group, ready to ``run``; afterwards they have ``reasons``, ``pieces``, ``final()``."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the dynamics that are written into every result."""
