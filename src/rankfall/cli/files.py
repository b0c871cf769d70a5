"""Options of the command line for the files that experiments take (`rankfall.experiments.FileOption`)."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer


def offer(command: Callable[..., Any], taken: Mapping[str, Mapping[str, Any]]) -> None:
    """Give a command that has ``**files`` an option for each file, as its signature is where typer finds options."""
    signature = inspect.signature(command)
    parameters = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD and p.name not in taken]
    for name, takers in taken.items():
        one = next(iter(takers.values()))
        example = f"rankfall reproduce {' '.join(takers)} --{name} {one.example}"
        words = f"{one.help}; for {', '.join(takers)}. Example: {example}"
        kind = Annotated[str | None, typer.Option(f"--{name}", metavar="FILE", help=words)]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind))
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
