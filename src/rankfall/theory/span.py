"""Short spans of a recorded flow, followed once more by the factors themselves in plain NumPy.

Nothing here is shared with the dynamics: from a recorded matrix balanced factors are made, and moved by the classical
Runge-Kutta method to the time of the next record. What they multiply out to has to be the matrix recorded there.
"""

from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from rankfall.problems import AbstractProblem
from rankfall.theory._inputs import FloatArray
from rankfall.theory.records import Records

# Error at the end of a span, as a share of the way that the matrix has gone.
SPAN_TOLERANCE = 1e-5
# Spans that are followed: so many of a lane, on which the matrix changes by a share between these.
_SPANS, _LEAST, _MOST = 5, 1e-4, 0.3
_STEPS = 24
# Singular values whose ratio is beyond this are lost to rounding in the recorded matrix.
_SPREAD = 1e13


def span_errors(records: Records) -> FloatArray:
    """Error at each record that ends a followed span, NaN at the others; shape (lanes, records)."""
    errors = np.full(records.exists.shape, np.nan)
    lanes, ends = _spans(records)
    if not lanes.size:
        return errors
    problem, depth = records.run.problem, round(records.depth)
    matrices, times = records["end_to_end"], records["time"]
    before, after = matrices[lanes, ends - 1], matrices[lanes, ends]
    duration = times[lanes, ends] - times[lanes, ends - 1]
    slope = _gradient(problem)
    with np.errstate(over="ignore", invalid="ignore"):  # steps that are too long
        coarse, fine = (_product(_moved(_factors(before, depth), slope, duration, n)) for n in (_STEPS, 2 * _STEPS))
    way = _length(after - before)
    # Where the flow is too stiff for these steps they say nothing.
    resolved = _length(fine - coarse) <= SPAN_TOLERANCE * way
    errors[lanes, ends] = np.where(resolved, _length(fine - after) / way, np.nan)
    return errors


def _spans(records: Records) -> tuple[np.ndarray, np.ndarray]:
    """Lanes of the spans and the records at their ends."""
    matrices, spectrum = records["end_to_end"], records["singular_values"]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change = _length(np.diff(matrices, axis=1)) / _length(matrices[:, :-1])
        near = spectrum[..., 0] / spectrum[..., -1] <= _SPREAD
    exists = records.exists
    good = exists[:, 1:] & exists[:, :-1] & near[:, :-1] & (change >= _LEAST) & (change <= _MOST)
    found = []
    for lane, fits in enumerate(good):
        places = np.flatnonzero(fits)
        chosen = np.unique(places[np.linspace(0, len(places) - 1, _SPANS).astype(int)]) if places.size else places
        found += [(lane, place + 1) for place in chosen]
    pairs = np.array(found, dtype=int).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _gradient(problem: AbstractProblem) -> Callable[[FloatArray], FloatArray]:
    """Gradient of a loss of squares as an affine map, from its values at zero and at each unit matrix."""
    rows, columns = problem.shape
    units = np.eye(rows * columns).reshape(-1, rows, columns)
    constant = np.asarray(problem.gradient(np.zeros((rows, columns))))
    linear = (np.asarray(problem.gradient(units)) - constant).reshape(len(units), -1)

    def slope(matrices: FloatArray) -> FloatArray:
        return constant + (matrices.reshape(len(matrices), -1) @ linear).reshape(matrices.shape)

    return slope


def _factors(matrices: FloatArray, depth: int) -> list[FloatArray]:
    """Balanced factors of matrices, the first to be applied first."""
    u, s, vt = np.linalg.svd(matrices, full_matrices=False)
    root = s[..., :, None] ** (1.0 / depth) * np.eye(s.shape[-1])
    return [root @ vt, *[root] * (depth - 2), u @ root]


def _product(factors: Sequence[FloatArray]) -> FloatArray:
    return reduce(lambda below, above: above @ below, factors)


def _moved(
    factors: list[FloatArray], slope: Callable[[FloatArray], FloatArray], duration: FloatArray, steps: int
) -> list[FloatArray]:
    h = (duration / steps)[:, None, None]

    def plus(moves: list[FloatArray], share: float) -> list[FloatArray]:
        return [w + share * h * v for w, v in zip(factors, moves, strict=True)]

    for _ in range(steps):
        one = _velocity(factors, slope)
        two = _velocity(plus(one, 0.5), slope)
        three = _velocity(plus(two, 0.5), slope)
        four = _velocity(plus(three, 1.0), slope)
        factors = plus([(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(one, two, three, four, strict=True)], 1.0)
    return factors


def _velocity(factors: list[FloatArray], slope: Callable[[FloatArray], FloatArray]) -> list[FloatArray]:
    """Return minus the gradient in each factor: that in the matrix between the layers above and those below."""
    inside, found = slope(_product(factors)), []
    for j in range(len(factors)):
        moved = inside
        if j + 1 < len(factors):
            moved = np.swapaxes(_product(factors[j + 1 :]), -1, -2) @ moved
        if j:
            moved = moved @ np.swapaxes(_product(factors[:j]), -1, -2)
        found.append(-moved)
    return found


def _length(matrices: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.sum(matrices**2, axis=(-2, -1))))
