"""How a solution is written: deep matrix and tensor factorizations, and the starts of training."""

from .cp import CPFactorization
from .hierarchical import HierarchicalFactorization
from .matrix import MatrixFactorization
from .spectral import SpectralFactorization
from .tucker import TuckerFactorization

__all__ = [
    "CPFactorization",
    "HierarchicalFactorization",
    "MatrixFactorization",
    "SpectralFactorization",
    "TuckerFactorization",
]
