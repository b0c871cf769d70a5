"""``check``: every theorem of this package that speaks about a run, put to all its records."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rankfall import _checks
from rankfall.dynamics import Run
from rankfall.factorizations.spectral import BALANCED
from rankfall.measures.named_norms import is_norm, nearest
from rankfall.theory import evolution, record_bounds
from rankfall.theory.certificate import Certificate, judge
from rankfall.theory.family import family
from rankfall.theory.records import Records, same_norm, schatten_name

_PROBLEMS = "rf.two_by_two(z, z_prime, eps, position=..., size=...), in which one entry is unobserved"
# Ends after which nothing that was recorded can be relied on.
_BAD_ENDS = ("certificate", "diverged", "stalled")
_DESCENT = "of the recorded matrices, all of the required determinant sign; the theorem itself is about the flow"


def check(run: Run, *, norms: Sequence[str | float] | None = None) -> list[Certificate]:
    """Certify a run on ``[[*, z], [z', eps]]``, or say why it cannot be certified.

    Parameters
    ----------
    run : Run
        What ``rankfall.train`` returned, on a problem of ``rankfall.two_by_two``: any position, values, size and loss.
    norms : sequence of str or float, optional
        Which of the recorded norms to look at, by name as in `rankfall.measures.norm`, or by the ``p`` of a Schatten
        norm. All that were recorded by default.

    Returns
    -------
    list of Certificate
        One for each statement, for all lanes together, with the worst margin and where it occurred. One that is not
        certified says so in ``holds``, and why in ``reason``.

    Raises
    ------
    ValueError
        If ``run`` is no run or one on a problem that no theorem here is about, or ``norms`` names one that was not
        recorded.

    Notes
    -----
    A run is certified, or refused, as a whole, whatever its margins: its depth must be 2 or more, its precision double,
    the determinant of every start of the required sign, every start balanced (as a share of the least that the largest
    squared factor can be, ``sigma_1^(2/L)``), and no lane may lose that sign, diverge, or lose what it conserves. Take
    lanes apart with ``dataclasses.replace(run, trajectory=run.trajectory.isel(lane=[0]))``.

    The theorems are about gradient flow: its determinant cannot change sign, and each bound then follows for the matrix
    at hand. Of gradient descent, whose steps are finite, the first half is no theorem but measured: bounds are
    certified as statements about the recorded matrices, if all of these have the required sign. Margins are taken over
    the records that have it, also in a run that is not certified (over all records, if none has it). A bound that says
    nothing (a norm at least 0, an effective rank at most 2) is put to no record; one that never says anything is not
    certified.

    Statements to leading order in the unobserved entry (``gap-is-determinant``, ``depth-law``, ``flow-time``) are
    listed only where a run reaches their range.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, theorems 1 and 2.

    Examples
    --------
    >>> import jax, rankfall as rf
    >>> start = rf.MatrixFactorization.init((2, 2), depth=3, kind="balanced", scale=1e-2, det_sign=1,
    ...                                     key=jax.random.key(0))
    >>> run = rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-2), stop=rf.Stop(loss=1e-2))
    >>> found = {claim.name: claim for claim in rf.theory.check(run, norms=["nuclear"])}
    >>> found["unobserved-entry"].certified, found["unobserved-entry"].margin >= 0
    (True, True)
    >>> found["theorem-1a-nuclear"].certified, found["theorem-1a-nuclear"].reason
    (False, 'vacuous at every record')
    """
    if not isinstance(run, Run):
        raise ValueError(f"run is {_checks.shortened(run)}, but must be what rf.train(...) returns.")
    kin = family(run.problem)
    if kin is None:
        raise ValueError(
            f"run is on a {type(run.problem).__name__} of shape {tuple(run.problem.shape)}, but the theorems are about "
            f"{_PROBLEMS}."
        )
    run.problem.require_least_squares("theory.check")
    records = Records(run, kin)
    chosen = _chosen(norms, list(records.norms))
    objections = "; ".join(_objections(records))
    basis = "" if records.flow else _DESCENT
    listed = [
        *record_bounds.of_matrices(records, chosen),
        *evolution.conserved(records),
        *evolution.asymptotic(records),
    ]
    return [judge(statement, records.places, objections, basis) for statement in listed]


def _chosen(norms: Any, recorded: list[str]) -> list[str]:
    """Names of the norms that are asked for, in the order of asking."""
    if norms is None:
        return recorded
    members = _checks.sequence("norms", norms, f"a list of recorded norms: {', '.join(recorded)}")
    return [_recorded_name(member, recorded) for member in members]


def _recorded_name(member: Any, recorded: list[str]) -> str:
    """Name that a norm was recorded under, of one given by name or by the exponent of a Schatten norm."""
    try:
        name = member if isinstance(member, str) else schatten_name(_checks.number("norms", member))
        found = same_norm(name, recorded)
    except ValueError:
        name, found = "", None
    if found is None:
        near = "" if is_norm(name) else nearest(member)
        raise ValueError(
            f"norms holds {_checks.shortened(member)}, but must hold recorded norms: {', '.join(recorded)}{near}; "
            "record others with rf.Record(measures=[...])."
        )
    return found


def _objections(records: Records) -> list[str]:
    """Say what keeps the theorems from speaking about a run, each with what was measured."""
    found = []
    if records.depth < 2:
        found.append(f"depth {records.depth:g}, but the theorems need 2 or more layers")
    required, sign = records.family.required_det_sign, records.sign
    wrong = sign[:, 0] <= 0
    if wrong.any():
        came = sign[wrong, 0][0] * required
        found.append(f"determinant of sign {came:g} at the start, but it must be {required:+d} ({_lanes(wrong)})")
    found += _unbalanced(records)
    if not records.double:
        eps = np.finfo(records.run.problem.dtype).eps
        found.append(f"single precision, whose rounding ({eps:.1e}) the theorems do not allow for")
    ends = records.run.trajectory["stop_reason"].values
    for end in _BAD_ENDS:
        if (ends == end).any():
            found.append(f"ended with {end!r} ({_lanes(ends == end)})")
    lost = (sign <= 0) & records.exists & ~wrong[:, None]
    if lost.any():
        lanes = np.asarray(lost.any(axis=1))
        lane = int(lanes.argmax())
        record = int(lost[lane].argmax())
        step, loss = records.run.trajectory["step"].values[lane, record], records["loss"][lane, record]
        found.append(f"the determinant lost its sign ({_lanes(lanes)}, by step {step}, at loss {loss:.3g})")
    return found


def _unbalanced(records: Records) -> list[str]:
    if "unbalancedness" not in records or records.depth < 2:
        return []
    largest = np.exp(2.0 / records.depth * records["log_singular_values"][:, 0, 0])
    # The largest squared factor is not recorded; it is at least this, so that the share is not too small.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = records["unbalancedness"][:, 0] / largest
    allowed = max(BALANCED, 100.0 * float(np.finfo(records.run.problem.dtype).eps))
    beyond = ~(share <= allowed)
    if not beyond.any():
        return []
    return [f"unbalanced start: {share[beyond][0]:.2g} of the layers' square, above {allowed:.0e} ({_lanes(beyond)})"]


def _lanes(which: NDArray[np.bool_]) -> str:
    """How many lanes something is true of, and the first."""
    return f"{int(which.sum())} of {which.size} lanes, first lane {int(which.argmax())}"
