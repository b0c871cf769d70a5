"""What a circuit is shown: one-hot vectors for entries of a tensor, patches of images, and their representation."""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._types import Array, ArrayLike, Key
from ..measures._namespace import floating, namespace


def one_hot(indices: ArrayLike, extent: int | Sequence[int]) -> Array | tuple[Array, ...]:
    """One-hot vectors of places in a tensor; a circuit's output on them is the entry there.

    Parameters
    ----------
    indices : array_like of int, shape (..., order)
        0-based places; traced ones, which cannot be checked, become zero vectors where they lie outside.
    extent : int, or sequence of int
        Extent of every mode, or of each.

    Returns
    -------
    array, shape (..., order, extent)
        NumPy float64 for NumPy indices; for a sequence of extents a tuple of arrays, shapes (..., extent_n).

    Raises
    ------
    ValueError
        If an index is no integer or lies outside, or there is not an extent for each mode.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.networks.one_hot([2, 0], 3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    where = indices if isinstance(indices, jax.Array) else _checks.array("indices", indices, _PLACES)
    if where.ndim < 1 or not where.shape[-1] or not jnp.issubdtype(where.dtype, jnp.integer):
        raise ValueError(f"indices has shape {tuple(where.shape)} and dtype {where.dtype}, but must be {_PLACES}.")
    order = where.shape[-1]
    each = isinstance(extent, tuple | list)
    extents = extent if isinstance(extent, tuple | list) else [extent] * order
    if len(extents) != order:
        raise ValueError(f"extent has {len(extents)} entries, but indices names {order} modes; give one for each.")
    sizes = [_checks.positive_integer("extent", size) for size in extents]
    if not isinstance(where, jax.core.Tracer):
        _checks.indices("indices", np.asarray(where).reshape(-1, order), tuple(sizes))
    xp = namespace(where)
    vectors = [(where[..., n, None] == xp.arange(size)).astype(float) for n, size in enumerate(sizes)]
    return tuple(vectors) if each else xp.stack(vectors, axis=-2)


def patches(images: ArrayLike, size: int | Sequence[int]) -> Array:
    """Cut images into patches that do not overlap, row by row, each flattened.

    Parameters
    ----------
    images : array_like, shape (..., height, width, channels)
    size : int, or (height, width)
        Of a patch; the images' height and width are multiples of it.

    Returns
    -------
    array, shape (..., patches, patch_height * patch_width * channels)

    Raises
    ------
    ValueError
        If the images have fewer than three axes or are no multiple of the size.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.networks.patches(np.arange(8.0).reshape(2, 4, 1), 2)
    array([[0., 1., 4., 5.],
           [2., 3., 6., 7.]])
    """
    array = floating("images", images)
    if array.ndim < 3 or 0 in array.shape:
        raise ValueError(
            f"images has shape {tuple(array.shape)}, but must be (..., height, width, channels); gray images have one "
            "channel, images[..., None]."
        )
    if isinstance(size, tuple | list) and len(size) != 2:
        raise ValueError(f"size is {_checks.shortened(size)}, but must be one number, or (height, width).")
    high, wide = (
        _checks.positive_integer("size", n) for n in (size if isinstance(size, tuple | list) else (size, size))
    )
    *lead, height, width, channels = array.shape
    if height % high or width % wide:
        raise ValueError(
            f"size is {_checks.shortened(size)}, but must divide the images' height {height} and width {width}; "
            "crop or pad them first."
        )
    cut = array.reshape(*lead, height // high, high, width // wide, wide, channels)
    return cut.swapaxes(-4, -3).reshape(*lead, -1, high * wide * channels)


class AffineRepresentation(eqx.Module):
    """Features of a patch: an affine map and a nonlinearity, the same at every position.

    Parameters
    ----------
    patch_dim : int
        Numbers in a patch.
    features : int
        Numbers that stand for it.
    activation : callable
        Nonlinearity, applied to all features of a patch together, such as ``jax.nn.relu`` or ``jax.nn.softmax``.
    key : jax.random key
        The weights are Gaussian of variance one over ``patch_dim``, the offsets zero.

    Raises
    ------
    ValueError
        If a size is below one, or ``activation`` cannot be called.

    References
    ----------
    Cohen, Sharir and Shashua (2016), section 3.

    Examples
    --------
    >>> import jax, numpy as np, rankfall as rf
    >>> represent = rf.networks.AffineRepresentation(4, 3, key=jax.random.key(0))
    >>> represent(np.ones(4)).shape
    (3,)
    """

    weight: Array
    bias: Array
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self, patch_dim: int, features: int, activation: Callable[[Array], Array] = jax.nn.relu, *, key: Key
    ) -> None:
        columns = _checks.positive_integer("patch_dim", patch_dim)
        rows = _checks.positive_integer("features", features)
        _checks.room("features", features, rows * columns)
        if not callable(activation):
            raise ValueError(f"activation is {_checks.shortened(activation)}, but must be a function of the features.")
        _checks.key("key", key)
        self.weight = jax.random.normal(key, (rows, columns)) / math.sqrt(columns)
        self.bias = jnp.zeros(rows, self.weight.dtype)
        self.activation = activation

    def __call__(self, patch: Array) -> Array:
        """Features of one patch, shape (patch_dim,) to (features,)."""
        return self.activation(self.weight @ patch + self.bias)


_PLACES = "integers of shape (..., order), one for each mode"
