"""A sweep as it is declared: what is trained, what varies, what is recorded, what is drawn and claimed."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pydantic

from .. import _checks
from .._types import Self
from . import grid, layers, registry
from .cell import Cell, hashed
from .look import ClaimTable, FigureTable, check
from .tables import STOP_FIELDS, made, problem_table, record_table
from .wrong import SECTIONS, Wrong, first_fault, plain, validated

if TYPE_CHECKING:
    import xarray as xr

    from .plan import Plan

Table = TypeVar("Table", bound=pydantic.BaseModel)


class Sweep(pydantic.BaseModel):
    """A sweep: one run for each combination of what is swept and each seed.

    Parameters
    ----------
    problem, factorization, dynamics : dict
        ``name``, of what is registered under it, and its parameters. A problem may be given by ``file``, a matrix with
        NaN where it is not observed; what is drawn takes ``seed``, the same for all runs (0) or ``"each"``.
    stop, record : dict
        The parameters of `rankfall.Stop` and `rankfall.Record`.
    sweep : dict
        Keys such as ``"factorization.depth"``, each with a list or one of ``{"geomspace": [first, last, count]}``,
        ``{"linspace": ...}``, ``{"range": [first, end]}``; and tables of such columns, which vary together.
    seeds : int or list of int
        How many seeds, from 0 on, or which.
    figure, claim : list of dict
        What is drawn, and what is checked.
    name, title : str
    plugins : list of str
        Modules that are imported first.

    Raises
    ------
    ValueError
        If a table has an unknown key or a value of a wrong kind, or what is swept is empty or contradicts itself.

    Examples
    --------
    >>> import rankfall as rf
    >>> sweep = rf.Sweep(
    ...     problem={"name": "two-by-two"},
    ...     factorization={"name": "matrix", "scale": 0.1, "det_sign": 1},
    ...     dynamics={"name": "gradient-descent", "step_size": 0.01},
    ...     stop={"loss": 1e-2},
    ...     sweep={"factorization.depth": [2, 3]},
    ...     seeds=5,
    ... )
    >>> len(sweep.cells())
    10
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = "sweep"
    title: str = ""
    plugins: list[str] = []
    problem: dict[str, Any]
    factorization: dict[str, Any]
    dynamics: dict[str, Any]
    stop: dict[str, Any] = {}
    record: dict[str, Any] = {}
    sweep: dict[str, Any] = {}
    seeds: int | list[int] = 1
    figure: list[dict[str, Any]] = []
    claim: list[dict[str, Any]] = []

    _origins: dict[tuple[str, ...], str] = pydantic.PrivateAttr(default_factory=dict)

    def __init__(self, **tables: Any) -> None:
        try:
            super().__init__(**{name: plain(table) for name, table in tables.items()})
        except pydantic.ValidationError as error:
            raise _told(error, tables) from None
        _identifier(self.name)
        registry.load_plugins(self.plugins)
        found = self.axes()
        grid.refuse_fixed(found, self.model_dump())
        _check_seeds(self.seeds)
        keys = ["seed", *(key for axis in found for key in axis.columns)]
        for n, table in enumerate(self.figures, 1):
            check(table, keys, f"figure.{n}")
        _ = self.claims
        # Every value once, beside the first ones of the others: all of them together may be many.
        first = {key: column[0] for axis in found for key, column in axis.columns.items()}
        self._resolved(first)
        for axis in found:
            for n in range(1, axis.size):
                self._resolved(first | {key: column[n] for key, column in axis.columns.items()})

    @classmethod
    def from_toml(cls, *files: str | Path, settings: Sequence[str] = ()) -> Self:
        """Read a declaration from files, each laid over those before it.

        Parameters
        ----------
        *files
            Paths of files.
        settings : sequence of str
            ``"factorization.depth=4"`` and the like, put on top.

        Returns
        -------
        Sweep

        Raises
        ------
        ValueError
            If a file cannot be read, or what it declares is refused.

        Examples
        --------
        >>> import pathlib, tempfile, rankfall as rf
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "mine.toml")
        ...     _ = path.write_text(rf.experiments.example("depth"))
        ...     rf.Sweep.from_toml(path, settings=["seeds=2"]).seeds
        2
        """
        tables, origins = layers.read(files, settings)
        try:
            made = cls(**tables)
        except Wrong as wrong:
            raise wrong.of(origins) from None
        made._origins.update(origins)
        return made

    def axes(self) -> list[grid.Axis]:
        """Dimensions of the sweep, without that of the seeds."""
        return grid.axes(self.sweep)

    @property
    def seed_list(self) -> list[int]:
        """Seeds of the runs."""
        return list(range(self.seeds)) if isinstance(self.seeds, int) else list(self.seeds)

    @property
    def figures(self) -> list[FigureTable]:
        """What is drawn."""
        return [_table_of(FigureTable, f"figure.{n}", one) for n, one in enumerate(self.figure, 1)]

    @property
    def claims(self) -> list[ClaimTable]:
        """What is checked."""
        return [_table_of(ClaimTable, f"claim.{n}", one) for n, one in enumerate(self.claim, 1)]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the grid, seeds last."""
        return (*(axis.size for axis in self.axes()), len(self.seed_list))

    def cells(self) -> list[Cell]:
        """List the runs, in the order of the grid, seeds fastest.

        Returns
        -------
        list of Cell

        Raises
        ------
        ValueError
            If a combination of values is refused.

        Examples
        --------
        >>> import rankfall as rf
        >>> sweep = rf.Sweep(problem={"name": "two-by-two"}, factorization={"name": "matrix", "depth": 2, "scale": 0.1},
        ...                  dynamics={"name": "gradient-descent", "step_size": 0.1}, stop={"loss": 0.1})
        >>> run = sweep.cells()[0].train()
        >>> run.stop_reason
        'loss'
        """
        try:
            each = ((settings, hashed(settings)) for settings in self._combinations())
            return [Cell(settings, seed, text) for settings, text in each for seed in self.seed_list]
        except Wrong as wrong:
            raise wrong.of(self._origins) from None

    def _combinations(self) -> Iterator[dict[str, Any]]:
        found = self.axes()
        columns = [[{k: c[n] for k, c in axis.columns.items()} for n in range(axis.size)] for axis in found]
        for chosen in itertools.product(*columns):
            yield self._resolved({key: value for one in chosen for key, value in one.items()})

    def plan(self, out: str | Path | None = None) -> "Plan":
        """Say how the runs would be trained; nothing is trained.

        Parameters
        ----------
        out : path, optional
            A folder: runs that are stored there are left out.

        Returns
        -------
        Plan
            ``print`` shows it.

        Raises
        ------
        ValueError
            If a problem or a start cannot be made.

        Examples
        --------
        >>> import rankfall as rf
        >>> sweep = rf.Sweep(problem={"name": "two-by-two"}, factorization={"name": "matrix", "depth": 2, "scale": 0.1},
        ...                  dynamics={"name": "gradient-descent", "step_size": 0.1}, seeds=20)
        >>> len(sweep.plan().batches)
        1
        """
        from .plan import plan_of
        from .store import Store

        return plan_of(self, set() if out is None else Store(_checks.folder("out", out)).names())

    def run(
        self, out: str | Path, *, yes: bool = False, force: bool = False, progress: bool = True,
        workers: int | None = None, cluster: str | None = None,
    ) -> "xr.Dataset":  # fmt: skip
        """Train what is not stored yet, and open all.

        Parameters
        ----------
        out : path
            Folder of the results, made where it is not there.
        yes : bool
            Begin also with a million runs or more.
        force : bool
            Train again what is stored.
        progress : bool
            Show progress on stderr.
        workers : int, optional
            Train in so many processes of this machine, which share its cores; a script that calls this needs
            ``if __name__ == "__main__":``.
        cluster : str, optional
            Train on the workers of a scheduler of ``dask.distributed``, such as ``"tcp://127.0.0.1:8786"``.

        Returns
        -------
        xarray.Dataset
            As `rankfall.open_results` gives it.

        Raises
        ------
        ValueError
            If the folder cannot be written or another process writes there, a million runs are asked for without
            ``yes``, or no scheduler answers, or its workers are of other versions.
        ModuleNotFoundError
            If workers are asked for without ``dask.distributed``, which the extra ``cluster`` brings.
        KeyboardInterrupt
            After Ctrl-C; what is complete is stored, and the same call goes on.

        Examples
        --------
        >>> import tempfile, rankfall as rf
        >>> sweep = rf.Sweep(problem={"name": "two-by-two"}, factorization={"name": "matrix", "depth": 2, "scale": 0.1},
        ...                  dynamics={"name": "gradient-descent", "step_size": 0.1}, stop={"loss": 0.1}, seeds=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sweep.run(folder, progress=False)["stop_reason"].values.tolist()
        ['loss', 'loss']
        """
        from .engine import run_sweep
        from .results import open_results

        run_sweep(self, out, yes=yes, force=force, progress=progress, workers=workers, cluster=cluster)
        return open_results(out)

    def to_toml(self) -> str:
        """Write the declaration, with what files and settings have come to, as one file."""
        tables = self.model_dump(exclude_defaults=True)
        if self.sweep:
            tables["sweep"] = _flat({k: v for k, v in self.sweep.items() if k in SECTIONS}) | {
                k: v for k, v in self.sweep.items() if k not in SECTIONS
            }
        return layers.to_toml(tables)

    def _resolved(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of one combination, with defaults, checked."""
        tables = {name: dict(getattr(self, name)) for name in SECTIONS}
        for key, value in values.items():
            table, _, name = key.partition(".")
            tables[table][name] = value
        return {
            "problem": problem_table(tables["problem"]),
            **{kind: made(kind, tables[kind]) for kind in ("factorization", "dynamics")},
            "stop": validated(("stop",), STOP_FIELDS, tables["stop"]),
            "record": record_table(tables["record"]),
        }


def _table_of(model: type[Table], place: str, given: dict[str, Any]) -> Table:
    flat = {key: _flat(value) if key == "where" else value for key, value in given.items()}
    if isinstance(flat.get("control"), dict) and "where" in flat["control"]:
        flat["control"] = flat["control"] | {"where": _flat(flat["control"]["where"])}
    validated((place,), model, flat)
    return model(**flat)


def _flat(where: Any) -> Any:
    """Write keys that TOML has parted at their dots as one word again."""
    if not isinstance(where, dict):
        return where
    found: dict[str, Any] = {}
    for key, value in where.items():
        found |= {f"{key}.{inner}": one for inner, one in value.items()} if isinstance(value, dict) else {key: value}
    return found


def _check_seeds(seeds: int | list[int]) -> None:
    place = ("seeds",)
    listed = [seeds - 1] if isinstance(seeds, int) else seeds
    if not listed or min(listed) < 0:
        raise Wrong(place, f"is {_checks.shortened(seeds)}, but must be a number of seeds of at least 1, or a list.")
    if len(set(listed)) < len(listed):
        raise Wrong(place, f"is {_checks.shortened(seeds)}, but holds a seed twice; each run is computed once.")


def _identifier(name: str) -> None:
    if not name or name.strip(".") != name or set("/\\\0\n") & set(name):
        raise Wrong(("name",), f"is {_checks.shortened(name)}, but must be a word that a file can be called.")


def _told(error: pydantic.ValidationError, tables: Mapping[str, Any]) -> Wrong:
    """Say which table or key at the top is wrong."""
    fault = error.errors(include_url=False)[0]
    if fault["type"] == "missing":
        table = str(fault["loc"][0])
        return Wrong((table,), f"is missing: a declaration has a table [{table}], with a name at least.")
    return first_fault((), Sweep, error, tables)
