"""What pictures share: style, curves of lanes, bands."""

import os
import sys


class NotDrawn(UserWarning):
    """A result was stored without its picture."""


def import_matplotlib() -> None:
    """Import matplotlib, whatever backend the environment asks for: pictures here are files and need none.

    A kernel of Jupyter hands a backend down to the processes it starts, where it may not be installed; matplotlib then
    refuses to be imported.
    """
    if "matplotlib" in sys.modules:
        return
    asked = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib

        if asked is not None:
            try:
                matplotlib.rcParams["backend"] = asked
            except ValueError:
                pass
    finally:
        if asked is not None:
            os.environ["MPLBACKEND"] = asked
