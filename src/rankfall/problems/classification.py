"""Labels of two classes on a linear predictor: where training goes to infinity, and its direction is the question."""

import equinox as eqx
import numpy as np

from .. import _checks
from .._declared import declared
from .._types import Array, ArrayLike, DTypeLike
from .base import AbstractProblem, check_options, check_truth, fitting
from .losses import AbstractLoss


@declared("problem", "classification", inputs=list[list[float]], labels=list[float], truth=list[list[float]] | None)
class LinearClassification(AbstractProblem):
    """Labels ``y_n`` of -1 and +1 on the linear predictor ``x_n . w``.

    The end-to-end matrix is the column of weights ``w``, shape ``(features, 1)``: a factorization of depth 1 is the
    plain model, one of more is a deep linear network. A constant feature makes an intercept.

    Parameters
    ----------
    inputs : array_like, shape (observations, features)
        The ``x_n``.
    labels : array_like, shape (observations,)
        -1 and +1.
    loss : {"logistic", "exponential", "half_sse", "mse", "huber"} or AbstractLoss
        Summed over the observations, but for ``"mse"``.
    dtype : {"float64", "float32"}
    truth : array_like, shape (features, 1), optional

    Raises
    ------
    ValueError
        If shapes differ, nothing is observed, a label is neither -1 nor +1, or a number is NaN or infinite.

    References
    ----------
    Soudry, Hoffer, Nacson, Gunasekar and Srebro (2018), The implicit bias of gradient descent on separable data.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.LinearClassification([[1.0, 2.0], [-2.0, -1.0]], [1, -1])
    >>> problem.shape, float(problem.loss(np.zeros((2, 1))).round(6))
    ((2, 1), 1.386294)
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
        labels: ArrayLike,
        *,
        loss: str | AbstractLoss = "logistic",
        dtype: DTypeLike = "float64",
        truth: ArrayLike | None = None,
    ) -> None:
        self.loss_function, self.dtype = check_options(loss, dtype)
        x, y = _checks.real("inputs", inputs, self.dtype), _checks.real("labels", labels, self.dtype)
        if x.ndim != 2 or 0 in x.shape:
            raise ValueError(f"inputs has shape {x.shape}, but must be (observations, features), at least one of each.")
        _checks.same_shape("labels", y.shape, x.shape[:1], "one label for each row of inputs")
        _checks.finite("inputs", x)
        other = np.unique(y[abs(y) != 1])
        if other.size:
            raise ValueError(
                f"labels holds {other[0]:g}, but must hold -1 and +1 alone; of 0 and 1 take 2 * labels - 1."
            )
        self.loss_function.check_targets("labels", y)
        self.inputs, self.values = x, y
        self.shape = (int(x.shape[1]), 1)
        self.truth = check_truth(truth, self.shape, self.dtype)
        self.infimal_rank = self.infimal_erank = self.required_det_sign = None

    @property
    def observed(self) -> int:
        """Number of labels."""
        return self.values.shape[-1]

    @property
    def labels(self) -> Array:
        """The labels, shape ``(observations,)``."""
        return self.values

    def predict(self, full: Array) -> Array:
        """``X w``, shape ``(..., observed)``."""
        return (self.inputs @ fitting(full, self.shape))[..., 0]

    def adjoint(self, values: Array) -> Array:
        """``X^T v``."""
        return (values @ self.inputs)[..., None]

    def part(self, which: Array) -> "LinearClassification":
        """Return the problem of some of the observations."""
        return eqx.tree_at(lambda p: (p.inputs, p.values), self, (self.inputs[which], self.values[which]))
