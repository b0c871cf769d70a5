"""rankfall: which of the many solutions does gradient-based training pick."""

from . import measures, problems, theory
from ._version import __version__
from .challenges import Challenge, challenge
from .dynamics import (
    AdaptiveDescent,
    AlignedFlow,
    EndToEndFlow,
    ExponentialDescent,
    GradientDescent,
    GradientFlow,
    IdentityFlow,
    LinearFlow,
    Record,
    Run,
    SpectralFlow,
    Stop,
    SymmetricFlow,
    group_rmsprop,
    train,
)
from .factorizations import CPFactorization, MatrixFactorization, SpectralFactorization
from .problems import (
    LinearRegression,
    MatrixCompletion,
    MatrixSensing,
    TensorCompletion,
    TensorSensing,
    low_rank_completion,
    low_rank_sensing,
    two_by_two,
)

__all__ = [
    "AdaptiveDescent",
    "AlignedFlow",
    "CPFactorization",
    "Challenge",
    "EndToEndFlow",
    "ExponentialDescent",
    "GradientDescent",
    "GradientFlow",
    "IdentityFlow",
    "LinearFlow",
    "LinearRegression",
    "MatrixCompletion",
    "MatrixFactorization",
    "MatrixSensing",
    "Record",
    "Run",
    "SpectralFactorization",
    "SpectralFlow",
    "Stop",
    "SymmetricFlow",
    "TensorCompletion",
    "TensorSensing",
    "__version__",
    "challenge",
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
