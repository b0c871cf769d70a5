"""Products of chains of matrices, and the gradient of every factor of one."""

from collections.abc import Sequence

from .._types import Array, Matrices


def chain_product(factors: Sequence[Array]) -> Matrices:
    """``W_L ... W_1`` for ``factors[0] = W_1``, shape ``(..., rows, columns)``."""
    product = factors[0]
    for w in factors[1:]:
        product = w @ product
    return product


def tiny_chain_product(factors: Sequence[Array]) -> Matrices:
    """Return the same for compiled loops over many lanes, see `layer_gradients`."""
    product = factors[0]
    for w in factors[1:]:
        product = _product(w, product)
    return product


def layer_gradients(factors: Sequence[Array], slope: Array) -> list[Array]:
    """Gradients ``(W_L ... W_{j+1})^T slope (W_{j-1} ... W_1)^T`` of the factors, for the slope in the product.

    For compiled loops over many lanes: tiny products are written as sums, which are arithmetic over the lanes where a
    matrix product would be a call for each.
    """
    below, above = [factors[0]], [factors[-1]]
    for before, after in zip(factors[1:-1], factors[-2:0:-1], strict=True):
        below.append(_product(before, below[-1]))
        above.append(_product(above[-1], after))
    # below[j] = W_{j+1} ... W_1 and above[j] = W_L ... W_{L-j}, both of up to L - 1 factors.
    last = len(factors) - 1
    gradients = []
    for j in range(len(factors)):
        part = slope if j == last else _product(_turned(above[last - 1 - j]), slope)
        gradients.append(part if j == 0 else _product(part, _turned(below[j - 1])))
    return gradients


def _turned(matrix: Array) -> Array:
    return matrix.swapaxes(-1, -2)


# Extents up to which products are written as sums.
_TINY = 4


def _product(a: Array, b: Array) -> Array:
    if max(*a.shape[-2:], b.shape[-1]) > _TINY:
        return a @ b
    return (a[..., :, :, None] * b[..., None, :, :]).sum(axis=-2)
