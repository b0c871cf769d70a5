"""What every factorization held as arrays of factors can do."""

import abc
from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from .. import _checks
from .._types import Array


class AbstractFactorization(eqx.Module):
    """A solution written by factors, single or as lanes (a leading axis of every factor).

    Attributes
    ----------
    factors : tuple of arrays
    """

    factors: eqx.AbstractVar[tuple[Array, ...]]

    # Whether an entry costs the same alone as among all, so that nothing is gained by forming the whole.
    by_entries: ClassVar[bool] = False
    # Whether it is a chain of matrices, whose product is the end-to-end matrix.
    chain: ClassVar[bool] = False

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Extents of the end-to-end matrix or tensor."""

    @property
    @abc.abstractmethod
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single start."""

    @abc.abstractmethod
    def full(self) -> Array:
        """End-to-end matrix or tensor."""

    @abc.abstractmethod
    def like(self, factors: Sequence[Any]) -> Any:
        """Return other factors in this form."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""

    def _maker(self) -> Any:
        """Return what makes a factorization of this form of factors; hashable, since compiled code depends on it."""
        return type(self)

    def as_lanes(self) -> Any:
        """Return the same with a lane axis, of size 1 for a single start."""
        return self if self.lanes is not None else self.like([np.asarray(w)[None] for w in self.factors])

    def lane(self, index: int) -> Any:
        """One lane as a single factorization.

        Parameters
        ----------
        index : int
            0-based number of the lane.

        Returns
        -------
        factorization of the same kind

        Raises
        ------
        ValueError
            If there are no lanes, or none of that number.

        Examples
        --------
        >>> import rankfall as rf
        >>> starts = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=[1.0, 4.0])
        >>> starts.lane(1).full()
        array([[4., 0.],
               [0., 4.]])
        """
        if self.lanes is None:
            raise ValueError("lane() was asked of a single factorization, but only lanes have one; leave it out.")
        if _checks.integer("index", index, 0) >= self.lanes:
            raise ValueError(f"index is {index}, but there are {self.lanes} lanes; the first is lane 0.")
        return self.like([w[index] for w in self.factors])

    def loss_and_gradient(self, problem: Any) -> tuple[Array, Any]:
        """Loss on a problem, and its gradient in the factors (JAX, one lane)."""
        loss, slope = problem.loss_and_gradient(self)
        return loss, slope

    def outputs(self, inputs: Any) -> Array:
        """Return the outputs of a network at inputs; refuse to of anything else.

        Raises
        ------
        ValueError
            If it is no network.
        """
        raise ValueError(
            f"start is a {type(self).__name__}, but labelled inputs need a network; pass an Equinox module, or "
            "rf.networks.Network(module)."
        )

    def output_shape(self, inputs: Any) -> tuple[int, ...]:
        """Return the shape of what a network gives for one of the inputs; refuse to of anything else.

        Raises
        ------
        ValueError
            If it is no network.
        """
        return self.outputs(inputs).shape[1:]


def check_factorization(start: Any, problem: Any) -> None:
    """Refuse a start that does not fit the problem."""
    if not isinstance(start, AbstractFactorization):
        shape = problem.shape
        kind = "MatrixFactorization" if len(shape) == 2 else "CPFactorization"
        raise ValueError(
            f"start is {_checks.shortened(start)}, but must be a factorization; make one with "
            f"rf.{kind}.init(problem.shape, ...)."
        )
    problem.check_model(start)
