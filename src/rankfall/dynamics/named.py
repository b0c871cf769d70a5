"""Dynamics as declarations name them, where their classes take what a file cannot hold: optax rules, potentials."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import optax

from .. import _checks
from .._declared import declared
from . import potentials
from .descent import GradientDescent, group_rmsprop
from .mirror import MirrorDescent

_POTENTIALS = ("entropy", "hypentropy", "squared-norm")


@declared("dynamics", "gradient-descent", lanes=("step_size",), step_size=float)
def gradient_descent(step_size: float | Sequence[float] | np.ndarray) -> GradientDescent:
    """Return gradient descent of a fixed step."""
    return GradientDescent(step_size)


# Compiled code is shared by rules that are the same object: one is made of the same numbers once.
@declared("dynamics", "momentum")
@lru_cache
def momentum(learning_rate: float, decay: float = 0.9, nesterov: bool = False) -> GradientDescent:
    """Return descent with momentum."""
    return GradientDescent(optax.sgd(learning_rate, momentum=decay, nesterov=nesterov))


@declared("dynamics", "adam")
@lru_cache
def adam(learning_rate: float, b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> GradientDescent:
    """Return Adam."""
    return GradientDescent(optax.adam(learning_rate, b1=b1, b2=b2, eps=eps))


@declared("dynamics", "group-rmsprop")
@lru_cache
def rmsprop(learning_rate: float, beta: float = 0.99, eps: float = 1e-6) -> GradientDescent:
    """Return group RMSprop."""
    return GradientDescent(group_rmsprop(learning_rate, beta, eps))


@declared("dynamics", "mirror-descent", lanes=("step_size",), step_size=float)
def mirror_descent(
    step_size: float | Sequence[float] | np.ndarray, potential: str, beta: float | None = None, p: float | None = None
) -> MirrorDescent:
    """Return mirror descent; ``beta`` is hypentropy's, ``p`` that of the squared norm."""
    _checks.one_of("potential", potential, _POTENTIALS)
    for name, value, owner in (("beta", beta, "hypentropy"), ("p", p, "squared-norm")):
        if (value is not None) != (potential == owner):
            raise ValueError(f"{name} is {value}, but the potential {owner!r}, and no other, needs it.")
    if beta is not None:
        return MirrorDescent(potentials.Hypentropy(beta), step_size)
    return MirrorDescent(potentials.Entropy() if p is None else potentials.SquaredNorm(p), step_size)
