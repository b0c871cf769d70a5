"""Proved bounds, closed forms and rates, as pure functions of numbers and arrays.

``solution_set``, ``bounds``, ``published``, ``any_norm``, ``perturbation`` and ``sign_rule`` are about
``[[*, 1], [1, 0]]`` and its relatives; ``rates`` and ``recursion`` about the way training gets there; ``regression``
about the case where the smallest norm IS what training picks; ``check`` puts the theorems to a run.
"""

from rankfall.claims import Claim, Control, at_least, at_most, close_to
from rankfall.theory.any_norm import NormConstants, generic_norm_bound, norm_constants, theorem1_any_norm_bound
from rankfall.theory.bounds import (
    effective_rank_bound,
    extremal_matrix,
    rank_suboptimality_bound,
    second_share_bound,
    smallest_singular_value_bound,
    unobserved_lower_bound,
    unobserved_lower_bound_simple,
)
from rankfall.theory.certificate import Certificate
from rankfall.theory.check import check
from rankfall.theory.entropy import binary_entropy
from rankfall.theory.perturbation import (
    perturbed_distance_bound,
    perturbed_effective_rank_bound,
    perturbed_effective_rank_bound_linear,
    perturbed_second_share_bound,
    perturbed_unobserved_lower_bound,
    perturbed_unobserved_lower_bound_simple,
)
from rankfall.theory.published import theorem1_distance_bound, theorem1_effective_rank_bound, theorem1_norm_bound
from rankfall.theory.rates import depth_law_determinant, escape_time, flow_time, step_size_ceiling, unobserved_at_time
from rankfall.theory.recursion import IdentityDescent, identity_descent
from rankfall.theory.regression import (
    descent_iterate,
    descent_limit,
    flow_iterate,
    min_l2_interpolator,
    ridge_solution,
)
from rankfall.theory.sign_rule import perturbed_limit, required_det_sign
from rankfall.theory.solution_set import (
    SUBOPTIMALITY_CROSSOVER,
    minimiser_radius,
    solution,
    solution_distance,
    solution_effective_rank,
    solution_rank_suboptimality,
    solution_schatten_norm,
    solution_singular_values,
)

__all__ = [
    "SUBOPTIMALITY_CROSSOVER",
    "Certificate",
    "Claim",
    "Control",
    "IdentityDescent",
    "NormConstants",
    "at_least",
    "at_most",
    "binary_entropy",
    "check",
    "close_to",
    "depth_law_determinant",
    "descent_iterate",
    "descent_limit",
    "effective_rank_bound",
    "escape_time",
    "extremal_matrix",
    "flow_iterate",
    "flow_time",
    "generic_norm_bound",
    "identity_descent",
    "min_l2_interpolator",
    "minimiser_radius",
    "norm_constants",
    "perturbed_distance_bound",
    "perturbed_effective_rank_bound",
    "perturbed_effective_rank_bound_linear",
    "perturbed_limit",
    "perturbed_second_share_bound",
    "perturbed_unobserved_lower_bound",
    "perturbed_unobserved_lower_bound_simple",
    "rank_suboptimality_bound",
    "required_det_sign",
    "ridge_solution",
    "second_share_bound",
    "smallest_singular_value_bound",
    "solution",
    "solution_distance",
    "solution_effective_rank",
    "solution_rank_suboptimality",
    "solution_schatten_norm",
    "solution_singular_values",
    "step_size_ceiling",
    "theorem1_any_norm_bound",
    "theorem1_distance_bound",
    "theorem1_effective_rank_bound",
    "theorem1_norm_bound",
    "unobserved_at_time",
    "unobserved_lower_bound",
    "unobserved_lower_bound_simple",
]
