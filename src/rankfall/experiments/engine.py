"""From a plan to stored runs: batch after batch, until all are there or Ctrl-C is pressed."""

import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import xarray as xr

from .. import _checks
from .._execution import interrupts, side_by_side, terminations
from .._version import __version__
from . import lanes
from .cell import FORMAT, Cell
from .plan import Batch, Plan, plan_of, refuse_many
from .progress import Progress
from .store import Store, lanes_joined

if TYPE_CHECKING:
    from .declaration import Sweep

# Seconds of training that wait at most for the rest of their batch before they are stored.
_AT_RISK = 30.0
# Parts that are trained, by what those agree in that are stored together.
_Done: TypeAlias = dict[tuple[Any, ...], list[tuple[list[Cell], xr.Dataset]]]


class _Sweeping:
    """What the threads of a sweep share."""

    def __init__(self, store: Store, progress: Progress, interrupted: threading.Event) -> None:
        self.store, self.progress, self.interrupted = store, progress, interrupted
        self.failed: list[str] = []
        self.lock = threading.Lock()

    def train(self, batch: Batch) -> None:
        """Train the runs of a batch and store them; after Ctrl-C those of the parts that were complete."""
        done: _Done = {}
        began = time.monotonic()
        for part in batch.parts:
            if self.interrupted.is_set():
                break
            try:
                run = lanes.trained(part, progress=False)
            except KeyboardInterrupt:
                break
            except Exception as error:  # a measure of the user's, say; the other runs go on
                self._note(part, error)
                continue
            if (np.atleast_1d(run.stop_reason) == "interrupted").any():
                break
            done.setdefault(_layout(run.trajectory), []).append((part, run.trajectory))
            if time.monotonic() - began > _AT_RISK:
                self._store_all(done, began)
                done, began = {}, time.monotonic()
        self._store_all(done, began)

    def _store_all(self, done: _Done, began: float) -> None:
        for alike in done.values():
            cells = [cell for part, _ in alike for cell in part]
            self._store(cells, lanes_joined([dataset for _, dataset in alike]), time.monotonic() - began)

    def _store(self, cells: list[Cell], dataset: xr.Dataset, seconds: float) -> None:
        with self.lock:
            folder = self.store.write(cells, dataset, seconds)
            steps = int(dataset["step"].max("record").sum())
            loss = _quantiles(dataset["loss"].values)
            self.store.log("batch", folder=folder.name, runs=len(cells), seconds=seconds, steps=steps, loss=loss)
            self.progress.add(len(cells), steps, loss)

    def _note(self, part: list[Cell], error: Exception) -> None:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        with self.lock:
            self.failed.append(reason)
            self.store.log("failed", runs=[cell.name for cell in part], error=reason)


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
    say: Any = None,
) -> bool:  # fmt: skip
    """Train and store what is not stored yet; return whether anything is new."""
    refuse_many(sweep, yes)
    store = Store(_checks.folder("out", out))
    with store.locked(), interrupts() as interrupted, terminations():
        for aside in store.clear():
            store.log("damaged", folder=aside.name)
            if say is not None:
                say(f"{aside.name} does not match its checksum and was set aside; its runs are trained again.")
        plan = plan_of(sweep, () if force else store.names(), [] if force else store.read_parts())
        if say is not None:
            say(str(plan))
        changed = store.write_sweep(_told(sweep, plan)) or bool(plan.batches)
        store.write_parts([[cell.name for cell in part] for batch in plan.batches for part in batch.parts])
        store.log("start", sweep=sweep.name, runs=plan.runs, stored=plan.stored, batches=len(plan.batches))
        with Progress(plan, progress) as shown:
            sweeping = _Sweeping(store, shown, interrupted)
            side_by_side([partial(sweeping.train, batch) for batch in plan.batches])
        if force:
            store.forget_replaced()
        if not (interrupted.is_set() or sweeping.failed):
            store.write_parts([])
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
