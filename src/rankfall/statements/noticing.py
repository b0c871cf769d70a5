"""Would ``verify`` notice? Single changes of the science, made in memory one after another.

A change replaces one function wherever the package has it by name, and forgets what is compiled. Then statements are
checked, first those that are to notice, until one no longer holds or its control no longer fails.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax

from .. import _checks
from .._execution import for_few_calls, forget_compiled
from ..claims import Claim
from .changes import CHANGES, Change

# Rooms of which nothing is part of compiled code.
_UNCOMPILED = ("theory.", "claims.")


class Noticed(NamedTuple):
    """What became of one change.

    Attributes
    ----------
    change : Change
        What was changed.
    statement : str or None
        The statement that noticed; ``None`` where none did.
    claim : Claim or None
        The claim that does not hold, or whose control does not fail, or what says that the check ended in an error.
    seconds : float
        Wall time.

    Examples
    --------
    >>> from rankfall.statements import self_test
    >>> (found,) = self_test(["half-the-excess"])
    >>> found.change.what, found.claim.name
    ('half the excess of the effective rank', 'known-spectra')
    """

    change: Change
    statement: str | None
    claim: Claim | None
    seconds: float


def self_test(names: Sequence[str] | None = None, say: Callable[[Noticed], object] | None = None) -> list[Noticed]:
    """Change the science in one place after another, and see which statement notices.

    Parameters
    ----------
    names : sequence of str, optional
        Which changes; all by default.
    say : callable, optional
        Is told what became of each change.

    Returns
    -------
    list of Noticed
        In the order asked for.

    Raises
    ------
    ValueError
        If a name is unknown.

    Notes
    -----
    Functions of this process are replaced meanwhile, and compiled functions forgotten, those of the host too: it is
    meant for a process of its own, such as ``rankfall verify --self-test``.

    Examples
    --------
    >>> from rankfall.statements import self_test
    >>> [found.statement for found in self_test(["effective-rank-in-base-two"])]
    ['known-spectra']
    """
    known = {change.name: change for change in CHANGES}
    wanted = list(known) if names is None else _checks.sequence("names", names, "a list of names of changes")
    for name in wanted:
        _checks.one_of("names", name, known)
    found = []
    for name in dict.fromkeys(wanted):
        found.append(_noticed(known[name]))
        if say is not None:
            say(found[-1])
    return found


def _noticed(change: Change) -> Noticed:
    from . import STATEMENTS, crashed

    began, claim = time.monotonic(), None
    with changed(change), for_few_calls():
        for statement in change.statements:
            try:
                failed = [claim for claim in STATEMENTS[statement]() if not claim.ok]
            except Exception as error:  # an error is no notice: the change may be one that cannot be made
                claim = crashed(statement, error)
                break
            if failed:
                return Noticed(change, statement, failed[0], time.monotonic() - began)
    return Noticed(change, None, claim, time.monotonic() - began)


@contextmanager
def changed(change: Change) -> Iterator[None]:
    """Make a change for a while, everywhere in this package, and forget compiled code before and after."""
    owner, original = change.found()
    other = change.make(original)
    places = [(owner, change.attribute)] if isinstance(owner, type) else list(_places(original))
    forget = (lambda: None) if change.place.startswith(_UNCOMPILED) else _forget
    forget()
    for place, name in places:
        setattr(place, name, other)
    try:
        yield
    finally:
        for place, name in places:
            setattr(place, name, original)
        forget()


def _places(original: Any) -> Iterator[tuple[Any, str]]:
    package = __name__.partition(".")[0]
    for module_name, module in list(sys.modules.items()):
        if module_name.partition(".")[0] == package:
            yield from ((module, name) for name, value in list(vars(module).items()) if value is original)


def _forget() -> None:
    forget_compiled()
    jax.clear_caches()
