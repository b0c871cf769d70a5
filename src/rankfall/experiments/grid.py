"""What is swept, as axes: lists, spans of numbers, and keys that vary together."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import _checks
from .wrong import SECTIONS, Wrong, key_of, written

# Digits of a computed value: neighbours stay apart, and people can write them.
_DIGITS = 12
SPANS = ("geomspace", "linspace", "range")


@dataclasses.dataclass(frozen=True)
class Axis:
    """One dimension of a sweep: keys such as ``factorization.depth``, each with its values, which vary together."""

    name: str
    columns: dict[str, list[Any]]

    @property
    def size(self) -> int:
        """Number of values."""
        return len(next(iter(self.columns.values())))


def axes(sweep: Mapping[str, Any], within: Sequence[str] = ("sweep",)) -> list[Axis]:
    """Return the dimensions that a table of what is swept declares."""
    found: list[Axis] = []
    for name, value in sweep.items():
        head = name.split(".")[0]
        if head not in SECTIONS:
            found.append(_together(name, value, within))
        elif name == head:
            if not isinstance(value, dict) or is_span(value):
                raise Wrong((*within, name), f"is {_checks.shortened(value)}, but must name a key of [{name}].")
            found += [_alone(f"{head}.{key}", inner, within) for key, inner in value.items()]
        else:
            found.append(_alone(name, value, within))
    keys = [key for axis in found for key in axis.columns]
    for key in keys:
        if keys.count(key) > 1:
            raise Wrong((*within, key), "is swept twice, but a key varies along one axis; take one of them out.")
    return found


def _alone(key: str, value: object, within: Sequence[str] = ("sweep",)) -> Axis:
    place = (*within, *key.split("."))
    values = _listed(place, value)
    if within == ("sweep",):
        _refuse_twice(place, values)
    return Axis(key, {key: values})


def _refuse_twice(place: Sequence[str], values: Sequence[Any]) -> None:
    for n, one in enumerate(values):
        if any(one == other and type(one) is type(other) for other in values[:n]):
            raise Wrong(place, f"holds {_checks.shortened(one)} twice, but each run is computed once.")


def _together(name: str, value: object, within: Sequence[str]) -> Axis:
    """Return keys that vary together: a table of columns of one length."""
    place = (*within, name)
    if not isinstance(value, dict) or is_span(value) or not value or within != ("sweep",):
        raise key_of(within, name, [f"{table}.KEY" for table in SECTIONS])
    columns = {key: column for axis in axes(value, place) for key, column in axis.columns.items()}
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{key} has {length}" for key, length in lengths.items())
        raise Wrong(place, f"has columns of several lengths ({told}), but keys that vary together have one length.")
    _refuse_twice(place, [list(row) for row in zip(*columns.values(), strict=True)])
    return Axis(name, columns)


def _listed(place: Sequence[str], value: object) -> list[Any]:
    found = spread(place, value)
    if not isinstance(found, list):
        raise Wrong(
            place,
            f"is {_checks.shortened(value)}, but must be a list, or one of {{geomspace = [first, last, count]}}, "
            "{linspace = [first, last, count]}, {range = [first, end]}; a single value belongs into its own table.",
        )
    if not found:
        raise Wrong(place, "is empty, but a key that is swept has one value at least; leave it out.")
    return found


def is_span(value: object) -> bool:
    """Whether a table stands for a list of numbers."""
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in SPANS


def spread(place: Sequence[str], value: Any) -> Any:
    """Return the list that a span stands for; anything else as it is."""
    if not is_span(value):
        return value
    ((kind, given),) = value.items()
    plain = isinstance(given, list) and all(isinstance(x, int | float) and not isinstance(x, bool) for x in given)
    if kind == "range":
        if not plain or not 1 <= len(given) <= 3 or any(isinstance(x, float) for x in given) or given[2:] == [0]:
            raise _span_wrong(
                place, kind, given, "[end], [first, end] or [first, end, step], integers; end is left out"
            )
        return list(range(*given))
    words = "[first, last, count], three numbers, the count an integer"
    if not plain or len(given) != 3 or isinstance(given[2], float) or given[2] < 1:
        raise _span_wrong(place, kind, given, words)
    if not all(math.isfinite(x) for x in given[:2]) or (kind == "geomspace" and not min(given[:2]) > 0):
        raise _span_wrong(place, kind, given, f"{words}, the ends {'positive and ' * (kind == 'geomspace')}finite")
    make = np.geomspace if kind == "geomspace" else np.linspace
    return [float(f"{x:.{_DIGITS}g}") for x in make(*given)]


def _span_wrong(place: Sequence[str], kind: str, given: object, wanted: str) -> Wrong:
    return Wrong(place, f"has {kind} = {_checks.shortened(given)}, but must have {wanted}.")


def refuse_fixed(found: Sequence[Axis], tables: Mapping[str, Any]) -> None:
    """Refuse a key that is fixed and swept at once."""
    for axis in found:
        for key in axis.columns:
            table, _, name = key.partition(".")
            if not name:
                raise Wrong(("sweep", key), f"names no key; write one such as {table}.name.")
            if name in (tables.get(table) or {}):
                raise Wrong(
                    ("sweep", *key.split(".")),
                    f"is swept, but {written((table, name))} is given too; leave one of them out.",
                )
