"""What is observed, and the loss on it: completion, sensing, regression, the two-by-two family."""

from .base import AbstractProblem
from .completion import MatrixCompletion
from .linear import LinearRegression, MatrixSensing
from .tensor import TensorCompletion, TensorSensing
from .two_by_two import two_by_two

__all__ = [
    "AbstractProblem",
    "LinearRegression",
    "MatrixCompletion",
    "MatrixSensing",
    "TensorCompletion",
    "TensorSensing",
    "two_by_two",
]
