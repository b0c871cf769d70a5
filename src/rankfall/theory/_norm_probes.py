"""What shows that a function is no norm: its values at 2x2 matrices.

A function is only ever looked at on finitely many matrices.  Those chosen here find the mistakes that people make
(a square left in, an entry left out, a constant that is too small); they prove nothing.
"""

from typing import NoReturn

import numpy as np

from rankfall.measures.named_norms import NamedNorm, shown
from rankfall.theory._inputs import FloatArray

# Norms that are computed iteratively are right to about this; every mistake sought here is far larger.
RTOL = 1e-6
# A norm that is smaller than this share of its largest value in a direction is zero there, to rounding.
VANISHES = 1e-13
# Where it is above this share of it, it does not vanish nearby.
SMALL = 1e-4
# How far around a direction of small norm a better one is sought, the share of that over which slopes are taken, and
# how small slopes may be beside the largest.
AROUND, STEP, RCOND = 10.0 ** -np.arange(1, 11), 1e-3, 1e-9
UNITS = np.eye(4).reshape(4, 2, 2)


def refuse_unless_norm(function: NamedNorm) -> None:
    """Refuse a function that is not finite, positive and homogeneous at the probes."""
    matrices = probes()
    values = function.finite(matrices)
    for matrix, value in zip(matrices, values, strict=True):
        if value <= 0:
            _not_positive(function.name, matrix, value)
    _seek_zero(function, float((values / np.abs(matrices).max(axis=(1, 2))).max()))
    zero = float(function.finite(np.zeros((1, 2, 2)))[0])
    if zero != 0:
        raise ValueError(
            f"norm is {function.name}, but must be homogeneous, so 0 at the zero matrix: its value there is {zero:.6g}."
        )
    # Powers of two and signs change no digit on the way.  By other factors, the singular values of a matrix of rank one
    # change their rounding errors, which quasi-norms magnify: only matrices far from that are multiplied by 3.
    far = np.abs(np.linalg.det(matrices)) > 0.1 * (matrices**2).sum(axis=(1, 2))
    for factor, at in ((2.0, values > 0), (-1.0, values > 0), (2.0**-12, values > 0), (3.0, far)):
        wanted = abs(factor) * values[at]
        found = function.finite(factor * matrices[at])
        wrong = np.abs(found - wanted) > RTOL * wanted
        if wrong.any():
            i = int(wrong.argmax())
            raise ValueError(
                f"norm is {function.name}, but must be homogeneous, ||t A|| = |t| ||A||: at A = "
                f"{shown(matrices[at][i])} its value is {values[at][i]:.6g}, at {factor:g} A it is {found[i]:.6g} "
                f"instead of {wanted[i]:.6g}."
            )


def refuse_broken_triangle(function: NamedNorm, constant: float) -> None:
    """Refuse a triangle constant that is too small for a pair of probes."""
    worst, first, second = probe_triangle(function)
    if worst > constant * (1.0 + RTOL):
        whole, one, other = function.finite(np.stack([first + second, first, second]))
        raise ValueError(
            f"triangle_constant is {constant:g}, but must be at least {worst:.6g} for {function.name}: with "
            f"A = {shown(first)} and B = {shown(second)} the triangle inequality ||A + B|| <= c (||A|| + ||B||) is "
            f"broken, {whole:.6g} on the left, {one:.6g} and {other:.6g} on the right."
        )


def probe_triangle(function: NamedNorm) -> tuple[float, FloatArray, FloatArray]:
    """Return the largest ``||A + B|| / (||A|| + ||B||)`` found, at least 1, and its pair: a LOWER bound on ``c``."""
    rng = np.random.default_rng(0)
    first, second = _pairs(rng)
    ratio = _ratios(function, first, second)
    i = int(ratio.argmax())
    best, pair = float(ratio[i]), np.stack([first[i], second[i]])
    # Uphill from there, with steps of many sizes; each round looks around the best pair so far.
    for _ in range(10):
        steps = rng.normal(size=(20, 2, 2, 2)) * 10.0 ** rng.uniform(-3, 0, (20, 1, 1, 1))
        near = pair + steps * np.abs(pair).max()
        ratio = _ratios(function, near[:, 0], near[:, 1])
        if ratio.max() > best:
            best, pair = float(ratio.max()), near[ratio.argmax()]
    # ||A + 0|| = ||A||: no constant is below 1.
    return max(best, 1.0), pair[0], pair[1]


def probes() -> FloatArray:
    """Matrices, shape (n, 2, 2), none of them 0: small integers, solutions, rank one, random, ill-conditioned."""
    rng = np.random.default_rng(0)
    integers = np.stack(np.meshgrid(*[[0.0, 1.0, -1.0]] * 4, indexing="ij"), axis=-1).reshape(-1, 2, 2)
    # Half of them: the others are their negatives.  The first is 0.
    halves = [m for m in integers[1:] if m.flat[np.flatnonzero(m)[0]] > 0]
    skewed = rng.normal(size=(20, 2, 2)) * 10.0 ** rng.uniform(-3, 3, (20, 2, 2))
    return np.concatenate(
        [halves, _solutions(), _rank_one(rng, 20), rng.normal(size=(20, 2, 2)), _ill(rng, 20), skewed]
    )


def _not_positive(name: str, matrix: FloatArray, value: float) -> NoReturn:
    why = " (a seminorm is no norm)" if value >= 0 else ""
    raise ValueError(
        f"norm is {name}, but must be positive at every matrix but 0{why}: at {shown(matrix)} it is {value:.6g}."
    )


def _seek_zero(function: NamedNorm, largest: float) -> None:
    """Look at the one direction in which a seminorm can vanish.

    Adding a matrix at which it vanishes changes no value of a seminorm, so all its gradients are orthogonal to that.
    Differences give it to some ten digits. Near it the value is the gradient times what is left to go, which gives the
    others: a norm that weighs a direction by 1e-9 falls as well, but stops at that.
    """
    rng = np.random.default_rng(1)
    slopes = _slopes(function, rng.normal(size=(25, 2, 2)), 1e-5)
    direction = np.linalg.svd(slopes)[2][-1].reshape(2, 2)
    direction = direction / direction.flat[np.abs(direction).argmax()]
    value = float(function.finite(direction[None])[0])
    for around in AROUND if value < SMALL * largest else ():
        beside = around * rng.normal(size=(25, 2, 2))
        slopes = _slopes(function, direction + beside, STEP * around)
        left = (slopes * beside.reshape(-1, 4)).sum(axis=1) - function.finite(direction + beside)
        # The largest entry stays 1.
        free = np.abs(direction).ravel() < 1.0
        moved = direction.copy()
        moved.flat[free] += np.linalg.lstsq(slopes[:, free], left, rcond=RCOND)[0]
        least = float(function.finite(moved[None])[0])
        if least < value:
            direction, value = moved, least
    if value <= VANISHES * largest:
        _not_positive(function.name, direction, value)


def _slopes(function: NamedNorm, points: FloatArray, step: float) -> FloatArray:
    """Differences at points over twice a step, in the four entries, shape (n, 4)."""
    around = points[:, None] + step * np.stack([UNITS, -UNITS])[:, None]
    ahead, behind = (function.finite(side.reshape(-1, 2, 2)).reshape(-1, 4) for side in around)
    return np.asarray((ahead - behind) / (2.0 * step))


def _ratios(function: NamedNorm, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return ``||A + B|| / (||A|| + ||B||)`` for pairs, shape (n,)."""
    values = function.finite(np.concatenate([first + second, first, second])).reshape(3, -1)
    below = values[1] + values[2]
    return np.where(below > 0, values[0] / np.where(below > 0, below, 1.0), 0.0)


def _pairs(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """Pairs ``A, B`` that a triangle inequality may fail at, each of shape (n, 2, 2)."""
    # Matrices with a few ones: two that share no row and column are the worst for Schatten and entrywise p < 1.
    simple = np.concatenate([UNITS, [np.eye(2), [[0.0, 1.0], [1.0, 0.0]], np.ones((2, 2)), [[1.0, 1.0], [1.0, -1.0]]]])
    i, j = np.triu_indices(len(simple))
    w = _solutions()
    k = rng.integers(0, len(w), (2, 30))
    one = np.concatenate([_rank_one(rng, 60), rng.normal(size=(60, 2, 2)), _ill(rng, 60)])
    other = np.concatenate([_rank_one(rng, 60), rng.normal(size=(60, 2, 2)), _ill(rng, 60)])
    sizes = 10.0 ** rng.uniform(-2, 0, (len(one), 1, 1))
    # Parts that nearly cancel: a value that is the difference of large ones is where rounding would show.
    part = rng.normal(size=(30, 2, 2))
    rest = part * (1e-6 * rng.normal(size=(30, 2, 2)) - 1.0)
    first = np.concatenate([simple[i], simple[i], w[k[0]], one, one, part])
    second = np.concatenate([simple[j], -simple[j], -w[k[1]], other, sizes * other, rest])
    return first, second


def _solutions() -> FloatArray:
    """Solutions ``[[x, 1], [1, 0]]`` with entries of many sizes and both signs."""
    sizes = np.geomspace(1e-3, 1e3, 13)
    matrices = np.zeros((27, 2, 2))
    matrices[:, 0, 1] = matrices[:, 1, 0] = 1.0
    matrices[:, 0, 0] = [0.0, *sizes, *-sizes]
    return matrices


def _rank_one(rng: np.random.Generator, count: int) -> FloatArray:
    return np.asarray(rng.normal(size=(count, 2, 1)) * rng.normal(size=(count, 1, 2)))


def _ill(rng: np.random.Generator, count: int) -> FloatArray:
    """Rank one, and between a thousandth and a billionth of something else."""
    return _rank_one(rng, count) + rng.normal(size=(count, 2, 2)) * 10.0 ** rng.uniform(-9, -3, (count, 1, 1))
