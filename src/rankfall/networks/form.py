"""A network taken apart into weights, which move, and all the rest, which compiled code is made for."""

import dataclasses
import types
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from .._execution import name_of, named
from .._types import Array


@dataclasses.dataclass(frozen=True)
class Constant:
    """An array that can be compared and hashed, since compiled code depends on it."""

    data: bytes
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, array: Array) -> "Constant":
        """Hold an array."""
        a = np.asarray(array)
        return cls(a.tobytes(), a.shape, str(a.dtype))

    @property
    def array(self) -> np.ndarray:
        """The array."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class NetworkForm:
    """All of a network but its weights; ``ndims`` are those of the weights of a single network."""

    structure: Any
    outline: Any
    kept: tuple[Any, ...]
    ndims: tuple[int, ...]

    def network(self, factors: Sequence[Array]) -> Any:
        """Put a network together from weights."""
        rest = [leaf.array if isinstance(leaf, Constant) else leaf for leaf in self.kept]
        return eqx.combine(jax.tree.unflatten(self.structure, factors), jax.tree.unflatten(self.outline, rest))

    def __reduce__(self) -> Any:
        # A structure of JAX is not pickled with all that may be in it, but the network itself is.
        return _form_of, (jax.tree.map(_hidden, self.network([np.zeros((1,) * n) for n in self.ndims])),)

    def __deepcopy__(self, known: dict[int, object]) -> "NetworkForm":
        return self


@dataclasses.dataclass(frozen=True)
class _Named:
    """A function that pickle would not find: ``jax.nn.relu`` is an object with a name, others are named lambdas."""

    name: str


def _hidden(leaf: Any) -> Any:
    ordinary = isinstance(leaf, types.FunctionType) and leaf.__name__ != "<lambda>"
    name = name_of(leaf) if callable(leaf) and not ordinary else None
    return leaf if name is None else _Named(name)


def _form_of(network: Any) -> NetworkForm:
    return taken_apart(jax.tree.map(lambda leaf: named(leaf.name) if isinstance(leaf, _Named) else leaf, network))[1]


def taken_apart(network: Callable[..., Any]) -> tuple[tuple[np.ndarray, ...], NetworkForm]:
    """Return the weights of a network, all its arrays of floating-point numbers, and its form; refuse one of none."""
    weights, rest = eqx.partition(network, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(weights)
    if not leaves:
        raise ValueError(
            "network has no array of floating-point numbers to train; pass an Equinox module that holds weights."
        )
    kept, outline = jax.tree.flatten(rest)
    constants = tuple(Constant.of(leaf) if eqx.is_array(leaf) else leaf for leaf in kept)
    factors = tuple(np.asarray(w) for w in leaves)
    return factors, NetworkForm(structure, outline, constants, tuple(w.ndim for w in factors))


def stacked(kind: type, starts: Sequence[Any]) -> Any:
    """Hold single networks of one form together, as lanes; refuse those that differ in more than their weights."""
    listed = _checks.sequence("starts", starts, f"a list of {kind.__name__}")
    if not listed or not all(isinstance(start, kind) for start in listed):
        raise ValueError(f"starts is {_checks.shortened(starts)}, but must be a list of {kind.__name__}.")
    first = listed[0]
    for n, other in enumerate(listed):
        alike = other.form == first.form and [w.shape for w in other.factors] == [w.shape for w in first.factors]
        if not alike or other.lanes is not None:
            raise ValueError(
                f"starts[{n}] differs from starts[0] in more than its weights (or has lanes), but lanes are of one "
                "form; build them of the same functions (and points)."
            )
    return first.like([np.stack(w) for w in zip(*(start.factors for start in listed), strict=True)])
