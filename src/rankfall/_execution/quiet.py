"""Warnings of other libraries that a caller of ours has no use for, left out while we call them."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

# Python's filters are those of the whole process: two threads that change them in turn leave behind what one of them
# has set.
_one_at_a_time = threading.RLock()


@contextlib.contextmanager
def without_warning(message: str, category: type[Warning]) -> Iterator[None]:
    """Leave out warnings that begin like this inside the ``with`` block, in one thread at a time."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message, category)
        yield
