"""A part of a batch, the runs of one training: taken up where an earlier process has left it, and what it comes to."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..dynamics import Checkpoint, Run
from ..dynamics.checkpoint import Unusable
from . import lanes
from .cell import Cell
from .disk import remove

# Seconds from one checkpoint of a training to the next.
EVERY = 30.0
_ENDING = ".checkpoint"


class Outcome(NamedTuple):
    """What the training of a part has come to.

    Attributes
    ----------
    trajectory : xarray.Dataset or None
        Of its lanes; ``None`` where it was interrupted or has failed.
    seconds : float
        Of training, those of processes before this one too.
    failure : str
        Why there is nothing.
    """

    trajectory: xr.Dataset | None = None
    seconds: float = 0.0
    failure: str = ""

    @property
    def interrupted(self) -> bool:
        """Whether it has ended before its end."""
        return self.trajectory is None and not self.failure


def trained(part: list[Cell], folder: Path | None, every: float) -> Outcome:
    """Train the runs of a part, from its checkpoint if there is one in a folder."""
    try:
        run = _run(part, folder, every)
    except KeyboardInterrupt:
        return Outcome()
    except Exception as error:  # a measure of the user's, say; the other runs go on
        return Outcome(failure=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    if (np.atleast_1d(run.stop_reason) == "interrupted").any():
        return Outcome()
    return Outcome(run.trajectory, run.seconds)


def _run(part: list[Cell], folder: Path | None, every: float) -> Run:
    if folder is None:
        return lanes.trained(part, progress=False)
    path = place(folder, part)
    # The result is stored first: only then the checkpoint goes.
    checkpoint = Checkpoint(path, every, keep=True)
    try:
        return lanes.trained(part, progress=False, checkpoint=checkpoint)
    except Unusable:
        if not path.exists():  # a dynamics of the user's own that cannot be taken up
            return lanes.trained(part, progress=False)
        # A function of a plugin has changed: what was under way is not what is asked for now.
        path.unlink()
        return lanes.trained(part, progress=False, checkpoint=checkpoint)


def place(folder: Path, part: Sequence[Cell]) -> Path:
    """Return where the checkpoint of a part is."""
    names = "".join(cell.name for cell in part)
    return folder / f"{hashlib.sha256(names.encode()).hexdigest()[:16]}{_ENDING}"


def clear(folder: Path, parts: Iterable[Sequence[Cell]]) -> None:
    """Make the folder of the checkpoints, and take away what belongs to none of the parts."""
    folder.mkdir(exist_ok=True)
    wanted = {place(folder, part) for part in parts}
    for left in folder.iterdir():
        if left not in wanted:
            remove(left)
