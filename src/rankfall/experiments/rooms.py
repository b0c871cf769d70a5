"""Rooms: folders of a package, each with everything about one experiment, or about several of one kind."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from importlib import import_module, resources
from typing import TYPE_CHECKING, NamedTuple

import xarray as xr

from .. import _checks
from ..claims import Claim
from .experiment import Experiment, FileOption, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Room(NamedTuple):
    """An experiment and the package that holds its settings and its picture."""

    experiment: Experiment
    package: str


class Rooms(Mapping[str, Experiment]):
    """The experiments of a package by name, found in its folders.

    A folder with a file ``experiment.py`` is a room: it has an ``EXPERIMENT``, or several ``EXPERIMENTS``. Beside it,
    ``settings.toml`` has the tables ``[reduced]`` and ``[full]``, of several experiments under their names
    (``[NAME.reduced]``), and ``figure.py`` has a function ``draw``. Nothing is imported before it is asked for.

    Parameters
    ----------
    package : str
        Full name of the package.
    order : sequence of str
        Its rooms in the order of their experiments.

    Examples
    --------
    >>> from rankfall.experiments import Rooms
    >>> from rankfall.talk import ORDER
    >>> rooms = Rooms("rankfall.talk", ORDER)
    >>> list(rooms)[:2]
    ['solution-set', 'unobserved-entry']
    """

    def __init__(self, package: str, order: Sequence[str]) -> None:
        self.package, self.order = package, tuple(order)

    @cached_property
    def _rooms(self) -> dict[str, _Room]:
        folders = {f.name for f in resources.files(self.package).iterdir() if f.joinpath("experiment.py").is_file()}
        if folders != set(self.order) or len(self.order) != len(folders):
            raise ValueError(
                f"order names the rooms {', '.join(self.order)}, but must name once each folder of {self.package} that "
                f"has an experiment.py; these are {', '.join(sorted(folders))}."
            )
        found: dict[str, _Room] = {}
        for folder in self.order:
            package = f"{self.package}.{folder}"
            module = import_module(f"{package}.experiment")
            several = module.EXPERIMENTS if hasattr(module, "EXPERIMENTS") else (module.EXPERIMENT,)
            found |= {one.name: _Room(one, package) for one in several}
        return found

    def __getitem__(self, name: str) -> Experiment:
        return self._rooms[name].experiment

    def __iter__(self) -> Iterator[str]:
        return iter(self._rooms)

    def __len__(self) -> int:
        return len(self._rooms)

    def _room(self, name: str) -> _Room:
        _checks.one_of("name", name, self._rooms)
        return self._rooms[name]

    def folder(self, name: str) -> str:
        """Name of the folder that an experiment is in.

        Parameters
        ----------
        name : str
            Name of the experiment.

        Returns
        -------
        str

        Raises
        ------
        ValueError
            If no experiment has that name.

        Examples
        --------
        >>> from rankfall.talk import EXPERIMENTS
        >>> EXPERIMENTS.folder("tensor-order3")
        'tensor_order'
        """
        return self._room(name).package.rpartition(".")[2]

    def settings(self, name: str, full: bool = False) -> Settings:
        """Read the settings of an experiment: the reduced form, or the paper's scale.

        Parameters
        ----------
        name : str
            Name of the experiment.
        full : bool, default False
            Whether to read those of the paper's scale.

        Returns
        -------
        Settings
            A pydantic record, of a class of the experiment's own.

        Raises
        ------
        ValueError
            If no experiment has that name.

        Examples
        --------
        >>> from rankfall.talk import EXPERIMENTS
        >>> EXPERIMENTS.settings("unobserved-entry").loss, EXPERIMENTS.settings("unobserved-entry", full=True).loss
        (0.001, 0.0001)
        """
        return self._read(name, "full" if full else "reduced")

    def _read(self, name: str, form: str) -> Settings:
        """Read one form of the settings; what its table leaves out is as in the reduced one."""
        experiment, package = self._room(name)
        tables = tomllib.loads(resources.files(package).joinpath("settings.toml").read_text(encoding="utf-8"))
        tables = tables.get(name, tables)
        return experiment.settings.model_validate(tables["reduced"] | tables.get(form, {}))

    def draw(self, name: str, dataset: xr.Dataset) -> "Figure":
        """Draw the picture of an experiment.

        Parameters
        ----------
        name : str
            Name of the experiment.
        dataset : xarray.Dataset
            What the experiment stored.

        Returns
        -------
        matplotlib.figure.Figure
            The picture, known to no window system.

        Raises
        ------
        ValueError
            If no experiment has that name.

        Examples
        --------
        >>> from rankfall.talk import EXPERIMENTS
        >>> experiment = EXPERIMENTS["solution-set"]
        >>> dataset = experiment.compute(EXPERIMENTS.settings("solution-set"), False)
        >>> len(EXPERIMENTS.draw("solution-set", dataset).axes)
        2
        """
        # matplotlib is slow to import, and only pictures need it.
        figure: Figure = import_module(f"{self._room(name).package}.figure").draw(dataset)
        return figure

    def files(self) -> dict[str, dict[str, FileOption]]:
        """Files that users can bring: by name of the option, the experiments that take it, each with its reader."""
        found: dict[str, dict[str, FileOption]] = {}
        for name, experiment in self.items():
            for option in experiment.takes:
                found.setdefault(option.name, {})[name] = option
        return found

    def statements(self) -> dict[str, Callable[[], list[Claim]]]:
        """Statements that ``verify`` checks by an experiment, at the size of the table ``[verify]`` of its settings."""
        return {one.statement: partial(self._checked, name) for name, one in self.items() if one.statement is not None}

    def _checked(self, name: str) -> list[Claim]:
        experiment = self[name]
        return experiment.claims(experiment.compute(self._read(name, "verify"), False))
