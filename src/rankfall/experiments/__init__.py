"""What experiments are made of, and how they are found: one folder each, in a package such as ``rankfall.talk``."""

from .experiment import Experiment, FileOption, Settings, UserFile
from .rooms import Rooms

__all__ = ["Experiment", "FileOption", "Rooms", "Settings", "UserFile"]
