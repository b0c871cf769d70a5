"""Options of the command line for the files that experiments take (`rankfall.experiments.FileOption`)."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import typer

Command = TypeVar("Command", bound=Callable[..., Any])
_TAKING: list[Callable[..., Any]] = []


def takes_files(command: Command) -> Command:
    """Mark a command whose ``**files`` are options that `offer` tells; until then there are none."""
    _TAKING.append(command)
    offer({})
    return command


def offer(taken: Mapping[str, Mapping[str, Any]]) -> None:
    """Give the commands that take files an option for each; typer finds options in the signature."""
    for command in _TAKING:
        signature = inspect.signature(command)
        own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD and p.name not in taken]
        options = [_option(name, takers) for name, takers in taken.items()]
        command.__signature__ = signature.replace(parameters=own + options)  # type: ignore[attr-defined]


def _option(name: str, takers: Mapping[str, Any]) -> inspect.Parameter:
    one = next(iter(takers.values()))
    example = f"rankfall reproduce {' '.join(takers)} --{name} {one.example}"
    words = f"{one.help}; for {', '.join(takers)}. Example: {example}"
    kind = Annotated[str | None, typer.Option(f"--{name}", metavar="FILE", help=words)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
