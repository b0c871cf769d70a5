"""Least-squares fits of sums of rank-one tensors, for tensors of Frobenius norm one: factors of shape (size, rank)."""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from .khatri_rao import khatri_rao

Factors = list[np.ndarray]
Path = list[tuple[float, float]]

# Unknowns up to which second-order steps are taken: their matrix of squares takes a few milliseconds to factor.
MOST_UNKNOWNS = 1000
_EPS = float(np.finfo(np.float64).eps)


def full(factors: Factors) -> np.ndarray:
    """Return the tensor that factors stand for; two halves of the modes make it one matrix product."""
    half = len(factors) // 2
    product = khatri_rao(factors[:half]) @ khatri_rao(factors[half:]).T
    return product.reshape([len(factor) for factor in factors])


def component_norms(factors: Factors) -> np.ndarray:
    """Frobenius norm of each rank-one term."""
    return np.prod([np.linalg.norm(factor, axis=0) for factor in factors], axis=0)


def balanced(factors: Factors) -> Factors:
    """Share the norm of each term equally among its modes; a term that is zero in one mode is zero in all."""
    norms = np.array([np.linalg.norm(factor, axis=0) for factor in factors])
    shared = np.prod(norms, axis=0) ** (1 / len(factors))
    return [factor * (shared / np.where(norm > 0, norm, 1)) for factor, norm in zip(factors, norms, strict=True)]


def recomputed(tensor: np.ndarray, factors: Factors) -> tuple[float, float]:
    """Relative error of a fit from its factors, and a bound on what rounding may have added to it or hidden of it."""
    error = float(np.linalg.norm(full(factors) - tensor))
    return error, rounding_bound(factors[0].shape[1], len(factors), float(component_norms(factors).sum()))


def rounding_bound(rank: int, order: int, total: float) -> float:
    """Bound the rounding of an error recomputed from terms whose norms add up to a total."""
    return 4 * (rank + order) * _EPS * (total + 1)


class Target:
    """A tensor cut in two halves of its modes, so that a sweep over all modes needs two large matrix products."""

    def __init__(self, tensor: np.ndarray) -> None:
        self.shape = tensor.shape
        self.square = float(np.sum(tensor**2))
        order = tensor.ndim
        self.halves = (list(range(order // 2)), list(range(order // 2, order)))
        self.matrix = tensor.reshape(math.prod(tensor.shape[: order // 2]), -1)

    def block(self, half: int, factors: Factors) -> np.ndarray:
        """Return the tensor times all factors of the other half, shape (*sizes of this half, rank)."""
        other = khatri_rao([factors[m] for m in self.halves[1 - half]])
        product = (self.matrix.T if half else self.matrix) @ other
        return product.reshape(*(self.shape[n] for n in self.halves[half]), -1)

    def product(self, half: int, block: np.ndarray, factors: Factors, mode: int) -> np.ndarray:
        """Return the tensor times all factors but one, shape (size of that mode, rank)."""
        modes = self.halves[half]
        for m in reversed(modes):
            if m != mode:
                axis = modes.index(m)
                shape = (-1,) + (1,) * (block.ndim - axis - 2) + (block.shape[-1],)
                block = (block * factors[m].reshape(shape)).sum(axis=axis)
        return block

    def sweep_cost(self, rank: int) -> float:
        """Multiplications of a sweep over all modes."""
        order, size = len(self.shape), math.prod(self.shape)
        return 4.0 * size * rank + order * rank**3 + 4.0 * sum(self.shape) * rank**2

    def step_cost(self, rank: int) -> float:
        """Multiplications of a second-order step."""
        unknowns = sum(self.shape) * rank
        return 6.0 * math.prod(self.shape) * rank + 4 * unknowns**2 + unknowns**3 / 3


def als(target: Target, factors: Factors, sweeps: int, goal: float, path: Path) -> Factors:
    """Alternate least squares until the error is below a goal, or hardly falls.

    Each update is drawn to where it was (a proximal term), strongly at first: it keeps nearly collinear terms from
    cancelling one another, and, unlike a ridge that draws to zero, leaves the minima where they are.
    """
    rank, order = factors[0].shape[1], len(factors)
    norms = [np.linalg.norm(factor, axis=0) for factor in factors]
    factors = [factor / np.where(norm > 0, norm, 1) for factor, norm in zip(factors, norms, strict=True)]
    weights = np.prod(norms, axis=0)
    grams = [factor.T @ factor for factor in factors]
    eye, pull, last = np.eye(rank), 1e-2, np.inf
    for sweep in range(sweeps):
        pull = max(pull / 2, 1e-12)
        for half in (0, 1):
            block = target.block(half, factors)
            for n in target.halves[half]:
                product = target.product(half, block, factors, n)
                gram = np.prod([grams[m] for m in range(order) if m != n], axis=0)
                new = np.linalg.solve(gram + pull * eye, (product + pull * factors[n] * weights).T).T
                weights = np.linalg.norm(new, axis=0)
                factors[n] = np.where(weights > 0, new / np.where(weights > 0, weights, 1), factors[n])
                grams[n] = factors[n].T @ factors[n]
        if sweep % 5 == 4 or sweep == sweeps - 1:
            square = target.square - 2 * np.sum(product * new) + np.sum((new.T @ new) * gram)
            error = math.sqrt(max(float(square), 0.0))
            path.append((error, float(weights.max())))
            if error < goal or error > 0.998 * last:
                break
            last = error
    shared = weights ** (1 / order)
    return [factor * shared for factor in factors]


def polish(target: Target, factors: Factors, steps: int, path: Path) -> tuple[Factors, int]:
    """Levenberg-Marquardt on all factors at once, which goes on where alternation crawls.

    The matrix of squares is put together from Gram matrices: no Jacobian of (entries, unknowns) is ever held. Squaring
    the condition number costs accuracy of a step, not of the solution, since the gradient is computed from residuals.
    Also returns the number of steps tried; the path holds those that were taken.
    """
    factors = balanced(factors)
    rank = factors[0].shape[1]
    shape = [len(factor) for factor in factors]
    ends = np.cumsum([0, *(size * rank for size in shape)])
    tensor = target.matrix.reshape(target.shape)
    residual = full(factors) - tensor
    cost = float(np.sum(residual**2))
    damping, growth, checkpoint = 0.0, 2.0, cost
    matrix = np.empty((ends[-1], ends[-1]))
    fresh, tried = True, 0
    while tried < steps:
        if cost <= (4 * _EPS) ** 2:
            break
        tried += 1
        if fresh:
            gradient = _gradient(residual, factors)
            _squares(factors, ends, matrix)
            if not damping:
                damping = 1e-2 * float(matrix.diagonal().max())
        try:
            move = np.linalg.solve(matrix + damping * np.eye(len(matrix)), -gradient)
        except np.linalg.LinAlgError:
            move = np.zeros_like(gradient)
        moved = [f + move[ends[n] : ends[n + 1]].reshape(f.shape) for n, f in enumerate(factors)]
        beyond = full(moved) - tensor
        new = float(np.sum(beyond**2))
        expected = float(move @ (damping * move - gradient))
        gain = (cost - new) / expected if expected > 0 else -1.0
        fresh = gain > 0 and new < cost
        if fresh:
            # Terms that drift apart in the share of their modes would spoil the scaling of the damping.
            factors, residual, cost = balanced(moved), beyond, new
            path.append((math.sqrt(cost), float(component_norms(factors).max())))
            damping *= max(1 / 3, 1 - (2 * gain - 1) ** 3)
            damping, growth = max(damping, 1e-15), 2.0
        else:
            damping, growth = damping * growth, 2 * growth
            if not math.isfinite(damping) or damping > 1e12:
                break
        if tried % 10 == 0:
            if cost > 0.98 * checkpoint:
                break
            checkpoint = cost
    return factors, tried


def _gradient(residual: np.ndarray, factors: Factors) -> np.ndarray:
    error = Target(residual)
    blocks = [error.block(half, factors) for half in (0, 1)]
    parts = [error.product(half, blocks[half], factors, n) for half in (0, 1) for n in error.halves[half]]
    return np.concatenate([part.ravel() for part in parts])


def _squares(factors: Factors, ends: np.ndarray, matrix: np.ndarray) -> None:
    """Write the Gauss-Newton matrix into ``matrix``; unknowns are ordered by mode, row, term."""
    order, rank = len(factors), factors[0].shape[1]
    grams = [factor.T @ factor for factor in factors]
    for m in range(order):
        for n in range(m, order):
            rest = [grams[k] for k in range(order) if k not in (m, n)]
            gram = np.prod(rest, axis=0) if rest else np.ones((rank, rank))
            rows, columns = len(factors[m]), len(factors[n])
            if m == n:
                block = np.einsum("ij,rs->irjs", np.eye(rows), gram)
            else:
                block = factors[m][:, None, None, :] * factors[n].T[None, :, :, None] * gram[None, :, None, :]
            block = block.reshape(rows * rank, columns * rank)
            matrix[ends[m] : ends[m + 1], ends[n] : ends[n + 1]] = block
            matrix[ends[n] : ends[n + 1], ends[m] : ends[m + 1]] = block.T


def simultaneous_diagonalisation(tensor: np.ndarray, rank: int, rng: np.random.Generator) -> Factors | None:
    """Start from eigenvectors of two random mixtures of slices: exact where the terms are independent in two groups.

    ``None`` where no two groups of modes are as large as the rank, or the mixtures are singular.
    """
    groups = _three_groups(tensor.shape, rank)
    if groups is None:
        return None
    first, second, third = groups
    modes = first + second + third
    a, b, c = (math.prod(tensor.shape[n] for n in group) for group in groups)
    t = tensor.transpose(modes).reshape(a, b, c)
    left = np.linalg.svd(t.reshape(a, -1), full_matrices=False)[0][:, :rank]
    right = np.linalg.svd(t.transpose(1, 0, 2).reshape(b, -1), full_matrices=False)[0][:, :rank]
    small = np.einsum("abc,ai,bj->ijc", t, left, right, optimize=True)
    mixed, other = np.moveaxis(small @ rng.normal(size=(c, 2)), -1, 0)
    try:
        values, vectors = np.linalg.eig(np.linalg.solve(other.T, mixed.T).T)
        # A complex pair has no real terms; its real and imaginary parts span the same plane.
        vectors = np.where(values.imag < 0, vectors.imag, vectors.real)
        columns = left @ vectors
        rest = np.linalg.lstsq(columns, t.reshape(a, -1), rcond=None)[0]
    except np.linalg.LinAlgError:
        return None
    sizes = [[tensor.shape[n] for n in group] for group in (first, second + third)]
    found = [_rank_one(columns[:, r].reshape(sizes[0])) + _rank_one(rest[r].reshape(sizes[1])) for r in range(rank)]
    factors = [np.stack([term[k] for term in found], axis=1) for k in range(len(modes))]
    ordered = [factors[modes.index(n)] for n in range(len(modes))]
    return ordered if all(np.isfinite(factor).all() for factor in ordered) else None


def _rank_one(tensor: np.ndarray) -> Factors:
    """Leading singular vectors of the single modes, and the best weight for their product, in the first."""
    if tensor.ndim == 1:
        return [tensor]
    vectors = [
        np.linalg.svd(np.moveaxis(tensor, n, 0).reshape(tensor.shape[n], -1), full_matrices=False)[0][:, 0]
        for n in range(tensor.ndim)
    ]
    weight = tensor
    for vector in reversed(vectors):
        weight = weight @ vector
    return [vectors[0] * weight, *vectors[1:]]


def _three_groups(shape: tuple[int, ...], rank: int) -> tuple[list[int], list[int], list[int]] | None:
    """Split the modes in two groups of at least the rank and a third of at least two, as large as can be."""
    order = len(shape)
    if order > 6:
        # The number of splits grows as 3^order; consecutive ones do.
        splits = [[0] * i + [1] * (j - i) + [2] * (order - j) for i in range(1, order) for j in range(i + 1, order)]
    else:
        splits = [list(split) for split in itertools.product(range(3), repeat=order)]
    best, size = None, 1
    for split in splits:
        groups = [[n for n in range(order) if split[n] == g] for g in range(3)]
        first, second, third = (math.prod(shape[n] for n in group) for group in groups)
        if min(first, second) >= rank and third > size and all(groups):
            best, size = (groups[0], groups[1], groups[2]), third
    return best


def random_terms(shape: Sequence[int], count: int, rng: np.random.Generator) -> Factors:
    """Gaussian directions of norm one."""
    drawn = [rng.normal(size=(size, count)) for size in shape]
    return [factor / np.linalg.norm(factor, axis=0) for factor in drawn]
