"""One run of a sweep: its settings, its name, and what it is made of."""

import contextlib
import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import jax

from .._declared import MAKERS
from .._types import Key
from ..datasets.tables import read_matrix
from ..dynamics import Record, Run, Stop, train
from ..dynamics.base import AbstractDynamics
from ..factorizations import AbstractModel
from ..measures.named_norms import is_norm
from ..problems import AbstractProblem
from . import registry
from .seeds import key_of
from .wrong import Wrong

# Of what is stored, and of what the name of a run is made.
FORMAT = 1
# What the key of a seed is folded with for what is drawn beside the start.
_PROBLEM, _DYNAMICS = 1, 2


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of a sweep.

    Attributes
    ----------
    settings : dict
        The resolved tables ``problem``, ``factorization``, ``dynamics``, ``stop``, ``record``.
    seed : int
        The start is drawn with ``jax.random.key(seed)``.
    text : str
        The settings as they are hashed, which many seeds share.
    """

    settings: dict[str, Any]
    seed: int
    text: str = dataclasses.field(repr=False)

    @cached_property
    def name(self) -> str:
        """Name of the run: a hash of its settings, its data and the format, whatever else is swept."""
        return hashlib.sha256(f"{FORMAT} {self.seed} {self.text}".encode()).hexdigest()[:32]

    def problem(self) -> AbstractProblem:
        """Make, draw or read the problem."""
        return problem_of(self.settings["problem"], self.seed)

    def start(self, problem: AbstractProblem) -> AbstractModel:
        """Draw the start.

        Parameters
        ----------
        problem : AbstractProblem
            What the cell's ``problem()`` is.

        Returns
        -------
        model

        Raises
        ------
        ValueError
            If the settings make no start of the problem's shape.

        Examples
        --------
        >>> import rankfall as rf
        >>> cell = rf.Sweep(problem={"name": "two-by-two"}, dynamics={"name": "gradient-descent", "step_size": 0.1},
        ...                 factorization={"name": "matrix", "depth": 2, "scale": 0.1}).cells()[0]
        >>> cell.start(cell.problem()).lanes is None
        True
        """
        made: AbstractModel = start_of(self.settings["factorization"], problem, key_of(self.seed), {})
        return made

    @property
    def key(self) -> Key:
        """Key of what the dynamics draws."""
        return jax.random.fold_in(key_of(self.seed), _DYNAMICS)

    def dynamics(self) -> AbstractDynamics:
        """Make the dynamics."""
        return dynamics_of(self.settings["dynamics"], self.key[None], {})

    def train(self, **options: Any) -> Run:
        """Train this run by itself.

        Parameters
        ----------
        **options
            As in `train`, in the place of what is declared.

        Returns
        -------
        Run

        Raises
        ------
        ValueError
            If what is declared does not fit together.

        Examples
        --------
        >>> import rankfall as rf
        >>> cell = rf.Sweep(problem={"name": "two-by-two"}, dynamics={"name": "gradient-descent", "step_size": 0.1},
        ...                 factorization={"name": "matrix", "depth": 2, "scale": 0.1}).cells()[0]
        >>> cell.train(stop=rf.Stop(steps=3)).stop_reason
        'steps'
        """
        problem = self.problem()
        return train(problem, self.start(problem), self.dynamics(), **(limits(self.settings) | options))


def hashed(settings: dict[str, Any]) -> str:
    """Write what the name of a run depends on beside its seed; of a file of data its content, not where it is."""
    problem = {key: value for key, value in settings["problem"].items() if key != "file"}
    return canonical({**settings, "problem": problem})


def canonical(value: Any) -> str:
    """Write settings as JSON, the same for the same settings."""
    return json.dumps(finite(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def finite(value: Any) -> Any:
    """Write numbers that JSON does not have as words."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return {key: finite(one) for key, one in value.items()} if isinstance(value, dict) else value


def limits(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what training is told beside problem, start and dynamics."""
    given = settings["record"]
    record = None
    if given is not None:
        own = MAKERS["measure"]
        # What is no norm and no measure of the package may be a function of a plugin's.
        named_measures = [own[m].make if m in own and not is_norm(m) else m for m in given["measures"]]
        with _at("record"):
            record = Record(**{**given, "measures": named_measures})
    with _at("stop"):
        stop = Stop(**settings["stop"])
    return {"stop": stop, "record": record, "hold_out": settings["problem"]["hold_out"]}


def _arguments(table: dict[str, Any], *without: str) -> dict[str, Any]:
    return {key: _tuples(value) for key, value in table.items() if key not in ("name", *without)}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(one) for one in value) if isinstance(value, list) else value


def problem_of(table: dict[str, Any], seed: int) -> AbstractProblem:
    """Make a problem of its table; ``seed`` is that of the run, for problems that each run draws anew."""
    found = registry.maker("problem", table["name"])
    given = _arguments(table, "seed", "hold_out", "file", "sha256")
    if "file" in table:
        given["array"] = _matrix(table["file"])
    if registry.takes_key(found):
        each = table["seed"] == "each"
        given["key"] = jax.random.fold_in(key_of(seed), _PROBLEM) if each else key_of(table["seed"])
    with _at("problem"):
        problem: AbstractProblem = found.make(**given)
    return problem


def _matrix(file: str) -> Any:
    try:
        found = read_matrix(file)
    except ValueError as error:
        raise Wrong(("problem", "file"), str(error).removeprefix("problem ")) from None
    if found is None:
        raise Wrong(("problem", "file"), f"is {file!r}, but must be a matrix in a file .npy or .csv.")
    return found


def start_of(table: dict[str, Any], problem: AbstractProblem, key: Key, lanes: dict[str, Any]) -> Any:
    """Draw a start, or lanes of them, for an array of keys and arrays of what they differ in."""
    found = registry.maker("factorization", table["name"])
    given = _arguments(table) | lanes
    if given.get("det_sign") in ("required", "opposite"):
        given["det_sign"] = _sign(problem, given["det_sign"])
    with _at("factorization"):
        return found.make(shape=tuple(problem.shape), key=key, **given)


def _sign(problem: AbstractProblem, word: str) -> int:
    if problem.required_det_sign is None:
        raise Wrong(("factorization", "det_sign"), f"is {word!r}, but no theorem asks a sign of this problem; give 1.")
    return problem.required_det_sign * (1 if word == "required" else -1)


def dynamics_of(table: dict[str, Any], keys: Key, lanes: dict[str, Any]) -> AbstractDynamics:
    """Make a dynamics, for one lane or, with arrays of what they differ in, for many."""
    found = registry.maker("dynamics", table["name"])
    given = _arguments(table) | lanes | ({"key": keys} if registry.takes_key(found) else {})
    with _at("dynamics"):
        dynamics: AbstractDynamics = found.make(**given)
    return dynamics


@contextlib.contextmanager
def _at(table: str) -> Iterator[None]:
    """Say which table it is that is refused."""
    try:
        yield
    except Wrong:
        raise
    except ValueError as error:
        key, _, rest = str(error).partition(" ")
        raise (Wrong((table, key), rest) if key.isidentifier() else Wrong((table,), str(error))) from None
