"""Which of many starts to believe: the one whose answer is best where training did not look."""

import dataclasses

import numpy as np

from .. import _checks
from .run import Run


def best_of(run: Run, by: str = "held_out_error") -> Run:
    """Pick the lane of a run that is least in a recorded measure at its end.

    Parameters
    ----------
    run : Run
        Of many starts, trained with ``hold_out=``.
    by : str
        Name of a recorded number: ``"held_out_error"``, ``"test_error"``, ``"loss"``, ...

    Returns
    -------
    Run
        Of that lane alone, without records that only other lanes have.

    Raises
    ------
    ValueError
        If the measure was not recorded, is no single number, or is a number in no lane.

    Notes
    -----
    From few observations some starts end at other solutions, which fit as well and can be far away. They are told by
    observations that training did not see. Afterwards train on from ``best_of(run).final`` with all observations.

    Examples
    --------
    >>> import jax, numpy as np, rankfall as rf
    >>> truth = np.outer(np.arange(1.0, 7.0), np.ones(6))
    >>> problem = rf.MatrixCompletion.from_mask(truth, np.random.default_rng(0).random((6, 6)) < 0.7)
    >>> starts = rf.MatrixFactorization.init((6, 6), 2, scale=1e-6, key=jax.random.split(jax.random.key(0), 4))
    >>> run = rf.train(problem, starts, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-12), hold_out=0.1)
    >>> best = rf.best_of(run)
    >>> best.stop_reason, bool(best.trajectory["held_out_error"][0, -1] < 1e-2)
    ('loss', True)
    """
    if not isinstance(run, Run):
        raise ValueError(f"run is {_checks.shortened(run)}, but must be what rf.train(...) returns.")
    numbers = [str(name) for name, v in run.trajectory.items() if v.dims == ("lane", "record")]
    if by == "held_out_error" and by not in numbers:
        raise ValueError("run has no held_out_error, but best_of needs one; train with hold_out=0.1, or name another.")
    _checks.one_of("by", by, numbers)
    last = (run.trajectory["step"].values >= 0).sum(axis=1) - 1
    values = run.trajectory[by].values[np.arange(len(last)), last]
    if not np.isfinite(values).any():
        raise ValueError(f"by is {by!r}, which is finite at the end of no lane, but must be so of one at least.")
    lane = int(np.nanargmin(np.where(np.isfinite(values), values, np.nan)))
    final = run.final if run.final.lanes is None else run.final.lane(lane)
    # Other lanes may have more records: what is left of this one without them ends with its last.
    trajectory = run.trajectory.isel(lane=[lane], record=slice(0, int(last[lane]) + 1))
    return dataclasses.replace(run, final=final, trajectory=trajectory)
