"""How far a sweep is: a line that changes in a terminal, one a minute elsewhere."""

import sys
import time
from typing import TYPE_CHECKING, Any

from .._execution import is_terminal
from .._types import Self

if TYPE_CHECKING:
    from .plan import Plan

_EVERY = 60.0


class Progress:
    """Told by each batch what it has come to."""

    def __init__(self, plan: "Plan", show: bool) -> None:
        self.total, self.batches = plan.runs - plan.stored, len(plan.batches)
        self.show, self.live = show and self.total > 0, show and is_terminal(sys.stderr)
        self.runs = self.done = self.steps = 0
        self.began = self.last = time.monotonic()
        self.bar: Any = None

    def __enter__(self) -> Self:
        if self.show and self.live:
            from rich import progress
            from rich.console import Console

            columns = (
                progress.TextColumn("{task.completed:,} of {task.total:,} runs"), progress.BarColumn(),
                progress.TextColumn("{task.fields[more]}"), progress.TimeElapsedColumn(),
                progress.TimeRemainingColumn(),
            )  # fmt: skip
            self.bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
            self.task = self.bar.add_task("", total=self.total, more=f"0 of {self.batches} batches")
            self.bar.start()
        return self

    def add(self, runs: int, steps: int, loss: list[float]) -> None:
        """Note a batch that is stored."""
        self.runs, self.steps, self.done = self.runs + runs, self.steps + steps, self.done + 1
        now = time.monotonic()
        rate = self.steps / max(now - self.began, 1e-9) / 1e6
        spread = " to ".join(f"{x:.1e}" for x in dict.fromkeys(loss))
        more = f"{self.done} of {self.batches} batches, {rate:.1f} M lane-steps/s, loss {spread or '-'}"
        if self.bar is not None:
            self.bar.update(self.task, completed=self.runs, more=more)
        elif self.show and now - self.last > _EVERY:
            self.last = now
            left = (now - self.began) * (self.total - self.runs) / max(self.runs, 1)
            print(f"{self.runs:,} of {self.total:,} runs, {more}, {left:.0f} s left", file=sys.stderr, flush=True)

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.stop()
