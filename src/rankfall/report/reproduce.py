"""Run declared experiments and store each in a folder of its own, whole or not at all."""

import difflib
import os
import platform
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from rich.console import Console

from .. import _checks
from ..claims import Claim
from . import store


def reproduce(
    names: Sequence[str],
    out: str | os.PathLike[str],
    *,
    full: bool = False,
    console: Console | None = None,
    progress: bool = True,
    targets: str | os.PathLike[str] | None = None,
    movielens: str | os.PathLike[str] | None = None,
) -> list[tuple[str, Claim]]:
    """Run experiments, and store of each the data, the figure and the claims in ``out/NAME``.

    A folder appears complete or not at all: an earlier result stays until the new one is whole.

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
    targets : path, optional
        An ``.npz`` file for experiments on tensors (``tensor-order3``, ``tensor-order4``) to train on instead of random
        targets: ``rank_R_order_N_target``, and ``rank_R_order_N_observation_order``, a permutation of the flat indices
        (C order) whose first ``n`` are the ``n`` observations. Targets are scaled to norm one.
    movielens : path, optional
        The file ``u.data`` of MovieLens 100K, as in `rankfall.read_movielens`, for ``spectrum-dynamics`` to train on
        instead of random matrices.

    Returns
    -------
    list of (str, Claim)
        Every claim with the name of its experiment, computed from the stored ``data.nc``.

    Raises
    ------
    ValueError
        If a name is unknown, ``out`` is no path or cannot be written, or ``out/NAME`` holds something else than a
        result; if ``targets`` or ``movielens`` cannot be read or does not fit, or an experiment takes none.

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
    settings = _settings(names, full, {"targets": targets, "movielens": movielens})
    folder = store.writable(_checks.folder("out", out), names)
    say = console.print if console else lambda *_: None
    results: list[tuple[str, Claim]] = []
    for name in names:
        say(f"{name}: running ...")
        claims, seconds = _run(name, folder, settings[name], full, progress)
        say(f"{name}: {seconds:.1f} s")
        results += [(name, claim) for claim in claims]
    return results


def _settings(names: list[str], full: bool, files: dict[str, Any]) -> dict[str, Any]:
    """Load the settings of every experiment, the user's files read and checked."""
    from .. import experiments

    settings: dict[str, Any] = {name: experiments.load_settings(name, full=full) for name in names}
    for option, file in files.items():
        if file is None:
            continue
        reads = f"with_{option}"
        takers = [name for name, one in experiments.EXPERIMENTS.items() if hasattr(one.settings, reads)]
        others = [name for name in names if name not in takers]
        if others:
            raise ValueError(
                f"{option} is {str(file)!r}, but {', '.join(others[:3])}{' ...' if len(others) > 3 else ''} cannot "
                f"take any; name only {', '.join(takers)} with it."
            )
        settings = {name: getattr(one, reads)(file) for name, one in settings.items()}
    return settings


def _run(name: str, out: Path, settings: Any, full: bool, progress: bool) -> tuple[list[Claim], float]:
    """Compute one experiment into a sibling folder, and put that in its place once it is whole."""
    from .. import experiments, plots  # matplotlib is slow to import

    experiment = experiments.EXPERIMENTS[name]
    with store.whole(out, name) as partial:
        began = time.perf_counter()
        dataset = experiment.compute(settings, progress)
        seconds = time.perf_counter() - began
        described = {"experiment": name, "title": experiment.title, "question": experiment.question}
        dataset.attrs |= described | _provenance(settings, full, seconds)
        stored = store.write_data(dataset, partial)
        claims = experiment.claims(stored)
        store.write_list([claim.to_dict() for claim in claims], partial / store.CLAIMS)
        store.write_figure(plots.draw(name, stored), partial)
    return claims, seconds


def _provenance(settings: Any, full: bool, seconds: float) -> dict[str, Any]:
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
    from .. import experiments

    known = list(experiments.EXPERIMENTS)
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
