"""The runs of a sweep as one dataset, read from disk where it is looked at."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from xarray.core import indexing

from .. import _checks
from .cell import FORMAT
from .gather import Gathered
from .store import SWEEP, Place, Store

# What is said of a variable beside the units that training knows.
UNITS = {"step": "steps", "loss": "as the problem's loss", "effective_rank": "rank", "stop_reason": "word"}


def open_results(path: str | Path) -> xr.Dataset:
    """Open the runs of the sweep that a folder holds.

    Parameters
    ----------
    path : path
        Folder that ``rankfall run`` or `Sweep.run` has written.

    Returns
    -------
    xarray.Dataset
        Dimensions are the swept keys, or the names of tables of keys that vary together, then ``seed``, ``record`` and
        those of the variable. Values are read from disk where they are used. Beyond the last record of a run, and for
        runs that are not stored yet, floats are NaN, ``step`` is -1 and ``stop_reason`` is empty; ``run`` has the name
        of each run.

    Raises
    ------
    ValueError
        If no sweep is stored there, or one of another format.

    Examples
    --------
    >>> import tempfile, rankfall as rf
    >>> sweep = rf.Sweep(problem={"name": "two-by-two"}, factorization={"name": "matrix", "scale": 0.1},
    ...                  dynamics={"name": "gradient-descent", "step_size": 0.1}, stop={"loss": 0.1},
    ...                  sweep={"factorization.depth": [2, 3]})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = sweep.run(folder, progress=False)
    ...     found = rf.open_results(folder)
    ...     found["loss"].dims, found.to_dataframe().shape[0] > 0
    (('factorization.depth', 'seed', 'record'), True)
    """
    out = _checks.folder("path", path)
    told = read_sweep(out)
    store = Store(out)
    batches = store.batches()
    places = store.places(batches)
    grid = [places.get(name) for name in told["runs"]]
    dims = {**{axis["name"]: _extent(axis) for axis in told["axes"]}, "seed": len(told["seeds"])}
    return xr.Dataset(
        _variables(grid, dims, batches),
        coords=_coordinates(told) | {"run": (tuple(dims), np.array(told["runs"]).reshape(tuple(dims.values())))},
        attrs={"sweep": told["name"], "title": told["title"], "format": FORMAT, "rankfall_version": told["rankfall"]},
    ).assign_coords(_shared(grid, batches))


def read_sweep(out: Path) -> dict[str, Any]:
    """Return what the latest sweep of a folder consists of."""
    try:
        told: dict[str, Any] = json.loads((out / SWEEP).read_bytes())
        if told["format"] != FORMAT:
            raise ValueError(
                f"path is {str(out)!r}, but the sweep there is of format {told['format']}, and this version reads "
                f"format {FORMAT}; run it again."
            )
        return told
    except OSError:
        raise ValueError(f"path is {str(out)!r}, but no sweep is stored there; make one with rankfall run.") from None
    except (json.JSONDecodeError, KeyError, TypeError):
        raise ValueError(
            f"path is {str(out)!r}, but its {SWEEP} is not as rankfall run wrote it; run the sweep again, its runs are "
            "kept."
        ) from None


def _extent(axis: Mapping[str, Any]) -> int:
    return len(next(iter(axis["columns"].values())))


def _coordinates(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of what is swept; of keys that vary together as columns beside a number."""
    found: dict[str, Any] = {"seed": ("seed", _values(told["seeds"]))}
    for axis in told["axes"]:
        for key, column in axis["columns"].items():
            found[key] = (axis["name"], _values(column), {"long_name": key})
        if axis["name"] not in axis["columns"]:
            found[axis["name"]] = (axis["name"], np.arange(_extent(axis)))
    return found


def _values(column: list[Any]) -> np.ndarray:
    """Return swept values as an array: numbers, words, or, for what is neither, how it is written."""
    kinds = {type(value) for value in column}
    if kinds <= {int, float} or kinds in ({bool}, {str}):
        try:
            return np.array(column)
        except OverflowError:  # a seed of any size
            pass
    return np.array([value if isinstance(value, str) else json.dumps(value) for value in column])


def _variables(
    grid: list[Place | None], dims: Mapping[str, int], batches: Mapping[Path, dict[str, Any]]
) -> dict[str, xr.Variable]:
    used = {place.folder: batches[place.folder]["variables"] for place in grid if place is not None}
    names: dict[str, dict[str, Any]] = {}
    for variables in used.values():
        for name, one in variables.items():
            if one["dims"][:1] == ["lane"]:
                names.setdefault(name, one)
    sizes: dict[str, int] = {}
    for variables in used.values():
        for one in variables.values():
            for dim, size in zip(one["dims"], one["shape"], strict=True):
                sizes[dim] = max(size, sizes.get(dim, 0))
    found = {}
    for name, one in names.items():
        inner = one["dims"][1:]
        there = {folder for folder, variables in used.items() if variables.get(name, {}).get("dims") == one["dims"]}
        chosen = [place if place is not None and place.folder in there else None for place in grid]
        shape = (*dims.values(), *(sizes[dim] for dim in inner))
        array = Gathered(name, chosen, tuple(dims.values()), shape, one["dtype"])
        attrs = {"units": UNITS.get(name, "1")} | one["attrs"]
        found[name] = xr.Variable((*dims, *inner), indexing.LazilyIndexedArray(array), attrs)
    return found


def _shared(grid: list[Place | None], batches: Mapping[Path, dict[str, Any]]) -> dict[str, Any]:
    """Return the coordinates of inner dimensions that all batches agree on."""
    used = {place.folder for place in grid if place is not None}
    told = [batches[folder]["coordinates"] for folder in used]
    names = {name for one in told for name in one}
    return {
        name: (name, np.array(told[0][name], dtype=float))
        for name in sorted(names)
        if all(one.get(name) == told[0].get(name) for one in told) and math.prod(np.shape(told[0][name]))
    }
