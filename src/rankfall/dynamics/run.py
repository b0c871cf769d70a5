"""What training returns: the final state, the trajectory, and why it stopped."""

import dataclasses
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from .. import _checks, measures
from ..factorizations import AbstractModel
from ..problems import AbstractProblem
from .base import AbstractDynamics
from .recording import Record

if TYPE_CHECKING:
    import pandas as pd


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
        Wall time of the training, compilation included, and what went before the checkpoint that it went on from.
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

    def to_dataframe(self, *, largest: int = 64) -> "pd.DataFrame":
        """Return the trajectory as a tidy table: a row for each lane and record, without the padding.

        Parameters
        ----------
        largest : int
            Variables of more numbers a record than this (the end-to-end matrix of a large problem) are left out.

        Returns
        -------
        pandas.DataFrame
            Columns ``lane``, ``record`` and ``stop_reason``, and one for each number that was recorded. Several numbers
            of one variable are counted, ``singular_values_0``, ``end_to_end_0_1``; Schatten norms have their ``p`` in
            the name, ``schatten_norm_0.5``, ``schatten_norm_inf``.

        Raises
        ------
        ValueError
            If ``largest`` is no integer of at least one.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> start = rf.MatrixFactorization([np.full((3, 2, 2), 0.1), np.full((3, 2, 2), 0.1)])
        >>> run = rf.train(rf.two_by_two(), start, rf.GradientDescent(0.1), stop=rf.Stop(steps=5),
        ...                record=rf.Record(every=1))
        >>> frame = run.to_dataframe()
        >>> len(frame), frame.groupby("lane")["loss"].last().round(4).tolist()
        (18, [0.9041, 0.9041, 0.9041])
        """
        return frame(self.trajectory, _checks.positive_integer("largest", largest))

    def save(self, path: str | Path) -> None:
        """Write the run into one netCDF file, whole or not at all; `rankfall.load_run` reads it.

        Parameters
        ----------
        path : str or path
            The file, such as ``"run.nc"``; one that is there is replaced.

        Raises
        ------
        ValueError
            If the file cannot be written, or the problem, the model or the dynamics hold a function or class of the
            user's own that has no name in a module.

        Notes
        -----
        It holds the trajectory as it is, which plain xarray opens (``xarray.open_dataset(path)``), beside it the arrays
        of the final factors (``final.factors.0``) and of the problem (``problem.values``), and a checksum of all.
        Classes and functions are kept by name, never by code. So a rule of optax cannot be kept: the run is stored
        without it, with a warning.

        Examples
        --------
        >>> import numpy as np, pathlib, rankfall as rf, tempfile, xarray
        >>> start = rf.MatrixFactorization([0.1 * np.eye(2), np.eye(2)])
        >>> run = rf.train(rf.two_by_two(), start, rf.GradientDescent(0.1), stop=rf.Stop(steps=10))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run.save(pathlib.Path(folder) / "run.nc")
        ...     with xarray.open_dataset(pathlib.Path(folder) / "run.nc") as dataset:
        ...         np.array_equal(dataset["final.factors.0"], run.final.factors[0])
        True
        """
        from .stored import save_run  # which reads runs too

        save_run(self, path)


def frame(trajectory: xr.Dataset, largest: int) -> "pd.DataFrame":
    """Return a trajectory as a table; see `Run.to_dataframe`."""
    import pandas as pd  # a fifth of a second: only where a table is asked for

    lane, record = np.nonzero(trajectory["step"].values >= 0)
    columns: dict[str, np.ndarray] = {"lane": lane, "record": record}
    for name, variable in trajectory.items():
        if variable.dims == ("lane",):
            columns[str(name)] = variable.values[lane]
        elif variable.dims[:2] == ("lane", "record") and np.prod(variable.shape[2:], dtype=int) <= largest:
            inner = [_labels(trajectory, dim) for dim in variable.dims[2:]]
            values = variable.values[lane, record]
            for place in np.ndindex(*variable.shape[2:]):
                label = "_".join([str(name), *(names[i] for names, i in zip(inner, place, strict=True))])
                columns[label] = values[(slice(None), *place)]
    return pd.DataFrame(columns)


def _labels(trajectory: xr.Dataset, dim: Hashable) -> list[str]:
    """Return what the places along a dimension are called: their coordinates where they have some."""
    if dim in trajectory.coords:
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in trajectory[dim].values.tolist()]
    return [str(n) for n in range(trajectory.sizes[dim])]


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
