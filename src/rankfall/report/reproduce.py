"""Run declared experiments and store each in a folder of its own, whole or not at all."""

import contextlib
import difflib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from .. import _checks
from ..claims import Claim
from ..experiments import Settings, folders
from ..experiments.changes import changed, parse
from ..experiments.outcome import computed, verdicts
from . import forms


def reproduce(
    names: Sequence[str],
    out: str | os.PathLike[str],
    *,
    full: bool = False,
    settings: Sequence[str] = (),
    force: bool = False,
    console: Console | None = None,
    progress: bool = True,
    done: Callable[[str], object] | None = None,
    **files: str | Path | None,
) -> list[tuple[str, Claim]]:
    """Run experiments, and store of each the data, the figure and the claims in a folder of its own.

    The reduced form is in ``out/NAME``, the paper's scale in ``out/NAME@full``, and what runs at any other settings, or
    on files of your own, in ``out/NAME@`` with eight digits of the settings' hash: none takes the place of another. A
    result of the same settings, files and version of the package is not computed again. A folder appears complete or
    not at all: an earlier result stays until the new one is whole. A picture that cannot be drawn is missing, with a
    warning.

    Parameters
    ----------
    names : sequence of str
        Names of experiments; a name given twice runs once.
    out : path
        Folder of the results, made if it is missing.
    full : bool, default False
        Whether to run at the size of the paper rather than the reduced form.
    settings : sequence of str, optional
        Other settings, ``KEY=VALUE`` or ``NAME.KEY=VALUE``: ``["depth=5", "eps=0,0.2"]``. Claims that speak of
        published settings only do not apply to them.
    force : bool, default False
        Whether to compute again what is stored already.
    console : rich.console.Console, optional
        Where to say what runs and how long it took; without one nothing is said.
    progress : bool, default True
        Whether experiments show a bar on stderr.
    done : callable, optional
        Called with the name of each experiment once its result is in its place.
    **files : path
        Files of your own for the experiments to work on, each under the name of the option that an experiment declares:
        ``targets="my_targets.npz"``. ``rankfall reproduce --help`` tells what there is.

    Returns
    -------
    list of (str, Claim)
        Every claim with the name of its experiment, computed from the stored ``data.nc``.

    Raises
    ------
    ValueError
        If a name is unknown, ``out`` is no path or cannot be written, or the folder of a result holds something else;
        if an experiment has no such setting, or cannot be run at it; if a file cannot be read or does not fit, or an
        experiment takes none of that name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     results = reproduce(["solution-set"], out)
    >>> all(claim.ok for _, claim in results)
    True
    """
    names = _known(names)
    for flag, value in (("full", full), ("force", force), ("progress", progress)):
        _checks.flag(flag, value)
    if console is not None and not isinstance(console, Console):
        raise ValueError(f"console is {_checks.shortened(console)}, but must be a rich.console.Console or None.")
    chosen = _settings(names, full, settings, files)
    places = {name: forms.place_of(name, one, full) for name, one in chosen.items()}
    folder = folders.writable(_checks.folder("out", out), list(places.values()))
    say = _teller(console)
    results: list[tuple[str, Claim]] = []
    for name in names:
        place = folder / places[name]
        claims = None if force else forms.stored_claims(name, place, chosen[name])
        if claims is None:
            if not force:
                forms.make_room(name, place, chosen[name])
            say(f"{name}: running ...")
            claims, seconds = _run(name, place, chosen[name], full, progress)
            say(f"{name}: {seconds:.1f} s")
        else:
            say(f"{name}: stored already in {place}")
        results += [(name, claim) for claim in claims]
        if done is not None:
            done(name)
    return results


def _teller(console: Console | None) -> Callable[[str], None]:
    """Return what says something to the console; one that is closed or full must not end what is computed."""

    def say(text: str) -> None:
        if console is not None:
            # Rich leaves the process where a pipe is closed.
            with contextlib.suppress(OSError, SystemExit):
                console.print(text)

    return say


def _settings(
    names: list[str], full: bool, words: Sequence[str], files: dict[str, str | Path | None]
) -> dict[str, Settings]:
    """Load the settings of every experiment, other values put in, the user's files read and checked."""
    from .. import talk

    settings = {name: talk.EXPERIMENTS.settings(name, full) for name in names}
    changes = parse(words, settings)
    settings = {name: changed(name, one, changes[name]) for name, one in settings.items()}
    taken = talk.EXPERIMENTS.files()
    for option, file in files.items():
        if file is None:
            continue
        if option not in taken:
            raise ValueError(
                f"{option} is {_checks.shortened(file)}, but no experiment takes a file of that name; there are "
                f"{', '.join(taken)}."
            )
        takers = taken[option]
        others = [name for name in names if name not in takers]
        if others:
            raise ValueError(
                f"{option} is {str(file)!r}, but {', '.join(others[:3])}{' ...' if len(others) > 3 else ''} cannot "
                f"take any; name only {', '.join(takers)} with it."
            )
        settings = {name: takers[name].put_into(one, file) for name, one in settings.items()}
    return settings


def _run(name: str, place: Path, settings: Settings, full: bool, progress: bool) -> tuple[list[Claim], float]:
    """Compute one experiment into a sibling folder, and put that in its place once it is whole."""
    from .. import talk

    with folders.whole(place.parent, place.name) as unfinished:
        dataset = computed(talk.EXPERIMENTS, name, settings, full, progress)
        stored = folders.write_data(dataset, unfinished)
        claims = verdicts(talk.EXPERIMENTS, name, settings, stored)
        folders.write_list([claim.to_dict() for claim in claims], unfinished / folders.CLAIMS)
        trouble = folders.write_figure(lambda: talk.EXPERIMENTS.draw(name, stored), unfinished)
    folders.tell(name, trouble)
    return claims, dataset.attrs["seconds"]


def _known(names: Sequence[str]) -> list[str]:
    """Names in their order, each once, all of them known."""
    from .. import talk

    known = list(talk.EXPERIMENTS)
    listed = [names] if isinstance(names, str) else _checks.sequence("names", names, "a list of names of experiments")
    for name in listed:
        if not isinstance(name, str):
            raise ValueError(f"names holds {_checks.shortened(name)}, but must hold names out of {', '.join(known)}.")
        if name not in known:
            nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"There is no experiment {name!r}; did you mean {nearest!r}? All names: {', '.join(known)}."
            )
    return list(dict.fromkeys(map(str, listed)))
