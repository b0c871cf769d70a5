"""What is wrong in a declaration, as one sentence that names file, table and key."""

import difflib
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from .. import _checks

_WORDS = {int: "an integer", float: "a number", str: "a word in quotes", bool: "true or false", list: "a list"}
_SEVERAL = {int: "integers", float: "numbers", str: "words"}


SECTIONS = ("problem", "factorization", "dynamics", "stop", "record")


class Wrong(ValueError):
    """A mistake at a place of a declaration, such as ``("factorization", "depth")``."""

    def __init__(self, place: Sequence[str], what: str) -> None:
        self.place, self.what = tuple(place), what
        super().__init__(f"{written(self.place)} {what}")

    def of(self, origins: Mapping[tuple[str, ...], str]) -> "Wrong":
        """Return the same with the file that the place is in, where that is known."""
        found = [origins[self.place[:n]] for n in range(len(self.place), 0, -1) if self.place[:n] in origins]
        told = Wrong(self.place, self.what)
        told.args = (f"{found[0]}: {self}",) if found else told.args
        return told


def written(place: Sequence[str]) -> str:
    """Write a place as people find it in the file: ``[factorization] depth``."""
    table, *keys = place
    kind, _, number = table.partition(".")
    if number.isdigit():  # one of several tables
        return f"[[{kind}]] {number}" + (f": {'.'.join(keys)}" if keys else "")
    bare = not keys and table not in SECTIONS
    return table if bare else " ".join([f"[{table}]", *([".".join(keys)] if keys else [])])


def one_of(place: Sequence[str], value: object, known: Sequence[str]) -> None:
    """Refuse a word outside the known ones."""
    try:
        _checks.one_of("it", value, known)
    except ValueError as error:
        raise Wrong(place, str(error).removeprefix("it ")) from None


def key_of(place: Sequence[str], key: str, known: Sequence[str]) -> Wrong:
    """Return the refusal of a key that a table does not have."""
    near = difflib.get_close_matches(key, known, n=1)
    allowed = f"takes {', '.join(known)}" if known else "takes none"
    tail = f"; {near[0]!r} is the nearest" if near else ""
    return Wrong((*place, key), f"is no key that is known here: the table {allowed}{tail}.")


def validated(place: Sequence[str], model: type[pydantic.BaseModel], table: Mapping[str, Any]) -> dict[str, Any]:
    """Check a table by its model, and return it with its defaults; refuse it in a sentence."""
    try:
        found = model.model_validate(dict(table))
    except pydantic.ValidationError as error:
        raise first_fault(place, model, error, table) from None
    # Not dumped by pydantic, which warns of defaults that are tuples.
    return {name: plain(getattr(found, name)) for name in model.model_fields}


def plain(value: Any) -> Any:
    """Return arrays, tuples and numbers of NumPy as a file would have them."""
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | range):
        return [plain(one) for one in value]
    return {key: plain(one) for key, one in value.items()} if isinstance(value, dict) else value


def first_fault(
    place: Sequence[str], model: type[pydantic.BaseModel], error: pydantic.ValidationError, table: Mapping[str, Any]
) -> Wrong:
    """Return the first fault that pydantic has found as a sentence."""
    # A key that is not known explains more than one that is missing.
    faults = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "extra_forbidden")
    fault = faults[0]
    key, *inner = [str(part) for part in fault["loc"]] or [""]
    if fault["type"] == "extra_forbidden" and not inner:
        return key_of(place, key, list(model.model_fields))
    if fault["type"] == "missing" and not inner:
        return Wrong(place, f"needs {key}, {expected(model.model_fields[key].annotation)}; add {key} = ... to it.")
    if fault["type"] == "value_error":
        return Wrong((*place, key), str(fault["ctx"]["error"]))
    came = table.get(key, fault["input"])
    wanted = expected(model.model_fields[key].annotation) if key in model.model_fields else "as the schema says"
    return Wrong((*place, key), f"is {_checks.shortened(came)}, but must be {wanted}.")


def expected(annotation: Any) -> str:
    """Say in words what a type allows."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        # What a file cannot say, None, is said by leaving the key out.
        return " or ".join(expected(one) for one in inner if one is not type(None))
    if origin is typing.Literal:
        return "one of " + ", ".join(map(repr, inner)) if len(inner) > 1 else repr(inner[0])
    if origin is list:
        of = expected(inner[0]) if typing.get_origin(inner[0]) else _SEVERAL.get(inner[0], "values")
        return f"a list of {of}" if not of.startswith("a list") else f"a list of lists of {of.rsplit(' ', 1)[-1]}"
    return _WORDS.get(annotation, "a table" if origin is dict else "a value")
