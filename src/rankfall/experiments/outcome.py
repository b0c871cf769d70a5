"""An experiment run at settings of one's own: its data, its claims, its picture."""

import dataclasses
import fnmatch
import functools
import hashlib
import io
import math
import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from .. import _checks
from ..claims import Claim
from . import folders
from .changes import changed, differences, in_words
from .experiment import Experiment, Settings
from .rooms import Rooms

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What an experiment has come to.

    Parameters
    ----------
    experiment : Experiment
        What was run.
    settings : Settings
        At which settings.
    data : xarray.Dataset
        What it measured; how it was made stands in ``data.attrs``.
    claims : list of Claim
        What is claimed of it; ``claim.applies`` is false for one that speaks of published settings only.
    rooms : Rooms
        The experiments that it is one of.

    Examples
    --------
    >>> import rankfall as rf
    >>> outcome = rf.talk("solution-set").run(points=50)
    >>> outcome.settings.points, all(claim.ok for claim in outcome.claims if claim.applies)
    (50, True)
    >>> [claim.name for claim in outcome.claims if not claim.applies]
    ['suboptimality-falls']
    """

    experiment: Experiment
    settings: Settings
    data: xr.Dataset = dataclasses.field(repr=False)
    claims: list[Claim] = dataclasses.field(repr=False)
    rooms: Rooms = dataclasses.field(repr=False)

    def figure(self) -> "Figure":
        """Draw the picture.

        Returns
        -------
        matplotlib.figure.Figure
            Known to no window system.

        Examples
        --------
        >>> import rankfall as rf
        >>> len(rf.talk("solution-set").run(points=50).figure().axes)
        2
        """
        return self.rooms.draw(self.experiment.name, self.data)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write data, picture and claims into a folder, whole or not at all.

        Parameters
        ----------
        path : path
            The folder; an earlier result there is replaced.

        Returns
        -------
        pathlib.Path
            The folder.

        Raises
        ------
        ValueError
            If it cannot be written, or holds something else than a result.

        Examples
        --------
        >>> import tempfile
        >>> import rankfall as rf
        >>> with tempfile.TemporaryDirectory() as out:
        ...     folder = rf.talk("solution-set").run(points=50).save(f"{out}/mine")
        ...     sorted(path.name for path in folder.iterdir())
        ['claims.json', 'data.nc', 'figure.png', 'figure.svg']
        """
        place = _checks.folder("path", path).absolute()
        folders.writable(place.parent, [place.name])
        with folders.whole(place.parent, place.name) as folder:
            folders.write_data(self.data, folder)
            folders.write_list([claim.to_dict() for claim in self.claims], folder / folders.CLAIMS)
            trouble = folders.write_figure(self.figure, folder)
        folders.tell(self.experiment.name, trouble)
        return place


@dataclasses.dataclass(frozen=True)
class Room:
    """An experiment of a package, to be run at settings of one's own.

    Parameters
    ----------
    name : str
        Its name.
    rooms : Rooms
        The experiments that it is one of.

    Raises
    ------
    ValueError
        If no experiment has that name.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.talk("perturbation").settings().depth
    3
    """

    name: str
    rooms: Rooms = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        _checks.one_of("name", self.name, self.rooms)

    @property
    def experiment(self) -> Experiment:
        """The declared experiment, with its title and its question."""
        return self.rooms[self.name]

    def settings(self, full: bool = False) -> Settings:
        """Read the settings: the reduced form, or the paper's scale.

        Parameters
        ----------
        full : bool, default False
            Whether to read those of the paper's scale.

        Returns
        -------
        Settings

        Raises
        ------
        ValueError
            If ``full`` is neither true nor false.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.talk("solution-set").settings(full=True).points
        2000
        """
        _checks.flag("full", full)
        return self.rooms.settings(self.name, full)

    def run(self, *, full: bool = False, progress: bool = False, **settings: Any) -> Outcome:
        """Run the experiment.

        Parameters
        ----------
        full : bool, default False
            Whether to start from the settings of the paper's scale rather than the reduced form.
        progress : bool, default False
            Whether to show a bar on stderr.
        **settings
            Other values by name; for a file that the experiment takes its path.

        Returns
        -------
        Outcome
            Settings, data, claims and picture; nothing is stored before its ``save``.

        Raises
        ------
        ValueError
            If the experiment has no such setting, a value is not of its kind, or it cannot be run at these values.

        Examples
        --------
        >>> import rankfall as rf
        >>> outcome = rf.talk("solution-set").run(points=50, schatten_p=[1.0, 2.0])
        >>> outcome.data.sizes["p"]
        2
        """
        _checks.flag("progress", progress)
        form = self.settings(full)
        takes = {option.name: option for option in self.experiment.takes}
        chosen = changed(self.name, form, {key: value for key, value in settings.items() if key not in takes})
        for key in settings.keys() & takes.keys():
            chosen = takes[key].put_into(chosen, settings[key])
        dataset = as_stored(computed(self.rooms, self.name, chosen, full, progress))
        return Outcome(self.experiment, chosen, dataset, verdicts(self.rooms, self.name, chosen, dataset), self.rooms)


def as_stored(dataset: xr.Dataset) -> xr.Dataset:
    """Return a dataset as it would come back from its file, which is what claims are read off."""
    with xr.open_dataset(io.BytesIO(bytes(dataset.to_netcdf(engine="h5netcdf"))), engine="h5netcdf") as file:
        return file.load()


def other_settings(rooms: Rooms, name: str, settings: Settings) -> dict[str, Any]:
    """Return the settings that neither form of an experiment has, the user's files apart."""
    forms = [rooms.settings(name, full) for full in (False, True)]
    takes = {option.name for option in rooms[name].takes}
    return {key: value for key, value in differences(settings, *forms).items() if key not in takes}


def computed(rooms: Rooms, name: str, settings: Settings, full: bool, progress: bool) -> xr.Dataset:
    """Run an experiment; its data say how they were made."""
    experiment = rooms[name]
    other = other_settings(rooms, name, settings)
    began = time.perf_counter()
    try:
        dataset = experiment.compute(settings, progress)
    except Exception as error:
        if not other or isinstance(error, folders.Unwritable):
            raise
        raise ValueError(
            f"{name} cannot be run with {in_words(other)} ({type(error).__name__}: {' '.join(str(error).split())}); "
            "choose other values."
        ) from error
    seconds = time.perf_counter() - began
    described = {"experiment": name, "title": experiment.title, "question": experiment.question}
    changes = in_words(differences(settings, rooms.settings(name, full)))
    dataset.attrs |= described | ({"changed": changes} if changes else {}) | _provenance(settings, full, seconds)
    return dataset


def verdicts(rooms: Rooms, name: str, settings: Settings, dataset: xr.Dataset) -> list[Claim]:
    """Claims of a stored dataset; at settings of the user's own some do not apply.

    These are the ones that the experiment says to be of published settings, and those that find nothing to measure.
    """
    experiment, other = rooms[name], other_settings(rooms, name, settings)
    if not other:
        return experiment.claims(dataset)
    try:
        found = experiment.claims(dataset)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        words = f"The claims of {name} speak of its published settings; they cannot be read off at others ({reason})."
        return [Claim("claims", words, experiment.title, "published settings", in_words(other), 0.0, None)]
    return [
        dataclasses.replace(claim, holds=None)
        if _of_published(experiment, claim, other) or _of_nothing(claim)
        else claim
        for claim in found
    ]


def _of_published(experiment: Experiment, claim: Claim, other: Mapping[str, Any]) -> bool:
    patterns = experiment.published.items()
    return any(fnmatch.fnmatchcase(claim.name, pattern) and not other.keys().isdisjoint(of) for pattern, of in patterns)


def _of_nothing(claim: Claim) -> bool:
    """Whether nothing was measured for a claim, or for the control of one that holds."""
    control = claim.control["measured"] if claim.holds and claim.control else 0.0
    return any(isinstance(value, float) and math.isnan(value) for value in (claim.measured, control))


def _provenance(settings: Settings, full: bool, seconds: float) -> dict[str, Any]:
    """How a data set was made: attributes that every netCDF reader can show."""
    import jax
    import numpy as np

    device = jax.devices()[0]
    return {
        "rankfall_version": package_version("rankfall"),
        "rankfall_source": source_digest(),
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


@functools.cache
def source_digest() -> str:
    """Twelve digits of a hash of this package's own files: two sources of one version are two.

    Returns
    -------
    str

    Examples
    --------
    >>> len(source_digest())
    12
    """
    package, found = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(path for kind in ("*.py", "*.toml") for path in package.rglob(kind)):
        found.update(f"{path.relative_to(package)}\n".encode() + path.read_bytes())
    return found.hexdigest()[:12]


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
