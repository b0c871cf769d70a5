"""How many threads NumPy's products and decompositions take."""

import contextlib
from collections.abc import Iterator

import threadpoolctl

# Decompositions of fewer rows gain nothing from a second thread, and beside other work threads wait for each other:
# ten times as long has been seen.
_ROWS = 400


@contextlib.contextmanager
def threads_for(rows: int) -> Iterator[None]:
    """Take one thread for small matrices, for a while."""
    if rows >= _ROWS:
        yield
        return
    with threadpoolctl.threadpool_limits(1, "blas"):
        yield
