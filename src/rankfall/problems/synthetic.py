"""Random low-rank matrices, observed entry by entry or through Gaussian measurements."""

from typing import Any

import jax
import numpy as np

from .. import _checks
from .._precision import double_precision
from .completion import MatrixCompletion
from .linear import MatrixSensing


def low_rank_completion(
    shape: tuple[int, int],
    rank: int,
    observed: int,
    *,
    key: Any,
    noise: float = 0.0,
    frobenius: float | None = None,
    loss: str = "half_sse",
    dtype: Any = "float64",
) -> MatrixCompletion:
    """Completion of a random low-rank matrix from entries drawn without replacement.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns.
    rank : int
    observed : int
        Number of observed entries, at most all.
    key : jax.random key
    noise : float
        Standard deviation of Gaussian noise on the observations (the truth stays noise-free).
    frobenius : float, optional
        Frobenius norm of the truth; the number of rows by default, as in Arora et al. (2019).
    loss : {"half_sse", "mse"}
    dtype : {"float64", "float32"}

    Returns
    -------
    MatrixCompletion
        With ``truth`` set.

    Raises
    ------
    ValueError
        If rank, observed or noise is out of range.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> rf.low_rank_completion((20, 30), rank=2, observed=200, key=jax.random.key(0)).observed
    200
    """
    truth, (choose, disturb) = _truth(shape, rank, frobenius, key)
    observed = _checks.positive_integer("observed", observed)
    if observed > truth.size:
        raise ValueError(f"observed is {observed}, but the matrix has only {truth.size} entries.")
    indices, values = observe(truth, observed, noise, choose, disturb)
    return MatrixCompletion.from_coo(indices, values, truth.shape, loss=loss, dtype=dtype, truth=truth)


def low_rank_sensing(
    shape: tuple[int, int],
    rank: int,
    measurements: int,
    *,
    key: Any,
    noise: float = 0.0,
    frobenius: float | None = None,
    loss: str = "half_sse",
    dtype: Any = "float64",
) -> MatrixSensing:
    """Sensing of a random low-rank matrix through Gaussian matrices with entries of deviation ``1/rows``.

    Parameters
    ----------
    shape : tuple of int
    rank : int
    measurements : int
    key : jax.random key
    noise : float
        Standard deviation of Gaussian noise on the measurements.
    frobenius : float, optional
        Frobenius norm of the truth; the number of rows by default.
    loss : {"half_sse", "mse"}
    dtype : {"float64", "float32"}

    Returns
    -------
    MatrixSensing
        With ``truth`` set.

    Raises
    ------
    ValueError
        If rank, measurements or noise is out of range.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> rf.low_rank_sensing((5, 4), rank=1, measurements=12, key=jax.random.key(0)).measurements.shape
    (12, 5, 4)
    """
    truth, (choose, disturb) = _truth(shape, rank, frobenius, key)
    measurements = _checks.positive_integer("measurements", measurements)
    _checks.room("measurements", measurements, measurements * truth.size)
    with double_precision():
        a = np.asarray(jax.random.normal(choose, (measurements, *truth.shape), dtype="float64")) / truth.shape[0]
    values = np.einsum("nij,ij->n", a, truth) + _noise(disturb, measurements, noise)
    return MatrixSensing(a, values, loss=loss, dtype=dtype, truth=truth)


def _truth(shape: tuple[int, int], rank: int, frobenius: float | None, key: Any) -> tuple[np.ndarray, Any]:
    rows, columns = _checks.matrix_shape("shape", shape)
    _checks.room("shape", shape, rows * columns)
    _checks.key("key", key)
    rank = _checks.positive_integer("rank", rank)
    if rank > min(rows, columns):
        raise ValueError(f"rank is {rank}, but a {rows} x {columns} matrix has rank at most {min(rows, columns)}.")
    size = rows if frobenius is None else _checks.positive_number("frobenius", frobenius)
    with double_precision():
        left, right, *rest = jax.random.split(key, 4)
        u = np.asarray(jax.random.normal(left, (rows, rank), dtype="float64"))
        v = np.asarray(jax.random.normal(right, (columns, rank), dtype="float64"))
    return scaled(u @ v.T, size), rest


def scaled(array: np.ndarray, frobenius: float) -> np.ndarray:
    """Return the array, of any order, scaled to a Frobenius norm."""
    return np.asarray(array * (frobenius / np.linalg.norm(array)))


def observe(truth: np.ndarray, observed: int, noise: float, choose: Any, disturb: Any) -> tuple[np.ndarray, np.ndarray]:
    """Draw places without replacement; return them, and the values there with noise."""
    with double_precision():
        flat = np.asarray(jax.random.choice(choose, truth.size, (observed,), replace=False))
    indices = np.stack(np.unravel_index(flat, truth.shape), axis=1)
    return indices, truth[tuple(indices.T)] + _noise(disturb, observed, noise)


def _noise(key: Any, count: int, deviation: float) -> np.ndarray:
    size = _checks.number("noise", deviation)
    if not 0 <= size < np.inf:
        raise ValueError(f"noise is {size}, but must be a standard deviation of zero or more.")
    if size == 0:
        return np.zeros(count)
    with double_precision():
        return size * np.asarray(jax.random.normal(key, (count,), dtype="float64"))
