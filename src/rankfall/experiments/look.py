"""What a declaration says about pictures and claims."""

from typing import Any, Literal

import pydantic

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
