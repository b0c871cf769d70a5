"""A claim: a statement with its source, what was expected, what was measured, and whether that holds.

A claim that cannot fail proves nothing, so it may carry a negative control: the same measurement where the statement
must be false, and whether it indeed failed there.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, SupportsFloat, TypeAlias, TypedDict

import numpy as np

from rankfall._checks import flag, number, shortened

# A number of Python or NumPy, or a word; to_dict turns all of them into what JSON has.
Value: TypeAlias = SupportsFloat | str
Verdict: TypeAlias = bool | np.bool_


class Control(TypedDict):
    """Negative control of a claim.

    Attributes
    ----------
    what : str
        Where the claim must fail.
    measured : float or str
        The value there.
    fails : bool
        Whether the claim failed there.
    """

    what: str
    measured: Value
    fails: Verdict


@dataclass(frozen=True)
class Claim:
    """One checked statement.

    Parameters
    ----------
    name : str
        Short identifier.
    statement : str
        What is claimed, in one sentence.
    source : str
        Where the claim comes from.
    expected, measured : float or str
        The two values compared.
    tolerance : float
        Slack the comparison allowed.
    holds : bool
        Verdict of the comparison.
    control : Control or None
        Negative control with the keys ``what``, ``measured`` and ``fails``.

    Raises
    ------
    ValueError
        If ``control`` has other keys.

    References
    ----------
    Razin and Cohen (2020), arXiv 2005.06398, is where most of the statements come from; ``source`` says which.

    Examples
    --------
    >>> Claim("two", "one and one make two", "arithmetic", 2.0, 2.0, 0.0, True).ok
    True
    """

    name: str
    statement: str
    source: str
    expected: Value
    measured: Value
    tolerance: SupportsFloat
    holds: Verdict
    control: Control | None = None

    def __post_init__(self) -> None:
        control: Any = self.control
        if control is None or (isinstance(control, dict) and set(control) == {"what", "measured", "fails"}):
            return
        came = (
            f"has the keys {', '.join(map(str, control))}" if isinstance(control, dict) else f"is {shortened(control)}"
        )
        raise ValueError(
            f"control {came}, but must have exactly what, measured and fails; pass None for a claim without a "
            "negative control."
        )

    @property
    def ok(self) -> bool:
        """Whether the claim holds and its negative control, if it has one, fails as it must."""
        return bool(self.holds and (self.control is None or self.control["fails"]))

    def to_dict(self) -> dict[str, Any]:
        """Fields in order, ready for JSON: plain Python values, non-finite numbers as ``"inf"``, ``"-inf"``, ``"nan"``.

        Returns
        -------
        dict
            The eight fields; ``control`` is a dictionary or None.

        Examples
        --------
        >>> Claim("n", "s", "o", math.inf, 1.0, 0.0, False).to_dict()["expected"]
        'inf'
        """
        return {key: _plain(value) for key, value in asdict(self).items()}


def at_least(
    name: str,
    statement: str,
    source: str,
    measured: SupportsFloat,
    expected: SupportsFloat,
    tolerance: SupportsFloat = 0.0,
    control: tuple[str, SupportsFloat] | None = None,
    *,
    absolute: bool = False,
) -> Claim:
    """Claim that ``measured >= expected`` up to the tolerance.

    Parameters
    ----------
    name, statement, source : str
        See ``Claim``.
    measured, expected : float
        The values compared; NaN never holds.
    tolerance : float, default 0.0
        Slack, relative to ``|expected|``.
    control : (str, float), optional
        Negative control: what was measured where the statement must be false, and the value, which is put to the
        same comparison; NaN does not count as failing.
    absolute : bool, default False
        Whether ``tolerance`` is in the units of the values instead.

    Returns
    -------
    Claim
        With ``holds`` computed from the numbers.

    Raises
    ------
    ValueError
        If a value is not a real number, ``tolerance`` is negative or not finite, or ``control`` is no pair.

    References
    ----------
    Higham (2002), "Accuracy and Stability of Numerical Algorithms" (relative and absolute error).

    Examples
    --------
    >>> at_least("norm", "the norm exceeds its bound", "theorem 1", measured=2.0, expected=1.0).holds
    True
    """
    wanted, slack = _expected(expected, tolerance, absolute)
    return _claim(name, statement, source, lambda got: got >= wanted - slack, measured, wanted, tolerance, control)


def at_most(
    name: str,
    statement: str,
    source: str,
    measured: SupportsFloat,
    expected: SupportsFloat,
    tolerance: SupportsFloat = 0.0,
    control: tuple[str, SupportsFloat] | None = None,
    *,
    absolute: bool = False,
) -> Claim:
    """Claim that ``measured <= expected`` up to the tolerance.

    Parameters
    ----------
    name, statement, source : str
        See ``Claim``.
    measured, expected : float
        The values compared; NaN never holds.
    tolerance : float, default 0.0
        Slack, relative to ``|expected|``.
    control : (str, float), optional
        Negative control: what was measured where the statement must be false, and the value, which is put to the
        same comparison; NaN does not count as failing.
    absolute : bool, default False
        Whether ``tolerance`` is in the units of the values instead.

    Returns
    -------
    Claim
        With ``holds`` computed from the numbers.

    Raises
    ------
    ValueError
        If a value is not a real number, ``tolerance`` is negative or not finite, or ``control`` is no pair.

    References
    ----------
    Higham (2002), "Accuracy and Stability of Numerical Algorithms" (relative and absolute error).

    Examples
    --------
    >>> at_most("rank", "the rank stays below its bound", "theorem 1", measured=1.2, expected=1.1).holds
    False
    """
    wanted, slack = _expected(expected, tolerance, absolute)
    return _claim(name, statement, source, lambda got: got <= wanted + slack, measured, wanted, tolerance, control)


def close_to(
    name: str,
    statement: str,
    source: str,
    measured: SupportsFloat,
    expected: SupportsFloat,
    tolerance: SupportsFloat,
    control: tuple[str, SupportsFloat] | None = None,
    *,
    absolute: bool = False,
) -> Claim:
    """Claim that ``measured`` equals ``expected`` up to the tolerance.

    Parameters
    ----------
    name, statement, source : str
        See ``Claim``.
    measured, expected : float
        The values compared; NaN never holds, an infinity only equals itself.
    tolerance : float
        Slack, relative to ``|expected|``.
    control : (str, float), optional
        Negative control: what was measured where the statement must be false, and the value, which is put to the
        same comparison; NaN does not count as failing.
    absolute : bool, default False
        Whether ``tolerance`` is in the units of the values instead.

    Returns
    -------
    Claim
        With ``holds`` computed from the numbers.

    Raises
    ------
    ValueError
        If a value is not a real number, ``tolerance`` is negative or not finite, or ``control`` is no pair.

    References
    ----------
    Higham (2002), "Accuracy and Stability of Numerical Algorithms" (relative and absolute error).

    Examples
    --------
    >>> close_to("x", "x is near 1", "theorem 2", measured=1.01, expected=1.0, tolerance=0.05).holds
    True
    """
    wanted, slack = _expected(expected, tolerance, absolute)

    def near(got: float) -> bool:
        return got == wanted or abs(got - wanted) <= slack

    return _claim(name, statement, source, near, measured, wanted, tolerance, control)


def _claim(
    name: str,
    statement: str,
    source: str,
    holds: Callable[[float], bool],
    measured: SupportsFloat,
    expected: float,
    tolerance: SupportsFloat,
    control: tuple[str, SupportsFloat] | None,
) -> Claim:
    """Put the measured value, and that of the control, to one comparison."""
    got = number("measured", measured)
    negative: Control | None = None
    if control is not None:
        if not isinstance(control, tuple | list) or len(control) != 2:
            raise ValueError(
                f"control is {shortened(control)}, but must be a pair; say what was measured, and the value."
            )
        what, value = control[0], number("control's value", control[1])
        # A control that could not be measured shows nothing.
        negative = {"what": what, "measured": value, "fails": not (math.isnan(value) or holds(value))}
    return Claim(name, statement, source, expected, got, float(tolerance), holds(got), negative)


def _expected(expected: SupportsFloat, tolerance: SupportsFloat, absolute: bool) -> tuple[float, float]:
    """Return the expected value as a Python float, and the slack in its units."""
    flag("absolute", absolute)
    wanted, share = number("expected", expected), number("tolerance", tolerance)
    if not (math.isfinite(share) and share >= 0):
        raise ValueError(f"tolerance is {share!r}, but must be finite and not negative; pass 0 for none.")
    if absolute:
        return wanted, share
    # A share of infinity would turn the comparison into one with NaN; beside an infinite value no slack means anything.
    return wanted, share * abs(wanted) if math.isfinite(wanted) else 0.0


def _plain(value: Any) -> Any:
    """Translate a value into types that JSON has."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
