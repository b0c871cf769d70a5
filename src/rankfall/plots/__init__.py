"""One picture for every experiment, drawn from its stored data set alone."""

from collections.abc import Callable

import xarray as xr
from matplotlib.figure import Figure

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
    tensor_order,
    unobserved_entry,
)

DRAWINGS: dict[str, Callable[[xr.Dataset], Figure]] = {
    "solution-set": solution_set.draw,
    "unobserved-entry": unobserved_entry.draw,
    "norms-and-rank": norms_and_rank.draw,
    "perturbation": perturbation.draw,
    "determinant-sign": determinant_sign.draw,
    "norm-of-regression": norm_of_regression.draw,
    "any-norm": any_norm.draw,
    "nuclear-norm-or-not": nuclear_norm_or_not.draw,
    "exact-recovery": exact_recovery.draw,
    "gradient-flow": gradient_flow.draw,
    "depth-law": depth_law.draw,
    "singular-values": singular_values.draw,
    "spectrum-dynamics": spectrum_dynamics.draw,
    "convergence": convergence.draw,
    "balancedness": balancedness.draw,
    "tensor-order3": tensor_order.draw,
    "tensor-order4": tensor_order.draw,
    "component-norms": component_norms.draw,
    "mapping-rank": mapping_rank.draw,
    "circuit-equivalence": circuit_equivalence.draw,
    "overparameterisation": overparameterisation.draw,
    "rank-of-data": rank_of_data.draw,
    "hierarchical": hierarchical.draw,
}


def draw(name: str, dataset: xr.Dataset) -> Figure:
    """Draw the picture of an experiment.

    Parameters
    ----------
    name : str
        Name of the experiment.
    dataset : xarray.Dataset
        What the experiment stored.

    Returns
    -------
    matplotlib.figure.Figure
        The picture, known to no window system.

    Raises
    ------
    ValueError
        If no picture has that name.

    Examples
    --------
    >>> from rankfall import plots
    >>> sorted(plots.DRAWINGS)[:2]
    ['any-norm', 'balancedness']
    """
    if name not in DRAWINGS:
        raise ValueError(f"name is {name!r}, but must be one of {', '.join(sorted(DRAWINGS))}.")
    return DRAWINGS[name](dataset)


__all__ = ["DRAWINGS", "draw"]
