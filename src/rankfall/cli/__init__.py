"""The command line: parse, call, print."""

from . import sweeps as sweeps  # puts its commands into the app
from .app import main

__all__ = ["main"]
