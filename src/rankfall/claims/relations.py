"""Relations that a claim puts between a measured and an expected value: at least, at most, close to."""

import math
from collections.abc import Callable
from typing import SupportsFloat

from .._checks import flag, number, shortened
from .claim import Claim, Control


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
