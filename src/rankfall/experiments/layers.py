"""Files of a declaration laid over each other, single settings on top, and the way back into a file."""

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import _checks
from .wrong import SECTIONS

Tables = dict[str, Any]
# Which file, or setting, a place comes from.
Origins = dict[tuple[str, ...], str]


def read(files: Sequence[str | Path], settings: Sequence[str] = ()) -> tuple[Tables, Origins]:
    """Read files, each over those before it, and put settings ``key=value`` on top."""
    if not files:
        raise ValueError("files is empty, but at least one file .toml is needed.")
    tables: Tables = {}
    origins: Origins = {}
    for file in files:
        _lay(tables, origins, _parsed(file), Path(file).name)
    for setting in settings:
        _lay(tables, origins, _setting(setting), f"--set {setting}")
    return tables, origins


def _parsed(file: str | Path) -> Tables:
    content = _checks.content("file", file, "a file .toml that declares a sweep")
    try:
        tables = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"file is {str(file)!r}, but it is no TOML ({error}); write text in quotes.") from None
    # A file of data is looked for beside the file that names it.
    problem = tables.get("problem")
    if isinstance(problem, dict) and isinstance(problem.get("file"), str):
        problem["file"] = str(Path(file).parent / problem["file"])
    return tables


def _setting(words: str) -> Tables:
    key, equals, text = words.partition("=")
    parts = [part.strip() for part in key.split(".")]
    if not equals or not all(parts):
        raise ValueError(f"set is {words!r}, but must be KEY=VALUE, such as factorization.depth=4.")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:  # a word without its quotes
        value = text.strip()
    for part in reversed(parts):
        value = {part: value}
    return dict(value)


def _lay(tables: Tables, origins: Origins, above: Tables, label: str) -> None:
    """Put one layer over the tables: the later value counts, and where a name changes its table begins anew."""
    for table in SECTIONS:
        named = above.get(table)
        below = tables.get(table)
        if isinstance(named, dict) and isinstance(below, dict) and _other(named, below):
            tables[table] = {}
    for table, key in _fixed(above):
        _drop(tables.get("sweep"), table, key)
    for table, key in _swept(above.get("sweep")):
        if isinstance(tables.get(table), dict):
            tables[table].pop(key, None)
    _merge(tables, above, origins, label, ())


def _other(named: Mapping[str, Any], below: Mapping[str, Any]) -> bool:
    """Whether a table makes something else than the one below it."""
    return any(word in named and named[word] != below.get(word) for word in ("name", "file"))


def _fixed(tables: Tables) -> list[tuple[str, str]]:
    return [(table, key) for table in SECTIONS for key in _table(tables.get(table))]


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _swept(sweep: object) -> list[tuple[str, str]]:
    """List the places that a table of what is swept varies."""
    found = []
    for name, value in _table(sweep).items():
        table, _, key = name.partition(".")
        inner = _table(value)
        if table in SECTIONS:
            found += [(table, key)] if key else [(table, own) for own in inner]
        else:
            found += _swept({column: given for column, given in inner.items() if column not in ("geomspace", "range")})
    return found


def _drop(sweep: object, table: str, key: str) -> None:
    """Take a key out of what is swept: a later layer has fixed it."""
    if not isinstance(sweep, dict):
        return
    sweep.pop(f"{table}.{key}", None)
    for name, value in list(sweep.items()):
        if isinstance(value, dict) and (name == table or name not in SECTIONS):
            value.pop(key if name == table else f"{table}.{key}", None)
            if name not in SECTIONS and isinstance(value.get(table), dict):
                value[table].pop(key, None)
            if not value:
                del sweep[name]


def _merge(below: Tables, above: Tables, origins: Origins, label: str, place: tuple[str, ...]) -> None:
    for key, value in above.items():
        here = (*place, *key.split("."))
        if isinstance(value, dict) and isinstance(below.get(key), dict) and not _span(value):
            _merge(below[key], value, origins, label, here)
            continue
        below[key] = _copied(value)
        _mark(value, origins, label, here)


def _span(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in ("geomspace", "linspace", "range")


def _copied(value: Any) -> Any:
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def _mark(value: object, origins: Origins, label: str, place: tuple[str, ...]) -> None:
    origins[place] = label
    if isinstance(value, dict):
        for key, inner in value.items():
            _mark(inner, origins, label, (*place, *key.split(".")))


def to_toml(tables: Mapping[str, Any]) -> str:
    """Write tables as a file that reads back as the same.

    Parameters
    ----------
    tables : mapping
        Values, tables of values, and lists of tables; ``None`` is left out.

    Returns
    -------
    str

    Examples
    --------
    >>> print(to_toml({"seeds": 3, "stop": {"loss": 1e-3}}), end="")
    seeds = 3
    <BLANKLINE>
    [stop]
    loss = 0.001
    """
    lines = [f"{_key(k)} = {_value(v)}" for k, v in tables.items() if not _several(v) and v is not None]
    for name, value in tables.items():
        if isinstance(value, dict) and value:
            lines += ["", f"[{_key(name)}]", *(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)]
        elif _several(value) and not isinstance(value, dict):
            for one in value:
                inside = (f"{_key(k)} = {_value(v)}" for k, v in one.items() if v is not None)
                lines += ["", f"[[{_key(name)}]]", *inside]
    return "\n".join(lines).lstrip("\n") + "\n"


def _several(value: object) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else json.dumps(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value).replace("nan", "nan")
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(one) for one in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + "}"
    return json.dumps(str(value), ensure_ascii=False)
