"""Streams that may be none: consoles are closed, replaced by loggers, or missing altogether."""

from typing import Any


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal that a line can be drawn on; what cannot say so is none.

    Examples
    --------
    >>> is_terminal(None)
    False
    """
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):  # None, a logger, a closed file
        return False
