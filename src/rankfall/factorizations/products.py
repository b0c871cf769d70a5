"""Products of chains of matrices."""

from collections.abc import Sequence

from .._types import Array, Matrices


def chain_product(factors: Sequence[Array]) -> Matrices:
    """``W_L ... W_1`` for ``factors[0] = W_1``, shape ``(..., rows, columns)``."""
    product = factors[0]
    for w in factors[1:]:
        product = w @ product
    return product
