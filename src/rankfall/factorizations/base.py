"""The contract of models: what may be asked of everything that is trained, measured and recorded.

A new factorization subclasses `AbstractFactorization` and says `shape`, `lanes`, `full`, `entries_at` and `describe`;
`maker` where it is more than its class and its factors. What gradient flow conserves (`conserved`) and what is worth
recording (`probes`) it adds where there is something to say.
"""

import abc
import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import numpy as np

from .. import _checks, measures
from .._execution import WithMethods
from .._types import Array, ArrayLike, Probe, Self
from ..problems import AbstractProblem

# Matrices of more entries are not formed for their singular values, which of 2048 x 2048 take some seconds a record.
_FORMED = 2**22
# Dimension of the singular values.
SPECTRUM = ("singular_value",)


class AbstractModel(WithMethods):
    """What is trained: parameters, and the end-to-end matrix or tensor that they stand for.

    A model is a pytree whose leaves are arrays, of one model or of many (lanes, a leading axis of every array).
    """

    @property
    @abc.abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Extents of the end-to-end matrix or tensor."""

    @property
    @abc.abstractmethod
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single one."""

    @abc.abstractmethod
    def full(self) -> Array:
        """End-to-end matrix or tensor, shape ``(..., *shape)``; NumPy for arrays of NumPy."""

    @abc.abstractmethod
    def entries_at(self, indices: Array) -> Array:
        """Entries as `entries` gives them, for indices that were checked, or are traced by JAX and cannot be."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts about the model that are written into every result."""

    def entries(self, indices: ArrayLike) -> Array:
        """Entries of the end-to-end matrix or tensor, without forming it.

        Parameters
        ----------
        indices : array_like of int, shape (n, order)
            0-based places.

        Returns
        -------
        array, shape (..., n)

        Raises
        ------
        ValueError
            If ``indices`` has another shape or a place outside.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.CPFactorization([np.arange(2.0)[:, None]] * 3).entries([[1, 1, 1], [0, 1, 1]])
        array([1., 0.])
        """
        return self.entries_at(_checks.indices("indices", indices, self.shape))

    def conserved(self) -> tuple[Array, ...] | None:
        """Return what gradient flow on the parameters leaves as it is, whatever the loss; ``None`` if nothing is known.

        Returns
        -------
        tuple of arrays, shapes (..., *any), or None

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.MatrixFactorization([np.eye(2), 2 * np.eye(2)]).conserved()
        (array([[3., 0.],
               [0., 3.]]),)
        """
        return None

    def probes(self) -> list[Probe]:
        """List what is worth recording of this model, beside what its problem says.

        Returns
        -------
        list of Probe
            Each of a name, a function of the model and its end-to-end array, and the names of its dimensions. For
            matrices they begin with the singular values, from which the effective rank and the Schatten norms follow.
            They depend on the form alone, not on the numbers.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> [probe.name for probe in rf.CPFactorization([np.eye(2)] * 2).probes()]
        ['singular_values', 'component_norms', 'unbalancedness']
        """
        if len(self.shape) != 2 or math.prod(self.shape) > _FORMED:
            return []
        return [_SINGULAR_VALUES]

    @property
    def degree(self) -> float | None:
        """Degree of homogeneity of the end-to-end object in all parameters together, ``None`` where it has none."""
        return None

    def scaled(self, end_to_end: float, factor: float) -> Self:
        """Return the model whose end-to-end object is ``end_to_end = factor^degree`` times as large.

        Parameters
        ----------
        end_to_end, factor : float
            Positive.

        Returns
        -------
        model of the same kind

        Raises
        ------
        ValueError
            If the model is not homogeneous.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.MatrixFactorization([np.eye(2), np.eye(2)]).scaled(4.0, 2.0).full()
        array([[4., 0.],
               [0., 4.]])
        """
        raise ValueError(f"a {type(self).__name__} is not homogeneous in its parameters, and cannot be scaled.")

    def as_lanes(self) -> Self:
        """Return the same with a lane axis, of size 1 for a single one."""
        return self if self.lanes is not None else jax.tree.map(lambda a: np.asarray(a)[None], self)

    def lane(self, index: int) -> Self:
        """One lane as a single model.

        Parameters
        ----------
        index : int
            0-based number of the lane.

        Returns
        -------
        model of the same kind

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
        return jax.tree.map(lambda a: a[index], self)


class AbstractFactorization(AbstractModel):
    """A solution written by factors: a model whose parameters are a list of arrays.

    Attributes
    ----------
    factors : tuple of arrays, shapes (..., *any)
    by_entries : bool
        Whether an entry costs the same alone as among all, so that nothing is gained by forming the whole; of the
        class.
    chain : bool
        Whether it is a chain of matrices, whose product is the end-to-end matrix; of the class.
    """

    factors: eqx.AbstractVar[tuple[Array, ...]]

    by_entries: ClassVar[bool] = False
    chain: ClassVar[bool] = False

    @property
    def maker(self) -> Callable[[Sequence[Array]], Self]:
        """Function that makes a factorization of this form of other factors.

        It is hashable and equal where the forms are, so that compiled code is shared.
        """
        return type(self)

    def like(self, factors: Sequence[ArrayLike]) -> Self:
        """Return other factors in this form."""
        return self.maker(factors)

    @property
    def degree(self) -> float | None:
        """Number of factors: unless a subclass says otherwise the end-to-end object is linear in each."""
        return len(self.factors)

    def scaled(self, end_to_end: float, factor: float) -> Self:
        """Return the same with every factor ``factor`` times as large."""
        return self.like([w * factor for w in self.factors])

    def loss_and_gradient(self, problem: AbstractProblem) -> tuple[Array, Self]:
        """Loss on a problem, and its gradient in the factors (JAX, one lane)."""
        loss, slope = problem.loss_and_gradient(self)
        return loss, slope

    def outputs(self, inputs: ArrayLike) -> Array:
        """Return the outputs of a network at inputs; refuse to of anything else.

        Parameters
        ----------
        inputs : array_like, shape (n, ...)

        Returns
        -------
        array, shape (..., n, *outputs)

        Raises
        ------
        ValueError
            If it is no network.

        Examples
        --------
        >>> import equinox as eqx, jax, numpy as np, rankfall as rf
        >>> network = rf.networks.Network(eqx.nn.Linear(3, 2, key=jax.random.key(0)))
        >>> network.outputs(np.zeros((4, 3))).shape
        (4, 2)
        """
        raise ValueError(
            f"start is a {type(self).__name__}, but labelled inputs need a network; pass an Equinox module, or "
            "rf.networks.Network(module)."
        )

    def output_shape(self, inputs: Array) -> tuple[int, ...]:
        """Return the shape of what a network gives for one of the inputs; refuse to of anything else.

        Parameters
        ----------
        inputs : array, shape (n, ...)

        Returns
        -------
        tuple of int

        Raises
        ------
        ValueError
            If it is no network.

        Examples
        --------
        >>> import equinox as eqx, jax, numpy as np, rankfall as rf
        >>> network = rf.networks.Network(eqx.nn.Linear(3, 2, key=jax.random.key(0)))
        >>> network.output_shape(np.zeros((4, 3)))
        (2,)
        """
        return tuple(self.outputs(inputs).shape[1:])


def _singular_values(model: AbstractModel, end_to_end: Array) -> Array:
    return measures.singular_values(end_to_end)


_SINGULAR_VALUES = Probe("singular_values", _singular_values, SPECTRUM)


def check_factorization(start: object, problem: AbstractProblem) -> None:
    """Refuse a start that does not fit the problem."""
    if not isinstance(start, AbstractFactorization):
        raise ValueError(f"start is {_checks.shortened(start)}, but must be {problem.wanted_start}.")
    problem.check_model(start)
