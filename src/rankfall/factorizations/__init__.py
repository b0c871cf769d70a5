"""How a solution is written: deep matrix and tensor factorizations, and the starts of training."""

from .._types import Probe
from ..measures.mode_tree import pooled_tree
from .base import AbstractFactorization, AbstractModel
from .cp import CPFactorization
from .hierarchical import HierarchicalFactorization
from .matrix import MatrixFactorization
from .spectral import SpectralFactorization
from .tucker import TuckerFactorization

__all__ = [
    "AbstractFactorization",
    "AbstractModel",
    "CPFactorization",
    "HierarchicalFactorization",
    "MatrixFactorization",
    "Probe",
    "SpectralFactorization",
    "TuckerFactorization",
    "pooled_tree",
]
