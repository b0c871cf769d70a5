"""Run declared experiments and store each in a folder of its own, whole or not at all."""

import difflib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import xarray as xr
from rich.console import Console

from .. import _checks
from ..theory.claim import Claim

DATA, CLAIMS, PICTURE, VECTORS = "data.nc", "claims.json", "figure.png", "figure.svg"
FILES = frozenset({DATA, CLAIMS, PICTURE, VECTORS})


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
    folder = _writable(_checks.folder("out", out))
    with storing(folder):
        for name in names:
            _replaceable(folder / name)
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
    from .. import experiments

    experiment = experiments.EXPERIMENTS[name]
    partial = out / f".{name}.partial-{os.getpid()}"
    _remove(partial)
    try:
        with storing(out):
            partial.mkdir()
        began = time.perf_counter()
        dataset = experiment.compute(settings, progress)
        seconds = time.perf_counter() - began
        described = {"experiment": name, "title": experiment.title, "question": experiment.question}
        dataset.attrs |= described | _provenance(settings, full, seconds)
        with storing(out):
            # Through memory: HDF5 on a full disk ends the whole process when it cannot close its file.
            with memoryview(dataset.to_netcdf(engine="h5netcdf")) as content:
                (partial / DATA).write_bytes(content)
            with xr.open_dataset(partial / DATA, engine="h5netcdf") as file:
                stored = file.load()
            claims = experiment.claims(stored)
            text = json.dumps([claim.to_dict() for claim in claims], indent=2, ensure_ascii=False, allow_nan=False)
            (partial / CLAIMS).write_text(text + "\n", encoding="utf-8")
            _draw(name, stored, partial)
            _put(partial, out / name)
    finally:
        _remove(partial)
    return claims, seconds


def _draw(name: str, dataset: xr.Dataset, folder: Path) -> None:
    from .. import plots  # matplotlib is slow to import

    figure = plots.draw(name, dataset)
    try:
        figure.savefig(folder / PICTURE, dpi=130)
        figure.savefig(folder / VECTORS, metadata={"Date": None})
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close(figure)


def _put(new: Path, place: Path) -> None:
    """Rename ``new`` to ``place``; what was there goes away only after that worked."""
    _replaceable(place)  # someone may have put a file there during the run
    old = place.with_name(f".{place.name}.old-{os.getpid()}")
    _remove(old)
    if place.exists():
        place.rename(old)
    try:
        new.rename(place)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise
    _remove(old)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


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


def _writable(out: Path) -> Path:
    """Make the folder, and try to write in it before hours of computing rather than after."""
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    return out


@contextmanager
def storing(out: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence about ``out``."""
    try:
        yield
    except OSError as error:
        place = str(error.filename2 or error.filename or out)
        # What was to be made there has a name that says nothing to the user.
        what = repr(place) if place != str(out) and os.path.lexists(place) else "it"
        raise ValueError(
            f"out is {str(out)!r}, but {what} cannot be written ({error.strerror or type(error).__name__}); choose "
            "another folder with --out."
        ) from None


def _replaceable(place: Path) -> None:
    """Refuse to replace anything but an earlier result: it would be deleted."""
    if not place.exists() and not place.is_symlink():
        return
    if place.is_symlink() or not place.is_dir():
        found = "something that is no folder"
    else:
        others = sorted({path.name for path in place.iterdir()} - FILES)
        if not others:
            return
        found = f"{others[0]!r}"
    raise ValueError(
        f"out/NAME is {str(place)!r}, but {found} is there that reproduce did not write and would have to delete; "
        "move it away or choose another folder with --out."
    )
