"""A claim: a statement with its source, what was expected, what was measured, and whether that holds.

A claim that cannot fail proves nothing, so it may carry a negative control: the same measurement where the statement
must be false, and whether it indeed failed there.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, SupportsFloat, TypeAlias, TypedDict

import numpy as np

from .._checks import shortened

# A number of Python or NumPy, or a word; to_dict turns all of them into what JSON has.
Value: TypeAlias = SupportsFloat | str
Truth: TypeAlias = bool | np.bool_


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
    fails: Truth


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
    holds : bool or None
        Verdict of the comparison; None where the claim does not apply, as one of published settings at others.
    control : Control or None
        Negative control with the keys ``what``, ``measured`` and ``fails``.

    Raises
    ------
    ValueError
        If ``control`` has other keys.

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
    holds: Truth | None
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
    def applies(self) -> bool:
        """Whether the claim speaks of what was measured: a claim that does not has neither held nor failed."""
        return self.holds is not None

    @property
    def ok(self) -> bool:
        """Whether the claim applies and holds, and its negative control, if it has one, fails as it must."""
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


def _plain(value: Any) -> Any:
    """Translate a value into types that JSON has."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
