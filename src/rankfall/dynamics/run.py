"""What training returns: the final state, the trajectory, and why it stopped."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import xarray as xr

from .. import measures
from ..factorizations import AbstractModel
from ..problems import AbstractProblem
from .base import AbstractDynamics
from .recording import Record


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run, or many of one shape (lanes).

    Attributes
    ----------
    problem : AbstractProblem
    dynamics : AbstractDynamics
    final : factorization
        Where it ended, with a lane axis if the start had one: factors, or of a flow in singular values these. For a
        diverged lane of descent, the factors at the first step whose loss is not finite.
    trajectory : xarray.Dataset
        The recorded measures, dims ``lane`` and ``record``. Lanes end at different records: beyond the end floats are
        NaN and ``step`` is -1. Provenance is in ``attrs``.
    seconds : float
        Wall time of the training, compilation included.
    """

    problem: AbstractProblem
    dynamics: AbstractDynamics
    final: AbstractModel
    trajectory: xr.Dataset
    seconds: float

    @property
    def stop_reason(self) -> str | np.ndarray:
        """Why it stopped: a string for a single start, an array over lanes otherwise.

        ``"loss"``, ``"steps"``, ``"flow_time"``, ``"seconds"``, ``"stationary"`` (nothing moves any more),
        ``"stalled"`` (no step of a flow succeeds), ``"diverged"``, ``"certificate"`` (what a flow conserves was lost
        to rounding or to its solver) or ``"interrupted"``.
        """
        reasons = self.trajectory["stop_reason"].values
        return str(reasons[0]) if self.final.lanes is None else reasons


def assemble(
    pieces: list[dict[str, np.ndarray]],
    problem: AbstractProblem,
    record: Record,
    reasons: np.ndarray,
    dims: Mapping[str, tuple[str, ...]],
) -> xr.Dataset:
    """Put the records (arrays of equal length by name, ``lane`` among them, in the order of steps) together.

    ``dims`` are names of dimensions beyond lane and record; those of other variables are numbered.
    """
    joined = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    lane, step = joined.pop("lane"), joined["step"]
    # Stable: the records of a lane come in the order of steps. Of two records of one step (a level met where a step
    # was to be recorded) the first is kept.
    order = np.argsort(lane, kind="stable")
    order = order[np.append(True, (np.diff(lane[order]) > 0) | (np.diff(step[order]) > 0))]
    counts = np.bincount(lane[order], minlength=len(reasons))
    filled = np.arange(counts.max()) < counts[:, None]
    variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {}
    for name, values in joined.items():
        fill = -1 if name == "step" else np.nan
        dtype = values.dtype if name == "step" or values.dtype.kind == "f" else np.float64
        inside = np.take(values, order, axis=0)
        if filled.all():
            stacked = inside.reshape(*filled.shape, *values.shape[1:]).astype(dtype, copy=False)
        else:
            stacked = np.full((*filled.shape, *values.shape[1:]), fill, dtype=dtype)
            stacked[filled] = inside
        inner = dims.get(name, ())
        if len(inner) != values.ndim - 1:  # of what a user adds nobody has said them
            inner = tuple(f"{name}_{i}" for i in range(values.ndim - 1))
        variables[name] = (("lane", "record", *inner), stacked)
    dataset = xr.Dataset(variables)
    dataset = _derived(dataset, problem, record)
    dataset["stop_reason"] = ("lane", reasons)
    dataset["step"].attrs["padding"] = "-1 beyond the last record of a lane"
    dataset["time"].attrs["units"] = "flow time: step size times steps; NaN for rules without a fixed step"
    return dataset


def _derived(dataset: xr.Dataset, problem: AbstractProblem, record: Record) -> xr.Dataset:
    """Measures that follow from the recorded singular values."""
    if "singular_values" not in dataset:
        return dataset
    s = dataset["singular_values"].values
    # The spectrum first in memory: sums over a last axis of two or three numbers are slow.
    s = np.moveaxis(np.array(np.moveaxis(s, -1, 0), dtype=np.float64, order="C"), 0, -1)
    over = ("lane", "record")
    valid = np.asarray(np.isfinite(s).all(axis=-1))
    complete = valid.all()
    safe = s if complete else np.where(valid[..., None], s, 1.0)

    def masked(values: np.ndarray) -> np.ndarray:
        if complete:
            return values
        return np.where(valid if values.ndim == 2 else valid[..., None], values, np.nan)

    if "log_singular_values" not in dataset:
        with np.errstate(divide="ignore"):
            dataset["log_singular_values"] = ((*over, "singular_value"), masked(np.log(safe)))
    effective_rank = masked(measures.spectrum.effective_rank(safe))
    dataset["effective_rank"] = (over, effective_rank)
    p = np.atleast_1d(np.asarray(record.schatten_p, dtype=np.float64))
    norms = [masked(measures.spectrum.schatten_norm(safe, float(q))) for q in p]
    dataset["schatten_norm"] = ((*over, "p"), np.stack(norms, axis=-1) if norms else np.zeros((*valid.shape, 0)))
    dataset = dataset.assign_coords(p=p)
    if problem.infimal_rank is not None:
        distance = masked(measures.spectrum.distance_to_rank(safe, problem.infimal_rank))
        dataset["distance_to_infimal_rank"] = (over, distance)
        if problem.infimal_erank is not None:
            dataset["rank_suboptimality"] = (over, np.maximum(distance, effective_rank - problem.infimal_erank))
    return dataset
