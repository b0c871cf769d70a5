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


def written_out(factors: Sequence[Array]) -> list[list[Array]]:
    """Entries of ``W_L ... W_1`` as separate arrays of the batch's shape."""
    entries = _entries(factors[0])
    for w in factors[1:]:
        entries = _times(_entries(w), entries)
    return entries


def _entries(w: Array) -> list[list[Array]]:
    return [[w[..., i, j] for j in range(w.shape[-1])] for i in range(w.shape[-2])]


def _times(a: list[list[Array]], b: list[list[Array]]) -> list[list[Array]]:
    def entry(row: list[Array], j: int) -> Array:
        total = row[0] * b[0][j]
        for k in range(1, len(b)):
            total = total + row[k] * b[k][j]
        return total

    return [[entry(row, j) for j in range(len(b[0]))] for row in a]
