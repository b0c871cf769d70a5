"""Trainings of a sweep as tasks of ``dask.distributed``; the process that asks for them stores the results."""

import dataclasses
import importlib
import logging
import queue
import signal
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import _checks
from .._execution import VARIABLE, cores, raise_if_interrupted, shares
from . import parts, worker
from .cell import Cell
from .disk import replace_file, storing
from .parts import Outcome
from .plan import Batch
from .store import Store

if TYPE_CHECKING:
    from .engine import Collected, Sweeping

INSTALL = (
    "dask.distributed is not installed, but workers and clusters need it; install rankfall with the extra 'cluster'"
)
# Seconds that a scheduler may take to answer, workers to write down where they are after Ctrl-C, and one that is
# new to be told of it.
_PATIENCE, _LAST_WORDS, _AGAIN = 10.0, 30.0, 2.0
# Seconds after which Ctrl-C is noticed.
_GLANCE = 0.2


def check(workers: int | None, cluster: str | None) -> bool:
    """Refuse what says nothing of where to train; return whether that is in other processes."""
    if workers is not None:
        _checks.integer("workers", workers, 1, "leave it out to train in this process")
        if cluster is not None:
            raise ValueError("workers is given beside cluster, which has workers of its own; leave one of them out.")
    if cluster is not None and not (isinstance(cluster, str) and "://" in cluster):
        raise ValueError(
            f"cluster is {_checks.shortened(cluster)}, but must be the address of a scheduler, such as "
            "'tcp://127.0.0.1:8786'."
        )
    if workers is None and cluster is None:
        return False
    _distributed()
    return True


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise ModuleNotFoundError(f"{INSTALL}.") from None


@contextmanager
def connected(workers: int | None, cluster: str | None) -> Iterator[Any]:
    """Start workers on this machine, or find those of a scheduler; give its client."""
    distributed = _distributed()
    with ExitStack() as stack:
        stack.enter_context(_silent())
        if cluster is not None:
            yield stack.enter_context(_client(distributed, cluster))
            return
        assert workers is not None
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="rankfall-"))
        local = stack.enter_context(_local(distributed, workers, scratch))
        yield stack.enter_context(distributed.Client(local, set_as_default=False))


def _local(distributed: Any, workers: int, scratch: str) -> Any:
    """Start workers on this machine, which share its cores."""
    threads = max(1, cores() // workers)
    try:
        with _deaf_children():
            return distributed.LocalCluster(
                n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=None,
                silence_logs=logging.CRITICAL, env={VARIABLE: str(threads)}, local_directory=scratch,
            )  # fmt: skip
    except (RuntimeError, OSError) as error:
        raise_if_interrupted()
        raise ValueError(f"workers is {workers}, but they cannot be started ({error}); give fewer.") from None


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Have processes that threads of here start leave Ctrl-C to us: a terminal sends it to all of them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    # It takes the signal out of the mask of the thread that starts it, which is to happen before.
    resource_tracker.ensure_running()
    # Threads take the mask of the one that starts them, and processes that of their thread; we are heard ourselves
    # through any other thread, and at the end.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _client(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=_PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        why = " ".join(str(error).split())[:120] or type(error).__name__
        raise ValueError(
            f"cluster is {address!r}, but no scheduler answers there ({why}); start one with 'dask scheduler', or "
            "check the address."
        ) from None


@contextmanager
def _silent() -> Iterator[None]:
    """Keep dask from telling of workers that come and go; where it matters, we do."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


def refuse_other_versions(client: Any) -> int:
    """Compare the versions of the workers that are there with our own; return how many there are."""
    here = worker.versions()
    answers = client.run(worker.versions, on_error="return")
    for address, answer in answers.items():
        if isinstance(answer, BaseException):
            raise ValueError(
                f"cluster has a worker at {address} that does not answer as rankfall does ({type(answer).__name__}: "
                f"{answer}); install the same version of rankfall there."
            )
        worker.refuse_others(here, answer, f"a worker at {address}")
    return len(answers)


def train(
    sweeping: "Sweeping", batches: Sequence[tuple[Batch, "Collected"]], client: Any, plugins: list[str],
    say: Callable[[str], None],
) -> None:  # fmt: skip
    """Train batches on the workers of a client; every result is stored here, so that each file has one writer."""
    count = refuse_other_versions(client)
    say(f"{count} workers" if count else "No worker has come to the scheduler yet; training begins with the first.")
    order = worker.Order(
        uuid.uuid4().hex, plugins, worker.versions(), str(sweeping.store.checkpoints.absolute()), parts.EVERY, shares()
    )
    _mark_folder(sweeping.store, order)
    tasks = _Tasks(client, order)
    for batch, collected in batches:
        for part in batch.parts:
            tasks.submit(part, collected)
    try:
        _collect(sweeping, tasks)
    finally:
        tasks.cancel()
        for _, collected in batches:
            collected.store()


def _mark_folder(store: Store, order: worker.Order) -> None:
    """Leave word in the folder of checkpoints, by which workers know whether they see it too."""
    with storing(store.out):
        replace_file(store.checkpoints / worker.SHARED, order.sweep.encode())


class _Tasks:
    """Parts that are trained elsewhere."""

    def __init__(self, client: Any, order: worker.Order) -> None:
        self.client, self.order = client, order
        self.waiting: dict[str, tuple[Any, list[Cell], "Collected"]] = {}
        self.done: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def submit(self, part: list[Cell], collected: "Collected") -> None:
        future = self.client.submit(worker.train, [_placed(cell) for cell in part], self.order, pure=False)
        self.waiting[future.key] = future, part, collected
        future.add_done_callback(self.done.put)

    def next(self) -> tuple[Any, list[Cell], "Collected"] | None:
        """Return what has ended, nothing where nothing has for a while."""
        try:
            return self.waiting.pop(self.done.get(timeout=_GLANCE).key)
        except queue.Empty:
            return None

    def stop(self) -> None:
        """Have the workers write down where they are, and begin nothing any more."""
        with suppress(Exception):
            self.client.run(worker.stop, self.order.sweep, on_error="ignore")

    def cancel(self) -> None:
        with suppress(Exception):
            self.client.cancel([future for future, _, _ in self.waiting.values()])


def _collect(sweeping: "Sweeping", tasks: _Tasks) -> None:
    """Take results until all are there; after Ctrl-C those of which workers are at their end."""
    end = told = float("inf")
    while tasks.waiting and (now := time.monotonic()) < end:
        if sweeping.interrupted.is_set() and (told == float("inf") or now > told + _AGAIN):
            end, told = min(end, now + _LAST_WORDS), now
            tasks.stop()
        if (found := tasks.next()) is None:
            continue
        future, part, collected = found
        outcome = _outcome(future)
        if not outcome.interrupted:
            collected.add(part, outcome)
        elif not sweeping.interrupted.is_set():
            tasks.submit(part, collected)


def _outcome(future: Any) -> Outcome:
    """Return what a task has come to; of one that has failed, why."""
    if future.status == "cancelled":
        raise ValueError("cluster has lost its scheduler; what was complete is stored, and the same command goes on.")
    if future.status != "error":
        found: Outcome = future.result()
        return found
    error = future.exception()
    if isinstance(error, worker.OtherVersions):
        raise error
    if type(error).__name__ == "KilledWorker":
        return Outcome(failure="its workers have died one after the other, perhaps for want of memory")
    return Outcome(failure=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")


def _placed(cell: Cell) -> Cell:
    """Say where a file of data is, from wherever it is looked for."""
    problem = cell.settings["problem"]
    if "file" not in problem:
        return cell
    absolute = problem | {"file": str(Path(problem["file"]).absolute())}
    return dataclasses.replace(cell, settings=cell.settings | {"problem": absolute})
