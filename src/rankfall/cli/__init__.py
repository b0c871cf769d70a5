"""The command line: parse, call, print."""

from . import sweeps
from .app import main

__all__ = ["main"]
