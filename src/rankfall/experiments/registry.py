"""What a declaration may name, with the parameters that each takes: found where the classes are, and in plugins."""

import importlib
import inspect
import typing
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pydantic

from .. import _checks, datasets
from .._declared import MAKERS, Maker, declared
from .._types import ArrayLike, DTypeLike, Key
from ..dynamics import named as dynamics
from ..factorizations import named as factorizations
from ..problems import named as problems
from ..problems.losses import AbstractLoss

__all__ = ["ROOMS", "declared", "fields_of", "load_plugins", "maker"]

# Their import fills the table of makers.
ROOMS = (problems, datasets, factorizations, dynamics)
# What the engine hands over itself.
_GIVEN = ("key", "shape")
_PLAIN = {DTypeLike: str, str | AbstractLoss: str, ArrayLike: float, Sequence[int]: list[int]}


def load_plugins(modules: Iterable[str]) -> None:
    """Import modules of the user's, which put makers of their own in."""
    for name in modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever the module does
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"plugins holds {name!r}, which cannot be imported ({type(error).__name__}: {reason}); it must be a "
                "module that Python finds, such as 'my_package.models' (PYTHONPATH=. for the folder you are in)."
            ) from None


def maker(kind: str, name: object) -> Maker:
    """Return what makes a problem, factorization or dynamics of a name; refuse any other name."""
    known = MAKERS[kind]
    _checks.one_of("name", name, sorted(known))
    return known[str(name)]


@cache
def parameters(found: Maker) -> dict[str, inspect.Parameter]:
    """Return the parameters that a file gives."""
    listed = inspect.signature(found.make).parameters.values()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    drops = _GIVEN if found in MAKERS["factorization"].values() else ("key",)
    return {p.name: p for p in listed if p.name not in drops and p.kind not in kinds}


@cache
def takes_key(found: Maker) -> bool:
    """Whether something is drawn at random."""
    return "key" in inspect.signature(found.make).parameters


@cache
def fields_of(found: Maker) -> type[pydantic.BaseModel]:
    """Return the model of the parameters, by which a table is checked."""
    fields: dict[str, Any] = {
        p.name: (found.types.get(p.name, _plain(p.annotation)), ... if p.default is p.empty else p.default)
        for p in parameters(found).values()
    }
    config = pydantic.ConfigDict(extra="forbid", strict=True, protected_namespaces=())
    return pydantic.create_model(found.name, __config__=config, **fields)


def _plain(annotation: Any) -> Any:
    """Return the type that a file has for an annotation."""
    if annotation is inspect.Parameter.empty or annotation is Key:
        return Any
    for wide, plain in _PLAIN.items():
        if annotation == wide:
            return plain
        if annotation == wide | None:
            return plain | None
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is tuple:
        return list[inner[0]]  # type: ignore[valid-type]
    if np.ndarray in inner:
        return float
    return annotation
