"""A certificate: a claim about a whole run, with its worst margin and the place where that occurred."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rankfall.claims import Claim
from rankfall.theory._inputs import FloatArray


@dataclass(frozen=True, kw_only=True)
class Certificate(Claim):
    """One statement put to every record of a run.

    Parameters
    ----------
    name : str
        Short identifier.
    statement : str
        What is claimed, in one sentence.
    source : str
        Where it comes from.
    expected, measured : float or str
        Bound and measured value at the worst place; NaN where nothing was compared.
    tolerance : float
        Rounding that the comparison allows, relative to the bound.
    holds : bool
        Whether it is certified: the run is one the theorem speaks about, and ``margin >= -tolerance``.
    control : Control or None
        None: runs that must not be certified are checked like any other.
    margin : float
        Worst signed slack, relative to the bound: at least 0 where the inequality held outright, NaN where it was put
        to no record.
    where : dict
        ``lane``, ``record``, ``step``, ``time`` and ``loss`` (as recorded) of the worst place; empty if there is none.
    reason : str
        Why it is not certified; otherwise what the certificate rests on, or nothing.

    Raises
    ------
    ValueError
        If ``control`` has other keys than a control's.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, is where most of the statements come from; ``source`` says which.

    Examples
    --------
    >>> one = Certificate("n", "s", "o", 1.0, 2.0, 1e-9, True, margin=1.0, where={"lane": 0}, reason="")
    >>> one.certified, list(one.to_dict())[8:]
    (True, ['margin', 'where', 'certified', 'reason'])
    """

    margin: float
    where: dict[str, float]
    reason: str

    @property
    def certified(self) -> bool:
        """The verdict; the same as ``holds``, so that what is not certified never passes for a claim that holds."""
        return bool(self.holds)

    def to_dict(self) -> dict[str, Any]:
        """Fields of a claim, then ``margin``, ``where``, ``certified`` and ``reason``, ready for JSON.

        Returns
        -------
        dict
            Plain Python values, non-finite numbers as words.

        Examples
        --------
        >>> nothing = Certificate("n", "s", "o", 1.0, 1.0, 0.0, False, margin=float("nan"), where={}, reason="vacuous")
        >>> nothing.to_dict()["margin"], nothing.to_dict()["certified"]
        ('nan', False)
        """
        fields = super().to_dict()
        reason = fields.pop("reason")
        return {**fields, "certified": self.certified, "reason": reason}


class Statement(NamedTuple):
    """An inequality between two recorded quantities, arrays of shape (lanes, records).

    ``least`` says that ``measured >= bound``, otherwise ``measured <= bound``. ``tested`` are the records at which it
    says something, ``untested`` the reason to give where there are none.
    """

    name: str
    text: str
    source: str
    measured: FloatArray
    bound: FloatArray
    least: bool
    tested: NDArray[np.bool_]
    tolerance: float
    untested: str = "vacuous at every record"


def relative_slack(statement: Statement) -> FloatArray:
    """Signed slack of each record as a share of the bound; minus infinity where the two cannot be compared."""
    measured, bound = statement.measured, statement.bound
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = measured / bound
        slack = ratio - 1.0 if statement.least else 1.0 - ratio
    slack = np.where(measured == bound, 0.0, slack)
    return np.where(np.isnan(slack), -np.inf, slack)


def judge(statement: Statement, places: dict[str, NDArray[Any]], objections: str, basis: str) -> Certificate:
    """Find the worst place of a statement; ``objections`` to the run keep it from being certified."""
    tested = np.broadcast_to(statement.tested, statement.measured.shape)
    words = (statement.name, statement.text, statement.source)
    if not tested.any():
        reason = "; ".join(filter(None, [objections, statement.untested]))
        nan = float("nan")
        return Certificate(*words, nan, nan, statement.tolerance, False, margin=nan, where={}, reason=reason)
    slack = np.where(tested, relative_slack(statement), np.inf)
    lane, record = (int(i) for i in np.unravel_index(np.argmin(slack), slack.shape))
    margin = float(slack[lane, record])
    held = margin >= -statement.tolerance
    where = {"lane": lane, "record": record} | {name: values[lane, record].item() for name, values in places.items()}
    got, wanted = (float(np.broadcast_to(a, slack.shape)[lane, record]) for a in (statement.measured, statement.bound))
    compared = f"{got:.6g} is {'below' if statement.least else 'above'} {wanted:.6g}"
    violated = "" if held else f"violated: {compared} in lane {lane} at step {where['step']}"
    silent = ~tested.any(axis=1)
    partly = f"put to no record of {int(silent.sum())} of {silent.size} lanes" if silent.any() else ""
    reason = "; ".join(filter(None, [objections, violated] if objections or violated else [basis, partly]))
    certified = held and not objections
    numbers = (wanted, got, statement.tolerance)
    return Certificate(*words, *numbers, certified, margin=margin, where=where, reason=reason)
