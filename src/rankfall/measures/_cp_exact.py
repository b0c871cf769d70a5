"""Rules that decide the CP rank of a tensor of real numbers, to the rounding of its entries; none guesses."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

Decision = tuple[int | None, str | None]

# A singular value (of a tensor of norm one) is zero below this many machine epsilons, not zero above _CLEAR times as
# many, and in between nothing is decided: sums of a few outer products round to a few epsilons.
_ROUNDING, _CLEAR = 16, 100
# Eigenvectors worse conditioned than this may be those of a defective matrix that rounding has taken apart: a Jordan
# block of size 2 gives 1e8, larger ones more. Below it, eigenvalues are right to 1e-9, far less than _APART.
_CONDITION, _APART = 1e5, 1e-6
UNDECIDED: Decision = (None, None)


def exact_rank(given: np.ndarray, tensor: np.ndarray, eps: float) -> Decision:
    """Rank of a tensor whose entries are right to ``eps``, also given over its norm, and the rule that decides it."""
    core = _core(tensor, eps)
    if core is None:
        return UNDECIDED
    if core.ndim <= 2:
        rank = core.shape[0] if core.ndim else 1
        return rank, "all matricizations have rank 1" if rank == 1 else "rank of a matrix"
    largest, others = max(core.shape), math.prod(core.shape) // max(core.shape)
    if largest == others:
        return largest, "a matricization reaches the largest rank that its shape allows"
    if core.shape == (2, 2, 2):
        return _two_by_two_by_two(core, given, eps)
    if core.ndim == 3 and min(core.shape) == 2 and eps <= 1e-15:
        return _pencil(np.moveaxis(core, int(np.argmin(core.shape)), 0))
    return UNDECIDED


def hyperdeterminant(t: np.ndarray) -> Any:
    """Cayley's hyperdeterminant, the discriminant of det(x A + y B) for the two slices A, B: invariant up to scale."""
    (a, b), (c, d), (e, f), (g, h) = t.reshape(4, 2)
    return (a * h + e * d - b * g - f * c) ** 2 - 4 * (a * d - b * c) * (e * h - f * g)


def _core(tensor: np.ndarray, eps: float) -> np.ndarray | None:
    """Return the tensor in bases of its mode spaces, those of dimension one left out; its rank is the same."""
    core = tensor
    for n in range(tensor.ndim):
        flat = np.moveaxis(core, n, 0).reshape(core.shape[n], -1)
        basis, values, _ = np.linalg.svd(flat, full_matrices=False)
        rank = int((values > _ROUNDING * eps).sum())
        if rank > int((values > _CLEAR * _ROUNDING * eps).sum()):
            return None
        core = np.moveaxis(np.tensordot(basis[:, :rank].T, core, axes=(1, n)), 0, n)
    return core.reshape([size for size in core.shape if size > 1])


def _two_by_two_by_two(core: np.ndarray, given: np.ndarray, eps: float) -> Decision:
    """All three mode ranks are 2, so that a zero hyperdeterminant leaves the orbit of W alone."""
    rule = "hyperdeterminant of a 2x2x2 tensor"
    value = hyperdeterminant(core)
    if abs(value) > _CLEAR * _ROUNDING * eps:
        return (2 if value > 0 else 3), f"{rule}: {'positive' if value > 0 else 'negative'}"
    # Next to zero, rank 2 and rank 3 are a rounding error apart; only an exact zero, in fractions, is one.
    if given.size == 8:
        fractions = np.array([Fraction(float(x)) for x in given.ravel()], dtype=object)
        if hyperdeterminant(fractions) == 0:
            return 3, f"{rule}: zero, degenerate"
    return UNDECIDED


def _pencil(slices: np.ndarray) -> Decision:
    """Ja'Ja's theorem for pencils of two slices whose eigenvalues are simple, or which have none."""
    wide = slices if slices.shape[1] <= slices.shape[2] else slices.transpose(0, 2, 1)
    rows, columns = wide.shape[1:]
    rule = f"Kronecker form of a pencil of shape {rows}x{columns}x2"
    for values, vectors, turned in _square_pencils(wide):
        if np.linalg.cond(vectors) > _CONDITION:
            continue
        if columns > rows:
            # A value at which the rectangular pencil loses rank is an eigenvalue of every square one made from it.
            smallest = min(
                np.linalg.svd(turned[0] - x * turned[1], compute_uv=False)[-1] / (1 + abs(x)) for x in values
            )
            if smallest > _APART:
                return columns, f"{rule}: no eigenvalues"
            continue
        scale = 1 + abs(values)
        gaps = abs(values[:, None] - values) / (scale[:, None] * scale) + 2 * np.eye(rows)
        if gaps.min() < _APART:
            continue
        if (values.imag == 0).all():
            return rows, f"{rule}: real and distinct eigenvalues"
        return rows + 1, f"{rule}: distinct eigenvalues, not all real"
    return UNDECIDED


def _square_pencils(wide: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Eigenvalues, eigenvectors and slices for a few mixtures of columns and slices; rank knows nothing of either."""
    rng = np.random.default_rng(0)
    rows, columns = wide.shape[1:]
    for _ in range(8):
        mix = np.eye(rows) if rows == columns else np.linalg.qr(rng.normal(size=(columns, rows)))[0]
        angle = rng.uniform(0, math.pi)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        turned = np.tensordot(turn, wide, axes=1)
        square = turned @ mix
        if np.linalg.cond(square[1]) < _CONDITION:
            yield *np.linalg.eig(np.linalg.solve(square[1], square[0])), turned
