"""A chain of tiny matrices held entry by entry: the form in which the training loop runs fastest.

A matrix whose entries are separate arrays (one number for each lane) never has to be put together or taken apart, so a
whole training step is elementwise arithmetic, which `dynamics.blocks` makes one loop over the lanes of. Where it cannot
(losses that are more than arithmetic), what several results share (products of factors, residuals, the gradient of the
end-to-end matrix) is computed by nested compiled functions: XLA on the CPU fuses a shared value into each of its users,
which would compute it again for each of the ``4 L`` entries of the next state.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from .._types import Array, Probe
from ..measures._namespace import namespace
from ..problems import AbstractProblem
from .base import AbstractFactorization, AbstractModel
from .matrix import MatrixFactorization

# Up to this extent; beyond it the arithmetic written out would compile slowly and run no faster than products.
LARGEST = 3

Matrix = tuple[tuple[Array | None, ...], ...]
"""Rows of entries; ``None`` is an exact zero, for which no arithmetic is compiled."""


class EntrywiseFactorization(AbstractModel):
    """The factors of a `MatrixFactorization`, ``chain[j][row][column]`` being an entry of ``W_{j+1}``."""

    chain: tuple[Matrix, ...]

    by_entries: ClassVar[bool] = False

    @classmethod
    def split(cls, factors: Sequence[Array]) -> "EntrywiseFactorization":
        """Take factors of shape ``(lanes, rows, columns)`` apart into arrays of shape ``(lanes,)``."""
        return cls(
            tuple(tuple(tuple(w[..., i, j] for j in range(w.shape[-1])) for i in range(w.shape[-2])) for w in factors)
        )

    @property
    def factors(self) -> tuple[Array, ...]:
        """The factors as matrices, shape ``(..., rows, columns)``."""
        return tuple(_matrix(w) for w in self.chain)

    @classmethod
    def like(cls, factors: Sequence[Array]) -> "EntrywiseFactorization":
        """Return other factors in this form."""
        return cls.split(factors)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the end-to-end matrix."""
        return len(self.chain[-1]), len(self.chain[0][0])

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single start."""
        first = self.factors[0]
        return len(first) if first.ndim == 3 else None

    def entries_at(self, indices: Array) -> Array:
        """Entries, for indices that were checked or are traced."""
        return self._joined.entries_at(indices)

    def conserved(self) -> tuple[Array, ...]:
        """Return what the matrices conserve."""
        return self._joined.conserved()

    def probes(self) -> list[Probe]:
        """List those of the matrices."""
        return self._joined.probes()

    def describe(self) -> dict[str, Any]:
        """Facts about the matrices: this form is a matter of the loop."""
        return self._joined.describe()

    @property
    def _joined(self) -> MatrixFactorization:
        return MatrixFactorization(self.factors)

    def full(self) -> Array:
        """End-to-end matrix, shape ``(..., rows, columns)``."""
        return _matrix(_products(self.chain)[-1])

    def loss_and_gradient(self, problem: AbstractProblem) -> "tuple[Array, EntrywiseFactorization]":
        """Loss on a completion problem and its gradient ``W_{L:j+1}^T G W_{j-1:1}^T`` in every factor ``W_j``.

        Written by hand, so that both layers of a symmetric depth-2 chain add the same terms in the same order and stay
        each other's transposes to the last bit: any difference grows like ``exp(x^2 / 4)`` in the unobserved entry
        ``x`` until the determinant changes sign.
        """
        loss, outer, below = _forward(problem, self.chain)
        gradient = []
        for j in range(len(self.chain) - 1, 0, -1):
            gradient.append(_times(outer, _transpose(below[j - 1])))
            outer = _pull_back(self.chain[j], outer) if j > 1 else _times(_transpose(self.chain[j]), outer)
        gradient.append(outer)
        zero = jnp.zeros_like(loss)
        filled = (tuple(tuple(zero if e is None else e for e in row) for row in g) for g in reversed(gradient))
        return loss, EntrywiseFactorization(tuple(filled))


def entrywise(start: AbstractFactorization, problem: AbstractProblem) -> bool:
    """Whether training on this problem is to use the entrywise form."""
    if not isinstance(start, MatrixFactorization):
        return False
    tiny = max(extent for w in start.factors for extent in w.shape[-2:]) <= LARGEST
    return tiny and problem.written_out() is not None


@jax.jit
def _forward(problem: Any, chain: tuple[Matrix, ...]) -> tuple[Array, Matrix, list[Matrix]]:
    """Loss, gradient in the end-to-end matrix, and the partial products ``W_{j:1}``."""
    below, pattern = _products(chain), problem.pattern
    loss, slopes = problem.loss_and_slopes([below[-1][i][j] for i, j in pattern])
    slope = dict(zip(pattern, slopes, strict=True))
    rows, columns = len(chain[-1]), len(chain[0][0])
    return loss, tuple(tuple(slope.get((i, j)) for j in range(columns)) for i in range(rows)), below[:-1]


@jax.jit
def _pull_back(w: Matrix, outer: Matrix) -> Matrix:
    """Gradient in what ``w`` was applied to."""
    return _times(_transpose(w), outer)


def _products(chain: Sequence[Matrix]) -> list[Matrix]:
    products = [chain[0]]
    for w in chain[1:]:
        products.append(_times(w, products[-1]))
    return products


def _matrix(entries: Matrix) -> Array:
    xp = namespace(*(e for row in entries for e in row))
    return xp.stack([xp.stack(row, axis=-1) for row in entries], axis=-2)


def _transpose(a: Matrix) -> Matrix:
    return tuple(zip(*a, strict=True))


def _times(a: Matrix, b: Matrix) -> Matrix:
    def entry(row: Sequence[Array | None], j: int) -> Array | None:
        total = None
        for left, right in zip(row, (r[j] for r in b), strict=True):
            if left is not None and right is not None:
                total = left * right if total is None else total + left * right
        return total

    return tuple(tuple(entry(row, j) for j in range(len(b[0]))) for row in a)
