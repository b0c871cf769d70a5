"""What every problem is: observed data, and the loss on it as a function of the end-to-end matrix."""

import abc
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._types import Array, Matrices, Residuals, Scalars

LOSSES = ("half_sse", "mse")


class AbstractProblem(eqx.Module):
    """Observed data and the loss on it.

    A problem is a pytree: its arrays may be traced by JAX. `residuals` and `loss` take an end-to-end matrix, or a
    batch of them, of NumPy or of JAX and answer in kind.

    The loss is ``1/2 sum residual^2`` (``"half_sse"``, so that ``sqrt(2 loss)`` is the distance of the theorems) or
    the mean of ``residual^2`` (``"mse"``).
    """

    shape: eqx.AbstractVar[tuple[int, int]]
    loss_kind: eqx.AbstractVar[str]
    dtype: eqx.AbstractVar[str]
    truth: eqx.AbstractVar[Array | None]
    infimal_rank: eqx.AbstractVar[int | None]
    infimal_erank: eqx.AbstractVar[float | None]
    required_det_sign: eqx.AbstractVar[int | None]

    @property
    @abc.abstractmethod
    def observed(self) -> int:
        """Number of observations."""

    @abc.abstractmethod
    def residuals(self, matrix: Matrices) -> Residuals:
        """Prediction minus observation, shape ``(..., observed)``."""

    @property
    def unobserved_indices(self) -> Array | None:
        """Unobserved entries as ``(n, 2)`` indices, ``None`` where the problem has no such notion."""
        return None

    def loss(self, matrix: Matrices) -> Scalars:
        """Loss of an end-to-end matrix ``(..., rows, columns)``, shape ``(...)``."""
        return self._reduce((self.residuals(matrix) ** 2).sum(axis=-1))

    def half_sse(self, loss: Any) -> Any:
        """Convert a value of this problem's loss to half the sum of squared residuals, the theorems' convention."""
        return loss if self.loss_kind == "half_sse" else loss * (self.observed / 2)

    def describe(self) -> dict[str, Any]:
        """Facts about the problem that are written into every result."""
        return {
            "problem": type(self).__name__,
            "shape": list(self.shape),
            "observed": self.observed,
            "loss": self.loss_kind,
            "dtype": self.dtype,
        }

    def _reduce(self, sum_of_squares: Scalars) -> Scalars:
        return sum_of_squares * (0.5 if self.loss_kind == "half_sse" else 1.0 / self.observed)


def check_options(loss: str, dtype: Any) -> str:
    """Check the options common to all problems; return the name of the dtype."""
    _checks.one_of("loss", loss, LOSSES)
    return _checks.precision("dtype", dtype)


def check_infima(infimal_rank: Any, infimal_erank: Any) -> None:
    """Refuse infima over the solution set that no solution set has."""
    if infimal_rank is not None:
        _checks.integer("infimal_rank", infimal_rank, 0)
    if infimal_erank is not None and not 1 <= _checks.number("infimal_erank", infimal_erank) < np.inf:
        raise ValueError(f"infimal_erank is {infimal_erank!r}, but an effective rank is at least 1.")


def check_truth(truth: Any, shape: tuple[int, int], dtype: str) -> np.ndarray | None:
    """Return the known full matrix as an array of the problem's dtype."""
    if truth is None:
        return None
    array = _checks.real("truth", truth, dtype)
    _checks.same_shape("truth", array.shape, shape)
    _checks.finite("truth", array)
    return array
