"""Runs in files: the trajectory, the final factors, the problem and the dynamics in one netCDF file.

The trajectory lies there as it is; beside it are the arrays of the rest, under names that say whose they are
(``final.factors.0``, ``problem.values``), and one variable of text, which says how they belong together.
"""

import hashlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from .. import _checks
from .._execution import write_whole
from .._version import __version__
from .plain import Plain, unplain
from .run import Run

FORMAT = 1
# Behind what HDF5 reads stands the checksum of all of it: damage is found before anything is made of it.
_MARK, _DIGITS = b"\nrankfall sha256 ", 64
_TEXT, _FORMAT = "rankfall_run", "rankfall_format"
# Attributes that are longer do not fit into the head of a variable; the text has all of them.
_LONGEST_ATTRIBUTE = 4096


def save_run(run: Run, path: str | Path) -> None:
    """Write a run; see `Run.save`."""
    place, plain = _checks.file("path", path, "run.nc"), Plain()
    text: dict[str, Any] = {
        name: plain.of(getattr(run, name), name) for name in ("problem", "dynamics", "final", "seconds")
    }
    names = [str(name) for name in run.trajectory.variables]
    text |= {"trajectory": names, "attrs": plain.of(dict(run.trajectory.attrs), "attrs")}
    dataset = run.trajectory.copy()
    dataset.attrs = _readable(run.trajectory.attrs)
    if taken := sorted({*names, *map(str, dataset.dims)} & {*plain.arrays, _TEXT}):
        raise ValueError(f"run has recorded {taken[0]!r}, but its file keeps something else under that name.")
    lanes = run.final.lanes
    for name, array in plain.arrays.items():
        laned = lanes is not None and name.startswith("final.") and array.shape[:1] == (lanes,)
        dims = [f"{name}_{n}" for n in range(array.ndim)]
        dataset[name] = (["lane", *dims[1:]] if laned else dims, array)
    words = json.dumps(text, ensure_ascii=False)
    dataset[_TEXT] = ((), words)
    dataset.attrs |= {_FORMAT: FORMAT, "rankfall_version": __version__}
    # Through memory: HDF5 on a full disk ends the whole process when it cannot close its file.
    with memoryview(dataset.to_netcdf(engine="h5netcdf")) as content:
        write_whole(place, [content, _MARK, hashlib.sha256(content).hexdigest().encode()], what="path")
    if plain.lost:
        warnings.warn(
            f"{plain.lost[0]} is not in {str(place)!r}, since files keep names and no code: the run comes back without "
            "it and can be looked at, but its dynamics does not train.",
            UserWarning,
            stacklevel=3,
        )


def load_run(path: str | Path) -> Run:
    """Read a run that `Run.save` wrote.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    Run
        With the same numbers, to the last bit.

    Raises
    ------
    ValueError
        If there is no such file, it is no run, it is damaged, another version of rankfall wrote it in a form that
        this one does not read, or it names a class or function that is not there.

    Notes
    -----
    Files hold no code. Classes and functions of your own (a loss, a potential, an activation) are kept by name, and
    found in modules that have been imported before.

    Examples
    --------
    >>> import numpy as np, pathlib, rankfall as rf, tempfile
    >>> start = rf.MatrixFactorization([0.1 * np.eye(2), np.eye(2)])
    >>> run = rf.train(rf.two_by_two(), start, rf.GradientDescent(0.1), stop=rf.Stop(steps=10))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run.save(pathlib.Path(folder) / "run.nc")
    ...     back = rf.load_run(pathlib.Path(folder) / "run.nc")
    >>> back.trajectory.identical(run.trajectory), back.dynamics
    (True, GradientDescent(0.1))
    """
    content, place = _checks.content("path", path, "a file that Run.save wrote"), Path(path)
    inside, mark, checksum = content.rpartition(_MARK)
    if not mark or len(checksum) != _DIGITS:
        what = "is no run, or not the whole of one" if content else "is empty"
        raise _refused(place, what, "pass a file that Run.save wrote")
    if hashlib.sha256(inside).hexdigest().encode() != checksum:
        raise _refused(place, "is damaged: it is not what was written", "take a copy, or train again")
    with xr.open_dataset(io.BytesIO(inside), engine="h5netcdf", decode_times=False) as file:
        dataset = file.load()
    if int(dataset.attrs[_FORMAT]) != FORMAT:
        wrote = dataset.attrs.get("rankfall_version")
        raise _refused(
            place,
            f"has format {int(dataset.attrs[_FORMAT])}, of rankfall {wrote}, and this is rankfall {__version__}, which "
            f"reads format {FORMAT}",
            "load it with the version that wrote it; plain xarray opens it too",
        )
    try:
        return _put_together(dataset, json.loads(str(dataset[_TEXT].values)))
    except (LookupError, TypeError) as error:
        why = str(error.args[0]) if error.args else "a part is missing"
        raise _refused(place, f"cannot be put together ({why})", "plain xarray opens it too") from None


def _put_together(dataset: xr.Dataset, text: dict[str, Any]) -> Run:
    arrays = {str(name): variable.values for name, variable in dataset.variables.items()}
    parts = {name: unplain(text[name], arrays) for name in ("problem", "dynamics", "final", "seconds")}
    trajectory = dataset[text["trajectory"]].drop_encoding()
    for name, variable in trajectory.variables.items():
        if variable.dtype.kind == "O":  # words
            trajectory[name] = trajectory[name].astype(str)
    trajectory.attrs = unplain(text["attrs"], arrays)
    return Run(trajectory=trajectory, **parts)


def _readable(attrs: dict[Any, Any]) -> dict[Any, Any]:
    """Return the attributes that netCDF has room for, for other readers."""
    plain = {n: a for n, a in attrs.items() if isinstance(a, str | int | float | list | tuple | np.ndarray)}
    return {n: a for n, a in plain.items() if np.asarray(a).nbytes <= _LONGEST_ATTRIBUTE and np.asarray(a).size}


def _refused(place: Path, what: str, remedy: str = "") -> ValueError:
    return ValueError(f"path is {str(place)!r}, but it {what}{remedy and '; ' + remedy}.")
