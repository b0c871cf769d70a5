"""What a process does that works for another one: it trains parts, one after the other, until it is told to end."""

import hashlib
import platform
import threading
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import jax
import jaxlib

from .. import _checks
from .._execution import bounded, ends_with, shared_out
from .._version import __version__
from . import parts, registry
from .cell import Cell

SHARED = "shared"
# Of one process, which may have several threads for tasks: a training takes all cores that the process was given.
_one_at_a_time = threading.Lock()
_running: dict[str, threading.Event] = {}
_ended: set[str] = set()


class OtherVersions(ValueError):
    """A worker on which numbers would be others."""


class Order(NamedTuple):
    """What all tasks of a sweep are told.

    Attributes
    ----------
    sweep : str
        Name of this call.
    plugins : list of str
    versions : dict
        Of who asks.
    folder : str
        Where checkpoints are.
    every : float
        Seconds between them.
    shares : int
        Groups that lanes are shared out to, so that numbers do not depend on who trains.
    """

    sweep: str
    plugins: list[str]
    versions: dict[str, str]
    folder: str
    every: float
    shares: int


def versions() -> dict[str, str]:
    """Return what numbers depend on."""
    python = ".".join(platform.python_version_tuple()[:2])
    return {"rankfall": __version__, "jax": jax.__version__, "jaxlib": jaxlib.__version__, "python": python}


def refuse_others(here: dict[str, str], there: dict[str, str], where: str) -> None:
    """Refuse a worker of other versions than who asks."""
    if other := [name for name in here if there.get(name) != here[name]]:
        told = " and ".join(f"{name} {there.get(name)} (here {here[name]})" for name in other)
        raise OtherVersions(f"cluster has {where}, which has {told}; install the same versions on both sides.")


def train(part: list[Cell], order: Order) -> parts.Outcome:
    """Train a part as the process that asks would."""
    refuse_others(order.versions, versions(), f"a worker on {platform.node()}")
    with _one_at_a_time:
        event = _running.setdefault(order.sweep, threading.Event())
        try:
            if order.sweep in _ended:
                return parts.Outcome()
            registry.load_plugins(order.plugins)
            _refuse_other_data(part[0].settings["problem"])
            with bounded(), shared_out(order.shares), ends_with(event):
                return parts.trained(part, _shared(order), order.every)
        finally:
            del _running[order.sweep]


def stop(sweep: str) -> None:
    """End the training of a sweep, and all that would begin."""
    _ended.add(sweep)
    if event := _running.get(sweep):
        event.set()


def _shared(order: Order) -> Path | None:
    """Return the folder of the checkpoints where this process sees it."""
    folder = Path(order.folder)
    with suppress(OSError):
        if (folder / SHARED).read_text(encoding="utf-8") == order.sweep:
            return folder
    return None


def _refuse_other_data(table: dict[str, object]) -> None:
    if "file" in table:
        content = _checks.content("[problem] file", table["file"], "a file that every worker sees")
        if hashlib.sha256(content).hexdigest() != table["sha256"]:
            raise ValueError(
                f"[problem] file is {table['file']!r}, but on {platform.node()} it is another one than where the sweep "
                "was begun; put it into a folder that all machines share."
            )
