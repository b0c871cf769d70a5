"""Methods of modules that ``jax.jit`` takes as they are."""

import types
from typing import Any

import equinox as eqx


class _Sample(eqx.Module):
    def method(self) -> None:
        pass


# What Equinox makes of a bound method: a pytree, which hashes by its arrays, and arrays have no hash.
_Bound: Any = type(_Sample().method)
_PLAIN = _Bound is types.MethodType
_Base: Any = object if _PLAIN else _Bound


class _Method(_Base):
    """A bound method that hashes, and compares, by the object that it is of."""

    def __hash__(self) -> int:
        return hash((self.__func__, id(self.__self__)))

    def __eq__(self, other: object) -> bool:
        return type(other) is _Method and (other.__func__, id(other.__self__)) == (self.__func__, id(self.__self__))

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self.__func__.__name__)


class WithMethods(eqx.Module):
    """A module whose methods can be handed to ``jax.jit``, which asks for a hash."""

    def __getattribute__(self, name: str) -> Any:
        """Return the attribute; a method as one that has a hash, in the place of Equinox's own."""
        found = object.__getattribute__(self, name)
        if isinstance(found, types.MethodType) and found.__self__ is self and not name.startswith("__"):
            return found if _PLAIN else _Method(found.__func__, self)
        return found
