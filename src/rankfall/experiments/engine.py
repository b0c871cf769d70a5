"""From a plan to stored runs: batch after batch, until all are there or Ctrl-C is pressed."""

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from .. import _checks
from .._execution import interrupts, side_by_side, terminations
from .._version import __version__
from . import parts
from .cell import FORMAT, Cell
from .cluster import check, connected, train
from .disk import remove, storing
from .parts import Outcome
from .plan import Batch, Plan, plan_of, refuse_many
from .progress import Progress
from .store import Store, lanes_joined

if TYPE_CHECKING:
    from .declaration import Sweep

# Seconds of training that wait at most for the rest of their batch before they are stored.
_AT_RISK = 30.0


class Sweeping:
    """What the threads of a sweep share."""

    def __init__(self, store: Store, progress: Progress, interrupted: threading.Event) -> None:
        self.store, self.progress, self.interrupted = store, progress, interrupted
        self.failed: list[str] = []
        self.lock = threading.Lock()

    def train(self, batch: Batch) -> None:
        """Train the runs of a batch and store them; after Ctrl-C those of the parts that were complete."""
        collected = Collected(self, batch)
        for part in batch.parts:
            if self.interrupted.is_set():
                break
            outcome = parts.trained(part, self.store.checkpoints, parts.EVERY)
            if outcome.interrupted:
                break
            collected.add(part, outcome)
        collected.store()

    def write(self, cells: list[Cell], dataset: xr.Dataset, seconds: float) -> None:
        """Store runs, and tell of them."""
        with self.lock:
            folder = self.store.write(cells, dataset, seconds)
            steps = int(dataset["step"].max("record").sum())
            loss = _quantiles(dataset["loss"].values)
            self.store.log("batch", folder=folder.name, runs=len(cells), seconds=seconds, steps=steps, loss=loss)
            self.progress.add(len(cells), steps, loss)

    def note(self, part: list[Cell], reason: str) -> None:
        """Remember that a part has failed."""
        with self.lock:
            self.failed.append(reason)
            self.store.log("failed", runs=[cell.name for cell in part], error=reason)


class Collected:
    """Parts of a batch that are trained, until they are stored together."""

    def __init__(self, sweeping: Sweeping, batch: Batch) -> None:
        self.sweeping, self.left = sweeping, len(batch.parts)
        # By what those agree in that are stored together.
        self.done: dict[tuple[Any, ...], list[tuple[list[Cell], Outcome]]] = {}

    def add(self, part: list[Cell], outcome: Outcome) -> None:
        """Take what a part has come to; store what there is when the batch is complete, or much would be lost."""
        self.left -= 1
        if outcome.trajectory is None:
            self.sweeping.note(part, outcome.failure)
        else:
            self.done.setdefault(_layout(outcome.trajectory), []).append((part, outcome))
        waiting = sum(one.seconds for alike in self.done.values() for _, one in alike)
        if self.left == 0 or waiting > _AT_RISK:
            self.store()

    def store(self) -> None:
        """Store what there is; checkpoints are needed no longer than that."""
        for alike in self.done.values():
            cells = [cell for part, _ in alike for cell in part]
            joined = lanes_joined([one.trajectory for _, one in alike if one.trajectory is not None])
            self.sweeping.write(cells, joined, sum(one.seconds for _, one in alike))
            for part, _ in alike:
                parts.place(self.sweeping.store.checkpoints, part).unlink(missing_ok=True)
        self.done = {}


def _layout(dataset: xr.Dataset) -> tuple[Any, ...]:
    """Return what datasets that are stored together agree in."""
    inner = {dim: size for dim, size in dataset.sizes.items() if dim not in ("lane", "record")}
    variables = tuple((name, v.dims, v.dtype.kind) for name, v in dataset.data_vars.items())
    return (variables, *sorted(inner.items()), *(c.values.tobytes() for c in dataset.coords.values()))


def _quantiles(loss: np.ndarray) -> list[float]:
    """Quantiles of the loss at the last records."""
    there = np.isfinite(loss)
    last = np.take_along_axis(loss, there.sum(axis=1, keepdims=True).clip(1) - 1, axis=1)
    finite = last[np.isfinite(last)]
    return [float(x) for x in np.quantile(finite, [0, 0.5, 1])] if finite.size else []


def run_sweep(
    sweep: "Sweep", out: str | Path, *, yes: bool = False, force: bool = False, progress: bool = True,
    say: Callable[[str], None] = lambda words: None, workers: int | None = None, cluster: str | None = None,
) -> bool:  # fmt: skip
    """Train and store what is not stored yet; return whether anything is new."""
    elsewhere = check(workers, cluster)
    refuse_many(sweep, yes)
    store = Store(_checks.folder("out", out))
    with store.locked(), interrupts() as interrupted, terminations():
        for aside in store.clear():
            store.log("damaged", folder=aside.name)
            say(f"{aside.name} does not match its checksum and was set aside; its runs are trained again.")
        plan = plan_of(sweep, () if force else store.names(), [] if force else store.read_parts())
        say(str(plan))
        changed = store.write_sweep(_told(sweep, plan)) or bool(plan.batches)
        store.write_parts([[cell.name for cell in part] for batch in plan.batches for part in batch.parts])
        with storing(store.out):
            parts.clear(store.checkpoints, [] if force else [part for batch in plan.batches for part in batch.parts])
        store.log("start", sweep=sweep.name, runs=plan.runs, stored=plan.stored, batches=len(plan.batches))
        with Progress(plan, progress) as shown:
            sweeping = Sweeping(store, shown, interrupted)
            if plan.batches and elsewhere:
                with connected(workers, cluster) as client:
                    train(sweeping, [(b, Collected(sweeping, b)) for b in plan.batches], client, sweep.plugins, say)
            else:
                side_by_side([partial(sweeping.train, batch) for batch in plan.batches])
        if force:
            store.forget_replaced()
        if not (interrupted.is_set() or sweeping.failed):
            store.write_parts([])
            remove(store.checkpoints)
        store.log("end", interrupted=interrupted.is_set(), failed=len(sweeping.failed))
        if interrupted.is_set():
            raise KeyboardInterrupt
    if sweeping.failed:
        others = f" ({len(sweeping.failed) - 1} more failed, see log.jsonl)" if len(sweeping.failed) > 1 else ""
        raise ValueError(
            f"A training failed, and its runs are missing: {sweeping.failed[0]}{others}; the others are stored."
        )
    return changed


def _told(sweep: "Sweep", plan: Plan) -> dict[str, Any]:
    """Say what the sweep consists of, so that its results can be read without it."""
    return {
        "format": FORMAT,
        "rankfall": __version__,
        "name": sweep.name,
        "title": sweep.title,
        "axes": [{"name": axis.name, "columns": axis.columns} for axis in sweep.axes()],
        "seeds": sweep.seed_list,
        "runs": plan.names,
        "declaration": sweep.to_toml(),
    }
