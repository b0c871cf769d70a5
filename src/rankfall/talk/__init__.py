"""The experiments of the talk, one folder each: what is run and claimed, at which settings, and its picture."""

from ..experiments import Rooms

ORDER = (
    "solution_set",
    "unobserved_entry",
    "norms_and_rank",
    "perturbation",
    "determinant_sign",
    "norm_of_regression",
    "any_norm",
    "nuclear_norm_or_not",
    "exact_recovery",
    "gradient_flow",
    "depth_law",
    "singular_values",
    "spectrum_dynamics",
    "convergence",
    "balancedness",
    "tensor_order",
    "component_norms",
    "mapping_rank",
    "circuit_equivalence",
    "overparameterisation",
    "rank_of_data",
    "hierarchical",
)
EXPERIMENTS = Rooms(__name__, ORDER)

__all__ = ["EXPERIMENTS", "ORDER"]
