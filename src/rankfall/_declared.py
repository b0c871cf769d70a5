"""What a declaration may name: makers of problems, factorizations, dynamics and measures, each beside what it makes.

The rooms below put their makers in; `rankfall.experiments` takes them out, and knows none of them by itself.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

Made = TypeVar("Made", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True, eq=False)
class Maker:
    """A function that a declaration can call by a name.

    ``types`` are those that a file has for a parameter where the signature's are wider (a list of numbers for an
    array). ``lanes`` are parameters that take an array, a value for each lane: runs that differ in these alone are
    trained together.
    """

    name: str
    make: Callable[..., Any]
    types: Mapping[str, Any]
    lanes: frozenset[str]


MAKERS: dict[str, dict[str, Maker]] = {"problem": {}, "factorization": {}, "dynamics": {}, "measure": {}}


def declared(kind: str, name: str, *, lanes: Sequence[str] = (), **types: Any) -> Callable[[Made], Made]:
    """Let declarations name a function, or a class, whose ``init`` is called where it has one.

    Parameters
    ----------
    kind : {"problem", "factorization", "dynamics", "measure"}
        A problem is made of its parameters, and of ``key`` if it is drawn; a factorization of ``shape``, its parameters
        and a ``key``; a dynamics of its parameters, and of ``key`` if it draws. A measure is a function of the
        end-to-end matrix or tensor.
    name : str
        The word in the file.
    lanes : sequence of str
        Parameters that take an array with a value for each lane, as ``key`` of a factorization must.
    **types
        Types of parameters in the file, where the annotation says more than a file can hold.

    Returns
    -------
    callable
        A decorator; what it is put on stays as it is.

    Raises
    ------
    ValueError
        If ``kind`` is no such word.

    Examples
    --------
    >>> import rankfall as rf
    >>> @rf.experiments.declared("problem", "a-corner")
    ... def corner(value: float = 1.0):
    ...     return rf.MatrixCompletion.from_dense([[float("nan"), value], [value, 0.0]])
    >>> rf.Sweep(problem={"name": "a-corner"}, factorization={"name": "matrix", "depth": 2, "scale": 0.1},
    ...          dynamics={"name": "gradient-descent", "step_size": 0.1}).cells()[0].problem().observed
    3
    """
    if kind not in MAKERS:
        raise ValueError(f"kind is {kind!r}, but must be one of {', '.join(map(repr, MAKERS))}.")

    def keep(made: Made) -> Made:
        make = getattr(made, "init", made) if isinstance(made, type) else made
        MAKERS[kind][name] = Maker(name, make, types, frozenset(lanes))
        return made

    return keep
