"""How a sweep is trained: which runs make a batch, how much memory that takes, and how long."""

import dataclasses
import math
import time
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import jax
import numpy as np

from .._execution import cores
from ..dynamics import Record, Run
from ..problems import AbstractProblem
from . import lanes
from .cell import Cell, canonical, limits
from .wrong import Wrong

if TYPE_CHECKING:
    from .declaration import Sweep

# From so many runs on a sweep is asked about before it begins.
MANY = 10**6
# Lanes of a batch at most: what Ctrl-C can cost is a batch, and beyond that company gains nothing.
MOST_LANES = 256
# Bytes that a batch may take of memory for its records.
MEMORY = 2**28
# Records of a run of which nobody knows how many there will be.
_RECORDS = 200
# What a record holds beside its numbers, and how often each is held while trajectories are put together.
_NUMBERS, _COPIES = 16, 4
_SECONDS = 5.0


@dataclasses.dataclass(frozen=True)
class Batch:
    """Runs that are stored together, in parts that are each trained in one call."""

    parts: list[list[Cell]]
    bytes: int

    @property
    def cells(self) -> list[Cell]:
        """All runs, in the order in which they are stored."""
        return [cell for part in self.parts for cell in part]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What there is to train.

    Attributes
    ----------
    runs : int
        All runs of the sweep.
    stored : int
        Those that are there already.
    batches : list of Batch
        The others.
    shapes : int
        Programs that are compiled, about.
    names : list of str
        Names of all runs, in the order of the grid.
    """

    runs: int
    stored: int
    batches: list[Batch]
    shapes: int
    names: list[str] = dataclasses.field(repr=False)

    @property
    def bytes(self) -> int:
        """Memory of the batches that are trained side by side."""
        return sum(sorted((batch.bytes for batch in self.batches), reverse=True)[: cores()])

    def __str__(self) -> str:
        left = self.runs - self.stored
        stored = f", {self.stored:,} of them stored" if self.stored else ""
        batches, kinds = _count(len(self.batches), "batch", "batches"), _count(self.shapes, "kind")
        memory = max(1, round(self.bytes / 2**20))
        return f"{_count(self.runs, 'run')}{stored}; {left:,} to train in {batches} of {kinds}, about {memory:,} MB"

    def seconds(self) -> tuple[float, bool]:
        """Estimate the time that training takes, from the first, the middle and the last run of the largest batch.

        Returns
        -------
        tuple of float and bool
            Seconds, and whether the runs that were tried came to their end; else it takes longer.

        Raises
        ------
        ValueError
            If a run cannot be trained.

        Examples
        --------
        >>> import rankfall as rf
        >>> sweep = rf.Sweep(problem={"name": "two-by-two"}, factorization={"name": "matrix", "depth": 2, "scale": 0.1},
        ...                  dynamics={"name": "gradient-descent", "step_size": 0.1}, stop={"loss": 0.1}, seeds=20)
        >>> seconds, ended = sweep.plan().seconds()
        >>> seconds < 60, ended
        (True, True)
        """
        if not self.batches:
            return 0.0, True
        cells = max((part for batch in self.batches for part in batch.parts), key=len)
        tried = [cells[n] for n in sorted({0, len(cells) // 2, len(cells) - 1})]
        stop = limits(tried[0].settings)["stop"]
        capped = dataclasses.replace(stop, seconds=min(stop.seconds or math.inf, _SECONDS))
        steps = lanes.trained(tried, stop=capped, progress=False)
        ended = stop.seconds is not None or not (np.atleast_1d(steps.stop_reason) == "seconds").any()
        # The second time nothing is compiled.
        began = time.monotonic()
        lanes.trained(cells, stop=dataclasses.replace(capped, seconds=1e-3), progress=False)
        compiled = time.monotonic() - began
        timed = lanes.trained(cells, stop=dataclasses.replace(capped, seconds=_SECONDS / 2), progress=False)
        speed = _steps(timed).sum() / timed.seconds
        return float(compiled * self.shapes + (self.runs - self.stored) * _steps(steps).mean() / speed), ended


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _steps(run: Run) -> np.ndarray:
    """Count the steps that each lane has taken."""
    return np.asarray(run.trajectory["step"].max("record").values, dtype=float)


def refuse_many(sweep: "Sweep", yes: bool) -> None:
    """Refuse a million runs or more unless they are wanted."""
    count = math.prod(sweep.shape)
    if count >= MANY and not yes:
        sizes = " x ".join(f"{axis.size} ({axis.name})" for axis in sweep.axes())
        raise ValueError(
            f"sweep has {count:,} runs: {sizes} x {len(sweep.seed_list)} seeds; at a thousand runs a minute that is "
            f"{count / 60_000:,.0f} hours. Say --yes (in Python yes=True) to begin."
        )


def plan_of(sweep: "Sweep", stored: Collection[str] = (), before: Sequence[Sequence[str]] = ()) -> Plan:
    """Put the runs that are not stored into batches; make a problem and a start of each kind, and refuse what fails.

    ``before`` are the parts of a plan that was interrupted. Those of which nothing is stored yet stay together: the
    last digits of some numbers depend on which lanes share a product of matrices.
    """
    cells = sweep.cells()
    missing = {cell.name: cell for cell in cells if cell.name not in stored}
    left = len(missing)
    kept = [[missing.pop(name) for name in names] for names in before if all(name in missing for name in names)]
    kinds: dict[str, list[Cell]] = {}
    known: dict[str, str] = {}
    for cell in missing.values():
        if cell.text not in known:
            known[cell.text] = lanes.together(cell)
        kinds.setdefault(known[cell.text] + lanes.own(cell), []).append(cell)
    sizes: dict[str, tuple[int, str]] = {}
    parts: dict[str, list[tuple[list[Cell], int]]] = {}
    for whole, alike in [*((True, part) for part in kept), *((False, one) for one in kinds.values())]:
        try:
            size, shape = _size_of(alike[0], sizes)
        except Wrong as wrong:
            raise wrong.of(sweep._origins) from None
        most = len(alike) if whole else max(1, min(MOST_LANES, MEMORY // size))
        # Neighbours in the grid are of like length; parts of one size share their program.
        bounds = np.linspace(0, len(alike), math.ceil(len(alike) / most) + 1).round().astype(int)
        cut = [alike[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]
        parts.setdefault(shape, []).extend((part, size * len(part)) for part in cut)
    batches = [batch for listed in parts.values() for batch in _batches(listed)]
    return Plan(len(cells), len(cells) - left, batches, len(parts), [cell.name for cell in cells])


def _batches(parts: list[tuple[list[Cell], int]]) -> list[Batch]:
    """Put parts of one shape together until a batch is full: a folder for each of many problems would be too many."""
    found = [Batch([], 0)]
    for part, size in parts:
        last = found[-1]
        if last.parts and (len(last.cells) + len(part) > MOST_LANES or last.bytes + size > MEMORY):
            found.append(last := Batch([], 0))
        found[-1] = Batch([*last.parts, part], last.bytes + size)
    return found


def _size_of(cell: Cell, known: dict[str, tuple[int, str]]) -> tuple[int, str]:
    """Make a problem and, where none of its kind was made, a start; return what `_bytes_of` does."""
    problem = cell.problem()
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves(problem)]
    others = canonical({table: one for table, one in cell.settings.items() if table != "problem"})
    kind = f"{type(problem)}{shapes}{problem.required_det_sign}{others}"
    if kind not in known:
        known[kind] = _bytes_of(cell, problem)
    return known[kind]


def _bytes_of(cell: Cell, problem: AbstractProblem) -> tuple[int, str]:
    """Return about how many bytes a lane takes while it is trained, and what its program depends on."""
    start, dynamics, told = cell.start(problem), cell.dynamics(), limits(cell.settings)
    factors = sum(int(np.size(leaf)) for leaf in jax.tree.leaves(start))
    record = told["record"] or dynamics.default_record
    numbers = _NUMBERS + 3 * max(problem.shape) + (math.prod(problem.shape) if "end_to_end" in record.measures else 0)
    count = _records(record, told["stop"].steps or dynamics.default_steps)
    shapes = [np.shape(leaf) for leaf in jax.tree.leaves((problem, start))]
    kind = f"{type(problem)}{type(start)}{dynamics!r}{record.names()}{shapes}"
    return 8 * _COPIES * (count * numbers + 4 * factors), kind


def _records(record: Record, steps: int) -> int:
    every = steps // record.every if record.every else 0
    listed = len(record.levels()) + len(record.times()) + (record.log_steps or 0) + every + 2
    return max(listed, _RECORDS if record == Record() else 0)
