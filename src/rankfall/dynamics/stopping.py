"""When training ends, and what the reason is called."""

import dataclasses

from .. import _checks

# The compiled loop carries the reason as a small integer; 0 means "still training".
RUNNING, LOSS, STEPS, DIVERGED, SECONDS, INTERRUPTED, FLOW_TIME, STATIONARY, STALLED, CERTIFICATE = range(10)
REASONS = (
    "",
    "loss",
    "steps",
    "diverged",
    "seconds",
    "interrupted",
    "flow_time",
    "stationary",
    "stalled",
    "certificate",
)


@dataclasses.dataclass(frozen=True)
class Stop:
    """Training of a lane ends at the first of these.

    Parameters
    ----------
    loss : float, optional
        End at the first step whose loss is at or below this, with ``stop_reason`` ``"loss"``.
    steps : int, optional
        End after this many steps, ``"steps"``. Without it ten million steps of descent, a hundred thousand of a flow,
        so that nothing runs for ever.
    flow_time : float, optional
        End at this flow time, ``"flow_time"``: exactly there for a flow; for gradient descent with a fixed step at
        the first step whose time (step size times steps) has reached it.
    seconds : float, optional
        End after this much wall time, ``"seconds"`` (looked at between compiled chunks of about a quarter second).

    Raises
    ------
    ValueError
        If a value is not positive.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.Stop(loss=1e-4)
    Stop(loss=0.0001, steps=None, flow_time=None, seconds=None)
    """

    loss: float | None = None
    steps: int | None = None
    flow_time: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.loss is not None:
            _checks.positive("loss", self.loss, "leave it out to train for a number of steps")
        if self.steps is not None:
            _checks.positive_integer("steps", self.steps)
        if self.flow_time is not None:
            _checks.positive("flow_time", self.flow_time)
        if self.seconds is not None:
            _checks.positive("seconds", self.seconds)
