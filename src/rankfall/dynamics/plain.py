"""Problems, models and dynamics as plain data: words that JSON takes, and arrays by name. No code is kept.

Objects are told by the name of their class and their fields, functions by their names. What comes back is made of the
same fields, without its checks being run again.
"""

import dataclasses
import functools
import json
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._execution import double_precision, name_of, named

_WORDS = (type(None), bool, int, str)


class Plain:
    """Writes objects down; the arrays that it meets on the way are in ``arrays``, by where they were.

    What a class says may be left out, and had to be, is listed in ``lost``.

    Examples
    --------
    >>> import rankfall as rf
    >>> plain = Plain()
    >>> plain.of(rf.Stop(loss=0.5), "stop")["of"], plain.arrays
    ('rankfall.dynamics.stopping:Stop', {})
    >>> unplain(plain.of(rf.Stop(loss=0.5), "stop"), {})
    Stop(loss=0.5, steps=None, flow_time=None, seconds=None)
    """

    # How arrays of JAX are marked, which come back as such.
    _jax: ClassVar[str] = "jax"

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.lost: list[str] = []

    def of(self, value: Any, where: str) -> Any:
        """Write a value down; ``where`` says whose it is, for arrays and errors."""
        if type(value) in _WORDS:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if type(value) in (list, tuple, set, frozenset):
            return self._listed(value, where)
        if isinstance(value, dict | types.MappingProxyType):
            return {"dict": [[self.of(k, where), self.of(v, f"{where}.{k}")] for k, v in value.items()]}
        if isinstance(value, np.ndarray | np.generic | jax.Array | bytes):
            return self._array(value, where)
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if isinstance(value, complex):
            return {"complex": [repr(value.real), repr(value.imag)]}
        if isinstance(value, functools.partial):
            return {"partial": self.of([value.func, list(value.args), value.keywords], where)}
        if isinstance(value, type):
            return {"class": self.name(value, where)}
        if callable(value) and (isinstance(value, types.FunctionType) or name_of(value) is not None):
            return {"function": self.name(value, where)}
        return self._object(value, where)

    def name(self, thing: Any, where: str) -> Any:
        """Return the name of a class or function; refuse one that no name leads to."""
        found = name_of(thing)
        if found is None:
            kind = "class" if isinstance(thing, type) else "function"
            called = getattr(thing, "__qualname__", None) or _checks.shortened(thing)
            raise Unnamed(
                f"{where} is or holds the {kind} {called}, which no name leads back to, but files keep names and no "
                "code; define it at the top of a module, or use pickle."
            )
        return found

    def _listed(self, value: Any, where: str) -> Any:
        inner = [self.of(v, f"{where}.{n}") for n, v in enumerate(value)]
        if isinstance(value, list):
            return inner
        if isinstance(value, tuple):
            return {"tuple": inner}
        return {type(value).__name__: sorted(inner, key=json.dumps)}

    def _array(self, value: Any, where: str) -> Any:
        if isinstance(value, bytes):
            return {"bytes": self._keep(np.frombuffer(value, np.uint8), where)}
        if isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            data = np.asarray(jax.random.key_data(value))
            return {"key": self._keep(data, where), "kind": str(jax.random.key_impl(value))}
        kind = self._jax if isinstance(value, jax.Array) else "array" if isinstance(value, np.ndarray) else "number"
        array = np.asarray(value)
        if array.dtype.kind == "c":
            # Files have no complex numbers; pairs of real ones.
            return {kind: self._keep(array[..., None].view(array.real.dtype), where), "complex": True}
        if array.dtype.kind not in "biufU":
            return self.unknown(value, where)
        return {kind: self._keep(array, where)}

    def _keep(self, array: np.ndarray, where: str) -> str:
        name = where
        while name in self.arrays:
            name += "_"
        self.arrays[name] = array
        return name

    def _object(self, value: Any, where: str) -> Any:
        made = _made(value)
        if made is not None:
            function, arguments = made
            return {"made": self.name(function, where), "by": self.of(list(arguments), where)}
        fields = _fields(value)
        if fields is None:
            return self.unknown(value, where)
        return {
            "of": self.name(type(value), where),
            "fields": {name: self.field(value, name, v, f"{where}.{name}") for name, v in fields.items()},
        }

    def unknown(self, value: object, where: str) -> Any:
        """Write down what is no object of fields: refuse it."""
        raise Unnamed(
            f"{where} is or holds {_checks.shortened(value)}, but files keep numbers, words and objects of them; use "
            "pickle."
        )

    def field(self, owner: object, name: str, value: Any, where: str) -> Any:
        """Write a field of an object down; ``None`` for one that its class says may be lost."""
        try:
            return self.of(value, where)
        except Unnamed:
            if name in getattr(type(owner), "_may_be_lost", ()):
                self.lost.append(where)
                return None
            raise


class Unnamed(ValueError):
    """Something that plain data cannot say."""


def unplain(described: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return what was written down.

    Raises
    ------
    LookupError
        If a name leads to nothing any more.
    """
    if isinstance(described, list):
        return [unplain(d, arrays) for d in described]
    if not isinstance(described, dict):
        return described
    kind = next(iter(described))
    return _READ[kind](described, arrays)


def _read_array(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    kind, name = next(iter(described.items()))
    array = arrays[name]
    if "complex" in described:
        array = np.ascontiguousarray(array).view(np.result_type(array.dtype, np.complex64))[..., 0]
    if kind == "jax":
        with double_precision():
            return jnp.asarray(array)
    return array[()] if kind == "number" else array


def _read_key(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    with double_precision():
        return jax.random.wrap_key_data(jnp.asarray(arrays[described["key"]]), impl=described["kind"])


def _read_object(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    kind = named(described["of"])
    if not isinstance(kind, type):
        raise LookupError(f"{described['of']} is no class")
    fields = {name: unplain(d, arrays) for name, d in described["fields"].items()}
    if issubclass(kind, tuple):
        return kind(**fields)
    if dataclasses.is_dataclass(kind) and {f.name for f in dataclasses.fields(kind)} != set(fields):
        raise LookupError(f"{described['of']} has other fields than it had")
    made = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


def _read_function(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    return named(next(iter(described.values())))


def _read_made(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    if not described["made"].startswith("rankfall."):
        raise LookupError(f"{described['made']} is none of ours")
    return named(described["made"])(*unplain(described["by"], arrays))


def _read_partial(described: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    function, arguments, options = unplain(described["partial"], arrays)
    return functools.partial(function, *arguments, **options)


_READ: dict[str, Callable[[dict[str, Any], Mapping[str, np.ndarray]], Any]] = {
    "float": lambda d, _: float(d["float"]),
    "complex": lambda d, _: complex(*map(float, d["complex"])),
    "tuple": lambda d, arrays: tuple(unplain(d["tuple"], arrays)),
    "set": lambda d, arrays: set(unplain(d["set"], arrays)),
    "frozenset": lambda d, arrays: frozenset(unplain(d["frozenset"], arrays)),
    "dict": lambda d, arrays: dict(unplain(d["dict"], arrays)),
    "dtype": lambda d, _: np.dtype(d["dtype"]),
    "bytes": lambda d, arrays: arrays[d["bytes"]].tobytes(),
    "key": _read_key,
    "jax": _read_array,
    "array": _read_array,
    "number": _read_array,
    "class": _read_function,
    "function": _read_function,
    "partial": _read_partial,
    "made": _read_made,
    "of": _read_object,
}


def _fields(value: Any) -> dict[str, Any] | None:
    """Return what an object is made of, ``None`` of one that does not say."""
    if isinstance(value, tuple):  # a named one
        return dict(zip(value._fields, value, strict=True)) if hasattr(value, "_fields") else None
    if isinstance(value, types.ModuleType | types.MethodType) or not hasattr(value, "__dict__"):
        return None
    fields = dict(vars(value))
    if not dataclasses.is_dataclass(value):
        return fields
    return {f.name: fields[f.name] for f in dataclasses.fields(value) if f.name in fields}


def _made(value: Any) -> Any:
    """Return the function and its arguments that make an object of ours, where its class says so to pickle."""
    reduce: object = type(value).__reduce__
    if reduce is object.__reduce__ or not type(value).__module__.startswith("rankfall."):
        return None
    function, arguments = value.__reduce__()[:2]
    return (function, arguments) if function.__module__.startswith("rankfall.") else None
