"""rankfall: which of the many solutions does gradient-based training pick."""

from . import measures, problems, theory
from ._version import __version__
from .challenges import Challenge, challenge
from .dynamics import GradientDescent, Record, Run, Stop, group_rmsprop, train
from .factorizations import MatrixFactorization
from .problems import (
    LinearRegression,
    MatrixCompletion,
    MatrixSensing,
    low_rank_completion,
    low_rank_sensing,
    two_by_two,
)

__all__ = [
    "Challenge",
    "GradientDescent",
    "LinearRegression",
    "MatrixCompletion",
    "MatrixFactorization",
    "MatrixSensing",
    "Record",
    "Run",
    "Stop",
    "__version__",
    "challenge",
    "group_rmsprop",
    "low_rank_completion",
    "low_rank_sensing",
    "measures",
    "problems",
    "theory",
    "train",
    "two_by_two",
]
