"""Starts of a deep matrix factorization: Gaussian, balanced, identity, orthogonal; with a wanted determinant sign."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import numpy as np

from .. import _checks
from .._execution import compiled, double_precision
from .._types import ArrayLike, DTypeLike, Key
from ..measures.factors import det_sign as sign_of_factors

KINDS = ("gaussian", "balanced", "identity", "orthogonal")
# Each attempt succeeds with probability one half; a lane is still without the wanted sign once in 2^200.
_ATTEMPTS = 200

Factors = list[np.ndarray]


def draw(
    shape: Sequence[int],
    depth: int,
    *,
    key: Key | None,
    kind: str,
    sizes: dict[str, ArrayLike | None],
    widths: ArrayLike | None,
    det_sign: int | None,
    dtype: DTypeLike,
) -> Factors:
    """Draw the factors; see ``MatrixFactorization.init``, whose ``scale``, ``factor_std``, ``alpha`` are ``sizes``."""
    extents = _checks.matrix_shape("shape", shape)
    depth = _checks.positive_integer("depth", depth)
    _checks.one_of("kind", kind, KINDS)
    dtype = _checks.precision("dtype", dtype)
    layers = _sizes(extents, depth, widths)
    det_sign = _checks.sign("det_sign", det_sign)
    _check_det_sign(det_sign, kind, layers)
    scale, factor_std, alpha = sizes["scale"], sizes["factor_std"], sizes["alpha"]
    if kind == "identity":
        _refuse(kind, scale=scale, factor_std=factor_std)
        size = _within("alpha", 1.0 if alpha is None else alpha, dtype)
        return _not_lost("alpha", size, [w.astype(dtype) for w in _identity(layers, size)])
    _refuse(kind, alpha=alpha, **({} if kind == "gaussian" else {"factor_std": factor_std}))
    if (scale is None) == (factor_std is None):
        raise ValueError(
            f"scale is {_checks.shortened(scale)} and factor_std is {_checks.shortened(factor_std)}, but exactly one "
            "is needed; scale is the standard deviation of an end-to-end entry."
        )
    if key is None:
        raise ValueError(f"key is None, but a {kind} start is random; pass key=jax.random.key(0).")
    given, name = (scale, "scale") if factor_std is None else (factor_std, "factor_std")
    keys, size, laned = _lanes(key, _within(name, given, dtype), name)
    factor_std_of = _per_layer(layers) if factor_std is None else lambda s: s
    with double_precision():
        factors = _draw_signed(kind, layers, keys, factor_std_of(size) if kind == "gaussian" else size, det_sign, dtype)
    return [w if laned else w[0] for w in _not_lost(name, size, factors)]


def _sizes(shape: tuple[int, int], depth: int, widths: ArrayLike | None) -> list[int]:
    """Return ``[columns, hidden widths..., rows]``, the extents from the input to the output."""
    rows, columns = shape
    _checks.room("shape", shape, rows * columns)
    _checks.room("depth", depth, depth * min(shape) ** 2)
    expected = f"the {depth - 1} hidden widths of depth {depth}"
    hidden = [min(shape)] * (depth - 1) if widths is None else np.atleast_1d(_checks.array("widths", widths, expected))
    if len(hidden) != depth - 1:
        raise ValueError(f"widths has {len(hidden)} entries, but must be {expected}.")
    sizes = [columns, *(_checks.positive_integer("widths", width) for width in hidden), rows]
    _checks.room("widths", widths, sum(n * m for n, m in _pairs(sizes)))
    return sizes


def _check_det_sign(det_sign: int | None, kind: str, sizes: list[int]) -> None:
    if det_sign is None:
        return
    if sizes[0] != sizes[-1]:
        raise ValueError(
            f"det_sign is {det_sign}, but a product of shape ({sizes[-1]}, {sizes[0]}) has no determinant."
        )
    if min(sizes) < sizes[0]:
        raise ValueError(f"det_sign is {det_sign}, but a hidden width of {min(sizes)} makes the determinant zero.")
    if kind == "identity" and det_sign == -1:
        raise ValueError("det_sign is -1, but alpha times the identity has a positive determinant; use another kind.")


def _refuse(kind: str, **options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} is {_checks.shortened(value)}, but a start of kind {kind!r} has no such option.")


def _within(name: str, size: ArrayLike | None, dtype: str) -> np.ndarray:
    """Return deviations or multiples of the identity, one or one for each lane, whose starts do not overflow."""
    array = _checks.positive(name, size)
    if array.ndim > 1:
        raise ValueError(f"{name} has shape {array.shape}, but must be one number, or one for each lane.")
    # A million is more than what random numbers and sums over hidden widths come to.
    most = float(np.finfo(dtype).max) / 1e6
    if array.max() > most:
        raise ValueError(f"{name} is {array.max():g}, but must be at most {most:g}, within the range of {dtype}.")
    return array


def _not_lost(name: str, size: np.ndarray, factors: Factors) -> Factors:
    """Refuse a start that has come to nothing in its precision: training would never leave it."""
    if not all(w.any(axis=(-2, -1)).all() for w in factors):
        raise ValueError(
            f"{name} is {size.min():g}, but a start as small is zero in {factors[0].dtype}; take a larger one."
        )
    return factors


def _identity(sizes: list[int], alpha: np.ndarray) -> Factors:
    """``alpha I`` end to end, every factor ``alpha^(1/L)`` times a (rectangular) identity."""
    if min(sizes) < min(sizes[0], sizes[-1]):
        raise ValueError(f"widths has {min(sizes)}, but alpha times the identity needs at least min(rows, columns).")
    value = alpha[..., None, None] ** (1 / (len(sizes) - 1))
    return [value * np.eye(n, m) for m, n in zip(sizes[:-1], sizes[1:], strict=True)]


def _lanes(key: Key, size: np.ndarray, name: str) -> tuple[Key, np.ndarray, bool]:
    """Return keys and sizes with one lane axis each, and whether the user asked for lanes."""
    _checks.key("key", key, lanes=True)
    laned = key.ndim == 1 or size.ndim == 1
    if key.ndim == 0 and size.ndim == 1:
        # One key, many sizes: the same draw at every size, so that lanes differ in the size alone.
        key = key[None][np.zeros(len(size), dtype=int)]
    keys = key if key.ndim else key[None]
    if size.ndim and len(size) != len(keys):
        raise ValueError(f"{name} has {len(size)} values, but key has {len(keys)} keys; give one for each lane.")
    return keys, np.broadcast_to(size, (len(keys),)), laned


def _per_layer(sizes: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the map from an end-to-end deviation to that of a factor's entry."""
    # A product entry sums prod(hidden widths) independent products of L entries.
    paths, depth = math.prod(sizes[1:-1]), len(sizes) - 1
    return lambda scale: (scale / math.sqrt(paths)) ** (1 / depth)


def _draw_signed(kind: str, sizes: list[int], keys: Key, size: np.ndarray, det_sign: int | None, dtype: str) -> Factors:
    shapes, assemble = _SAMPLERS[kind]
    wanted = shapes(sizes)
    factors = [w.astype(dtype) for w in assemble(_normals(keys, wanted), size, sizes)]
    if det_sign is None:
        return factors
    again = jax.vmap(jax.random.fold_in, in_axes=(0, None))
    for attempt in range(1, _ATTEMPTS):
        # In double precision, so that the sign is that of the numbers as rounded to the dtype.
        wrong = np.flatnonzero(sign_of_factors([w.astype(np.float64) for w in factors]) != det_sign)
        if wrong.size == 0:
            return factors
        # Numbers are drawn for all lanes again, so that their shape stays one compiled shape; the wrong lanes use them.
        fresh = [z[wrong] for z in _normals(again(keys, attempt), wanted)]
        for old, new in zip(factors, assemble(fresh, size[wrong], sizes), strict=True):
            old[wrong] = new
    raise ValueError(f"det_sign is {det_sign}, but no start had it in {_ATTEMPTS} draws; take a larger scale.")


def _normals(keys: Key, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    """Return standard normal matrices of the given shapes, ``(keys, rows, columns)``.

    JAX draws the numbers and NumPy does the linear algebra on them: compiled on the CPU, several independent batches
    of QR decompositions wait for each other forever (jaxlib 0.10.2, from some 10 000 lanes on).
    """
    counts = [n * m for n, m in shapes]
    # Keys and numbers are rounded up, so that starts of other depths and other numbers of lanes compile nothing new.
    total, lanes = -(-sum(counts) // 16) * 16, len(keys)
    spare = (1 << (lanes - 1).bit_length()) - lanes
    padded = keys[np.append(np.arange(lanes), np.zeros(spare, dtype=int))] if spare else keys
    flat = np.asarray(_flat_normals(padded, total))[:lanes]
    parts = np.split(flat, np.cumsum(counts), axis=1)
    return [part.reshape(lanes, *shape) for part, shape in zip(parts, shapes, strict=False)]


@functools.partial(compiled, static_argnums=1)
def _flat_normals(keys: Key, count: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.normal(key, (count,), dtype="float64"))(keys)


def _pairs(sizes: list[int]) -> list[tuple[int, int]]:
    """Return the shape of every factor."""
    return list(zip(sizes[1:], sizes[:-1], strict=True))


def _gaussian(normals: Factors, std: np.ndarray, sizes: list[int]) -> Factors:
    return [std[:, None, None] * z for z in normals]


def _balanced_shapes(sizes: list[int]) -> list[tuple[int, int]]:
    rows, columns, rank = sizes[-1], sizes[0], min(sizes)
    return [(rows, columns)] if rank == min(rows, columns) else [(rows, rank), (rank, columns)]


def _balanced(normals: Factors, scale: np.ndarray, sizes: list[int]) -> Factors:
    """Take the end-to-end matrix and spread its singular values evenly: ``S^(1/L)`` in every layer.

    Below full width the end-to-end matrix is a product of two Gaussian ones, of the rank that the widths allow.
    """
    target = normals[0] if len(normals) == 1 else normals[0] @ normals[1] / math.sqrt(min(sizes))
    return spread(scale[:, None, None] * target, sizes)


def spread(matrices: np.ndarray, sizes: list[int]) -> Factors:
    """Balanced factors ``W_1 = S^(1/L) V^T``, ``S^(1/L)``, ..., ``W_L = U S^(1/L)`` of lanes ``U S V^T``.

    ``sizes`` are the extents from the input to the output; beyond the rank they leave room for, values are dropped.
    """
    depth, rank = len(sizes) - 1, min(sizes)
    u, s, vt = np.linalg.svd(matrices, full_matrices=False)
    u, root, vt = u[:, :, :rank], s[:, :rank] ** (1 / depth), vt[:, :rank]
    if depth == 1:
        return [(u * root[:, None, :]) @ vt]
    factors = [np.zeros((len(matrices), *shape)) for shape in _pairs(sizes)]
    factors[0][:, :rank] = root[:, :, None] * vt
    factors[-1][:, :, :rank] = u * root[:, None, :]
    for w in factors[1:-1]:
        w[:, np.arange(rank), np.arange(rank)] = root
    return factors


def _orthogonal_shapes(sizes: list[int]) -> list[tuple[int, int]]:
    return [(max(shape), max(shape)) for shape in _pairs(sizes)]


def _orthogonal(normals: Factors, scale: np.ndarray, sizes: list[int]) -> Factors:
    """Uniformly random (semi-)orthogonal layers times one common gain, set by the end-to-end deviation."""
    # E ||Q_L ... Q_1||_F^2 = n_0 prod_j min(n_j, n_{j-1}) / n_{j-1} for independent Haar factors.
    mean_square = math.prod(min(n, m) / m for n, m in _pairs(sizes)) / sizes[-1]
    gain = (scale / math.sqrt(mean_square)) ** (1 / len(normals))
    return [gain[:, None, None] * _haar(z)[:, :n, :m] for z, (n, m) in zip(normals, _pairs(sizes), strict=True)]


def _haar(normals: np.ndarray) -> np.ndarray:
    """Return uniformly random orthogonal matrices, from Gaussian ones."""
    q, r = np.linalg.qr(normals)
    # Signs of R's diagonal made positive: only then is Q uniform (Mezzadri, 2007).
    return q * np.where(np.diagonal(r, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[:, None, :]


# For each kind: the shapes of the normal numbers it needs, and what it makes of them.
_SAMPLERS: dict[str, tuple[Callable[..., list[tuple[int, int]]], Callable[..., Factors]]] = {
    "gaussian": (_pairs, _gaussian),
    "balanced": (_balanced_shapes, _balanced),
    "orthogonal": (_orthogonal_shapes, _orthogonal),
}
