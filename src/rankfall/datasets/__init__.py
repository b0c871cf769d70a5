"""Where problems come from: draws of low rank, readers of files that users bring, and the bundled images."""

from .movielens import read_movielens
from .synthetic import commuting_sensing, low_rank_completion, low_rank_sensing
from .synthetic_tensors import low_cp_rank_completion, low_hierarchical_rank_completion

__all__ = [
    "commuting_sensing",
    "low_cp_rank_completion",
    "low_hierarchical_rank_completion",
    "low_rank_completion",
    "low_rank_sensing",
    "read_movielens",
]
