"""Results on disk: each in a folder of its own, whole or not at all."""

import json
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from ..experiments.disk import Unwritable, storing
from ..plots import NotDrawn, import_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATA, CLAIMS, VERDICTS, PICTURE, VECTORS = "data.nc", "claims.json", "verdicts.json", "figure.png", "figure.svg"
FILES = frozenset({DATA, CLAIMS, VERDICTS, PICTURE, VECTORS})


@contextmanager
def whole(out: Path, name: str) -> Iterator[Path]:
    """Give a folder beside ``out/NAME`` to write into, and put it in its place once all is written."""
    partial = out / f".{name}.partial-{os.getpid()}"
    _remove(partial)
    try:
        with storing(out):
            partial.mkdir()
        yield partial
        with storing(out):
            _put(partial, out / name)
    finally:
        _remove(partial)


def write_data(dataset: xr.Dataset, folder: Path) -> xr.Dataset:
    """Write a dataset, and return it as it comes back from its file."""
    with storing(folder.parent):
        # Through memory: HDF5 on a full disk ends the whole process when it cannot close its file.
        with memoryview(dataset.to_netcdf(engine="h5netcdf")) as content:
            (folder / DATA).write_bytes(content)
        with xr.open_dataset(folder / DATA, engine="h5netcdf") as file:
            return file.load()


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
