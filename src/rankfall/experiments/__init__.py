"""The talk's experiments, declared: what is run, at which settings, and what is claimed about the result."""

from . import (
    determinant_sign,
    norm_of_regression,
    norms_and_rank,
    perturbation,
    solution_set,
    unobserved_entry,
)
from .base import Experiment, Settings, read_settings

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        solution_set,
        unobserved_entry,
        norms_and_rank,
        perturbation,
        determinant_sign,
        norm_of_regression,
    )
}


def load_settings(name: str, full: bool = False) -> Settings:
    """Read the settings of an experiment by name: the reduced form, or the paper's scale."""
    return read_settings(EXPERIMENTS[name], full)


__all__ = ["EXPERIMENTS", "Experiment", "Settings", "load_settings"]
