"""Run declared experiments and store each in a folder of its own, whole or not at all."""

import contextlib
import difflib
import os
import platform
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from .. import _checks
from ..claims import Claim
from ..experiments import Settings
from . import store


def reproduce(
    names: Sequence[str],
    out: str | os.PathLike[str],
    *,
    full: bool = False,
    console: Console | None = None,
    progress: bool = True,
    **files: str | Path | None,
) -> list[tuple[str, Claim]]:
    """Run experiments, and store of each the data, the figure and the claims in ``out/NAME``.

    A folder appears complete or not at all: an earlier result stays until the new one is whole. A picture that cannot
    be drawn is missing, with a warning.

    Parameters
    ----------
    names : sequence of str
        Names of experiments; a name given twice runs once.
    out : path
        Folder of the results, made if it is missing.
    full : bool, default False
        Whether to run at the size of the paper rather than the reduced form.
    console : rich.console.Console, optional
        Where to say what runs and how long it took; without one nothing is said.
    progress : bool, default True
        Whether experiments show a bar on stderr.
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
        If a name is unknown, ``out`` is no path or cannot be written, or ``out/NAME`` holds something else than a
        result; if a file cannot be read or does not fit, or an experiment takes none of that name.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as out:
    ...     results = reproduce(["solution-set"], out)
    >>> all(claim.ok for _, claim in results)
    True
    """
    names = _known(names)
    _checks.flag("full", full)
    _checks.flag("progress", progress)
    if console is not None and not isinstance(console, Console):
        raise ValueError(f"console is {_checks.shortened(console)}, but must be a rich.console.Console or None.")
    settings = _settings(names, full, files)
    folder = store.writable(_checks.folder("out", out), names)
    say = _teller(console)
    results: list[tuple[str, Claim]] = []
    for name in names:
        say(f"{name}: running ...")
        claims, seconds = _run(name, folder, settings[name], full, progress)
        say(f"{name}: {seconds:.1f} s")
        results += [(name, claim) for claim in claims]
    return results


def _teller(console: Console | None) -> Callable[[str], None]:
    """Return what says something to the console; one that is closed or full must not end what is computed."""

    def say(text: str) -> None:
        if console is not None:
            # Rich leaves the process where a pipe is closed.
            with contextlib.suppress(OSError, SystemExit):
                console.print(text)

    return say


def _settings(names: list[str], full: bool, files: dict[str, str | Path | None]) -> dict[str, Settings]:
    """Load the settings of every experiment, the user's files read and checked."""
    from .. import talk

    settings = {name: talk.EXPERIMENTS.settings(name, full) for name in names}
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


def _run(name: str, out: Path, settings: Settings, full: bool, progress: bool) -> tuple[list[Claim], float]:
    """Compute one experiment into a sibling folder, and put that in its place once it is whole."""
    from .. import talk

    experiment = talk.EXPERIMENTS[name]
    with store.whole(out, name) as partial:
        began = time.perf_counter()
        dataset = experiment.compute(settings, progress)
        seconds = time.perf_counter() - began
        described = {"experiment": name, "title": experiment.title, "question": experiment.question}
        dataset.attrs |= described | _provenance(settings, full, seconds)
        stored = store.write_data(dataset, partial)
        claims = experiment.claims(stored)
        store.write_list([claim.to_dict() for claim in claims], partial / store.CLAIMS)
        trouble = store.write_figure(lambda: talk.EXPERIMENTS.draw(name, stored), partial)
    store.tell(name, trouble)
    return claims, seconds


def _provenance(settings: Settings, full: bool, seconds: float) -> dict[str, Any]:
    """How a data set was made: attributes that every netCDF reader can show."""
    import jax
    import numpy as np

    device = jax.devices()[0]
    return {
        "rankfall_version": package_version("rankfall"),
        "form": "full" if full else "reduced",
        "seed": settings.seed,
        "settings": settings.model_dump_json(),
        **settings.files(),
        "jax_version": jax.__version__,
        "numpy_version": np.__version__,
        "device": f"{device.platform}: {device.device_kind}",
        "python_version": platform.python_version(),
        "platform": platform.platform(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
    }


def package_version(package: str) -> str:
    """Version of an installed package, or words for none.

    Parameters
    ----------
    package : str
        Name of the distribution.

    Returns
    -------
    str
        Its version.

    Examples
    --------
    >>> package_version("no-such-package-here")
    'not installed'
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


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
