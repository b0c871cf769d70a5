"""The Khatri-Rao product, which every sum of outer products is built from."""

from collections.abc import Sequence
from typing import Any

from .._types import Array


def khatri_rao(factors: Sequence[Any]) -> Array:
    """Column-wise Kronecker product, shape ``(..., product of extents, components)``, the last mode running fastest."""
    product = factors[0]
    for w in factors[1:]:
        product = product[..., :, None, :] * w[..., None, :, :]
        product = product.reshape(*product.shape[:-3], -1, product.shape[-1])
    return product
