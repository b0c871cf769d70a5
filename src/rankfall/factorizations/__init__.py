"""How a solution is written: deep matrix factorization, and the starts of training."""

from .matrix import MatrixFactorization

__all__ = ["MatrixFactorization"]
