"""Products of chains of matrices, in the form that compiles best for their size."""

from collections.abc import Sequence

from .._types import Array
from ..measures._namespace import namespace

# Up to this extent a product is written out entry by entry: XLA then fuses a whole training step into a few loops over
# the lanes (measured on the 2 x 2 depth-3 step: 3 to 8 times the speed of a batched matrix product).
WRITTEN_OUT = 3


def small(factors: Sequence[Array]) -> bool:
    """Whether every extent of every factor is small enough for a product written out entry by entry."""
    return max(extent for w in factors for extent in w.shape[-2:]) <= WRITTEN_OUT


def chain_product(factors: Sequence[Array]) -> Array:
    """``W_L ... W_1`` for ``factors[0] = W_1``, shape ``(..., rows, columns)``."""
    xp = namespace(*factors)
    if xp.__name__ == "numpy" or not small(factors):
        product = factors[0]
        for w in factors[1:]:
            product = w @ product
        return product
    entries = written_out(factors)
    return xp.stack([xp.stack(row, axis=-1) for row in entries], axis=-2)


Entries = list[list[Array | None]]
"""A matrix as separate entries; ``None`` is an exact zero, for which no arithmetic is compiled."""


def written_out(factors: Sequence[Array]) -> Entries:
    """Entries of ``W_L ... W_1`` as separate arrays of the batch's shape."""
    return _partial_products([_entries(w) for w in factors])[-1]


def written_out_gradient(factors: Sequence[Array], outer: Entries) -> list[Array]:
    """Gradients of all factors, given that of the end-to-end matrix by its entries: ``W_{L:j+1}^T G W_{j-1:1}^T``.

    By hand rather than by differentiation, so that both layers of a depth-2 chain add the same terms in the same order:
    a difference between ``W_2`` and ``W_1^T`` grows like ``exp(x^2 / 4)`` until the determinant changes sign. From
    alpha I the automatic gradient lost the sign before loss 1e-3, this one does not. The layers still part by rounding
    (5e-9 after 20,000 steps of 5e-3); why is not known.
    """
    chain = [_entries(w) for w in factors]
    below = _partial_products(chain)
    gradients = []
    for j in range(len(chain) - 1, 0, -1):
        gradients.append(_times(outer, _transpose(below[j - 1])))
        outer = _times(_transpose(chain[j]), outer)
    gradients.append(outer)
    xp = namespace(*factors)
    zero = xp.zeros_like(factors[0][..., 0, 0])
    return [
        xp.stack([xp.stack([zero if e is None else e for e in row], axis=-1) for row in gradient], axis=-2)
        for gradient in reversed(gradients)
    ]


def _partial_products(chain: list[Entries]) -> list[Entries]:
    products = [chain[0]]
    for w in chain[1:]:
        products.append(_times(w, products[-1]))
    return products


def _entries(w: Array) -> Entries:
    return [[w[..., i, j] for j in range(w.shape[-1])] for i in range(w.shape[-2])]


def _transpose(a: Entries) -> Entries:
    return [list(column) for column in zip(*a, strict=True)]


def _times(a: Entries, b: Entries) -> Entries:
    def entry(row: list[Array | None], j: int) -> Array | None:
        total: Array | None = None
        for left, right in zip(row, (r[j] for r in b), strict=True):
            if left is not None and right is not None:
                total = left * right if total is None else total + left * right
        return total

    return [[entry(row, j) for j in range(len(b[0]))] for row in a]
