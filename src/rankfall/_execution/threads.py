"""Work side by side: compiled loops, and the compiler itself, leave Python alone, so threads are enough."""

import concurrent.futures
import os
from collections.abc import Callable, Sequence
from typing import Any


def side_by_side(tasks: Sequence[Callable[[], Any]], threads: int | None = None) -> list[Any]:
    """Do tasks in threads, one for each core unless told otherwise; return what they return, in their order."""
    threads = min(threads or cores(), len(tasks))
    if threads <= 1:
        return [task() for task in tasks]
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    try:
        futures = [pool.submit(task) for task in tasks]
        done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
        for future in done:
            future.result()  # raises what a task raised
        return [future.result() for future in futures]
    finally:
        # After a failure or Ctrl-C no further task begins.
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
