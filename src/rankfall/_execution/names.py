"""Classes and functions by their names, as what is written to files knows them: files hold no code."""

import importlib
import sys
from typing import Any

# Packages whose names are looked up whether they have been imported before or not.
KNOWN = frozenset({"rankfall", "numpy", "jax", "equinox", "optax", "diffrax"})


def name_of(thing: Any) -> str | None:
    """Return the name of a class or function, ``None`` where none leads back to it.

    Examples
    --------
    >>> import jax
    >>> name_of(jax.nn.relu), name_of(lambda x: x)
    ('jax._src.nn.functions:relu', None)
    """
    module, qualified = getattr(thing, "__module__", None), getattr(thing, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(qualified, str):
        return None
    place = sys.modules.get(module)
    if _found(place, qualified) is thing:
        return f"{module}:{qualified}"
    # A lambda that a module has given a name.
    names = [name for name, found in vars(place).items() if found is thing] if place is not None else []
    return f"{module}:{names[0]}" if names else None


def named(name: str) -> Any:
    """Return what has a name.

    A name is read from a file, which may come from anywhere: it leads to what the packages that training rests on
    define, or a module that the user has imported, and to nothing of Python's own library.

    Raises
    ------
    LookupError
        With the reason, if the name leads to nothing.

    Examples
    --------
    >>> named("rankfall.dynamics.stopping:Stop")
    <class 'rankfall.dynamics.stopping.Stop'>
    """
    module, _, qualified = name.partition(":")
    package = module.partition(".")[0]
    if package in sys.stdlib_module_names and module != "__main__":
        raise LookupError(f"{name} is of Python's own library")
    if package in KNOWN and "__main__" not in module:
        try:
            importlib.import_module(module)
        except ImportError:
            raise LookupError(f"there is no module {module}") from None
    if module not in sys.modules:
        raise LookupError(f"the module {module} is not imported; import it first")
    found = _found(sys.modules[module], qualified)
    # A module's attribute may be somebody else's: `numpy` has `os`.
    if found is None or getattr(found, "__module__", None) != module:
        raise LookupError(f"{module} has no {qualified}")
    return found


def _found(place: object, qualified: str) -> Any:
    for part in qualified.split("."):
        # Of a class what it defines itself: what it inherits has its name elsewhere.
        place = vars(place).get(part) if isinstance(place, type) else getattr(place, part, None)
    return place
