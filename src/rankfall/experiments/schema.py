"""The JSON schema of a declaration, for editors."""

from typing import Any

from .._declared import MAKERS
from . import tables
from .look import ClaimTable, FigureTable

_SPANS = {
    "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
    "properties": {
        word: {"type": "array", "items": {"type": "number"}, "minItems": least, "maxItems": 3}
        for word, least in (("geomspace", 3), ("linspace", 3), ("range", 1))
    },
}  # fmt: skip


def schema() -> dict[str, Any]:
    """Return the JSON schema of the files that `Sweep.from_toml` reads; plugins that were imported are in it.

    Returns
    -------
    dict

    Examples
    --------
    >>> schema()["properties"]["seeds"]["anyOf"][0]["type"]
    'integer'
    """
    declared: dict[str, Any] = {
        "name": {"type": "string", "minLength": 1},
        "title": {"type": "string"},
        "plugins": {"type": "array", "items": {"type": "string"}},
        "seeds": {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1, "uniqueItems": True},
            ]
        },
        "problem": {"anyOf": [*_variants("problem"), _of_file()]},
        "factorization": {"anyOf": _variants("factorization")},
        "dynamics": {"anyOf": _variants("dynamics")},
        "stop": _table(tables.STOP_FIELDS.model_json_schema()),
        "record": _table(tables.RECORD_FIELDS.model_json_schema()),
        "sweep": {"type": "object"},
        "figure": {"type": "array", "items": _inlined(FigureTable.model_json_schema())},
        "claim": {"type": "array", "items": _inlined(ClaimTable.model_json_schema())},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A sweep of rankfall",
        "type": "object",
        "properties": declared,
        "required": ["problem", "factorization", "dynamics"],
        "additionalProperties": False,
    }


def _variants(kind: str) -> list[dict[str, Any]]:
    """Return a table for each name; what is needed may be swept, so that none of it is required here."""
    found = []
    for name, maker in sorted(MAKERS[kind].items()):
        table = _table(tables.table_fields(kind, maker).model_json_schema())
        table["properties"] = {"name": {"const": name}, **table["properties"]}
        found.append({**table, "title": name, "required": ["name"]})
    return found


def _of_file() -> dict[str, Any]:
    table = _table(tables.table_fields("problem", MAKERS["problem"]["entries"]).model_json_schema())
    kept = {key: value for key, value in table["properties"].items() if key not in ("array", "name")}
    return {**table, "title": "file", "properties": {"file": {"type": "string"}, **kept}, "required": ["file"]}


def _table(model: dict[str, Any]) -> dict[str, Any]:
    """Return a table without defaults; a list of numbers may be written as a span."""
    properties = {}
    for name, one in model.get("properties", {}).items():
        kept = {key: value for key, value in one.items() if key not in ("default", "title")}
        numbers = kept.get("type") == "array" and kept.get("items", {}).get("type") in ("number", "integer")
        properties[name] = {"anyOf": [kept, _SPANS]} if numbers else kept
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _inlined(model: dict[str, Any]) -> dict[str, Any]:
    """Put what is defined beside a model where it is named."""
    inside = model.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return put(inside[value["$ref"].rpartition("/")[2]])
            return {key: put(one) for key, one in value.items()}
        return [put(one) for one in value] if isinstance(value, list) else value

    found: dict[str, Any] = put(model)
    return found
