"""What the experiments on gradient flow share: flows by lanes, recorded alike so that one compiled loop serves them."""

import numpy as np
import xarray as xr

from .._types import ArrayLike
from ..dynamics import Record, SpectralFlow, Stop, train
from ..dynamics.base import AbstractDynamics
from ..dynamics.lanes import not_interrupted
from ..factorizations import AbstractModel
from ..problems import AbstractProblem

# Compiled loops depend on the number of lanes and of loss levels, and on what is recorded.
STATE = ("step", "time", "loss", "unobserved", "log_abs_det", "det_sign", "dissipated")


def run_flow(
    problem: AbstractProblem,
    start: AbstractModel,
    loss: float,
    levels: int,
    progress: bool,
    dynamics: AbstractDynamics | None = None,
    **labels: ArrayLike,
) -> xr.Dataset:
    """Follow lanes of starts to a loss, recorded at log-spaced losses; each label is a value, or one for each lane."""
    run = train(
        problem,
        start,
        SpectralFlow() if dynamics is None else dynamics,
        stop=Stop(loss=loss),
        record=Record(at_losses=np.geomspace(1.0, loss, levels), measures=["end_to_end"]),
        progress=progress,
    )
    labels["stop_reason"] = not_interrupted(run)
    lanes = run.trajectory.drop_vars("stop_reason")
    return lanes.assign_coords(
        {name: ("lane", np.broadcast_to(np.asarray(value), lanes.sizes["lane"])) for name, value in labels.items()}
    )


def energy_error(lanes: xr.Dataset, share: float = 1.0) -> float:
    """Largest |loss lost - share * integral of the squared gradient| over the loss at the start."""
    loss, lost = lanes["loss"].values, lanes["dissipated"].values
    return largest(np.abs(loss[:, :1] - loss - share * lost) / loss[:, :1])


def largest(values: np.ndarray) -> float:
    """Return the largest of those that are recorded; NaN, which no claim holds for, if there is none."""
    there = values[np.isfinite(values)]
    return float(there.max()) if there.size else float("nan")
