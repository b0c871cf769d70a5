"""What is observed, and the loss on it: completion, sensing, regression, classification, the two-by-two family."""

from . import losses
from .base import AbstractProblem
from .classification import LinearClassification
from .completion import MatrixCompletion
from .linear import LinearRegression, MatrixSensing
from .supervised import Supervised
from .tensor import TensorCompletion, TensorSensing
from .two_by_two import two_by_two

__all__ = [
    "AbstractProblem",
    "LinearClassification",
    "LinearRegression",
    "MatrixCompletion",
    "MatrixSensing",
    "Supervised",
    "TensorCompletion",
    "TensorSensing",
    "losses",
    "two_by_two",
]
