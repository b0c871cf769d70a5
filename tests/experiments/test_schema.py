"""The schema accepts every shipped file and refuses mutated ones; a small validator stands in for an editor's."""

import copy
import json
import tomllib

import pytest

import rankfall as rf
from rankfall.experiments.schema import schema

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def fits(value, told):
    """Whether a value is as a schema says, as far as ours say things."""
    known = {"$schema", "title", "description", "default", "type", "properties", "required", "additionalProperties",
             "anyOf", "const", "enum", "items", "minItems", "maxItems", "minProperties", "maxProperties", "minimum",
             "minLength", "uniqueItems"}  # fmt: skip
    assert told.keys() <= known, told.keys() - known
    if "anyOf" in told and not any(fits(value, one) for one in told["anyOf"]):
        return False
    if "const" in told and value != told["const"] or "enum" in told and value not in told["enum"]:
        return False
    if told.get("type") == "null":
        return value is None
    if "type" in told and (
        not isinstance(value, TYPES[told["type"]]) or (isinstance(value, bool) and told["type"] != "boolean")
    ):
        return False
    if isinstance(value, dict):
        inside, more = told.get("properties", {}), told.get("additionalProperties", True)
        if not all(key in value for key in told.get("required", [])):
            return False
        if not told.get("minProperties", 0) <= len(value) <= told.get("maxProperties", 99):
            return False
        return all(fits(one, inside[key]) if key in inside else more is not False for key, one in value.items())
    if isinstance(value, list):
        sizes = told.get("minItems", 0) <= len(value) <= told.get("maxItems", 10**9)
        return sizes and all(fits(one, told.get("items", {})) for one in value)
    if isinstance(value, int | float):
        return value >= told.get("minimum", value)
    return len(value) >= told.get("minLength", 0) if isinstance(value, str) else True


TOLD = json.loads(json.dumps(schema()))
MUTATIONS = {
    "an unknown table": lambda t: t.update(factorisation={}),
    "a table missing": lambda t: t.pop("dynamics"),
    "an unknown name": lambda t: t["problem"].update(name="three-by-three"),
    "no name": lambda t: t["dynamics"].pop("name"),
    "an unknown key": lambda t: t["factorization"].update(dept=3),
    "a word for a number": lambda t: t.setdefault("stop", {}).update(loss="low"),
    "a number for a table": lambda t: t.update(record=3),
    "no seed": lambda t: t.update(seeds=0),
    "half a span": lambda t: t.update(record={"at_losses": {"geomspace": [1.0, 0.1]}}),
    "an unknown span": lambda t: t.update(record={"at_losses": {"logspace": [1.0, 0.1, 3]}}),
    "a figure without y": lambda t: t["figure"][0].pop("y"),
    "another key of a figure": lambda t: t["figure"][0].update(colour="red"),
}


@pytest.mark.parametrize("name", rf.experiments.EXAMPLES)
def test_shipped_files_fit(name):
    assert fits(tomllib.loads(rf.experiments.example(name)), TOLD)


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("name", rf.experiments.EXAMPLES)
def test_mutated_files_do_not_fit_and_are_refused(name, mutation):
    tables = copy.deepcopy(tomllib.loads(rf.experiments.example(name)))
    MUTATIONS[mutation](tables)
    assert not fits(tables, TOLD)
    with pytest.raises(ValueError):
        rf.Sweep(**tables)


def test_a_file_of_data_fits():
    tables = {
        "problem": {"file": "mine.csv", "loss": "mse"},
        "factorization": {"name": "matrix"},
        "dynamics": {"name": "adam"},
    }
    assert fits(tables, TOLD) and not fits(tables | {"problem": {"file": "mine.csv", "rank": 1}}, TOLD)
