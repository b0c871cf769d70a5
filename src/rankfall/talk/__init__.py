"""The experiments of the talk, one folder each: what is run and claimed, at which settings, and its picture.

The package itself can be called: `rf.talk("perturbation")` is an experiment that runs at settings of one's own, and
`rf.talk()` lists the names.

>>> import rankfall as rf
>>> rf.talk()[:3]
['solution-set', 'unobserved-entry', 'norms-and-rank']
>>> outcome = rf.talk("solution-set").run(points=50, largest=1e3)
>>> outcome.settings.largest, len(outcome.claims)
(1000.0, 10)
"""

import sys
from types import ModuleType
from typing import overload

from ..experiments import Room, Rooms

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


class _Talk(ModuleType):
    """A module that can be called: to have ``rf.talk(...)``, whose name the package has, is worth this much."""

    @overload
    def __call__(self) -> list[str]: ...

    @overload
    def __call__(self, name: str) -> Room: ...

    def __call__(self, name: str | None = None) -> Room | list[str]:
        """Return an experiment by name, or all names."""
        return list(EXPERIMENTS) if name is None else Room(name, EXPERIMENTS)


sys.modules[__name__].__class__ = _Talk

__all__ = ["EXPERIMENTS", "ORDER"]
