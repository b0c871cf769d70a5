"""Short spans of a recorded flow, followed once more by the factors themselves in plain NumPy.

Nothing here is shared with the dynamics: from a recorded matrix balanced factors are made, and moved by the classical
Runge-Kutta method to the time of the next record. What they multiply out to has to be the matrix recorded there.
"""

import numpy as np

from ._inputs import FloatArray
from .plain_flow import Slope, balanced_factors, product, slope_of, velocity
from .records import Records

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
    slope = slope_of(problem)
    with np.errstate(over="ignore", invalid="ignore"):  # steps that are too long
        coarse, fine = (
            product(_moved(balanced_factors(before, depth), slope, duration, n)) for n in (_STEPS, 2 * _STEPS)
        )
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


def _moved(factors: list[FloatArray], slope: Slope, duration: FloatArray, steps: int) -> list[FloatArray]:
    h = (duration / steps)[:, None, None]

    def plus(moves: list[FloatArray], share: float) -> list[FloatArray]:
        return [w + share * h * v for w, v in zip(factors, moves, strict=True)]

    for _ in range(steps):
        one = velocity(factors, slope)
        two = velocity(plus(one, 0.5), slope)
        three = velocity(plus(two, 0.5), slope)
        four = velocity(plus(three, 1.0), slope)
        factors = plus([(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in zip(one, two, three, four, strict=True)], 1.0)
    return factors


def _length(matrices: FloatArray) -> FloatArray:
    return np.asarray(np.sqrt(np.sum(matrices**2, axis=(-2, -1))))
