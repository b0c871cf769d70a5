"""Work side by side: compiled loops, and the compiler itself, leave Python alone, so threads are enough."""

import concurrent.futures
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .blas import blas_threads

# What a user sets to give rankfall fewer threads than there are cores.
VARIABLE = "RANKFALL_THREADS"
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")


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
            futures = [pool.submit(task) for task in tasks]
            done, _ = concurrent.futures.wait(futures, return_when=concurrent.futures.FIRST_EXCEPTION)
            for future in done:
                future.result()  # raises what a task raised
            return [future.result() for future in futures]
    finally:
        # After a failure or Ctrl-C no further task begins.
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """Count the cores that this process may use: those it is bound to, its share of them, and what the user allows.

    Raises
    ------
    ValueError
        If ``RANKFALL_THREADS`` is set to anything but a whole number of at least one.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(max(1, min(bound, _quota(), _allowed())))


def _allowed() -> float:
    """Return what the user allows; no limit where the variable is not set."""
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return math.inf
    if not given.isascii() or not given.isdigit() or int(given) < 1:
        raise ValueError(
            f"{VARIABLE} is {given[:80]!r}, but must be a whole number of at least 1; unset it to use every core."
        )
    return int(given)


def _quota() -> float:
    """Return how many cores' time the control group of this process may take, rounded up: containers are given it."""
    shares = [share for path in _own_groups() if (share := _share(path)) is not None]
    return max(1, math.ceil(min(shares))) if shares else math.inf


def _own_groups() -> list[Path]:
    """List the folders of the process's control group and of those around it, of either version of groups."""
    try:
        lines = _OWN_GROUP.read_text().splitlines()
    except OSError:  # not Linux
        return []
    found = [_GROUPS, _GROUPS / "cpu"]
    for line in lines:
        _, names, path = line.split(":", 2)
        if names in ("", "cpu", "cpu,cpuacct"):
            root = _GROUPS if not names else _GROUPS / "cpu"
            own = root / path.lstrip("/")
            found += [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return found


def _share(group: Path) -> float | None:
    """Return quota over period, of either version of control groups; none where there is no limit."""
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text().strip()
            period = (group / "cpu.cfs_period_us").read_text().strip()
        return float(quota) / float(period) if quota not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
