"""How a solution is written: deep matrix factorization, and the starts of training."""

from .matrix import MatrixFactorization
from .spectral import SpectralFactorization

__all__ = ["MatrixFactorization", "SpectralFactorization"]
