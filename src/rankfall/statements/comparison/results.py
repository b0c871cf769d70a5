"""What is kept of runs and references: one dataset."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from ... import measures
from ...dynamics import Run
from ...problems import AbstractProblem
from ...references import Reference

_OF_LEAST: dict[str, Callable[[Reference], Any]] = {
    "least": lambda answer: answer.solution,
    "minimum": lambda answer: answer.objective,
    "lower_bound": lambda answer: answer.lower_bound,
    "residual": lambda answer: answer.residual,
    "status": lambda answer: answer.status,
}


def recorded(run: Run, before: float) -> dict[str, np.ndarray]:
    """Return the last matrix of every lane, and the first whose loss is within two decades of the last."""
    path = run.trajectory
    count = path.sizes["lane"]
    found: dict[str, list[Any]] = {name: [] for name in ("loss", "loss_before", "steps", "matrix", "matrix_before")}
    for lane in range(count):
        one = path.isel(lane=lane)
        there = np.flatnonzero(one["step"].values >= 0)
        # A level is met to rounding.
        near, last = one["loss"].values[there] <= before * (1 + 1e-6), there[-1]
        first = there[int(near.argmax())] if near.any() else last
        for name, at in (("", last), ("_before", first)):
            found[f"loss{name}"].append(float(one["loss"][at]))
            found[f"matrix{name}"].append(one["end_to_end"].values[at])
        found["steps"].append(int(one["step"][last]))
    reasons = np.broadcast_to(np.asarray(path["stop_reason"].values, dtype=str), (count,))
    return {name: np.array(values) for name, values in found.items()} | {"stop_reason": reasons}


def dataset(
    problems: list[AbstractProblem],
    axes: dict[str, Any],
    values: Mapping[str, Callable[[Any], Any]],
    least: dict[str, list[Reference]],
    runs: list[dict[str, Any]],
) -> xr.Dataset:
    """Put everything into one."""
    dims = ("depth", "draw", "scale")
    grid = tuple(len(axes[dim]) for dim in dims)
    shaped = {
        name: np.concatenate([run[name] for run in runs]).reshape(*grid, *np.shape(runs[0][name])[1:])
        for name in runs[0]
    }
    variables: dict[str, Any] = {name: (dims, shaped[name]) for name in ("loss", "loss_before", "steps", "stop_reason")}
    variables["trained"] = ((*dims, "row", "column"), shaped["matrix"])
    variables["effective_rank"] = (dims, measures.effective_rank(shaped["matrix"]))
    for name, source in (("norm_of_trained", "matrix"), ("norm_before", "matrix_before")):
        found = np.array([np.asarray(value(shaped[source])) for value in values.values()])
        variables[name] = (("norm", *dims), found)
    draws = len(axes["draw"])
    answers = [each(found, draws) for found in least.values()]
    for name, read in _OF_LEAST.items():
        numbers = np.array([[read(answer) for answer in row] for row in answers])
        variables[name] = (("norm", "draw", "row", "column")[: numbers.ndim], numbers)
    variables["effective_rank_of_least"] = (("norm", "draw"), measures.effective_rank(variables["least"][1]))
    if problems[0].truth is not None:
        truth = np.stack([np.asarray(one.truth, float) for one in each(problems, draws)])
        variables["error"] = (dims, _error(shaped["matrix"], truth[None, :, None]))
        variables["error_of_least"] = (("norm", "draw"), _error(variables["least"][1], truth[None]))
    return xr.Dataset(variables, {"norm": list(values), **axes})


def with_smaller(data: xr.Dataset, more: xr.Dataset) -> xr.Dataset:
    """Add runs from smaller starts, down to the first that one of them does not end from."""
    fits = (more["stop_reason"] == "loss").all(("depth", "draw")).values
    count = int(np.argmin(np.append(fits, False)))
    both = [data, more.isel(scale=slice(None, count))]
    return xr.concat(both, "scale", data_vars="minimal", coords="minimal", compat="override", combine_attrs="override")


def of_smallest(data: xr.Dataset) -> xr.Dataset:
    """Keep the solutions from the smallest start alone."""
    return data.assign(trained=data["trained"].isel(scale=-1, drop=True))


def each(found: list[Any], draws: int) -> list[Any]:
    """Return one for each draw, where they may have one in common."""
    return found if len(found) == draws else found * draws


def _error(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(truth, axis=(-2, -1))
    return np.asarray(np.linalg.norm(found - truth, axis=(-2, -1)) / lengths)
