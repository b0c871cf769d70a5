"""Tables of a declaration, each checked by the maker that it names and filled up with its defaults."""

import hashlib
from functools import cache
from typing import Any, Literal

import pydantic

from .. import _checks
from .._declared import MAKERS, Maker
from ..dynamics import Record, Stop
from . import grid, registry
from .wrong import Wrong, one_of, validated

_LISTS = dict.fromkeys(("at_losses", "at_times", "schatten_p"), list[float])
STOP_FIELDS = registry.fields_of(Maker("stop", Stop, {}, frozenset()))
RECORD_FIELDS = registry.fields_of(Maker("record", Record, {**_LISTS, "measures": list[str]}, frozenset()))


def made(kind: str, table: dict[str, Any]) -> dict[str, Any]:
    """Check a table by the maker that it names."""
    if "name" not in table:
        raise Wrong((kind,), f"needs a name, one of {', '.join(map(repr, sorted(MAKERS[kind])))}.")
    name = table.pop("name")
    one_of((kind, "name"), name, sorted(MAKERS[kind]))
    found = registry.maker(kind, name)
    given = {key: grid.spread((kind, key), value) for key, value in table.items()}
    return {"name": name, **validated((kind,), table_fields(kind, found), given)}


@cache
def table_fields(kind: str, found: Maker) -> type[pydantic.BaseModel]:
    """Return the model of a maker's parameters, with what the engine adds to all of its kind."""
    model = registry.fields_of(found)
    more: dict[str, Any] = {}
    if kind == "problem":
        more["hold_out"] = (float | None, None)
        if registry.takes_key(found):
            more["seed"] = (int | Literal["each"], 0)
    if kind == "factorization" and "det_sign" in model.model_fields:
        more["det_sign"] = (int | Literal["required", "opposite"] | None, None)
    return pydantic.create_model(model.__name__, __base__=model, **more) if more else model


def problem_table(table: dict[str, Any]) -> dict[str, Any]:
    """Check the table of the problem; of a file its content counts, not its name."""
    if "file" not in table:
        return made("problem", table)
    file = table.pop("file")
    if table.pop("name", "entries") != "entries" or "array" in table:
        raise Wrong(("problem", "file"), "is given beside another problem; leave name and array out of [problem].")
    if not isinstance(file, str):
        raise Wrong(("problem", "file"), f"is {_checks.shortened(file)}, but must be a word in quotes.")
    settings = made("problem", {"name": "entries", "array": [], **table})
    del settings["array"]
    try:
        content = _checks.content("[problem] file", file, "a file .npy or .csv of a matrix")
    except ValueError as error:
        raise Wrong(("problem", "file"), str(error).removeprefix("[problem] file ")) from None
    return settings | {"file": file, "sha256": hashlib.sha256(content).hexdigest()}


def record_table(table: dict[str, Any]) -> dict[str, Any] | None:
    """Check what is recorded; nothing said is what the dynamics records by itself."""
    if not table:
        return None
    given = {key: grid.spread(("record", key), value) for key, value in table.items()}
    return validated(("record",), RECORD_FIELDS, given)
