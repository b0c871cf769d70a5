"""Least values on a line of solutions: certified for the usual quasi-norms, a grid for any function."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .norms import Norm

# Points of the first grid, and rounds of a search that zooms in around the best few.
_GRID, _ROUNDS, _ZOOM, _BEST = 1001, 12, 21, 5
# Intervals that are looked at together, and in all.
_TOGETHER, _MOST = 4096, 4_000_000


class OnLine(NamedTuple):
    """The least value found, where it is, and what no value is below."""

    at: float
    value: float
    below: float
    looked: int


def certified(norm: Norm, start: np.ndarray, direction: np.ndarray, gap: float) -> OnLine:
    """Least ``||start + x direction||`` for a norm that grows with each of a matrix's numbers.

    Those are its singular values or the magnitudes of its entries. They change no faster than the direction is long
    (Weyl's inequality), so what they are in the middle of an interval bounds the norm in all of it; intervals that may
    hold less than the best are halved.
    """
    assert norm.numbers is not None and norm.speed is not None and norm.of_numbers is not None
    numbers, of_numbers, speed = norm.numbers, norm.of_numbers, norm.speed(direction)
    # Of a minimiser, ||x direction||^p <= 2 ||start||^p for the power that obeys the triangle inequality.
    reach = float(2.0 ** (1 / norm.power) * norm.value(start) / norm.value(direction))
    if not reach < 1e100:
        raise ValueError(
            f"norm is {norm.name}, but must be of a power p for which 2^(1/p) is below 1e100: the search would have "
            "no end."
        )
    ends = reach * np.sinh(np.linspace(-6, 6, _GRID)) / np.sinh(6.0)
    middle, half = 0.5 * (ends[1:] + ends[:-1]), 0.5 * np.diff(ends)
    at, least, looked, closed = 0.0, float(norm.value(start)), 1, np.inf
    while len(middle):
        bounds = []
        for x, width in zip(_parts(middle), _parts(half), strict=True):
            found = np.asarray(numbers(start + x[:, None, None] * direction), float)
            value = of_numbers(found)
            if value.min() < least:
                at, least = float(x[value.argmin()]), float(value.min())
            bounds.append(of_numbers(np.maximum(found - width.reshape(-1, *[1] * (found.ndim - 1)) * speed, 0.0)))
        bound, looked = np.concatenate(bounds), looked + len(middle)
        more = bound < least * (1 - gap)
        closed = min(closed, float(bound[~more].min(initial=np.inf)))
        if looked > _MOST:
            closed = min(closed, float(bound.min()))
            break
        middle, half = middle[more], 0.5 * half[more]
        middle, half = np.concatenate([middle - half, middle + half]), np.concatenate([half, half])
    return OnLine(at, least, min(least, closed), looked)


def _parts(values: np.ndarray) -> list[np.ndarray]:
    return [values[n : n + _TOGETHER] for n in range(0, len(values), _TOGETHER)]


def on_grid(norm: Norm, start: np.ndarray, direction: np.ndarray) -> OnLine:
    """Least value that a grid finds, zooming in around the best few; nothing is certified."""

    def f(x: np.ndarray) -> np.ndarray:
        return np.asarray(norm.value(start + x[:, None, None] * direction), float)

    reach = 10.0 * max(float(np.linalg.norm(start)), 1e-300)
    for _ in range(60):
        x = reach * np.sinh(np.linspace(-6, 6, _GRID)) / np.sinh(6.0)
        value = f(x)
        if 0 < value.argmin() < _GRID - 1:
            break
        reach *= 10.0
    else:
        raise ValueError(f"norm is {norm.name}, but must have its least value on the solutions at a finite one.")
    points, values, _ = zoomed(f, x, value)
    best = int(values.argmin())
    return OnLine(float(points[best]), float(values[best]), -np.inf, len(points))


def zoomed(
    f: Callable[[np.ndarray], np.ndarray], x: np.ndarray, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray, float]:
    """Points and values of a grid and of rounds that zoom in around its best few, and the widest last interval."""
    padded = np.pad(value, 1, constant_values=np.inf)
    low = np.flatnonzero((value <= padded[2:]) & (value <= padded[:-2]))
    low = low[np.argsort(value[low], kind="stable")][:_BEST]
    points, values, width = [x], [value], 0.0
    for i in low.tolist():
        left, right = x[max(i - 1, 0)], x[min(i + 1, len(x) - 1)]
        for _ in range(_ROUNDS):
            some = np.linspace(left, right, _ZOOM)
            own = f(some)
            points.append(some)
            values.append(own)
            j = int(own.argmin())
            left, right = some[max(j - 1, 0)], some[min(j + 1, _ZOOM - 1)]
        width = max(width, float(right - left))
    return np.concatenate(points), np.concatenate(values), width
