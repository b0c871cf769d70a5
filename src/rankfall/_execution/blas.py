"""How many threads NumPy's products and decompositions take."""

import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

import threadpoolctl

from .cpus import cores

# Decompositions of fewer rows gain nothing from a second thread, and beside other work threads wait for each other:
# ten times as long has been seen.
_ROWS = 400


@contextlib.contextmanager
def threads_for(rows: int) -> Iterator[None]:
    """Take one thread for small matrices, and the threads that we may have for others, for a while."""
    with blas_threads(1 if rows < _ROWS else cores()):
        yield


@contextlib.contextmanager
def blas_threads(most: int) -> Iterator[None]:
    """Let BLAS take no more threads than this, for a while.

    The limit is one of the whole process, so scopes of several threads overlap: the least of their limits holds, and
    what was there before the first of them comes back with the end of the last.
    """
    token = _limits.enter(most)
    try:
        yield
    finally:
        _limits.leave(token)


class _Limits:
    """The limits that are asked for at present, and the one that holds."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.asked: dict[object, int] = {}
        self.holds: int | None = None
        # To look for libraries takes five milliseconds, and new ones come with new modules.
        self.modules, self.libraries = 0, list[Any]()
        # Libraries, each with the threads it took before the first scope.
        self.found: list[tuple[Any, int]] = []

    def enter(self, most: int) -> object:
        """Ask for a limit."""
        token = object()
        with self.lock:
            if not self.asked:
                self.found = [(library, library.num_threads) for library in self._look()]
            self.asked[token] = most
            self._set()
        return token

    def leave(self, token: object) -> None:
        """Ask for it no longer."""
        with self.lock:
            del self.asked[token]
            self._set()

    def _look(self) -> list[Any]:
        if len(sys.modules) != self.modules:
            self.modules = len(sys.modules)
            self.libraries = threadpoolctl.ThreadpoolController().select(user_api="blas").lib_controllers
        return self.libraries

    def _set(self) -> None:
        """Set the least limit that is asked for, where another one holds; without any, what was found."""
        least = min(self.asked.values(), default=None)
        if least == self.holds:
            return
        for library, before in self.found:
            library.set_num_threads(before if least is None else min(before, least))
        self.holds = least


_limits = _Limits()
