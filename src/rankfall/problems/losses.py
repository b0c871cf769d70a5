"""Losses of predictions and targets: the only place that knows a factor 1/2 or a mean.

A loss says what one prediction costs beside its target (`AbstractLoss.value`), the derivative of that
(`AbstractLoss.slope`), and whether the costs of all observations are summed or averaged. Problems do the rest.
A loss of your own is a subclass of `AbstractLoss` (or of `AbstractMarginLoss`), passed to a problem as
``loss=MyLoss()``.
"""

import abc
import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import _checks
from .._types import Array
from ..measures._namespace import namespace


class LeastSquares(NamedTuple):
    """What holds for squared residuals only: a loss of their sum, and a slope in proportion to them.

    Attributes
    ----------
    mean : bool
        Whether the loss is the mean of the squares (``"mse"``) or half their sum (``"half_sse"``).
    count : int or array
        Number of observations.
    """

    mean: bool
    count: Any

    @property
    def rate(self) -> Any:
        """Slope of the loss in a prediction, as a multiple of the residual: 1, or ``2 / count``.

        It is also the speed of the flow beside that of ``"half_sse"``.
        """
        return 2.0 / self.count if self.mean else 1.0

    def loss(self, sum_of_squares: Array | float) -> Any:
        """Loss of a sum of squared residuals."""
        return sum_of_squares * (1.0 / self.count if self.mean else 0.5)

    def slope(self, residuals: Array) -> Any:
        """Return the derivative of the loss in every prediction."""
        # With half_sse the 2 of the square's derivative and the 1/2 cancel without a multiplication.
        return residuals * self.rate if self.mean else residuals

    def half_sse(self, loss: Array | float) -> Any:
        """Half the sum of squares, the convention of the theorems, from a value of the loss."""
        return loss * (self.count / 2) if self.mean else loss


class AbstractLoss(abc.ABC):
    """A loss of predictions and targets, elementwise.

    Subclasses are frozen dataclasses: compiled code is shared by problems whose losses are equal. Their functions are
    written for arrays of NumPy and of JAX.

    Attributes
    ----------
    name : str
        The word for it, as in ``loss="half_sse"``.
    mean : bool
        Whether the loss of a problem is the mean over its observations; their sum if not.
    least_squares : bool
        Whether `value` is a multiple of the squared residual; flows in closed form, theory and references ask for it.
    """

    name: ClassVar[str]
    mean: ClassVar[bool] = False
    least_squares: ClassVar[bool] = False

    @abc.abstractmethod
    def value(self, prediction: Array, target: Array) -> Array:
        """Cost of each prediction.

        Parameters
        ----------
        prediction, target : array, shape (...)

        Returns
        -------
        array, shape (...)

        Examples
        --------
        >>> import numpy as np
        >>> from rankfall.problems import losses
        >>> losses.HalfSSE().value(np.array([3.0]), np.array([1.0]))
        array([2.])
        """

    @abc.abstractmethod
    def slope(self, prediction: Array, target: Array) -> Array:
        """Differentiate `value` in the prediction.

        Parameters
        ----------
        prediction, target : array, shape (...)

        Returns
        -------
        array, shape (...)

        Examples
        --------
        >>> import numpy as np
        >>> from rankfall.problems import losses
        >>> losses.Huber(delta=1.0).slope(np.array([3.0, 1.5]), np.array([1.0, 1.0]))
        array([1. , 0.5])
        """

    def check_targets(self, name: str, targets: np.ndarray) -> None:
        """Refuse targets that the loss is not defined for; any real number will do unless a subclass says otherwise."""
        del name, targets

    def total(self, prediction: Array, target: Array, count: Array | int) -> Array:
        """Loss of all observations: the sum over the last axis of `value`, or the mean, of ``count`` observations."""
        if self.least_squares:
            residuals = prediction - target
            return LeastSquares(self.mean, count).loss((residuals * residuals).sum(axis=-1))
        return self.averaged(self.value(prediction, target).sum(axis=-1), count)

    def slopes(self, prediction: Array, target: Array, count: Array | int) -> Array:
        """Differentiate `total` in every prediction."""
        if self.least_squares:
            return LeastSquares(self.mean, count).slope(prediction - target)
        return self.averaged(self.slope(prediction, target), count)

    def averaged(self, values: Array, count: Array | int) -> Any:
        """Return sums over observations as they are, or as means."""
        return values * (1.0 / count) if self.mean else values


@dataclasses.dataclass(frozen=True)
class HalfSSE(AbstractLoss):
    """``(p - y)^2 / 2``, summed: ``sqrt(2 loss)`` is the distance of the theorems."""

    name = "half_sse"
    least_squares = True

    def value(self, prediction: Array, target: Array) -> Array:
        """``(p - y)^2 / 2``."""
        return 0.5 * (prediction - target) ** 2

    def slope(self, prediction: Array, target: Array) -> Array:
        """``p - y``."""
        return prediction - target


@dataclasses.dataclass(frozen=True)
class MSE(AbstractLoss):
    """``(p - y)^2``, averaged over the observations."""

    name = "mse"
    mean = True
    least_squares = True

    def value(self, prediction: Array, target: Array) -> Array:
        """``(p - y)^2``."""
        return (prediction - target) ** 2

    def slope(self, prediction: Array, target: Array) -> Array:
        """``2 (p - y)``."""
        return 2.0 * (prediction - target)


@dataclasses.dataclass(frozen=True)
class Huber(AbstractLoss):
    """``r^2 / 2`` for residuals up to ``delta``, ``delta (|r| - delta / 2)`` beyond, summed.

    Parameters
    ----------
    delta : float
        Residual from which on the loss grows linearly.

    Raises
    ------
    ValueError
        If ``delta`` is not positive.

    References
    ----------
    Huber (1964), Robust estimation of a location parameter.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> problem = rf.two_by_two(loss=rf.problems.losses.Huber(delta=0.5))
    >>> float(problem.loss(np.array([[0.0, 3.0], [1.0, 0.0]])))
    0.875
    """

    delta: float = 1.0
    name = "huber"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", _checks.positive_number("delta", self.delta))

    def value(self, prediction: Array, target: Array) -> Array:
        """Quadratic near the target, linear far from it."""
        size = abs(prediction - target)
        # Both branches in one: |r| cut at delta, times what is left. Neither overflows where the other is meant.
        cut = namespace(size).minimum(size, self.delta)
        return cut * (size - 0.5 * cut)

    def slope(self, prediction: Array, target: Array) -> Array:
        """Residual, cut at ``delta``."""
        residual = prediction - target
        return namespace(residual).clip(residual, -self.delta, self.delta)


@dataclasses.dataclass(frozen=True)
class Poisson(AbstractLoss):
    """Half the deviance of counts whose expected number is ``exp(p)``, summed; zero where ``exp(p)`` is the count."""

    name = "poisson"

    def value(self, prediction: Array, target: Array) -> Array:
        """``exp(p) - y p - (y - y ln y)``."""
        xp = namespace(prediction, target)
        # 0 ln 0 is 0; the logarithm of a zero must not be formed.
        least = target - target * xp.log(xp.where(target > 0, target, 1.0))
        return xp.exp(prediction) - target * prediction - least

    def slope(self, prediction: Array, target: Array) -> Array:
        """``exp(p) - y``."""
        return namespace(prediction, target).exp(prediction) - target

    def check_targets(self, name: str, targets: np.ndarray) -> None:
        """Refuse negative counts."""
        if (targets < 0).any():
            raise ValueError(
                f"{name} holds {targets[targets < 0][0]:g}, but must hold counts, 0 or more, for 'poisson'."
            )


class AbstractMarginLoss(AbstractLoss):
    """A loss of the margin ``u = y p`` of a label ``y = -1`` or ``+1``, which decays as the margin grows.

    It is given by two logarithms, which do not underflow where the loss does; all else follows from them.
    """

    @abc.abstractmethod
    def log_of(self, margin: Array) -> Array:
        """Logarithm of the loss of each margin."""

    @abc.abstractmethod
    def log_slope_of(self, margin: Array) -> Array:
        """Logarithm of minus the derivative of the loss in each margin."""

    def value(self, prediction: Array, target: Array) -> Array:
        """Loss of the margin."""
        with np.errstate(over="ignore"):
            return namespace(prediction, target).exp(self.log_of(prediction * target))

    def slope(self, prediction: Array, target: Array) -> Array:
        """Minus the label, times minus the derivative in the margin."""
        with np.errstate(over="ignore"):
            return -target * namespace(prediction, target).exp(self.log_slope_of(prediction * target))

    def log_total(self, prediction: Array, target: Array, count: Array | int) -> Array:
        """Logarithm of `total`, also where that underflows."""
        xp = namespace(prediction, target)
        logs = self.log_of(prediction * target)
        largest = logs.max(axis=-1, keepdims=True)
        found = largest[..., 0] + xp.log(xp.exp(logs - largest).sum(axis=-1))
        return found - xp.log(count) if self.mean else found

    def check_targets(self, name: str, targets: np.ndarray) -> None:
        """Refuse labels other than -1 and +1."""
        other = abs(targets) != 1
        if other.any():
            raise ValueError(
                f"{name} holds {targets[other].flat[0]:g}, but must hold the labels -1 and +1 for {self.name!r}; of 0 "
                "and 1 take 2 * y - 1."
            )


@dataclasses.dataclass(frozen=True)
class Logistic(AbstractMarginLoss):
    """``ln(1 + exp(-y p))``, summed, for labels ``y`` of -1 and +1."""

    name = "logistic"

    def value(self, prediction: Array, target: Array) -> Array:
        """``ln(1 + exp(-u))``."""
        return namespace(prediction, target).logaddexp(-prediction * target, 0.0)

    def log_of(self, margin: Array) -> Array:
        """``ln ln(1 + exp(-u))``, which is ``-u`` to rounding beyond 36."""
        xp = namespace(margin)
        # At 36 the next term, exp(-u) / 2, is below the rounding of u. The branch not taken must be finite too.
        near = xp.minimum(margin, 36.0)
        return xp.where(margin > 36.0, -margin, xp.log(xp.logaddexp(-near, 0.0)))

    def log_slope_of(self, margin: Array) -> Array:
        """``-ln(1 + exp(u))``."""
        return -namespace(margin).logaddexp(margin, 0.0)


@dataclasses.dataclass(frozen=True)
class Exponential(AbstractMarginLoss):
    """``exp(-y p)``, summed, for labels ``y`` of -1 and +1."""

    name = "exponential"

    def log_of(self, margin: Array) -> Array:
        """``-u``."""
        return -margin

    def log_slope_of(self, margin: Array) -> Array:
        """``-u``."""
        return -margin


LOSSES: dict[str, AbstractLoss] = {
    loss.name: loss for loss in (HalfSSE(), MSE(), Logistic(), Exponential(), Huber(), Poisson())
}


def loss_of(loss: str | AbstractLoss | type[AbstractLoss]) -> AbstractLoss:
    """Return the loss of a name, or one that is given.

    Parameters
    ----------
    loss : str or AbstractLoss
        ``"half_sse"``, ``"mse"``, ``"logistic"``, ``"exponential"``, ``"huber"``, ``"poisson"``, or a loss such as
        ``Huber(delta=0.1)``.

    Returns
    -------
    AbstractLoss

    Raises
    ------
    ValueError
        If no loss has that name.

    Examples
    --------
    >>> from rankfall.problems import losses
    >>> losses.loss_of("huber")
    Huber(delta=1.0)
    """
    if isinstance(loss, AbstractLoss):
        return loss
    if isinstance(loss, type) and issubclass(loss, AbstractLoss):
        raise ValueError(f"loss is the class {loss.__name__}, but must be a loss; call it, as in {loss.__name__}().")
    _checks.one_of("loss", loss, LOSSES)
    return LOSSES[loss]
