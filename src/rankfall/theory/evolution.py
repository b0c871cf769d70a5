"""The statements about the way from record to record: what must never change, and how fast the rest does.

What is conserved is checked to the tolerance of the integrators; what holds in the limit of large unobserved entries
is checked where a run reaches it, and to leading order.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rankfall.dynamics.flow.independent import VELOCITY_TOLERANCE
from rankfall.dynamics.flow.system import ENERGY_TOLERANCE
from rankfall.theory import bounds, rates
from rankfall.theory._inputs import FloatArray
from rankfall.theory.certificate import Statement
from rankfall.theory.records import Records
from rankfall.theory.span import SPAN_TOLERANCE, span_errors

# Error of ln|det W| that counts as lost, and the fewest records over which a rate can be integrated.
_LOG_DET, _FEWEST = 1e-3, 8
# Leading order: how far times and laws may be off, and from where on they are looked at.
_TIME_OFF, _LAW_OFF = 0.05, 0.01
_SMALL_START, _SMALL_LOSS, _LARGE_ENTRY = 1e-2, 1e-4, 1e4
_VALLEY = "end-to-end dynamics of Arora, Cohen and Hazan (2018) along the rank-1 valley, leading order"


def conserved(records: Records) -> Iterator[Statement]:
    """Loss, determinant sign, and what the dynamics records of energy and balance."""
    exists, loss = records.exists, records["loss"]
    before = np.concatenate([loss[:, :1], loss[:, :-1]], axis=1)
    later = np.arange(loss.shape[1]) > 0
    yield Statement(
        "loss-never-increases", "No record has a larger loss than the one before.", "gradient flow",
        loss, before, False, exists & later, records.tolerance, "there is one record only",
    )  # fmt: skip
    yield Statement(
        "determinant-sign", "At every record the determinant has the sign that the theorem asks of the start.",
        "Razin and Cohen (2020), lemma on the determinant's sign", records.sign, np.ones_like(loss), True, exists, 0.0,
    )  # fmt: skip
    if "energy_error" in records:
        text = "The loss lost is the integral of the squared gradient (error as a share of the first loss)."
        yield _small(records, "energy", text, "gradient flow", records["energy_error"], ENERGY_TOLERANCE, exists)
    if "balance_drift" in records:
        text = "The layers keep their balance (drift as a share of the largest squared factor)."
        allowed = float(getattr(records.run.dynamics, "balance_tolerance", ENERGY_TOLERANCE))
        source = "Arora, Cohen and Hazan (2018), theorem 1"
        yield _small(records, "balance", text, source, records["balance_drift"], allowed, exists)
    if "velocity_error" in records and records.flow:
        yield _velocity(records)
    if "end_to_end" in records and records.flow and records.depth >= 2:
        if records.depth == round(records.depth):
            yield _span(records)
        if records.family.size == 2:
            yield _log_determinant(records)


def asymptotic(records: Records) -> Iterator[Statement]:
    """Rates and laws in large unobserved entries, those whose range the run reaches."""
    depth = records.depth
    if not records.family.base or depth < 2:
        return
    small = records.exists & (records.start_scale <= _SMALL_START) & (records.loss <= _SMALL_LOSS)
    # A determinant may underflow, and a loss of 0 makes the bound infinite.
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        gap = records.entry / bounds.unobserved_lower_bound(records.loss) - 1.0
        off = np.abs(gap / records.determinant - 1.0)
    found = []
    if records.flow:
        text = f"Where loss <= {_SMALL_LOSS:g}, |unobserved entry| / B(loss) - 1 is the determinant, to first order."
        # A smaller determinant drowns in the rounding of the quotient.
        seen = small & (records.determinant >= 1e-9)
        found.append(_small(records, "gap-is-determinant", text, _VALLEY, off, _LAW_OFF, seen))
    if depth == round(depth):
        found.append(_flow_time(records, small))
        if depth > 2 and records.flow:
            found.append(_depth_law(records))
    yield from (statement for statement in found if statement.tested.any())


def _velocity(records: Records) -> Statement:
    text = (
        "At every record the state moves as W' = -sum_j (W W^T)^((j-1)/L) grad (W^T W)^((L-j)/L), or the factors down "
        "their gradient, computed in another form (difference as a share of the velocity)."
    )
    source = "Arora, Cohen and Hazan (2018), theorem 1"
    return _small(records, "velocity", text, source, records["velocity_error"], VELOCITY_TOLERANCE, records.exists)


def _span(records: Records) -> Statement:
    text = (
        "From a record to the next the balanced factors of the matrix flow to the matrix recorded there, integrated "
        "once more (error as a share of the way)."
    )
    off = span_errors(records)
    tested = np.isfinite(off)
    off = np.where(tested, off, 0.0)
    statement = _small(records, "short-span", text, "gradient flow of the factors", off, SPAN_TOLERANCE, tested)
    return statement._replace(untested="no two records are near enough to each other to be joined by the factors' flow")


def _flow_time(records: Records, small: NDArray[np.bool_]) -> Statement:
    scale = np.minimum(np.where(records.start_scale > 0, records.start_scale, 1.0), 1.0)
    valley, escape = rates.flow_time(records.loss, records.depth), rates.escape_time(scale, records.depth)
    off = np.abs(records.time / (valley + escape) - 1.0)
    # The escape is known to a factor only, for it depends on the direction of the start.
    tested = small & (escape <= 1e-3 * valley) & (records.determinant <= 0.01) & np.isfinite(records.time)
    text = "A small balanced start reaches a small loss at flow_time(loss) + escape_time(scale) (relative error)."
    return _small(records, "flow-time", text, _VALLEY, off, _TIME_OFF, tested)


def _depth_law(records: Records) -> Statement:
    entry = np.where(records.exists, records.entry, 1.0)
    off = np.abs(records.determinant / rates.depth_law_determinant(entry, records.depth) - 1.0)
    log_second = records["log_singular_values"][..., -1]
    # What is left of the start: sigma_2^(-(1 - 2/L)) grows from there, and must have grown a thousandfold.
    with np.errstate(invalid="ignore"):  # of a singular matrix nothing is left that could grow
        memory = np.exp((1.0 - 2.0 / records.depth) * (log_second - log_second[:, :1]))
    tested = records.exists & (entry > _LARGE_ENTRY) & (memory < 1e-3)
    text = "The determinant follows its depth law once |unobserved entry| is large (relative error)."
    return _small(records, "depth-law", text, _VALLEY, off, _LAW_OFF, tested)


def _log_determinant(records: Records) -> Statement:
    """``ln|det W|`` against the integral of its rate: a spline through the records, with its own error estimate."""
    rate, log_det = _log_determinant_rate(records), records["log_abs_det"]
    off, fine = np.zeros_like(log_det), True
    regular = np.asarray((np.isfinite(log_det) | ~records.exists).all(axis=1))
    for lane, exists in enumerate(records.exists):
        count = int(exists.sum())
        if not regular[lane]:
            continue
        if count < 2 * _FEWEST:
            fine = False
            continue
        times, values = records["time"][lane, :count], rate[lane, :count]
        change = log_det[lane, :count] - log_det[lane, 0]
        whole, half = (_integral(times, values, every) for every in (1, 2))
        size = 1.0 + np.abs(change).max()
        fine = bool(fine and np.abs(whole - half).max() <= _LOG_DET * size)
        off[lane, :count] = np.abs(whole - change) / size
    text = (
        "ln|det W| changes by the integral of -L sum_r sigma_r^(1 - 2/L) <grad, u_r v_r^T> (error as a share of 1 plus "
        "the largest change)."
    )
    source = "Arora, Cohen, Hu and Luo (2019), theorem 3"
    tested = records.exists & fine & regular[:, None]
    statement = _small(records, "log-determinant", text, source, off, _LOG_DET, tested)
    apart = "the records are too far apart to integrate the rate of ln|det W|"
    return statement._replace(untested=apart if regular.any() else "the matrix is singular, and ln|det W| infinite")


def _integral(times: FloatArray, values: FloatArray, every: int) -> FloatArray:
    """Integral from the first time to each, by a spline through every so manieth record and the last."""
    from scipy.interpolate import CubicSpline  # a tenth of a second, which only this statement needs

    chosen = np.unique(np.append(np.arange(0, len(times), every), len(times) - 1))
    return np.asarray(CubicSpline(times[chosen], values[chosen]).antiderivative()(times))


def _log_determinant_rate(records: Records) -> FloatArray:
    problem, depth = records.run.problem, records.depth
    matrices = np.where(records.exists[..., None, None], records["end_to_end"], np.eye(2))
    slope = np.asarray(problem.gradient(matrices))
    u, _, vt = np.linalg.svd(matrices)
    along = np.einsum("...ir,...ij,...rj->...r", u, slope, vt)
    # Rounding turns the sign of the second pair of vectors; the determinant's, which the dynamics knows, turns it back.
    turned = np.linalg.det(u) * np.linalg.det(vt) * records["det_sign"] < 0
    along[..., 1] *= np.where(turned, -1.0, 1.0)
    singular = np.where(records.exists[..., None], records["singular_values"], 1.0)
    return np.asarray(-depth * (singular ** (1.0 - 2.0 / depth) * along).sum(axis=-1))


def _small(
    records: Records, name: str, text: str, source: str, measured: FloatArray, allowed: float, tested: NDArray[np.bool_]
) -> Statement:
    """State that an error is at most the allowed one; rounding is part of what is allowed."""
    bound = np.full_like(measured, allowed)
    return Statement(name, text, source, measured, bound, False, tested & records.exists, 0.0)
