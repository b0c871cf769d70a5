"""The talk's experiments, declared: what is run, at which settings, and what is claimed about the result."""

from . import (
    any_norm,
    balancedness,
    circuit_equivalence,
    component_norms,
    convergence,
    depth_law,
    determinant_sign,
    exact_recovery,
    gradient_flow,
    hierarchical,
    mapping_rank,
    norm_of_regression,
    norms_and_rank,
    nuclear_norm_or_not,
    overparameterisation,
    perturbation,
    rank_of_data,
    singular_values,
    solution_set,
    spectrum_dynamics,
    tensor_order3,
    tensor_order4,
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
        any_norm,
        nuclear_norm_or_not,
        exact_recovery,
        gradient_flow,
        depth_law,
        singular_values,
        spectrum_dynamics,
        convergence,
        balancedness,
        tensor_order3,
        tensor_order4,
        component_norms,
        mapping_rank,
        circuit_equivalence,
        overparameterisation,
        rank_of_data,
        hierarchical,
    )
}


def load_settings(name: str, full: bool = False) -> Settings:
    """Read the settings of an experiment: the reduced form, or the paper's scale.

    Parameters
    ----------
    name : str
        Name of the experiment.
    full : bool, default False
        Whether to read those of the paper's scale.

    Returns
    -------
    Settings
        A pydantic record, of a class of the experiment's own.

    Examples
    --------
    >>> from rankfall.experiments import load_settings
    >>> load_settings("unobserved-entry").loss, load_settings("unobserved-entry", full=True).loss
    (0.001, 0.0001)
    """
    return read_settings(EXPERIMENTS[name], full)


__all__ = ["EXPERIMENTS", "Experiment", "Settings", "load_settings"]
