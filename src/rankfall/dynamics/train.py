"""``train``: one call from a problem and a start to a run."""

import time
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from .._execution import interrupts, is_tracing, make_room, side_by_side, threads_for
from .._version import __version__
from ..factorizations.base import AbstractFactorization, AbstractModel
from ..networks import Network
from ..problems import AbstractProblem
from .base import AbstractDynamics
from .batch import Task
from .checkpoint import Checkpoint, Keeper, checkpoint_of
from .monitor import Monitor
from .recording import Record, dimensions
from .run import Run, assemble
from .stopping import Stop


def train(
    problem: AbstractProblem,
    start: eqx.Module,
    dynamics: AbstractDynamics,
    *,
    stop: Stop | None = None,
    record: Record | None = None,
    progress: bool = True,
    hold_out: float | None = None,
    checkpoint: Checkpoint | str | Path | None = None,
) -> Run:
    """Train from a start, or from many at once.

    Parameters
    ----------
    problem : AbstractProblem
        What is observed, and the loss on it; its ``dtype`` is the precision of the training.
    start : factorization, or callable Equinox module
        A single start, or lanes; lanes are trained as one compiled batch, each until its own end. A module is a start
        on `Supervised` problems.
    dynamics : GradientDescent, GradientFlow, SpectralFlow, ...
        How the start moves.
    stop : Stop, optional
        ``Stop()`` by default: ten million steps of descent, a hundred thousand of a flow.
    record : Record, optional
        By default 200 log-spaced steps of descent, every step of a flow.
    progress : bool
        Show loss and steps per second on stderr; silent anyway where stderr is no terminal.
    hold_out : float, optional
        Share of the observations that training does not see, drawn at random, the same for every run on a problem.
        Recorded is ``held_out_error``, the root mean square residual there; `best_of` picks the lane by it.
    checkpoint : Checkpoint, str or path, optional
        File in which the state of the training is kept while it is under way. If it is there, of this same training,
        that goes on from it, with the result of one that was never interrupted, to the last bit. See `Checkpoint`.

    Returns
    -------
    Run
        Also after Ctrl-C (``stop_reason`` ``"interrupted"``), with what was recorded so far; the checkpoint stays.
        Losses that are not
        finite end a lane with ``"diverged"``.

    Raises
    ------
    ValueError
        If the start does not fit the problem, a step size is given per lane for another number of lanes, or
        ``hold_out`` is no share or leaves nothing to hold out, or ``checkpoint`` is the file of another training.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> problem = rf.two_by_two()
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-2, det_sign=1,
    ...                                     key=jax.random.key(0))
    >>> run = rf.train(problem, start, rf.GradientDescent(1e-2), stop=rf.Stop(loss=1e-2))
    >>> run.stop_reason, bool(abs(run.final.full()[0, 0]) > 6.9)
    ('loss', True)
    """
    stop = Stop() if stop is None else stop
    if record is None:
        record = dynamics.default_record if isinstance(dynamics, AbstractDynamics) else Record()
    for name, value, kind, example in (
        ("problem", problem, AbstractProblem, "a problem such as rf.two_by_two()"),
        ("dynamics", dynamics, AbstractDynamics, "a dynamics such as rf.GradientDescent(1e-2)"),
        ("stop", stop, Stop, "rf.Stop(...)"),
        ("record", record, Record, "rf.Record(...)"),
    ):
        if not isinstance(value, kind):
            raise ValueError(f"{name} is {_checks.shortened(value)}, but must be {example}.")
    _refuse_tracing(problem, start)
    make_room()
    began = time.monotonic()
    place, held_out, whole = checkpoint_of(checkpoint), None, problem
    if hold_out is not None:
        problem, held_out = problem.hold_out(hold_out)
    if isinstance(start, eqx.Module) and not isinstance(start, AbstractFactorization) and callable(start):
        start = Network(start)
    laned = dynamics.prepare(problem, start)
    assert isinstance(start, AbstractModel)  # anything else was refused
    told_by = {"problem": whole, "start": start, "dynamics": dynamics, "stop": stop, "record": record}
    keeper = Keeper(place, told_by | {"hold_out": hold_out}, began)
    # Lanes are shared out as they were: another number of cores would share them out anew.
    groups = dynamics.groups(laned) if keeper.groups is None else keeper.groups
    with interrupts() as interrupted, Monitor(laned.lanes, progress, keeper, stop, interrupted) as monitor:
        task = Task(problem, held_out, laned, stop, record)
        parts = [dynamics.batch(task, group) for group in groups]
        keeper.take_up(parts, groups)
        with threads_for(max(problem.shape)):
            side_by_side([partial(part.run, monitor) for part in parts])
    reasons = np.concatenate([part.reasons for part in parts])
    final = jax.tree.map(lambda *lanes: np.concatenate(lanes), *[part.final() for part in parts])
    pieces = [piece for part in parts for piece in part.pieces]
    trajectory = assemble(pieces, problem, record, reasons, dimensions(problem, final))
    keeper.end(bool((reasons == "interrupted").any()))
    seconds = time.monotonic() - keeper.began
    trajectory.attrs = {
        "rankfall_version": __version__,
        **{k: str(v) if isinstance(v, bool | type(None)) else v for k, v in problem.describe().items()},
        **start.describe(),
        **dynamics.describe(),
        **({} if held_out is None else {"held_out": held_out.observed}),
        "device": jax.devices()[0].platform,
        "jax_version": jax.__version__,
    }
    return Run(problem, dynamics, final if start.lanes is not None else final.lane(0), trajectory, seconds)


def _refuse_tracing(problem: AbstractProblem, start: eqx.Module) -> None:
    remedy = "lanes and an array of step sizes train many starts at once"
    if is_tracing():
        raise ValueError(
            f"train was called in a function that JAX compiles, but returns values; call it outside of jit ({remedy})."
        )
    _checks.not_traced("problem", problem, remedy)
    _checks.not_traced("start", start, remedy)
