"""What something else than training would have picked: the solution of least norm, and the usual methods of completion.

Every reference has one method, ``solve(problem) -> Reference``, which says how far its answer can be trusted.
"""

from .alternating import AlternatingLeastSquares
from .base import AbstractReference, Reference
from .baselines import FillWithZeros, MinimalL2
from .means import BiasBaseline, MeanBaseline
from .norm_minimal import NormMinimal
from .nuclear import NuclearNorm
from .soft_impute import SoftImpute

__all__ = [
    "AbstractReference",
    "AlternatingLeastSquares",
    "BiasBaseline",
    "FillWithZeros",
    "MeanBaseline",
    "MinimalL2",
    "NormMinimal",
    "NuclearNorm",
    "Reference",
    "SoftImpute",
]
