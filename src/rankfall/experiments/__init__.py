"""What experiments are made of: rooms, one folder each, as in ``rankfall.talk``; and sweeps, declared in a file."""

from .cell import Cell
from .declaration import Sweep
from .examples import EXAMPLES, example
from .experiment import Experiment, FileOption, Settings, UserFile
from .outcome import Outcome, Room
from .plan import Batch, Plan
from .registry import declared
from .results import open_results
from .rooms import Rooms

__all__ = [
    "EXAMPLES",
    "Batch",
    "Cell",
    "Experiment",
    "FileOption",
    "Outcome",
    "Plan",
    "Room",
    "Rooms",
    "Settings",
    "Sweep",
    "UserFile",
    "declared",
    "example",
    "open_results",
]
