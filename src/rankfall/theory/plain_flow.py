"""The flow of the factors once more, in plain NumPy: nothing here is shared with the dynamics."""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TypeAlias

import numpy as np

from ..problems import AbstractProblem
from ._inputs import FloatArray

# Gradients at matrices, lanes first.
Slope: TypeAlias = Callable[[FloatArray], FloatArray]


def slope_of(problem: AbstractProblem) -> Slope:
    """Gradient of a loss of squares as an affine map, from its values at zero and at each unit matrix."""
    rows, columns = problem.shape
    units = np.eye(rows * columns).reshape(-1, rows, columns)
    constant = np.asarray(problem.gradient(np.zeros((rows, columns))))
    linear = (np.asarray(problem.gradient(units)) - constant).reshape(len(units), -1)

    def slope(matrices: FloatArray) -> FloatArray:
        return constant + (matrices.reshape(len(matrices), -1) @ linear).reshape(matrices.shape)

    return slope


def balanced_factors(matrices: FloatArray, depth: int) -> list[FloatArray]:
    """Balanced factors of matrices, the first to be applied first."""
    u, s, vt = np.linalg.svd(matrices, full_matrices=False)
    root = s[..., :, None] ** (1.0 / depth) * np.eye(s.shape[-1])
    return [root @ vt, *[root] * (depth - 2), u @ root]


def product(factors: Sequence[FloatArray]) -> FloatArray:
    """Return what factors multiply out to, the first to be applied first."""
    return reduce(lambda below, above: above @ below, factors)


def velocity(factors: list[FloatArray], slope: Slope) -> list[FloatArray]:
    """Return minus the gradient in each factor: that in the matrix between the layers above and those below."""
    inside, found = slope(product(factors)), []
    for j in range(len(factors)):
        moved = inside
        if j + 1 < len(factors):
            moved = np.swapaxes(product(factors[j + 1 :]), -1, -2) @ moved
        if j:
            moved = moved @ np.swapaxes(product(factors[:j]), -1, -2)
        found.append(-moved)
    return found


def time_of_loss(problem: AbstractProblem, start: FloatArray, depth: int, loss: float, rtol: float = 1e-11) -> float:
    """Return the time at which the flow of balanced factors of a matrix reaches a loss, by SciPy's integrator."""
    from scipy.integrate import solve_ivp  # half a second: only where it runs

    factors, slope = balanced_factors(start[None], depth), slope_of(problem)
    ends = np.cumsum([0, *(w.size for w in factors)])

    def apart(flat: FloatArray) -> list[FloatArray]:
        parts = zip(ends[:-1], ends[1:], factors, strict=True)
        return [flat[begin:end].reshape(w.shape) for begin, end, w in parts]

    def moved(_: float, flat: FloatArray) -> FloatArray:
        return np.concatenate([v.ravel() for v in velocity(apart(flat), slope)])

    def above(_: float, flat: FloatArray) -> float:
        return float(problem.loss(product(apart(flat))[0])) / loss - 1.0

    above.terminal = True  # type: ignore[attr-defined]  # how SciPy is told
    flat = np.concatenate([w.ravel() for w in factors])
    run = solve_ivp(
        moved, (0.0, np.inf), flat, method="DOP853", events=above, rtol=rtol, atol=rtol * float(abs(flat).max()) / 100
    )
    return float(run.t_events[0][0])
