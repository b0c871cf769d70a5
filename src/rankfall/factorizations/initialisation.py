"""Starts of a deep matrix factorization: Gaussian, balanced, identity, orthogonal; with a wanted determinant sign."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._precision import double_precision
from ..measures.factors import det_sign as sign_of_factors

KINDS = ("gaussian", "balanced", "identity", "orthogonal")
# Each attempt succeeds with probability one half; a lane is still without the wanted sign once in 2^200.
_ATTEMPTS = 200

Factors = list[np.ndarray]


def draw(
    shape: tuple[int, int],
    depth: int,
    *,
    key: Any = None,
    kind: str = "gaussian",
    scale: Any = None,
    factor_std: Any = None,
    alpha: Any = None,
    widths: Any = None,
    det_sign: int | None = None,
    dtype: Any = "float64",
) -> Factors:
    """Draw the factors; see ``MatrixFactorization.init`` for the meaning of every argument."""
    _checks.positive_integer("depth", depth)
    _checks.one_of("kind", kind, KINDS)
    _checks.one_of("dtype", np.dtype(dtype).name, ("float64", "float32"))
    sizes = _sizes(shape, depth, widths)
    _check_det_sign(det_sign, kind, sizes)
    if kind == "identity":
        _refuse(kind, scale=scale, factor_std=factor_std)
        return [w.astype(dtype) for w in _identity(sizes, 1.0 if alpha is None else alpha)]
    _refuse(kind, alpha=alpha, **({} if kind == "gaussian" else {"factor_std": factor_std}))
    if (scale is None) == (factor_std is None):
        raise ValueError(
            f"scale is {scale!r} and factor_std is {factor_std!r}, but exactly one is needed; scale is the standard "
            "deviation of an end-to-end entry."
        )
    if key is None:
        raise ValueError(f"key is None, but a {kind} start is random; pass key=jax.random.key(0).")
    size, name = (scale, "scale") if factor_std is None else (factor_std, "factor_std")
    _checks.positive(name, size)
    keys, size, laned = _lanes(key, np.asarray(size, dtype=np.float64), name)
    factor_std_of = _per_layer(sizes) if factor_std is None else lambda s: s
    with double_precision():
        factors = _draw_signed(kind, sizes, keys, factor_std_of(size) if kind == "gaussian" else size, det_sign)
    return [(w if laned else w[0]).astype(dtype) for w in factors]


def _sizes(shape: tuple[int, int], depth: int, widths: Any) -> list[int]:
    """Return ``[columns, hidden widths..., rows]``, the extents from the input to the output."""
    rows, columns = shape
    _checks.positive_integer("shape's number of rows", rows)
    _checks.positive_integer("shape's number of columns", columns)
    hidden = [min(shape)] * (depth - 1) if widths is None else list(np.atleast_1d(widths).tolist())
    if len(hidden) != depth - 1:
        raise ValueError(f"widths has {len(hidden)} entries, but depth {depth} has {depth - 1} hidden widths.")
    for width in hidden:
        _checks.positive_integer("widths", width)
    return [columns, *hidden, rows]


def _check_det_sign(det_sign: int | None, kind: str, sizes: list[int]) -> None:
    if det_sign is None:
        return
    _checks.one_of("det_sign", det_sign, (1, -1, None))
    if sizes[0] != sizes[-1]:
        raise ValueError(f"det_sign is {det_sign}, but a product of shape ({sizes[-1]}, {sizes[0]}) has no determinant.")
    if min(sizes) < sizes[0]:
        raise ValueError(f"det_sign is {det_sign}, but a hidden width of {min(sizes)} makes the determinant zero.")
    if kind == "identity" and det_sign == -1:
        raise ValueError("det_sign is -1, but alpha times the identity has a positive determinant; use another kind.")


def _refuse(kind: str, **options: Any) -> None:
    for name, value in options.items():
        if value is not None:
            raise ValueError(f"{name} is {value!r}, but a start of kind {kind!r} has no such option.")


def _identity(sizes: list[int], alpha: Any) -> Factors:
    """``alpha I`` end to end, every factor ``alpha^(1/L)`` times a (rectangular) identity."""
    _checks.positive("alpha", alpha)
    if min(sizes) < min(sizes[0], sizes[-1]):
        raise ValueError(f"widths has {min(sizes)}, but alpha times the identity needs at least min(rows, columns).")
    value = np.asarray(alpha, dtype=np.float64)[..., None, None] ** (1 / (len(sizes) - 1))
    return [value * np.eye(n, m) for m, n in zip(sizes[:-1], sizes[1:], strict=True)]


def _lanes(key: Any, size: np.ndarray, name: str) -> tuple[Any, np.ndarray, bool]:
    """Return keys and sizes with one lane axis each, and whether the user asked for lanes."""
    if not (hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)):
        raise ValueError(f"key is {key!r}, but must be a key or an array of keys; make one with jax.random.key(0).")
    if key.ndim > 1 or size.ndim > 1:
        raise ValueError(f"key has shape {key.shape} and {name} {size.shape}, but lanes have one axis.")
    laned = key.ndim == 1 or size.ndim == 1
    if key.ndim == 0 and size.ndim == 1:
        # One key, many sizes: the same draw at every size, so that lanes differ in the size alone.
        key = key[None][np.zeros(len(size), dtype=int)]
    keys = key if key.ndim else key[None]
    if size.ndim and len(size) != len(keys):
        raise ValueError(f"{name} has {len(size)} values, but key has {len(keys)} keys; give one for each lane.")
    return keys, np.broadcast_to(size, (len(keys),)), laned


def _per_layer(sizes: list[int]) -> Any:
    """Return the map from an end-to-end deviation to that of a factor's entry."""
    # A product entry sums prod(hidden widths) independent products of L entries.
    paths, depth = math.prod(sizes[1:-1]), len(sizes) - 1
    return lambda scale: (scale / math.sqrt(paths)) ** (1 / depth)


def _draw_signed(kind: str, sizes: list[int], keys: Any, size: np.ndarray, det_sign: int | None) -> Factors:
    sample = jax.jit(jax.vmap(lambda k, s: _SAMPLERS[kind](k, s, sizes)))
    factors = [np.array(w) for w in sample(keys, size)]
    if det_sign is None:
        return factors
    again = jax.vmap(jax.random.fold_in, in_axes=(0, None))
    for attempt in range(1, _ATTEMPTS):
        wrong = np.flatnonzero(sign_of_factors(factors) != det_sign)
        if wrong.size == 0:
            return factors
        # All lanes are drawn again, so that the shape stays one compiled shape; only the wrong ones are replaced.
        fresh = sample(again(keys, attempt), size)
        for old, new in zip(factors, fresh, strict=True):
            old[wrong] = np.asarray(new)[wrong]
    raise RuntimeError(f"no start with determinant sign {det_sign} in {_ATTEMPTS} draws of each lane")


def _gaussian(key: Any, std: Any, sizes: list[int]) -> list[jax.Array]:
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        std * jax.random.normal(k, (n, m), dtype="float64")
        for k, m, n in zip(keys, sizes[:-1], sizes[1:], strict=True)
    ]


def _balanced(key: Any, scale: Any, sizes: list[int]) -> list[jax.Array]:
    """Draw the end-to-end matrix and spread its singular values evenly: ``S^(1/L)`` in every layer."""
    depth, rank = len(sizes) - 1, min(sizes)
    target = scale * jax.random.normal(key, (sizes[-1], sizes[0]), dtype="float64")
    u, s, vt = jnp.linalg.svd(target, full_matrices=False)
    u, root, vt = u[:, :rank], s[:rank] ** (1 / depth), vt[:rank]
    if depth == 1:
        return [(u * root) @ vt]
    first = jnp.zeros((sizes[1], sizes[0])).at[:rank].set(root[:, None] * vt)
    last = jnp.zeros((sizes[-1], sizes[-2])).at[:, :rank].set(u * root)
    inner = [
        jnp.zeros((n, m)).at[jnp.arange(rank), jnp.arange(rank)].set(root)
        for m, n in zip(sizes[1:-2], sizes[2:-1], strict=True)
    ]
    return [first, *inner, last]


def _orthogonal(key: Any, scale: Any, sizes: list[int]) -> list[jax.Array]:
    """Uniformly random (semi-)orthogonal layers times one common gain, set by the end-to-end deviation."""
    depth = len(sizes) - 1
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    # E ||Q_L ... Q_1||_F^2 = n_0 prod_j min(n_j, n_{j-1}) / n_{j-1} for independent Haar factors.
    mean_square = math.prod(min(m, n) / m for m, n in pairs) / sizes[-1]
    gain = (scale / math.sqrt(mean_square)) ** (1 / depth)
    keys = jax.random.split(key, depth)
    return [gain * jax.random.orthogonal(k, max(m, n), dtype="float64")[:n, :m] for k, (m, n) in zip(keys, pairs, strict=True)]


_SAMPLERS = {"gaussian": _gaussian, "balanced": _balanced, "orthogonal": _orthogonal}
