"""How many cores and threads are ours to use."""

import contextlib
import contextvars
import math
import os
from collections.abc import Iterator
from pathlib import Path

# What a user sets to give rankfall fewer threads than there are cores.
VARIABLE = "RANKFALL_THREADS"
_GROUPS = Path("/sys/fs/cgroup")
_OWN_GROUP = Path("/proc/self/cgroup")
_shares: contextvars.ContextVar[int | None] = contextvars.ContextVar("shares", default=None)


def cores() -> int:
    """Count the cores that this process may use: those it is bound to, its share of them, and what the user allows.

    Raises
    ------
    ValueError
        If ``RANKFALL_THREADS`` is set to anything but a whole number of at least one.
    """
    return int(max(1, min(bound(), _quota(), _allowed())))


def shares() -> int:
    """Count the groups that lanes are shared out to: one a core, unless another process has decided it."""
    return _shares.get() or cores()


@contextlib.contextmanager
def shared_out(number: int) -> Iterator[None]:
    """Share lanes out as a process of so many cores does: numbers may depend on their company in the last digit."""
    token = _shares.set(number)
    try:
        yield
    finally:
        _shares.reset(token)


def bound() -> int:
    """Count the cores that this process is bound to, which is what numerical libraries take."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
