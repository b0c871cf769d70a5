"""What a declaration says about pictures and claims."""

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import pydantic

from .. import theory
from .wrong import Wrong, one_of

# What is recorded along a run, and can be an axis.
ALONG = ("loss", "step", "time")
_CONFIG = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)
At = Literal["end", "start", "min", "max"]
Comparison = Literal["at_least", "at_most", "close_to"]
Over = Literal["min", "max", "median", "mean"]


class Bound(pydantic.BaseModel):
    """A bound of `rankfall.theory` over the loss; its other arguments are numbers, or swept or fixed keys."""

    model_config = pydantic.ConfigDict(extra="allow", frozen=True, strict=True)

    name: str


class FigureTable(pydantic.BaseModel):
    """A picture: ``y`` over ``x``, a curve for each value of ``hue``, a panel for each of ``facets``."""

    model_config = _CONFIG

    x: str
    y: str
    name: str | None = None
    title: str | None = None
    hue: str | None = None
    facets: str | None = None
    band: Literal["range", "quartiles", "none"] = "range"
    x_log: bool = False
    y_log: bool = False
    at: At = "end"
    absolute: bool = False
    select: dict[str, Any] = {}
    where: dict[str, Any] = {}
    bound: str | Bound | None = None


class ControlTable(pydantic.BaseModel):
    """Where a claim must fail; what is left out is as in the claim."""

    model_config = _CONFIG

    what: str
    measure: str | None = None
    at: At | None = None
    where: dict[str, Any] | None = None
    select: dict[str, Any] | None = None
    over: Over | None = None


class ClaimTable(pydantic.BaseModel):
    """A statement about a measure, checked on what is stored."""

    model_config = _CONFIG

    name: str
    measure: str
    comparison: Comparison
    value: float
    statement: str = ""
    source: str = "this sweep"
    tolerance: float = 0.0
    absolute_tolerance: bool = False
    absolute: bool = False
    at: At = "end"
    over: Over | None = None
    select: dict[str, Any] = {}
    where: dict[str, Any] = {}
    control: ControlTable | None = None


def check(table: FigureTable, keys: Sequence[str], place: str) -> None:
    """Refuse words that cannot be drawn, before anything is trained."""
    for name, value in (("hue", table.hue), ("facets", table.facets)):
        if value is not None:
            one_of((place, name), value, keys)
    one_of((place, "x"), table.x, [*keys, *ALONG])
    if table.bound is not None:
        if table.x != "loss":
            raise Wrong((place, "bound"), f"is over the loss, but x is {table.x!r}; take x = 'loss' or leave it out.")
        bound_of(table, place)


def bound_of(table: FigureTable, place: str) -> tuple[Any, dict[str, Any]]:
    """Return the function of the theory, and its arguments beside the loss."""
    bound = Bound(name=table.bound) if isinstance(table.bound, str) else table.bound
    assert bound is not None
    name, given = bound.name, bound.model_extra or {}
    known = [n for n in theory.__all__ if "loss" in _arguments(getattr(theory, n))]
    one_of((place, "bound"), name, known)
    function = getattr(theory, name)
    wanted = set(_arguments(function)) - {"loss"}
    if set(given) != wanted:
        told = ", ".join(sorted(wanted)) or "the loss alone"
        raise Wrong((place, "bound"), f"is {name!r} with {sorted(given)}, but that takes {told}.")
    return function, dict(given)


def _arguments(thing: object) -> list[str]:
    return list(inspect.signature(thing).parameters) if inspect.isfunction(thing) else []
