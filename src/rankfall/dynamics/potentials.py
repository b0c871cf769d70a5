"""Potentials of mirror descent: each makes another geometry of the weights."""

import abc
import dataclasses
from typing import ClassVar

import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Array


class AbstractPotential(abc.ABC):
    """A strictly convex potential of a vector of weights, by its gradient and the inverse of that.

    Subclasses are frozen dataclasses, and their functions are of JAX arrays.
    """

    name: ClassVar[str]

    @abc.abstractmethod
    def dual(self, weights: Array) -> Array:
        """Gradient of the potential, shape (n,)."""

    @abc.abstractmethod
    def primal(self, dual: Array) -> Array:
        """Weights of which a dual vector is the gradient, shape (n,)."""


@dataclasses.dataclass(frozen=True)
class SquaredNorm(AbstractPotential):
    """``|w|_p^2 / 2``, for ``1 < p``.

    Parameters
    ----------
    p : float

    Raises
    ------
    ValueError
        If ``p`` is not above 1 and finite.

    Examples
    --------
    >>> import jax.numpy as jnp, rankfall as rf
    >>> rf.potentials.SquaredNorm(p=2.0).dual(jnp.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """

    p: float
    name = "squared_norm"

    def __post_init__(self) -> None:
        if not 1 < _checks.number("p", self.p) < np.inf:
            raise ValueError(f"p is {self.p:g}, but must be above 1 and finite; its potential is not smooth otherwise.")

    def dual(self, weights: Array) -> Array:
        """``|w|_p^(2-p) sign(w) |w|^(p-1)``."""
        return _of_order(weights, self.p)

    def primal(self, dual: Array) -> Array:
        """Return the gradient of the conjugate, which is of the conjugate exponent."""
        return _of_order(dual, self.p / (self.p - 1.0))


def _of_order(vector: Array, p: float) -> Array:
    size = abs(vector)
    largest = jnp.max(size)
    # Scaled by the largest, so that no power under- or overflows; zero is the minimum, where the gradient is zero.
    share = size / jnp.where(largest > 0, largest, 1.0)
    length = jnp.sum(share**p) ** (1.0 / p)
    return largest * jnp.where(length > 0, length, 1.0) ** (2.0 - p) * jnp.sign(vector) * share ** (p - 1.0)


@dataclasses.dataclass(frozen=True)
class Entropy(AbstractPotential):
    """``sum_i w_i ln w_i - w_i``, of positive weights: steps multiply them.

    Examples
    --------
    >>> import jax.numpy as jnp, rankfall as rf
    >>> rf.potentials.Entropy().primal(jnp.array([0.0])).tolist()
    [1.0]
    """

    name = "entropy"

    def dual(self, weights: Array) -> Array:
        """``ln w``."""
        return jnp.log(weights)

    def primal(self, dual: Array) -> Array:
        """``exp z``."""
        return jnp.exp(dual)


@dataclasses.dataclass(frozen=True)
class Hypentropy(AbstractPotential):
    """``sum_i w_i arcsinh(w_i / beta) - sqrt(w_i^2 + beta^2)``: between l2 (large beta) and l1 (small beta).

    Parameters
    ----------
    beta : float

    Raises
    ------
    ValueError
        If ``beta`` is not positive.

    References
    ----------
    Ghai, Hazan and Singer (2020), Exponentiated gradient meets gradient descent.

    Examples
    --------
    >>> import jax.numpy as jnp, rankfall as rf
    >>> rf.potentials.Hypentropy(beta=0.1).dual(jnp.array([0.0])).tolist()
    [0.0]
    """

    beta: float
    name = "hypentropy"

    def __post_init__(self) -> None:
        _checks.positive_number("beta", self.beta)

    def dual(self, weights: Array) -> Array:
        """``arcsinh(w / beta)``."""
        return jnp.arcsinh(weights / self.beta)

    def primal(self, dual: Array) -> Array:
        """``beta sinh z``."""
        return self.beta * jnp.sinh(dual)
