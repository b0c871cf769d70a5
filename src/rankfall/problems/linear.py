"""Problems given by linear measurements: matrix sensing, and linear regression, the talk's warm-up."""

import equinox as eqx

from .. import _checks
from .._declared import declared
from .._types import Array, ArrayLike, DTypeLike
from ..measures._namespace import namespace
from .base import AbstractProblem, check_infima, check_options, check_truth, fitting
from .losses import AbstractLoss


class MatrixSensing(AbstractProblem):
    """Recover a matrix ``W`` from inner products ``<A_i, W> = b_i``.

    Parameters
    ----------
    measurements : array_like, shape (observed, rows, columns)
        The matrices ``A_i``.
    values : array_like, shape (observed,)
        The numbers ``b_i``.
    loss : {"half_sse", "mse", "huber", "logistic", "exponential", "poisson"} or AbstractLoss
    dtype : {"float64", "float32"}
    truth : array_like, shape (rows, columns), optional
    infimal_rank, infimal_erank : int, float, optional
        Infima over the solution set, where you know them.

    Raises
    ------
    ValueError
        If shapes differ, nothing is measured, or a number is NaN or infinite.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.MatrixSensing(np.eye(4).reshape(4, 2, 2), [1.0, 0.0, 0.0, 1.0]).loss(np.eye(2))
    np.float64(0.0)
    """

    measurements: Array
    values: Array
    truth: Array | None
    shape: tuple[int, int] = eqx.field(static=True)
    loss_function: AbstractLoss = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    def __init__(
        self,
        measurements: ArrayLike,
        values: ArrayLike,
        *,
        loss: str | AbstractLoss = "half_sse",
        dtype: DTypeLike = "float64",
        truth: ArrayLike | None = None,
        infimal_rank: int | None = None,
        infimal_erank: float | None = None,
    ) -> None:
        self.loss_function, self.dtype = check_options(loss, dtype)
        self.infimal_rank, self.infimal_erank = check_infima(infimal_rank, infimal_erank)
        stack = _checks.real("measurements", measurements, self.dtype)
        if stack.ndim != 3 or 0 in stack.shape:
            raise ValueError(
                f"measurements has shape {stack.shape}, but must be (observed, rows, columns), one or more each."
            )
        data = _checks.real("values", values, self.dtype)
        _checks.same_shape("values", data.shape, (len(stack),), "one value for each measurement")
        _checks.finite("measurements", stack)
        _checks.finite("values", data)
        self.loss_function.check_targets("values", data)
        self.measurements, self.values = stack, data
        self.shape = (int(stack.shape[1]), int(stack.shape[2]))
        self.truth = check_truth(truth, self.shape, self.dtype)
        self.required_det_sign = None

    @property
    def observed(self) -> int:
        """Number of measurements."""
        return self.values.shape[-1]

    def predict(self, full: Array) -> Array:
        """``<A_i, W>``, shape ``(..., observed)``."""
        w = fitting(full, self.shape)
        return namespace(w, self.values).einsum("nij,...ij->...n", self.measurements, w)

    def adjoint(self, values: Array) -> Array:
        """``sum_i v_i A_i``."""
        return namespace(values, self.values).einsum("nij,...n->...ij", self.measurements, values)

    def linear_system(self) -> tuple[Array, Array]:
        """Return the measurements, each as a row, and the numbers as a column; see `AbstractProblem.linear_system`."""
        return self.measurements.reshape(self.observed, -1), self.values[:, None]

    def part(self, which: Array) -> "MatrixSensing":
        """Return the problem of some of the measurements."""
        return eqx.tree_at(lambda p: (p.measurements, p.values), self, (self.measurements[which], self.values[which]))


@declared(
    "problem",
    "regression",
    inputs=list[list[float]],
    targets=list[float] | list[list[float]],
    truth=list[list[float]] | None,
)
class LinearRegression(AbstractProblem):
    """Least squares ``X w = y`` with more unknowns than equations: where implicit regularization is a norm.

    The end-to-end matrix is the column of weights, shape ``(features, targets)``; a factorization of depth 1 is the
    plain model.

    Parameters
    ----------
    inputs : array_like, shape (observations, features)
    targets : array_like, shape (observations,) or (observations, targets)
    loss : {"half_sse", "mse", "huber", "logistic", "exponential", "poisson"} or AbstractLoss
    dtype : {"float64", "float32"}
    truth : array_like, shape (features, targets), optional

    Raises
    ------
    ValueError
        If shapes differ, nothing is observed, or a number is NaN or infinite.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.LinearRegression([[1.0, 0.0, 1.0]], [2.0]).shape
    (3, 1)
    """

    inputs: Array
    values: Array
    truth: Array | None
    shape: tuple[int, int] = eqx.field(static=True)
    loss_function: AbstractLoss = eqx.field(static=True)
    dtype: str = eqx.field(static=True)
    infimal_rank: int | None = eqx.field(static=True)
    infimal_erank: float | None = eqx.field(static=True)
    required_det_sign: int | None = eqx.field(static=True)

    def __init__(
        self,
        inputs: ArrayLike,
        targets: ArrayLike,
        *,
        loss: str | AbstractLoss = "half_sse",
        dtype: DTypeLike = "float64",
        truth: ArrayLike | None = None,
    ) -> None:
        self.loss_function, self.dtype = check_options(loss, dtype)
        x, y = _checks.real("inputs", inputs, self.dtype), _checks.real("targets", targets, self.dtype)
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"inputs has shape {x.shape}, but must be (observations, features), at least one of each.")
        y = y[:, None] if y.ndim == 1 else y
        if y.ndim != 2 or 0 in y.shape:
            raise ValueError(f"targets has shape {y.shape}, but must be (observations,) or (observations, targets).")
        _checks.same_shape("targets", y.shape[:1], x.shape[:1], "one row for each row of inputs")
        _checks.finite("inputs", x)
        _checks.finite("targets", y)
        self.loss_function.check_targets("targets", y)
        self.inputs, self.values = x, y.reshape(-1)
        self.shape = (int(x.shape[1]), int(y.shape[1]))
        self.truth = check_truth(truth, self.shape, self.dtype)
        self.infimal_rank = self.infimal_erank = self.required_det_sign = None

    @property
    def observed(self) -> int:
        """Number of observed numbers (observations times targets)."""
        return self.values.shape[-1]

    @property
    def targets(self) -> Array:
        """What the model is to give, shape ``(observations, targets)``; `values` are the same in C order."""
        return self.values.reshape(-1, self.shape[1])

    @property
    def samples(self) -> int:
        """Number of observations, each of as many numbers as there are targets."""
        return self.inputs.shape[-2]

    def predict(self, full: Array) -> Array:
        """``X w`` flattened, shape ``(..., observed)``."""
        found = self.inputs @ fitting(full, self.shape)
        return found.reshape(*found.shape[:-2], -1)

    def adjoint(self, values: Array) -> Array:
        """``X^T v``."""
        return self.inputs.T @ values.reshape(*values.shape[:-1], -1, self.shape[1])

    def linear_system(self) -> tuple[Array, Array]:
        """Return inputs and targets; see `AbstractProblem.linear_system`."""
        return self.inputs, self.targets

    def part(self, which: Array) -> "LinearRegression":
        """Return the regression on some of the observations."""
        chosen = (self.inputs[which], self.targets[which].reshape(-1))
        return eqx.tree_at(lambda p: (p.inputs, p.values), self, chosen)
