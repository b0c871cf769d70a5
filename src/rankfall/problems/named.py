"""Problems as declarations name them, where a class method makes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import _checks
from .._declared import declared
from .._types import DTypeLike
from .completion import MatrixCompletion
from .losses import AbstractLoss
from .tensor import TensorCompletion


@declared("problem", "entries", array=list, truth=list | None)
def entries(
    array: Sequence[Any] | np.ndarray,
    *,
    loss: str | AbstractLoss = "half_sse",
    dtype: DTypeLike = "float64",
    truth: Sequence[Any] | None = None,
) -> MatrixCompletion | TensorCompletion:
    """Return the completion of a matrix, or a tensor, that is NaN where nothing is observed."""
    dense = _checks.real("array", array)
    kind = MatrixCompletion if dense.ndim == 2 else TensorCompletion
    return kind.from_dense(dense, loss=loss, dtype=dtype, truth=truth)
