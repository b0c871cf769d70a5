"""When training ends, and what the reason is called."""

import dataclasses

from .. import _checks

# The compiled loop carries the reason as a small integer; 0 means "still training".
RUNNING, LOSS, STEPS, DIVERGED, SECONDS, INTERRUPTED = range(6)
REASONS = ("", "loss", "steps", "diverged", "seconds", "interrupted")
DEFAULT_STEPS = 10_000_000


@dataclasses.dataclass(frozen=True)
class Stop:
    """Training of a lane ends at the first of these; at least one of ``loss`` and ``steps`` makes sense to give.

    Parameters
    ----------
    loss : float, optional
        End at the first step whose loss is at or below this, with ``stop_reason`` ``"loss"``.
    steps : int
        End after this many steps, ``"steps"``; ten million by default, so that nothing runs for ever.
    seconds : float, optional
        End after this much wall time, ``"seconds"`` (looked at between compiled chunks of about a quarter second).

    Raises
    ------
    ValueError
        If a value is not positive.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.Stop(loss=1e-4).steps
    10000000
    """

    loss: float | None = None
    steps: int = DEFAULT_STEPS
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.loss is not None:
            _checks.positive("loss", self.loss, "leave it out to train for a number of steps")
        _checks.positive_integer("steps", self.steps)
        if self.seconds is not None:
            _checks.positive("seconds", self.seconds)
