"""Ctrl-C as an event that compiled loops look at between chunks."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# The event of the interrupts() that the main thread is in: runs in other threads end with it.
_heard: list[threading.Event] = []


def raise_if_interrupted() -> None:
    """Raise KeyboardInterrupt after Ctrl-C, for work that has no loop of ours to end."""
    if any(event.is_set() for event in tuple(_heard)):
        raise KeyboardInterrupt


@contextmanager
def interrupts() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event; a second one does what it would have done without.

    Inside another one, or in a thread of it, the event is the outer one's. The handler is replaced in the main thread
    alone, and only where it can be put back: not where the host ignores Ctrl-C, nor where a handler was installed
    from C, which Python can neither call nor restore.
    """
    if outer := tuple(_heard):
        yield outer[0]
        return
    event = threading.Event()
    previous = signal.getsignal(signal.SIGINT)
    if previous in (None, signal.SIG_IGN) or threading.current_thread() is not threading.main_thread():
        yield event
        return

    def handler(number: int, frame: FrameType | None) -> None:
        first = not event.is_set()
        event.set()
        if first:
            return
        if callable(previous):
            previous(number, frame)
        else:  # the system's own: it ends the process
            signal.signal(signal.SIGINT, previous)
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, handler)
    _heard.append(event)
    try:
        yield event
    finally:
        _heard.clear()
        # What somebody else has put there meanwhile stays.
        if signal.getsignal(signal.SIGINT) is handler:
            signal.signal(signal.SIGINT, previous)


@contextmanager
def ends_with(event: threading.Event) -> Iterator[None]:
    """End the runs of this process with an event, where no Ctrl-C is pressed: in a process that works for another."""
    outer = tuple(_heard)
    _heard[:] = [event]
    try:
        yield
    finally:
        _heard[:] = outer


@contextmanager
def terminations() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, so that a scheduler's signal ends work as gently; in the main thread alone."""
    previous = signal.getsignal(signal.SIGTERM)
    if previous != signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, lambda number, frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
