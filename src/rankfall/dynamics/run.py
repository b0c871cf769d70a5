"""What training returns: the final state, the trajectory, and why it stopped."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from .. import measures
from ..factorizations import MatrixFactorization

# Dimensions of the recorded measures beyond (lane, record).
_DIMS = {
    "singular_values": ("singular_value",),
    "unobserved": ("entry",),
    "end_to_end": ("row", "col"),
}


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run, or many of one shape (lanes).

    Attributes
    ----------
    final : MatrixFactorization
        Factors at the end, with a lane axis if the start had one. For a diverged lane, the factors at the first step
        whose loss is not finite.
    trajectory : xarray.Dataset
        The recorded measures, dims ``lane`` and ``record``. Lanes end at different records: beyond the end floats are
        NaN and ``step`` is -1. Provenance is in ``attrs``.
    seconds : float
        Wall time of the training, compilation included.
    """

    problem: Any
    dynamics: Any
    final: MatrixFactorization
    trajectory: xr.Dataset
    seconds: float

    @property
    def stop_reason(self) -> Any:
        """Why it stopped: a string for a single start, an array over lanes otherwise.

        ``"loss"``, ``"steps"``, ``"seconds"``, ``"diverged"`` or ``"interrupted"``.
        """
        reasons = self.trajectory["stop_reason"].values
        return str(reasons[0]) if self.final.lanes is None else reasons


def assemble(
    records: list[dict[str, np.ndarray]], problem: Any, record: Any, step_sizes: np.ndarray, reasons: np.ndarray
) -> xr.Dataset:
    """Put the records of the lanes (one dict of arrays ``(records, ...)`` each) into one dataset."""
    length = max(len(r["step"]) for r in records)
    variables: dict[str, Any] = {}
    for name in records[0]:
        fill = -1 if name == "step" else np.nan
        first = records[0][name]
        stacked = np.full((len(records), length, *first.shape[1:]), fill, dtype=first.dtype)
        for lane, values in enumerate(records):
            stacked[lane, : len(values[name])] = values[name]
        inner = _DIMS.get(name, tuple(f"{name}_{i}" for i in range(first.ndim - 1)))
        variables[name] = (("lane", "record", *inner), stacked)
    ended = variables["step"][1] < 0
    time = np.where(ended, np.nan, variables["step"][1] * step_sizes[:, None])
    variables["time"] = (("lane", "record"), time)
    dataset = xr.Dataset(variables)
    dataset = _derived(dataset, problem, record)
    dataset["stop_reason"] = ("lane", reasons)
    dataset["step"].attrs["padding"] = "-1 beyond the last record of a lane"
    dataset["time"].attrs["units"] = "flow time: step size times steps; NaN for rules without a fixed step"
    return dataset


def _derived(dataset: xr.Dataset, problem: Any, record: Any) -> xr.Dataset:
    """Measures that follow from the recorded singular values."""
    s = dataset["singular_values"].values.astype(np.float64)
    over = ("lane", "record")
    valid = np.asarray(np.isfinite(s).all(axis=-1))
    safe = np.where(valid[..., None], s, 1.0)

    def masked(values: np.ndarray) -> np.ndarray:
        return np.where(valid if values.ndim == 2 else valid[..., None], values, np.nan)

    with np.errstate(divide="ignore"):
        dataset["log_singular_values"] = ((*over, "singular_value"), masked(np.log(safe)))
    dataset["effective_rank"] = (over, masked(measures.spectrum.effective_rank(safe)))
    p = np.asarray(record.schatten_p, dtype=np.float64)
    norms = np.stack([measures.spectrum.schatten_norm(safe, float(q)) for q in p], axis=-1)
    dataset["schatten_norm"] = ((*over, "p"), masked(norms))
    dataset = dataset.assign_coords(p=p)
    if problem.infimal_rank is not None:
        rank = problem.infimal_rank
        dataset["distance_to_infimal_rank"] = (over, masked(measures.spectrum.distance_to_rank(safe, rank)))
        if problem.infimal_erank is not None:
            subopt = measures.spectrum.rank_suboptimality(safe, rank, problem.infimal_erank)
            dataset["rank_suboptimality"] = (over, masked(subopt))
    return dataset
