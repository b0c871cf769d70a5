"""Results of experiments on disk: each in a folder of its own, whole or not at all."""

import contextlib
import importlib
import json
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from ..plots import NotDrawn, import_matplotlib
from .disk import Unwritable, storing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA, CLAIMS, VERDICTS, PICTURE, VECTORS = "data.nc", "claims.json", "verdicts.json", "figure.png", "figure.svg"
FILES = frozenset({DATA, CLAIMS, VERDICTS, PICTURE, VECTORS})
# Not "partial", which sweeps in the same folder call theirs: whoever runs one clears such away.
UNFINISHED = "unfinished"
_LEFT = re.compile(rf"\.(?P<name>.+)\.(?P<kind>{UNFINISHED}|partial|old)-\d+")


@contextmanager
def whole(out: Path, name: str) -> Iterator[Path]:
    """Give a folder beside ``out/NAME`` to write into, and put it in its place once all is written."""
    unfinished = out / f".{name}.{UNFINISHED}-{os.getpid()}"
    _remove(unfinished)
    try:
        with storing(out):
            unfinished.mkdir()
        with _held(unfinished):
            yield unfinished
        with storing(out):
            _put(unfinished, out / name)
    finally:
        _remove(unfinished)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, where the system has such; it is taken back from a process that ends in any way."""
    number = os.open(folder, os.O_RDONLY) if _fcntl() is not None else None
    try:
        if number is not None:
            with contextlib.suppress(OSError):
                _fcntl().flock(number, _fcntl().LOCK_SH)
        yield
    finally:
        if number is not None:
            os.close(number)


def _fcntl() -> Any:
    """Return the module of locks, or None on Windows, which cannot lock a folder."""
    try:
        return importlib.import_module("fcntl")
    except ModuleNotFoundError:
        return None


def clear(out: Path) -> None:
    """Take away what processes that are gone have left in the folder of the results.

    A result that was set aside when its process ended goes back to its place. Only what has the names and the files of
    results is touched. Where folders cannot be locked, all of it stays.
    """
    for left in sorted(out.glob(".*-*")) if out.is_dir() else []:
        match = _LEFT.fullmatch(left.name)
        if match is None or left.is_symlink() or not _abandoned(left):
            continue
        place = out / match["name"]
        with contextlib.suppress(OSError):
            if match["kind"] == "old" and not place.exists():
                left.rename(place)
            elif left.is_dir():
                _remove(left)
            else:
                left.unlink(missing_ok=True)


def _abandoned(left: Path) -> bool:
    """Whether a folder of a result, or a page, is in nobody's hands."""
    fcntl = _fcntl()
    if fcntl is None or (left.is_dir() and {path.name for path in left.iterdir()} - FILES):
        return False
    if left.is_file() and not left.name.startswith(".report.partial-"):
        return False
    try:
        number = os.open(left, os.O_RDONLY)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(number)
    except OSError:
        return False
    return not _lives(int(left.name.rpartition("-")[2]))


def _lives(process: int) -> bool:
    """Whether another process of this machine has that number: its folder may not be locked yet."""
    if process == os.getpid():
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def write_data(dataset: xr.Dataset, folder: Path) -> xr.Dataset:
    """Write a dataset, and return it as it comes back from its file."""
    with storing(folder.parent):
        # Through memory: HDF5 on a full disk ends the whole process when it cannot close its file.
        with memoryview(dataset.to_netcdf(engine="h5netcdf")) as content:
            (folder / DATA).write_bytes(content)
        with xr.open_dataset(folder / DATA, engine="h5netcdf") as file:
            return file.load()


def read_data(folder: Path) -> xr.Dataset | None:
    """Read the dataset of a stored result; None where there is none, or none that can be read."""
    try:
        with xr.open_dataset(folder / DATA, engine="h5netcdf") as file:
            return file.load()
    except Exception:  # HDF5 has errors of many kinds for a file that is damaged
        return None


def is_complete(folder: Path) -> bool:
    """Whether a folder has the data and the claims of a result."""
    return all((folder / file).is_file() for file in (DATA, CLAIMS))


def write_list(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write a list as JSON."""
    text = json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)
    with storing(path.parent.parent):
        path.write_text(text + "\n", encoding="utf-8")


def write_figure(draw: "Callable[[], Figure]", folder: Path) -> str:
    """Draw a figure and write it as a picture and as vectors; return what came between, if anything.

    What the file system refuses is an error, as for data. What the drawing library does is not: the data count, and a
    setting of its own (a backend that is not installed, LaTeX) must not cost them.
    """
    figure = None
    try:
        import_matplotlib()
        figure = draw()
        with storing(folder.parent):
            figure.savefig(folder / PICTURE, dpi=130)
            figure.savefig(folder / VECTORS, metadata={"Date": None})
    except Unwritable:
        raise
    except Exception as error:
        for file in (PICTURE, VECTORS):
            (folder / file).unlink(missing_ok=True)
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    finally:
        if figure is not None and "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close(figure)
    return ""


def tell(name: str, trouble: str) -> None:
    """Warn where a picture could not be drawn; after all is stored, for a warning may be made an error."""
    if trouble:
        warnings.warn(f"{name} is stored without a picture, which could not be drawn ({trouble}).", NotDrawn, 3)


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


def writable(out: Path, names: Sequence[str]) -> Path:
    """Make the folder, and try before hours of computing whether results of these names can be put in it."""
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
        clear(out)
        for name in names:
            _replaceable(out / name)
    return out


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
        f"out/NAME is {str(place)!r}, but {found} is there that rankfall did not write and would have to delete; "
        "move it away or choose another folder with --out."
    )
