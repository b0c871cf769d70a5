"""The progress line, the wall clock and Ctrl-C, shared by all batches of a run."""

import sys
import threading
import time

import numpy as np

from .._execution import is_terminal
from .checkpoint import Keeper
from .stopping import INTERRUPTED, RUNNING, SECONDS, Stop

# Of runs side by side one shows its progress, the others wait for the place.
_place = threading.Lock()


class Monitor:
    """Told by each batch how far it is; says when to end, shows the progress on a terminal, and has it written down."""

    def __init__(self, lanes: int, progress: bool, keeper: Keeper, stop: Stop, interrupted: threading.Event) -> None:
        self.lanes, self.keeper, self.stop, self.interrupted = lanes, keeper, stop, interrupted
        self.began = keeper.began
        self.show = progress and is_terminal(sys.stderr)
        self.lock, self.last, self.shown = threading.Lock(), 0.0, False
        self.work: dict[int, np.ndarray] = {}

    def report(self, batch: int, steps: np.ndarray, losses: np.ndarray) -> int:
        """Note how far a batch is; return the reason to end it now, if there is one."""
        now = time.monotonic()
        if self.interrupted.is_set():
            return INTERRUPTED
        if self.stop.seconds is not None and now - self.began >= self.stop.seconds:
            return SECONDS
        if self.show:
            with self.lock:
                self.work[batch] = steps
                self.shown = self.shown or _place.acquire(blocking=False)
                if self.shown and now - self.last > 0.1:
                    self._draw(now, losses)
        return RUNNING

    def _draw(self, now: float, losses: np.ndarray) -> None:
        steps = np.concatenate(list(self.work.values()))
        rate = steps.sum() / max(now - self.began, 1e-9)
        loss = f"loss {np.max(losses):.2e}" if len(losses) else "loss -"
        line = f"step {steps.max():,}  {loss}  {rate / 1e6:.2f} M lane-steps/s  {self.lanes} lanes"
        sys.stderr.write(f"\r{line:<76}")
        sys.stderr.flush()
        self.last = now

    def __enter__(self) -> "Monitor":
        return self

    def __exit__(self, *error: object) -> None:
        """Wipe the line and leave the place to another run."""
        if self.shown:
            sys.stderr.write("\r" + " " * 76 + "\r")
            sys.stderr.flush()
            self.shown = False
            _place.release()
