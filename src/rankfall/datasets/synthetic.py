"""Random low-rank matrices, observed entry by entry or through Gaussian measurements."""

import jax
import numpy as np

from .. import _checks
from .._declared import declared
from .._execution import double_precision
from .._types import DTypeLike, Key
from ..problems import MatrixCompletion, MatrixSensing
from ..problems.losses import AbstractLoss


@declared("problem", "completion")
def low_rank_completion(
    shape: tuple[int, int],
    rank: int,
    observed: int,
    *,
    key: Key,
    noise: float = 0.0,
    frobenius: float | None = None,
    loss: str | AbstractLoss = "half_sse",
    dtype: DTypeLike = "float64",
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
    loss : {"half_sse", "mse", "huber", ...} or AbstractLoss
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


@declared("problem", "sensing")
def low_rank_sensing(
    shape: tuple[int, int],
    rank: int,
    measurements: int,
    *,
    key: Key,
    noise: float = 0.0,
    frobenius: float | None = None,
    loss: str | AbstractLoss = "half_sse",
    dtype: DTypeLike = "float64",
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
    loss : {"half_sse", "mse", "huber", ...} or AbstractLoss
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


@declared("problem", "commuting")
def commuting_sensing(
    extent: int,
    rank: int,
    measurements: int,
    *,
    key: Key,
    frobenius: float | None = None,
    loss: str | AbstractLoss = "half_sse",
    dtype: DTypeLike = "float64",
) -> MatrixSensing:
    """Sensing of a random positive semidefinite matrix through positive semidefinite measurements that commute.

    All of them share random eigenvectors. It is the case in which two factors are proved to end at the least nuclear
    norm of the positive semidefinite solutions, from a start of ``alpha`` times the identity as ``alpha`` falls to 0.

    Parameters
    ----------
    extent : int
        Rows, and as many columns.
    rank : int
    measurements : int
        At most ``extent``.
    key : jax.random key
    frobenius : float, optional
        Frobenius norm of the truth; ``extent`` by default.
    loss : {"half_sse", "mse", "huber", ...} or AbstractLoss
    dtype : {"float64", "float32"}

    Returns
    -------
    MatrixSensing
        With ``truth`` set.

    Raises
    ------
    ValueError
        If a number is out of range.

    References
    ----------
    Gunasekar et al. (2017), theorem 1.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> a = rf.datasets.commuting_sensing(4, rank=1, measurements=3, key=jax.random.key(0)).measurements
    >>> bool(abs(a[0] @ a[1] - a[1] @ a[0]).max() < 1e-15)
    True
    """
    extent = _checks.positive_integer("extent", extent)
    _checks.room("extent", extent, extent**2)
    rank, count = _checks.positive_integer("rank", rank), _checks.positive_integer("measurements", measurements)
    for name, value in (("rank", rank), ("measurements", count)):
        if value > extent:
            raise ValueError(f"{name} is {value}, but must be at most extent = {extent}.")
    _checks.room("measurements", count, count * extent**2)
    size = extent if frobenius is None else _checks.positive_number("frobenius", frobenius)
    _checks.key("key", key)
    with double_precision():
        turn, draw, weigh = jax.random.split(key, 3)
        vectors = np.linalg.qr(np.asarray(jax.random.normal(turn, (extent, extent), dtype="float64")))[0]
        # Bounded away from zero: an eigenvalue that is hardly there is hardly learned.
        eigenvalues = np.asarray(jax.random.uniform(draw, (rank,), minval=0.5, maxval=1.5, dtype="float64"))
        weights = abs(np.asarray(jax.random.normal(weigh, (count, extent), dtype="float64")))
    truth = scaled((vectors[:, :rank] * eigenvalues) @ vectors[:, :rank].T, size)
    a = np.einsum("ik,nk,jk->nij", vectors, weights / extent, vectors)
    return MatrixSensing(a, np.einsum("nij,ij->n", a, truth), loss=loss, dtype=dtype, truth=truth)


def _truth(shape: tuple[int, int], rank: int, frobenius: float | None, key: Key) -> tuple[np.ndarray, list[Key]]:
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


def observe(truth: np.ndarray, observed: int, noise: float, choose: Key, disturb: Key) -> tuple[np.ndarray, np.ndarray]:
    """Draw places without replacement; return them, and the values there with noise."""
    with double_precision():
        flat = np.asarray(jax.random.choice(choose, truth.size, (observed,), replace=False))
    indices = np.stack(np.unravel_index(flat, truth.shape), axis=1)
    return indices, truth[tuple(indices.T)] + _noise(disturb, observed, noise)


def _noise(key: Key, count: int, deviation: float) -> np.ndarray:
    size = _checks.number("noise", deviation)
    if not 0 <= size < np.inf:
        raise ValueError(f"noise is {size}, but must be a standard deviation of zero or more.")
    if size == 0:
        return np.zeros(count)
    with double_precision():
        return size * np.asarray(jax.random.normal(key, (count,), dtype="float64"))
