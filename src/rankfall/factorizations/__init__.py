"""How a solution is written: deep matrix factorization, and the starts of training."""

from .cp import CPFactorization
from .matrix import MatrixFactorization
from .spectral import SpectralFactorization

__all__ = ["CPFactorization", "MatrixFactorization", "SpectralFactorization"]
