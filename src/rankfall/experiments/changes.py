"""Settings of an experiment with some of them changed by name, and what they differ in from a form."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import pydantic

from .. import _checks
from .experiment import Settings
from .wrong import expected


def parse(words: Sequence[str], settings: Mapping[str, Settings]) -> dict[str, dict[str, Any]]:
    """Read settings ``KEY=VALUE``, or ``NAME.KEY=VALUE`` of one experiment.

    Parameters
    ----------
    words : sequence of str
        Each with a value as TOML has it, or several with commas between them.
    settings : mapping of str to Settings
        The experiments that run, by name.

    Returns
    -------
    dict
        By experiment, a value for each key.

    Raises
    ------
    ValueError
        If one has no value, names an experiment that does not run, or a key that an experiment does not have.
    """
    found: dict[str, dict[str, Any]] = {name: {} for name in settings}
    for word in _checks.sequence("set", [words] if isinstance(words, str) else words, "a list of KEY=VALUE"):
        key, equals, text = word.partition("=") if isinstance(word, str) else ("", "", "")
        key = key.strip()
        name, _, inner = key.partition(".")
        if not equals or not all(key.split(".")):
            raise ValueError(f"set is {_checks.shortened(word)}, but must be KEY=VALUE, such as depth=4.")
        takers, own = ([name], inner) if name in settings and inner else (list(settings), key)
        for taker in takers:
            _known(taker, settings[taker], own)
            found[taker][own] = _value(text.strip())
    return found


def _value(text: str) -> Any:
    """Read a value: TOML, or words and numbers with commas between them."""
    for written in (text, f"[{text}]"):
        try:
            return tomllib.loads(f"value = {written}")["value"]
        except tomllib.TOMLDecodeError:
            continue
    return [part.strip() for part in text.split(",")] if "," in text else text


def _known(name: str, settings: Settings, key: str) -> None:
    known = list(type(settings).model_fields)
    top = key.partition(".")[0]
    if top not in known:
        near = difflib.get_close_matches(top, known, n=1)
        tail = f"; {near[0]!r} is the nearest" if near else ""
        raise ValueError(f"set names {top!r}, but must name a setting of {name}; it has {', '.join(known)}{tail}.")


def changed(name: str, settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Put other values into the settings of an experiment.

    Parameters
    ----------
    name : str
        The experiment.
    settings : Settings
        Those that are changed.
    changes : mapping
        By key, dotted where it is inside a table, the value; one value stands for a list of one.

    Returns
    -------
    Settings
        Of the same class.

    Raises
    ------
    ValueError
        If the experiment has no such setting, or a value is not of the setting's kind.

    Examples
    --------
    >>> from rankfall.talk import EXPERIMENTS
    >>> changed("perturbation", EXPERIMENTS.settings("perturbation"), {"depth": 5, "eps": 0.1}).eps
    [0.1]
    """
    if not changes:
        return settings
    table = settings.model_dump()
    for key, value in changes.items():
        _known(name, settings, key)
        _put(name, table, key.split("."), value, key)
    try:
        return type(settings).model_validate(settings.completed(table, {key.partition(".")[0] for key in changes}))
    except pydantic.ValidationError as error:
        raise ValueError(_sentence(name, settings, error)) from None


def _put(name: str, table: dict[Any, Any], parts: Sequence[str], value: Any, key: str) -> None:
    for part in parts[:-1]:
        table = table[_same(table, part)] if _same(table, part) in table else {}
        if not isinstance(table, dict):
            raise ValueError(f"set names {key!r}, but {name} has no table there; name {key.partition('.')[0]!r} alone.")
    last = _same(table, parts[-1])
    if isinstance(table.get(last), list | tuple) and not isinstance(value, list | tuple):
        value = [value]
    table[last] = value


def _same(table: Mapping[Any, Any], part: str) -> Any:
    """Return the key of a table that is written like this: some are integers."""
    return next((key for key in table if str(key) == part), part)


def _sentence(name: str, settings: Settings, error: pydantic.ValidationError) -> str:
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "value_error":
        return f"set gives {name} settings that do not go together: {fault['ctx']['error']}"
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"set names {key!r}, but {name} has no such setting; leave it out."
    wanted = expected(type(settings).model_fields[str(fault["loc"][0])].annotation)
    came = _checks.shortened(fault["input"])
    if len(fault["loc"]) > 1:
        return f"{key} of {name} is {came}, but {fault['loc'][0]} must be {wanted} ({fault['msg']})."
    return f"{key} of {name} is {came}, but must be {wanted}."


def differences(settings: Settings, *forms: Settings) -> dict[str, Any]:
    """Return the settings that no form has: by name, the value.

    Parameters
    ----------
    settings : Settings
        Those of a run.
    *forms : Settings
        What they are compared with.

    Returns
    -------
    dict
        As JSON has them.

    Examples
    --------
    >>> from rankfall.talk import EXPERIMENTS
    >>> form = EXPERIMENTS.settings("perturbation")
    >>> differences(changed("perturbation", form, {"depth": 5}), form)
    {'depth': 5}
    """
    values = json.loads(settings.model_dump_json())
    return {key: values[key] for key, own in settings if all(own != getattr(form, key) for form in forms)}


def digest(settings: str) -> str:
    """Hash of settings as they are stored; of a user's file the content counts, not the name.

    Parameters
    ----------
    settings : str
        JSON.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    ValueError
        If it is no JSON.

    Examples
    --------
    >>> digest('{"a": 1, "b": 2}') == digest('{"b": 2, "a": 1}')
    True
    """
    table = json.loads(settings)
    if isinstance(table, dict):
        table = {
            k: v["sha256"] if isinstance(v, dict) and set(v) == {"file", "sha256"} else v for k, v in table.items()
        }
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()


def in_words(changes: Mapping[str, Any]) -> str:
    """Write changed settings for people."""
    return ", ".join(f"{key} = {_short(value)}" for key, value in changes.items())


def _short(value: Any) -> str:
    if isinstance(value, dict) and set(value) == {"file", "sha256"}:
        return str(value["file"])
    return json.dumps(value, ensure_ascii=False)
