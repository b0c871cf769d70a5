"""Runs as lanes with labels: trained in batches, joined, and picked out of the joined dataset again."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from .._execution import interrupts, side_by_side
from ..factorizations import MatrixFactorization
from ..problems import AbstractProblem
from .descent import GradientDescent
from .recording import Record
from .run import Run
from .stopping import Stop
from .train import train


def signed_starts(shape: tuple[int, int], depth: int, **options: Any) -> MatrixFactorization:
    """``MatrixFactorization.init`` with the seed as a number and a count of lanes."""
    seed, seeds = options.pop("seed"), options.pop("seeds")
    keys = jax.random.split(jax.random.key(seed), seeds)
    return MatrixFactorization.init(shape, depth, key=keys, **options)


def run_lanes(
    problem: AbstractProblem,
    groups: list[tuple[MatrixFactorization, float, dict[str, Any]]],
    stop: Stop,
    record: Record,
    progress: bool,
) -> xr.Dataset:
    """Train groups of starts of one shape as one batch; each group has a step size and labels for its lanes."""
    starts = [start.as_lanes() for start, _, _ in groups]
    counts = [start.lanes or 1 for start in starts]
    step_sizes = np.repeat([size for _, size, _ in groups], counts)
    run = train(
        problem,
        MatrixFactorization.stack(starts),
        GradientDescent(step_sizes),
        stop=stop,
        record=record,
        progress=progress,
    )
    labels = {
        name: np.repeat([str(g[2][name]) if isinstance(g[2][name], str) else g[2][name] for g in groups], counts)
        for name in groups[0][2]
    }
    labels["seed"] = np.concatenate([np.arange(count) for count in counts])
    labels["learning_rate"] = step_sizes
    labels["stop_reason"] = not_interrupted(run)
    return run.trajectory.drop_vars("stop_reason").assign_coords({k: ("lane", v) for k, v in labels.items()})


def run_all(tasks: Sequence[Callable[[], Any]]) -> list[Any]:
    """Do independent trainings side by side: one is compiled while another runs."""
    with interrupts():
        return side_by_side(tasks)


def not_interrupted(run: Run) -> np.ndarray:
    """Return the stop reasons of the lanes; a run that Ctrl-C ended ends the experiment too."""
    reasons = np.atleast_1d(run.trajectory["stop_reason"].values)
    if (reasons == "interrupted").any():
        raise KeyboardInterrupt
    return reasons


def join(parts: list[xr.Dataset]) -> xr.Dataset:
    """Put lanes of several batches side by side, padded to the longest record."""
    joined = xr.concat(
        # Numbered records are what the outer join pads by.
        [part.assign_coords(record=np.arange(part.sizes["record"])) for part in parts],
        dim="lane",
        join="outer",
        data_vars="all",
        coords="different",
        compat="equals",
        combine_attrs="drop",
        fill_value={"step": -1},
    ).drop_vars("record")
    joined.attrs = shared_attrs(parts)
    return joined


def shared_attrs(parts: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Return what all trajectories say alike of the problem and its loss."""
    names = ("problem", "loss", "dtype")
    return {n: parts[0].attrs[n] for n in names if all(p.attrs.get(n) == parts[0].attrs[n] for p in parts)}


def lanes_of(dataset: xr.Dataset, **labels: str | float) -> xr.Dataset:
    """Lanes whose labels have the given values."""
    chosen = np.ones(dataset.sizes["lane"], dtype=bool)
    for name, value in labels.items():
        chosen &= dataset[name].values == value
    return dataset.isel(lane=np.flatnonzero(chosen))


def last(dataset: xr.Dataset, name: str) -> np.ndarray:
    """Value of a variable at the last record of each lane."""
    index = (dataset["step"].values >= 0).sum(axis=1) - 1
    return dataset[name].values[np.arange(len(index)), index]


def recorded(dataset: xr.Dataset, below: float = np.inf) -> np.ndarray:
    """Which records exist, as a mask ``(lane, record)``; only those of a loss below the given one."""
    loss = dataset["loss"].values
    return np.isfinite(loss) & (loss < below)
