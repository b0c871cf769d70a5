"""What is stored in the folder of the results: of experiments, and of sweeps."""

import dataclasses
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import xarray as xr

from .. import _checks
from ..claims import Claim, Control
from ..experiments.folders import CLAIMS, DATA, PICTURE
from ..experiments.results import read_sweep
from ..experiments.store import SWEEP
from .forms import experiment_of

FIELDS = {field.name for field in dataclasses.fields(Claim)}


class Result(NamedTuple):
    """What the page shows of a stored result, or of a sweep."""

    name: str
    claims: list[dict[str, Any]]
    attrs: dict[str, Any]
    pictures: list[bytes]


def stored_names(out: str | os.PathLike[str]) -> list[str]:
    """Names of the results stored in a folder.

    Parameters
    ----------
    out : path
        Folder of the results.

    Returns
    -------
    list of str
        Folders that hold a complete result, in alphabetical order.

    Raises
    ------
    ValueError
        If ``out`` is no path.

    Examples
    --------
    >>> stored_names("no/such/folder")
    []
    """
    found = _checks.folder("out", out).glob(f"[!.]*/{DATA}")
    return sorted(path.parent.name for path in found if not _missing(path.parent))


def _missing(folder: Path) -> list[str]:
    return [file for file in (DATA, CLAIMS) if not (folder / file).is_file()]


def read(out: Path, name: object) -> Result:
    """Read a stored result, and refuse what is not as `reproduce` wrote it."""
    if not isinstance(name, str):
        raise ValueError(f"names holds {_checks.shortened(name)}, but must hold names of stored results.")
    place, again = out / name, f"run rankfall reproduce {experiment_of(name)} --out {out}"
    if missing := _missing(place):
        raise ValueError(
            f"out/NAME is {str(place)!r}, but holds no complete result ({', '.join(missing)} missing); {again}."
        )
    file = CLAIMS
    try:
        claims = _claims(place)
        file = DATA
        with xr.open_dataset(place / DATA, engine="h5netcdf") as stored:
            attrs = dict(stored.attrs)
        file = PICTURE
        drawn = [place / PICTURE] if (place / PICTURE).is_file() else []
        return Result(name, claims, attrs, [path.read_bytes() for path in drawn])
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:80]
        raise ValueError(
            f"out/NAME is {str(place)!r}, but its {file} is not as reproduce wrote it ({reason}); delete the folder "
            f"and {again}."
        ) from None


def _claims(place: Path) -> list[dict[str, Any]]:
    claims = json.loads((place / CLAIMS).read_text(encoding="utf-8"))
    if not isinstance(claims, list) or not all(map(_is_claim, claims)):
        raise ValueError("no list of claims")
    return claims


def _is_claim(entry: object) -> bool:
    if not isinstance(entry, dict) or set(entry) != FIELDS:
        return False
    control = entry["control"]
    return control is None or (isinstance(control, dict) and set(control) == set(Control.__annotations__))


def sweeps(out: Path) -> list[Result]:
    """Read what is to be seen of the sweeps in a folder, and in the folders in it.

    Parameters
    ----------
    out : path
        Folder of the results.

    Returns
    -------
    list of Result
        The sweep of the folder itself, then those of others by name; their figures and claims.

    Raises
    ------
    ValueError
        If one is of another format, or not as ``rankfall run`` wrote it.

    Examples
    --------
    >>> sweeps(Path("no/such/folder"))
    []
    """
    found = sorted(out.glob(f"[!.]*/{SWEEP}"))
    return [_sweep(file.parent, out) for file in [out / SWEEP, *found] if file.is_file()]


def _sweep(place: Path, out: Path) -> Result:
    file = SWEEP
    try:
        told = read_sweep(place)
        kinds = [f"{axis['name']} ({_values(axis)})" for axis in told["axes"]] + [f"seed ({len(told['seeds'])})"]
        question = f"A sweep of {len(told['runs'])} runs: {' x '.join(kinds)}."
        attrs = {"title": told["title"] or told["name"], "question": question, "rankfall_version": told["rankfall"]}
        file = CLAIMS
        claims = _claims(place) if (place / CLAIMS).is_file() else []
        file = "figure-*.png"
        pictures = [path.read_bytes() for path in sorted(place.glob(file))]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())[:80]
        raise ValueError(
            f"out is {str(place)!r}, but its {file} is not as rankfall run wrote it ({reason}); run the sweep again."
        ) from None
    return Result("sweep" if place == out else f"sweep-{place.name}", claims, attrs, pictures)


def _values(axis: dict[str, Any]) -> int:
    """Count the values of what was swept; keys that vary together have as many each."""
    return len(next(iter(axis["columns"].values())))
