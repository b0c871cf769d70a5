"""Claims of a declaration, checked on the stored runs."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from ..claims import Claim, at_least, at_most, close_to
from .disk import replace_file, storing
from .look import ClaimTable
from .reading import chosen, measured
from .wrong import Wrong

FILE = "claims.json"
_RELATIONS = {"at_least": at_least, "at_most": at_most, "close_to": close_to}
# The run that a claim is about is the worst of all; in its control even the best must fail.
_WORST = {"at_least": "min", "at_most": "max"}
_BEST = {"at_least": "max", "at_most": "min"}


def checked(results: xr.Dataset, tables: Sequence[ClaimTable]) -> list[Claim]:
    """Check all claims.

    A claim is about the worst of its runs: the largest where it says at most, the least where it says at least, the
    farthest where it says close to. Its control is the best of those in which it must fail.
    """
    return [_checked(results, one, f"claim.{n}") for n, one in enumerate(tables, 1)]


def _checked(results: xr.Dataset, table: ClaimTable, place: str) -> Claim:
    try:
        found = _number(results, table, False)
        control = (table.control.what, _number(results, table, True)) if table.control is not None else None
    except ValueError as error:
        raise Wrong((place,), f"is {table.name!r}, but {error}") from None
    statement = table.statement or f"{table.measure} is {table.comparison.replace('_', ' ')} {table.value:g}."
    relation = _RELATIONS[table.comparison]
    absolute = table.absolute_tolerance
    return relation(
        table.name, statement, table.source, found, table.value, table.tolerance, control, absolute=absolute
    )


def _number(results: xr.Dataset, table: ClaimTable, control: bool) -> float:
    """Return the one number that a claim, or its control, compares."""
    other = table.control.model_dump(exclude_none=True) if control and table.control is not None else {}
    told = table.model_dump() | other
    runs = chosen(results, told["where"])
    values = measured(runs, told["measure"], told["at"], table.absolute, told["select"]).values.ravel()
    if np.isnan(values).any() or not values.size:
        return float("nan")
    over = told["over"]
    if over in ("median", "mean"):
        return float(getattr(np, over)(values))
    if over is None and table.comparison == "close_to":
        distance = abs(values - table.value)
        return float(values[distance.argmin() if control else distance.argmax()])
    return float(getattr(np, over or (_BEST if control else _WORST)[table.comparison])(values))


def write(claims: Sequence[Claim], out: Path) -> None:
    """Store what has come of the claims."""
    text = json.dumps([claim.to_dict() for claim in claims], indent=2, ensure_ascii=False, allow_nan=False)
    with storing(out):
        replace_file(out / FILE, (text + "\n").encode())
