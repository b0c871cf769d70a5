"""Commands for sweeps that a file declares: run, new, schema, table."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app, print_claims

if TYPE_CHECKING:
    from ..experiments import Sweep

Files = Annotated[list[str], typer.Argument(metavar="FILE", help="Declarations, each laid over those before it.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="One setting more, such as factorization.depth=4."),
]
Out = Annotated[str, typer.Option("--out", metavar="DIR", help="Folder of the results.")]


@app.command(
    epilog="Example: rankfall run sweep.toml --out results\n\n"
    "Example: rankfall run base.toml more.toml --set factorization.depth=4 --plan"
)
def run(
    files: Files,
    settings: Settings = None,
    out: Out = "out",
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what there is to train and how long; train nothing.")
    ] = False,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Show what files and settings come to; train nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Begin also with a million runs or more.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Train again what is stored.")] = False,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Train in N processes, which share the cores.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option("--cluster", metavar="ADDRESS", help="Train on a Dask cluster, such as tcp://127.0.0.1:8786."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress, only the claims.")] = False,
) -> int:
    """Train the runs that files declare, those that are not stored yet; draw and check what they ask for."""
    from .. import _checks
    from ..experiments import Sweep
    from ..experiments.plan import refuse_many

    sweep = Sweep.from_toml(*files, settings=settings or [])
    if print_config:
        print(sweep.to_toml(), end="")
        return 0
    folder = _checks.folder("out", out)
    if plan:
        refuse_many(sweep, yes)
        return _print_plan(sweep, folder)
    return _run(sweep, folder, yes=yes, force=force, progress=not quiet, workers=workers, cluster=cluster)


def _print_plan(sweep: "Sweep", out: Path) -> int:
    found = sweep.plan(out)
    print(found)
    seconds, ended = found.seconds()
    if found.batches:
        print(f"about {seconds:.0f} s" if ended else f"more than {seconds:.0f} s: runs that were tried had not ended")
    return 0


def _run(sweep: "Sweep", out: Path, **options: Any) -> int:
    import sys

    from ..experiments import open_results
    from ..experiments.engine import run_sweep
    from ..experiments.shown import show

    def say(words: str) -> None:
        if options["progress"]:
            print(words, file=sys.stderr, flush=True)

    changed = run_sweep(sweep, out, say=say, **options)
    claims = show(sweep, open_results(out), out, print, changed)
    if claims:
        print_claims([(sweep.name, claim) for claim in claims])
        print(f"{sum(claim.ok for claim in claims)} of {len(claims)} claims hold.")
    print(out)
    return 0 if all(claim.ok for claim in claims) else 1


@app.command(epilog="Example: rankfall schema > rankfall.schema.json")
def schema() -> int:
    """Print the JSON schema of declarations, for editors."""
    from ..experiments.schema import schema as told

    print(json.dumps(told(), indent=2))
    return 0


@app.command(epilog="Example: rankfall new depth my.toml")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="scales, depth, perturbation or tensor.")],
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where the copy goes.")],
) -> int:
    """Copy a declaration that comes with rankfall, to change it."""
    from ..experiments import example

    text = example(name)
    try:
        with open(file, "x", encoding="utf-8") as copy:
            copy.write(text)
    except FileExistsError:
        raise ValueError(f"file is {file!r}, but it is there already; choose another name.") from None
    print(f"rankfall run {file}")
    return 0


@app.command(epilog="Example: rankfall table out --by factorization.depth --measure effective_rank --csv table.csv")
def table(
    out: Annotated[str, typer.Argument(metavar="DIR", help="Folder of the results.")] = "out",
    by: Annotated[
        list[str] | None, typer.Option("--by", metavar="KEY", help="A row for each value of this key.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option("--measure", metavar="NAME", help="What is shown; by default the loss.")
    ] = None,
    at: Annotated[str, typer.Option("--at", help="end, start, min or max of a run.")] = "end",
    absolute: Annotated[bool, typer.Option("--abs", help="Of absolute values.")] = False,
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="DIM=VALUE", help="One of several values, such as p=0.5.")
    ] = None,
    sort: Annotated[
        str | None, typer.Option("--sort", metavar="COLUMN", help="Column by which rows are sorted.")
    ] = None,
    csv: Annotated[str | None, typer.Option("--csv", metavar="FILE", help="Write the table to a file too.")] = None,
) -> int:
    """Print a measure of the runs, by the keys that were swept."""
    from .. import _checks
    from ..experiments import open_results, reading

    results = open_results(out)
    heads, rows = reading.table(
        results, by or [k for k in reading.keys_of(results) if k != "seed"], measure or ["loss"], at, absolute,
        dict(_selected(one) for one in select or []),
    )  # fmt: skip
    if sort is not None:
        _checks.one_of("sort", sort, heads)
        rows.sort(key=lambda row: row[heads.index(sort)])
    if csv is not None:
        _write_csv(csv, heads, rows)
    _print_table(heads, rows)
    return 0


def _selected(words: str) -> tuple[str, Any]:
    dim, equals, text = words.partition("=")
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not equals or number != number:
        raise ValueError(f"select is {words!r}, but must be DIM=VALUE, such as p=0.5.")
    return dim, int(number) if text.lstrip("+-").isdigit() else number


def _write_csv(path: str, heads: list[str], rows: list[list[Any]]) -> None:
    import csv

    if not path:
        raise ValueError("csv is '', but must be the path of a file, such as table.csv.")
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


def _print_table(heads: list[str], rows: list[list[Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table()
    for head in heads:
        shown.add_column(head, overflow="fold")
    for row in rows:
        shown.add_row(*(Text(f"{x:.6g}" if isinstance(x, float) else str(x)) for x in row))
    Console().print(shown)
