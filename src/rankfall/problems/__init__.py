"""What is observed, and the loss on it: completion, sensing, regression, the two-by-two family, synthetic data."""

from . import losses
from .base import AbstractProblem
from .classification import LinearClassification
from .completion import MatrixCompletion
from .linear import LinearRegression, MatrixSensing
from .movielens import read_movielens
from .supervised import Supervised
from .synthetic import commuting_sensing, low_rank_completion, low_rank_sensing
from .synthetic_tensors import low_cp_rank_completion, low_hierarchical_rank_completion
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
    "commuting_sensing",
    "losses",
    "low_cp_rank_completion",
    "low_hierarchical_rank_completion",
    "low_rank_completion",
    "low_rank_sensing",
    "read_movielens",
    "two_by_two",
]
