"""Runs on disk: a folder for each batch, whole or not at all, found again by the names of the runs."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from .._execution import cores, side_by_side
from .._version import __version__
from .cell import FORMAT, Cell, finite
from .disk import locked, remove, replace_file, storing, sync_folder, write_synced

RUNS, DECLARATION, RESULT, SWEEP, LOG, LOCK, PLAN, CHECKPOINTS = (
    "runs",
    "declaration.json",
    "result.nc",
    "sweep.json",
    "log.jsonl",
    ".lock",
    ".plan.json",
    ".checkpoints",
)


class Place(NamedTuple):
    """Where a run is: the batch, and its lane there."""

    folder: Path
    lane: int


class Store:
    """Folder of a sweep's results.

    Under ``runs`` every batch has a folder with ``result.nc``, a plain netCDF of its lanes, and ``declaration.json``
    with the settings of each lane, the checksum of the result, and what variables there are. ``sweep.json`` says which
    runs the latest sweep consists of.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.runs, self.checkpoints = out, out / RUNS, out / CHECKPOINTS

    def locked(self) -> AbstractContextManager[None]:
        """Make the folder, and keep other processes from writing there."""
        with storing(self.out):
            self.runs.mkdir(parents=True, exist_ok=True)
        return locked(self.out / LOCK, self.out)

    def clear(self) -> list[Path]:
        """Take away what dead processes have left, and set damaged batches aside; return what these are called now.

        To be called by who holds the lock.
        """
        with storing(self.out):
            for left in [*self.runs.glob(".*"), *self.out.glob(".*.partial-*")]:
                remove(left)
            folders = self._folders()
            whole = side_by_side([partial(_whole, folder) for folder in folders], cores())
            return [_set_aside(folder) for folder, good in zip(folders, whole, strict=True) if not good]

    def batches(self) -> dict[Path, dict[str, Any]]:
        """Read the declarations of all batches, by folder, those written last at the end."""
        found = {}
        for folder in self._folders():
            declared = _declaration(folder)
            if declared is not None:
                found[folder] = declared
        for folder, declared in found.items():
            if declared["format"] != FORMAT:
                raise ValueError(
                    f"out is {str(self.out)!r}, but {folder.name} there is of format {declared['format']}, and this "
                    f"version reads format {FORMAT}; choose another folder with --out."
                )
        return dict(sorted(found.items(), key=lambda item: (item[1]["written"], item[0])))

    def places(self, batches: dict[Path, dict[str, Any]]) -> dict[str, Place]:
        """Return where each run is; what was written last counts."""
        return {
            run["name"]: Place(folder, lane)
            for folder, declared in batches.items()
            for lane, run in enumerate(declared["runs"])
        }

    def names(self) -> set[str]:
        """Names of the runs that are stored."""
        return set(self.places(self.batches()))

    def write(self, cells: Sequence[Cell], dataset: xr.Dataset, seconds: float) -> Path:
        """Store runs, the lanes of a dataset."""
        names = [cell.name for cell in cells]
        labelled = dataset.assign_coords(run=("lane", names), seed=("lane", [str(cell.seed) for cell in cells]))
        with storing(self.out), memoryview(labelled.to_netcdf(engine="h5netcdf")) as content:
            declared = _described(cells, dataset, content, seconds)
            folder = self.runs / hashlib.sha256("".join(names).encode()).hexdigest()[:16]
            fresh = self.runs / f".{folder.name}.partial-{os.getpid()}"
            try:
                fresh.mkdir()
                write_synced(fresh / RESULT, content)
                write_synced(fresh / DECLARATION, json.dumps(declared, indent=1, default=str).encode())
                sync_folder(fresh)
                self._put(fresh, folder)
            finally:
                remove(fresh)
        return folder

    def _put(self, fresh: Path, folder: Path) -> None:
        old = self.runs / f".{folder.name}.old-{os.getpid()}"
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        sync_folder(self.runs)
        remove(old)

    def forget_replaced(self) -> None:
        """Remove batches of which every run was stored again later."""
        batches = self.batches()
        current = {place.folder for place in self.places(batches).values()}
        with storing(self.out):
            for folder in batches.keys() - current:
                remove(folder)

    def write_sweep(self, told: dict[str, Any]) -> bool:
        """Store which runs the sweep consists of; return whether that is new."""
        content = json.dumps(told, indent=1).encode()
        with storing(self.out):
            if (self.out / SWEEP).is_file() and (self.out / SWEEP).read_bytes() == content:
                return False
            replace_file(self.out / SWEEP, content)
            return True

    def write_parts(self, parts: Sequence[Sequence[str]]) -> None:
        """Store which runs are trained in one call, until all of them are there."""
        with storing(self.out):
            if parts:
                replace_file(self.out / PLAN, json.dumps(parts).encode())
            else:
                (self.out / PLAN).unlink(missing_ok=True)

    def read_parts(self) -> list[list[str]]:
        """Return which runs an interrupted plan would have trained in one call."""
        try:
            found = json.loads((self.out / PLAN).read_bytes())
            return [[str(name) for name in part] for part in found]
        except (OSError, ValueError, TypeError):
            return []

    def log(self, event: str, **facts: Any) -> None:
        """Add a line to the log for machines."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **facts}, default=str)
        with storing(self.out), open(self.out / LOG, "a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _folders(self) -> list[Path]:
        if not self.runs.is_dir():
            return []
        listed = (path for path in self.runs.iterdir() if path.is_dir())
        return sorted(path for path in listed if "." not in path.name)


def _described(cells: Sequence[Cell], dataset: xr.Dataset, content: memoryview, seconds: float) -> dict[str, Any]:
    variables = {
        str(name): {
            "dims": [str(dim) for dim in v.dims],
            "shape": list(v.shape),
            "dtype": "str" if v.dtype.kind == "U" else v.dtype.name,
            "attrs": {key: str(value) for key, value in v.attrs.items()},
        }
        for name, v in dataset.data_vars.items()
    }
    return {
        "format": FORMAT,
        "rankfall": __version__,
        "jax": jax.__version__,
        "written": time.time(),
        "seconds": round(seconds, 3),
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "variables": variables,
        "coordinates": {str(n): finite(c.values.tolist()) for n, c in dataset.coords.items() if c.dims == (n,)},
        "runs": [{"name": cell.name, "seed": cell.seed, **finite(cell.settings)} for cell in cells],
    }


def _declaration(folder: Path) -> dict[str, Any] | None:
    """Return what a batch says about itself; nothing where it cannot be read."""
    try:
        found = json.loads((folder / DECLARATION).read_bytes())
        good = isinstance(found, dict) and {"format", "sha256", "bytes", "runs", "written"} <= found.keys()
        return found if good and (folder / RESULT).stat().st_size == found["bytes"] else None
    except (OSError, ValueError):
        return None


def _whole(folder: Path) -> bool:
    """Whether a batch is as it was written."""
    declared = _declaration(folder)
    if declared is None:
        return False
    with open(folder / RESULT, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == declared["sha256"]


def _set_aside(folder: Path) -> Path:
    n = 1
    while (aside := folder.with_name(f"{folder.name}.damaged-{n}")).exists():
        n += 1
    return folder.rename(aside)


def lanes_joined(parts: Sequence[xr.Dataset]) -> xr.Dataset:
    """Put lanes of several trainings side by side, padded to the longest record."""
    if len(parts) == 1:
        return parts[0]
    records = max(part.sizes["record"] for part in parts)
    joined: dict[str, Any] = {}
    for name, first in parts[0].data_vars.items():
        arrays = [part[name].values for part in parts]
        if "record" in first.dims:
            arrays = [_padded(array, first.dims.index("record"), records) for array in arrays]
        joined[str(name)] = (first.dims, np.concatenate(arrays), first.attrs)
    attrs = {k: v for k, v in parts[0].attrs.items() if all(_same(part.attrs.get(k), v) for part in parts)}
    return xr.Dataset(joined, coords=parts[0].coords, attrs=attrs)


def _same(a: object, b: object) -> bool:
    return bool(np.array_equal(np.asarray(a, dtype=object), np.asarray(b, dtype=object)))


def _padded(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    fill: Any = -1 if array.dtype.kind in "iu" else np.nan
    widths = [(0, size - array.shape[axis] if n == axis else 0) for n in range(array.ndim)]
    return np.pad(array, widths, constant_values=fill)
