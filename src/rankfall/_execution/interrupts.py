"""Ctrl-C as an event that compiled loops look at between chunks."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

# The event of the interrupts() that the main thread is in: runs in other threads end with it.
_heard: list[threading.Event] = []


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt after Ctrl-C, for work that has no loop of ours to end."""
    if _heard and _heard[0].is_set():
        raise KeyboardInterrupt


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event (a second one interrupts as usual).

    Inside another one, or in a thread of it, the event is the outer one's.
    """
    if _heard:
        yield _heard[0]
        return
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    previous = signal.getsignal(signal.SIGINT)

    def handler(number: int, frame: Any) -> None:
        if event.is_set() and callable(previous):
            previous(number, frame)
        event.set()

    signal.signal(signal.SIGINT, handler)
    _heard.append(event)
    try:
        yield event
    finally:
        _heard.clear()
        signal.signal(signal.SIGINT, previous)
