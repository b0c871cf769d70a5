"""How a run shares its cores: alone, two at once, and beside processes that compute without end.

``python benchmarks/busy.py [NAME ...]`` prints wall time and CPU time of ``rankfall reproduce NAME`` (by default
``unobserved-entry``) and their ratios to a run alone. The ratio of CPU times means something on a busy machine too: the
same work takes the same, and threads that spin while they wait for a core take more.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

MOST_WALL = 2.3
_RUN = "import sys; from rankfall.cli import main; sys.exit(main(sys.argv[1:]))"


def start(name: str, folder: str, **environment: str) -> tuple[subprocess.Popen, float]:
    """Start one run."""
    words = [sys.executable, "-c", _RUN, "reproduce", name, "--quiet", "--out", folder]
    run = subprocess.Popen(words, stdout=subprocess.DEVNULL, env=os.environ | environment)
    return run, time.monotonic()


def end(run: subprocess.Popen, began: float) -> tuple[float, float]:
    """Wait for a run; return its wall time and its CPU time."""
    _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        raise RuntimeError(f"a run ended with status {run.returncode}")
    return time.monotonic() - began, used.ru_utime + used.ru_stime


def at_once(name: str, count: int, **environment: str) -> tuple[float, float]:
    """Start runs together; return the largest wall time and the largest CPU time of one."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [start(name, f"{folder}/{i}", **environment) for i in range(count)]
        # The first to be waited for may not be the first to end: wall times are then those of the slowest so far.
        times = [end(*run) for run in runs]
    return max(wall for wall, _ in times), max(cpu for _, cpu in times)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """Let other processes compute meanwhile."""
    others = [subprocess.Popen(["timeout", "600", sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.terminate()
            other.wait()


def report(name: str) -> bool:
    """Print the table of one experiment; return whether two runs at once take at most as long as they may."""
    cores = len(os.sched_getaffinity(0))
    print(f"{name}, {cores} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
    alone = at_once(name, 1)
    _row("alone", alone, alone)
    two = at_once(name, 2)
    _row("two at once (the slower)", two, alone)
    with busy(cores):
        _row("beside a busy loop on each core", at_once(name, 1), alone)
    _row("alone, RANKFALL_THREADS=1", at_once(name, 1, RANKFALL_THREADS="1"), alone)
    fine = two[0] <= MOST_WALL * alone[0]
    print(f"  two at once within {MOST_WALL} times one alone: {'yes' if fine else 'NO'}")
    return fine


def _row(what: str, times: tuple[float, float], alone: tuple[float, float]) -> None:
    wall, cpu = times
    ratios = wall / alone[0], cpu / alone[1]
    print(f"  {what:34} wall {wall:6.1f} s ({ratios[0]:.2f})   CPU {cpu:6.1f} s ({ratios[1]:.2f})", flush=True)


if __name__ == "__main__":
    sys.exit(0 if all([report(name) for name in sys.argv[1:] or ["unobserved-entry"]]) else 1)
