"""What tells one training from another, as a word: problem, start and rule, and the code of what is the user's own."""

import contextlib
import hashlib
import inspect
import json
import re
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._execution import KNOWN, name_of
from .plain import Plain


class Identity(Plain):
    """Writes down what tells a training from others: functions and classes of the user's own count by their code too.

    What such a function calls in turn is not looked at.
    """

    _jax = "array"

    def __init__(self) -> None:
        super().__init__()
        # Functions may hold themselves.
        self.under_way: list[object] = []

    def name(self, thing: Any, where: str) -> Any:
        """Return the name, and of what is not of a known package the code."""
        found, called = name_of(thing), f"{getattr(thing, '__module__', '')}:{getattr(thing, '__qualname__', '')}"
        if (found is not None and _known(thing)) or any(thing is other for other in self.under_way):
            return called
        self.under_way.append(thing)
        try:
            if isinstance(thing, type):
                own = [vars(base) for base in inspect.getmro(thing) if not _known(base) and base is not object]
                return [called, [[name, _method(f)] for names in own for name, f in names.items() if _method(f)]]
            if not isinstance(thing, types.FunctionType):
                return [called]
            held = [_closed_over(thing), thing.__defaults__, thing.__kwdefaults__]
            return [called, _code(thing.__code__), self.of(held, where)]
        finally:
            self.under_way.pop()

    def field(self, owner: object, name: str, value: Any, where: str) -> Any:
        """Write a field down, whatever it is."""
        return self.of(value, where)

    def unknown(self, value: object, where: str) -> Any:
        """Write down how Python prints it, without where in memory it is."""
        if isinstance(value, types.MethodType):
            return [self.of(value.__self__, where), self.of(value.__func__, where)]
        return [type(value).__qualname__, re.sub(r" at 0x[0-9a-f]+", "", repr(value))]

    def digest(self, value: Any) -> str:
        """Return a word that is another for another value.

        Examples
        --------
        >>> import rankfall as rf
        >>> one, other, again = (Identity().digest(rf.Stop(loss=x)) for x in (0.1, 0.2, 0.1))
        >>> one == again != other
        True
        """
        return _digest(json.dumps(self.of(value, "")), self.arrays)


def _digest(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of a text and of arrays by name, as hexadecimal digits."""
    found = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _known(thing: Any) -> bool:
    """Whether something is of a package whose versions are told apart by themselves."""
    return str(getattr(thing, "__module__", "")).partition(".")[0] in KNOWN


def _method(thing: Any) -> list[Any]:
    """Return the code of a method of a class, however it is wrapped; nothing of what is no method."""
    for name in ("fget", "__func__", "method", "__wrapped__"):
        thing = getattr(thing, name, thing)
    return _code(thing.__code__) if isinstance(thing, types.FunctionType) else []


def _closed_over(function: types.FunctionType) -> list[Any]:
    """Return the values that a function has from around it; one that is not set yet is left out."""
    found = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):
            found.append(cell.cell_contents)
    return found


def _code(code: types.CodeType) -> list[Any]:
    """Return the instructions of a function and what they refer to."""
    constants: list[Any] = []
    for c in code.co_consts:
        if isinstance(c, types.CodeType):
            constants.append(_code(c))
        else:
            # The order of a set depends on the process.
            constants.append(sorted(map(repr, c)) if isinstance(c, frozenset) else repr(c))
    return [code.co_code.hex(), list(code.co_names), constants]
