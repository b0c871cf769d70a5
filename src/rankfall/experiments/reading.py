"""What a table, a picture or a claim reads off the runs of a sweep."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from .. import _checks

AT = ("end", "start", "min", "max")


def grid_of(results: xr.Dataset) -> tuple[str, ...]:
    """Dimensions of the grid: what is swept, and the seeds."""
    return tuple(str(dim) for dim in results["run"].dims)


def keys_of(results: xr.Dataset) -> list[str]:
    """Names by which the runs differ: swept keys and the seed."""
    dims = set(grid_of(results))
    return [str(name) for name, c in results.coords.items() if name != "run" and len(c.dims) == 1 and c.dims[0] in dims]


def chosen(results: xr.Dataset, where: Mapping[str, Any]) -> xr.Dataset:
    """Return the runs whose keys have the given values."""
    for key, value in where.items():
        _checks.one_of("where", key, keys_of(results))
        held = results[key]
        wanted = value if isinstance(value, list) else [value]
        there = np.flatnonzero(np.isin(held.values, np.array(wanted)))
        if not there.size:
            listed = ", ".join(map(str, held.values.tolist()[:8]))
            raise ValueError(f"where has {key} = {_checks.shortened(value)}, but the runs have {listed}.")
        results = results.isel({held.dims[0]: there})
    return results


def inner(results: xr.Dataset, name: str, select: Mapping[str, Any]) -> xr.DataArray:
    """Return a measure, a number for each run and record."""
    _checks.one_of("measure", name, [str(n) for n in results.data_vars])
    found = results[name]
    outer = {*grid_of(results), "record"}
    for dim, value in select.items():
        _checks.one_of("select", dim, [str(d) for d in found.dims if d not in outer])
        try:
            found = found.sel({dim: value}) if dim in found.coords else found.isel({dim: value})
        except (KeyError, IndexError, TypeError):
            raise ValueError(f"select has {dim} = {_checks.shortened(value)}, which {name} does not have.") from None
    left = [str(dim) for dim in found.dims if dim not in outer]
    many = [dim for dim in left if found.sizes[dim] > 1]
    if many:
        raise ValueError(
            f"measure is {name!r}, which has {found.sizes[many[0]]} values along {many[0]}, but one is needed; select "
            f"one, such as {many[0]} = {_first(found, many[0])}."
        )
    return found.isel(dict.fromkeys(left, 0))


def _first(found: xr.DataArray, dim: str) -> Any:
    return found[dim].values[0] if dim in found.coords else 0


def measured(
    results: xr.Dataset, name: str, at: str = "end", absolute: bool = False, select: Mapping[str, Any] | None = None
) -> xr.DataArray:
    """Return a measure of each run at its end, at its start, or its least or largest value."""
    _checks.one_of("at", at, AT)
    found = inner(results, name, select or {})
    if found.dtype.kind not in "iufb":
        raise ValueError(f"measure is {name!r}, which holds words, but must be one of numbers.")
    found = (abs(found) if absolute else found).astype(float)
    if "record" not in found.dims:
        return found
    there = results["step"].load() >= 0
    found, count = found.where(there), there.sum("record")
    if at in ("min", "max"):
        return found.min("record") if at == "min" else found.max("record")
    index = (count - 1).clip(0) if at == "end" else count * 0
    ended: xr.DataArray = found.isel(record=index)
    return ended


def table(
    results: xr.Dataset, by: Sequence[str], names: Sequence[str], at: str = "end", absolute: bool = False,
    select: Mapping[str, Any] | None = None,
) -> tuple[list[str], list[list[Any]]]:  # fmt: skip
    """Return the heads and the rows of a table: a row for each value of the keys, with quantiles over its runs."""
    for key in by:
        _checks.one_of("by", key, keys_of(results))
    columns = [measured(results, name, at, absolute, select) for name in names]
    grid = grid_of(results)
    spread = [results[key].broadcast_like(results["run"]).transpose(*grid).values.ravel().tolist() for key in by]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for n in range(results["run"].size):
        groups.setdefault(tuple(one[n] for one in spread), []).append(n)
    flat = [column.transpose(*grid).values.ravel() for column in columns]
    heads = [*by, "runs", *(f"{name} {word}" for name in names for word in ("median", "min", "max"))]
    rows = []
    for values, members in groups.items():
        there = [one[members][np.isfinite(one[members])] for one in flat]
        cells = [f(one) if one.size else np.nan for one in there for f in (np.median, np.min, np.max)]
        rows.append([*values, max((one.size for one in there), default=0), *map(float, cells)])
    return heads, rows
