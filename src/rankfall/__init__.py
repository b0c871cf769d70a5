"""rankfall: which of the many solutions does gradient-based training pick?"""

from . import measures
from .factorizations import MatrixFactorization
from .problems import (
    LinearRegression,
    MatrixCompletion,
    MatrixSensing,
    low_rank_completion,
    low_rank_sensing,
    two_by_two,
)
