"""Work side by side: compiled loops, and the compiler itself, leave Python alone, so threads are enough."""

import concurrent.futures
import contextlib
import contextvars
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax

from .blas import blas_threads
from .cpus import bound, cores


def side_by_side(tasks: Sequence[Callable[[], Any]], threads: int | None = None) -> list[Any]:
    """Do tasks in threads, one for each core unless told otherwise; return what they return, in their order.

    BLAS shares out among them the cores that it would take for a single one: threads of its own that find no core wait
    for each other by spinning.
    """
    threads = min(threads or cores(), len(tasks))
    if threads <= 1:
        with blas_threads(cores()):
            return [task() for task in tasks]
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        with blas_threads(max(1, cores() // threads)):
            futures = [pool.submit(contextvars.copy_context().run, task) for task in tasks]
            done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
            for future in done:
                future.result()  # raises what a task raised
            return [future.result() for future in futures]
    finally:
        # After a failure or Ctrl-C no further task begins.
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Bound what numerical libraries take of a process that is ours, where we may have less than they would take.

    BLAS is bounded for a while. JAX's pool of threads is as large as it is made, with the first array: it is made here,
    where it has not been made before.
    """
    allowed = cores()
    if allowed >= bound():
        yield
        return
    before = os.environ.get("NPROC")
    os.environ["NPROC"] = str(allowed) if before is None else before
    try:
        jax.devices()
    finally:
        if before is None:
            del os.environ["NPROC"]
    with blas_threads(allowed):
        yield
