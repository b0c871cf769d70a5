"""Pure functions of arrays: norms, ranks, spectra, determinants from factors. They know nothing of training."""

from . import spectrum
from .cp_rank import BorderEvidence, CPRankBracket, cp_rank_bracket
from .cp_rank_published import published_rank_estimate
from .entries import entries
from .factors import det_sign, log_abs_det, signed_log_det, unbalancedness
from .grid import MappingRank, grid_tensor, mapping_rank
from .matricization import bipartitions, matricization
from .mean_square_error import mean_square_error
from .named_norms import NORMS, norm
from .norms import (
    entrywise_norm,
    frobenius_norm,
    ky_fan_norm,
    log_schatten_norm,
    max_column_sum,
    max_row_sum,
    nuclear_norm,
    schatten_norm,
    spectral_norm,
)
from .ranks import distance_to_rank, effective_rank, numerical_rank, rank_suboptimality, stable_rank
from .singular_values import singular_values
from .tensor_ranks import hierarchical_rank, matricization_effective_ranks, matricization_ranks, multilinear_rank

__all__ = [
    "NORMS",
    "BorderEvidence",
    "CPRankBracket",
    "MappingRank",
    "bipartitions",
    "cp_rank_bracket",
    "det_sign",
    "distance_to_rank",
    "effective_rank",
    "entries",
    "entrywise_norm",
    "frobenius_norm",
    "grid_tensor",
    "hierarchical_rank",
    "ky_fan_norm",
    "log_abs_det",
    "log_schatten_norm",
    "mapping_rank",
    "matricization",
    "matricization_effective_ranks",
    "matricization_ranks",
    "max_column_sum",
    "max_row_sum",
    "mean_square_error",
    "norm",
    "multilinear_rank",
    "nuclear_norm",
    "numerical_rank",
    "published_rank_estimate",
    "rank_suboptimality",
    "schatten_norm",
    "signed_log_det",
    "singular_values",
    "spectral_norm",
    "spectrum",
    "stable_rank",
    "unbalancedness",
]
