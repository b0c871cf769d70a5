"""Commands of ``rankfall``; what is slow to import is imported by the command that needs it."""

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .._execution import VARIABLE, bound, bounded, cores
from ..plots import NotDrawn
from .files import offer, takes_files

if TYPE_CHECKING:
    from rich.text import Text

    from ..claims import Claim
    from ..statements import Comparison

app = typer.Typer(
    name="rankfall",
    help="Which of the many solutions does gradient-based training pick?",
    epilog="Example: rankfall reproduce solution-set --out results\n\n"
    f"{VARIABLE}=1 in the environment: no more threads.",
    add_completion=False,
    rich_markup_mode=None,  # brackets in the text of a help page are brackets
    pretty_exceptions_enable=False,
)

Out = Annotated[str, typer.Option("--out", metavar="DIR", help="Folder of the results.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Experiments to run; all without a name.")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, with one sentence instead of a traceback for a user's mistake.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``rankfall``; those of the process by default.

    Returns
    -------
    int
        Exit status: 0, 1 when a claim does not hold, 2 for a mistake in the call, 130 when interrupted.

    Raises
    ------
    ValueError
        Only of a mistake of the package's own; one in the call is a sentence and the exit status 2.

    Examples
    --------
    >>> main(["reproduce", "--no-such-option"])
    2
    """
    words = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal of few characters still gets its table
    try:
        if "reproduce" in words:
            # Only this command has options that experiments declare, and their import takes a while.
            from ..talk import EXPERIMENTS

            offer(EXPERIMENTS.files())
        with bounded(), warnings.catch_warnings():
            warnings.simplefilter("always", NotDrawn)
            warnings.showwarning = partial(_warned, warnings.showwarning)
            status = app(words, prog_name="rankfall", standalone_mode=False) or 0
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk behind it is found out here rather than after the end
    except KeyboardInterrupt:
        status = 130
    except (ValueError, ModuleNotFoundError) as error:  # the module of an extra that is not installed
        return _mistake(str(error))
    except OSError as error:
        return _refused(error)
    except Exception as error:
        # A usage error of typer; its class lives in another module from version to version
        if not hasattr(error, "format_message"):
            raise
        return _mistake(error.format_message())
    if status == 130:
        print("Interrupted: what was complete is stored, nothing half-written stays behind.", file=sys.stderr)
    return int(status)


def _warned(usual: Callable[..., None], message: Warning | str, category: type[Warning], *more: Any) -> None:
    """Show a warning of the package's own as a sentence, any other as usual."""
    if issubclass(category, NotDrawn):
        print(f"rankfall: {message}", file=sys.stderr)
    else:
        usual(message, category, *more)


def _mistake(sentence: str) -> int:
    print(f"rankfall: {sentence}", file=sys.stderr)
    return 2


def _refused(error: OSError) -> int:
    """Say what the system refused; without a file it is what the command prints."""
    if error.filename is None and isinstance(sys.stdout, io.TextIOWrapper):
        # What is left in the buffer has nowhere to go, and would be tried again at the end.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    what = "the standard output" if error.filename is None else repr(str(error.filename))
    return _mistake(f"{what} cannot be read or written ({error.strerror or type(error).__name__}).")


def _version(asked: bool) -> bool:
    if asked:
        from ..experiments.outcome import package_version

        print(f"rankfall {package_version('rankfall')}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: rankfall reproduce solution-set norms-and-rank --out results")
@takes_files
def reproduce(
    names: Names = None,
    full: Annotated[bool, typer.Option("--full", help="Run at the size of the paper, not the reduced form.")] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Another setting, such as depth=5 or eps=0,0.2; NAME.KEY=VALUE for one."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute again what is stored.")] = False,
    out: Out = "out",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress, only the claims and the page.")] = False,
    **files: str | None,
) -> int:
    """Run the experiments of the talk, check their claims and write a page about them.

    What is stored already is not computed again. The reduced form, the paper's scale and each choice of other settings
    have folders of their own: NAME, NAME@full, NAME@ and eight digits.
    """
    from rich.console import Console

    from .. import talk
    from ..report import reproduce, write_page
    from ..report.page import count

    console = Console(markup=False, highlight=False)
    wanted = names or list(talk.EXPERIMENTS)

    def done(_: str) -> None:
        # What is wrong with the page must not end what is computed; at the end it is said.
        with contextlib.suppress(ValueError):
            write_page(out, _stored(out))

    claims = reproduce(
        wanted, out, full=full, settings=settings or [], force=force, console=None if quiet else console,
        progress=not quiet, done=done, **files,
    )  # fmt: skip
    try:
        page = write_page(out, _stored(out))  # before anything is printed, which a closed pipe may end
    finally:
        print_claims(claims)
        console.print(count(claim.ok if claim.applies else None for _, claim in claims))
    print(page)  # alone on a line and never wrapped, to be copied
    return 0 if all(claim.ok or not claim.applies for _, claim in claims) else 1


@app.command(
    epilog="Example: rankfall verify theorem-1 convergence --json claims.json\n\n"
    "Example: rankfall verify --self-test effective-rank-in-base-two"
)
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Statements; all without a name.")] = None,
    json: Annotated[str | None, typer.Option("--json", metavar="FILE", help="Write the claims to a file too.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress, only the table.")] = False,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Change the science in one place after another; NAMEs are of changes then."),
    ] = False,
) -> int:
    """Check every statement of the talk anew, each with a control in which it must fail."""
    if self_test:
        if json is not None:
            raise ValueError("json is given with --self-test, which has no claims to write; leave one of them out.")
        return _self_test(names)
    from rich.console import Console

    from .. import talk
    from ..statements import verify

    console = Console(markup=False, highlight=False, stderr=True)

    def say(name: str) -> None:
        # Rich leaves the process where a pipe is closed, but a line of progress is not worth the claims.
        with contextlib.suppress(OSError, SystemExit):
            console.print(f"checking {name}")

    claims = verify(names, None if quiet else say, talk.EXPERIMENTS.statements())
    try:
        if json is not None:
            _write_claims(json, claims)  # before anything is printed, which a closed pipe may end
    finally:
        _print_statements(claims)
        failed = [name for name, claim in claims if not claim.ok]
        print(f"{len(claims) - len(failed)} of {len(claims)} statements hold where they must and fail where they must.")
    return 1 if failed else 0


def _self_test(names: list[str] | None) -> int:
    """Print which statement notices each change of the science."""
    from ..statements import Noticed, self_test

    def say(found: Noticed) -> None:
        if found.statement is None:
            word = f"NOT NOTICED ({found.claim.measured})" if found.claim else "NOT NOTICED"
        else:
            assert found.claim is not None
            word = f"noticed by {found.statement} ({found.claim.name})"
        print(f"{found.change.name}: {found.change.what}\n    {word}, {found.seconds:.1f} s", flush=True)

    found = self_test(names, say)
    missed = sum(one.statement is None for one in found)
    print(f"{len(found) - missed} of {len(found)} changes are noticed.")
    return 1 if missed else 0


@app.command(
    epilog="Example: rankfall compare two-by-two --norm nuclear --norm schatten-0.5\n\n"
    "Example: rankfall compare completion --extent 40 --rank 2 --observed 400 --depth 2 --depth 3 --out results\n\n"
    "Example: rankfall compare my_matrix.csv --norm nuclear"
)
def compare(
    problem: Annotated[
        str,
        typer.Argument(
            metavar="PROBLEM",
            help="two-by-two, completion, sensing or commuting (drawn at random), or a file .npy or .csv of a matrix "
            "with NaN where it is not observed.",
        ),
    ] = "two-by-two",
    norm: Annotated[
        list[str] | None,
        typer.Option("--norm", metavar="NAME", help="nuclear, frobenius, schatten-0.5, entrywise-1, ky-fan-2, ..."),
    ] = None,
    depth: Annotated[list[int] | None, typer.Option("--depth", help="Number of factors; 2 and 3.")] = None,
    scale: Annotated[
        list[float] | None,
        typer.Option("--scale", help="Size of the start; 1e-2 to 1e-6, and less where a verdict waits."),
    ] = None,
    draws: Annotated[int, typer.Option("--draws", help="Starts, and problems that are drawn.")] = 3,
    kind: Annotated[str, typer.Option("--kind", help="gaussian, balanced, orthogonal or identity.")] = "gaussian",
    tolerance: Annotated[float, typer.Option("--tolerance", help="Share of the least norm that counts as it.")] = 0.01,
    loss: Annotated[float, typer.Option("--loss", help="Last loss, as a share of that of zero.")] = 1e-8,
    extent: Annotated[int, typer.Option("--extent", help="Rows and columns of what is drawn.")] = 20,
    rank: Annotated[int, typer.Option("--rank", help="Rank of what is drawn.")] = 2,
    observed: Annotated[int | None, typer.Option("--observed", help="Observations of it; by default half.")] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of all draws.")] = 0,
    out: Out = "out",
    quiet: Annotated[bool, typer.Option("--quiet", help="Show no progress, only the verdicts.")] = False,
) -> int:
    """Ask whether training from smaller and smaller starts ends at the least norm; store curves and verdicts."""
    from .. import _checks
    from ..experiments import folders
    from ..report import store_comparison
    from ..statements import compare
    from ..statements.comparison.compare import SCALES
    from .problems import key_of, problem_of

    folder = folders.writable(_checks.folder("out", out), ["comparison"])
    comparison = compare(
        problem_of(problem, extent, rank, observed), norm or ["nuclear"], depth or [2, 3], scales=scale or SCALES,
        draws=draws, kind=kind, tolerance=tolerance, loss=loss, key=key_of(seed), progress=not quiet,
    )  # fmt: skip
    stored = store_comparison(comparison, folder)  # before anything is printed, which a closed pipe may end
    _print_verdicts(comparison)
    print(stored / folders.PICTURE if (stored / folders.PICTURE).exists() else stored)
    return 0


@app.command(epilog="Example: rankfall report --out results")
def report(out: Out = "out") -> int:
    """Write the page again from the results already stored, those of sweeps too."""
    from .. import _checks
    from ..experiments import folders
    from ..report import write_page
    from ..report.reading import sweeps

    folder = _checks.folder("out", out)
    folders.clear(folder)
    names = _stored(out)
    if not names and not sweeps(folder):
        raise ValueError(f"out is {out!r}, but no result is stored there; run rankfall reproduce --out {out}.")
    print(write_page(out, names))
    return 0


@app.command(epilog="Example: rankfall info")
def info() -> int:
    """Show versions, devices and where the settings of the experiments come from."""
    import platform

    import jax

    from .. import talk
    from ..experiments.outcome import package_version

    print(f"python {platform.python_version()} on {platform.platform()}")
    for package in ("rankfall", "jax", "jaxlib", "equinox", "optax", "diffrax", "numpy", "scipy", "xarray", "h5netcdf"):
        print(f"{package} {package_version(package)}")
    given = os.environ.get(VARIABLE)
    print(f"threads {cores()} of {bound()} cores ({VARIABLE} {'is not set' if given is None else f'is {given}'})")
    for device in jax.devices():
        print(f"device {device.id}: {device.platform}, {device.device_kind}")
    print(f"settings come from {Path(str(talk.__file__)).parent}")
    print(f"experiments: {', '.join(talk.EXPERIMENTS)}")
    return 0


def _stored(out: str) -> list[str]:
    """List the stored results in the order of the talk, so that a page shows earlier runs too."""
    from .. import talk
    from ..report import stored_names
    from ..report.forms import experiment_of

    found = stored_names(out)
    return [place for name in talk.EXPERIMENTS for place in found if experiment_of(place) == name]


def _values(claim: dict[str, Any]) -> tuple[str, str]:
    """Measured and expected, with the digits that show their difference."""
    from ..report.page import readable

    measured, expected = claim["measured"], claim["expected"]
    return readable(measured, expected), readable(expected, measured)


def _write_claims(path: str, claims: list[tuple[str, Any]]) -> None:
    import json

    text = json.dumps([{"statement_of": name, **claim.to_dict()} for name, claim in claims], indent=1)
    if not path:
        raise ValueError("json is '', but must be the path of a file, such as claims.json.")
    Path(path).write_text(text + "\n", encoding="utf-8")


def _print_statements(claims: list[tuple[str, Any]]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from ..report.page import readable

    console = Console(markup=False, highlight=False)
    for _, claim in claims:
        fields = claim.to_dict()
        control = fields["control"]
        numbers = "measured {}, expected {}".format(*_values(fields))
        against = f"; control {readable(control['measured'])} ({control['what']})" if control else ""
        console.print(Text.assemble((claim.name, "bold"), ": ", _verdict(claim)))
        console.print(Padding(f"{claim.statement.rstrip('.')}. [{claim.source}]", (0, 0, 0, 4)))
        console.print(Padding(Text(f"{numbers}{against}", style="dim"), (0, 0, 0, 4)))


def _print_verdicts(comparison: "Comparison") -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(markup=False, highlight=False)
    console.print(comparison.data.attrs["what"])
    colours = {"minimised": "green", "not minimised": "bold red"}
    for one in comparison.verdicts:
        words = Text(one.verdict, style=colours.get(one.verdict, "yellow"))
        console.print(Text.assemble((f"{one.norm}, depth {one.depth}", "bold"), ": ", words))
        console.print(Padding(one.why, (0, 0, 0, 4)))


def _verdict(claim: "Claim") -> "Text":
    from rich.text import Text

    if not claim.applies:
        return Text("not applicable", style="dim")
    words = "holds" if claim.ok else "control did not fail" if claim.holds else "DOES NOT HOLD"
    return Text(words, style="green" if claim.ok else "bold red")


def print_claims(claims: list[tuple[str, Any]]) -> None:
    """Print a table of claims, each with the name of what it is about."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in ("claim", "expected", "measured", "verdict"):
        table.add_column(column, overflow="fold")
    for number, (name, claim) in enumerate(claims):
        if number == 0 or claims[number - 1][0] != name:
            table.add_section()
            table.add_row(Text(name, style="bold"))
        fields = claim.to_dict()
        measured, expected = _values(fields)
        table.add_row(*map(Text, (claim.name, expected, measured)), _verdict(claim))
    Console().print(table)
