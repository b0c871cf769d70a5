"""What is recorded along a run, and when."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Sequence
from typing import NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks, measures
from .._types import Array, Probe
from ..factorizations import AbstractModel
from ..measures.named_norms import is_norm, named_norm, nearest
from ..problems import AbstractProblem

# Entries that nobody observed are recorded one by one up to this many; a picture shows no more.
_UNOBSERVED = 16

Measured = Callable[[AbstractProblem, AbstractModel, Array], Array]


def _of_one_matrix(name: str) -> bool:
    """Whether a measure needs nothing but a matrix."""
    function = getattr(measures, name)
    if not inspect.isfunction(function):
        return False
    first, *rest = inspect.signature(function).parameters.values()
    return first.name == "matrix" and all(p.default is not p.empty for p in rest)


# What every trajectory, or what follows from it, calls its own; a function of the user's has another name.
RESERVED = frozenset(
    "loss step time lane record recorded stop_reason p singular_values log_singular_values effective_rank "
    "schatten_norm distance_to_infimal_rank rank_suboptimality held_out_error log_loss step_size rejected_steps "
    "dissipated energy_error balance_drift velocity_error frame_error residual_drift".split()
)
BY_NAME = ("end_to_end", *(name for name in measures.__all__ if _of_one_matrix(name)))


@dataclasses.dataclass(frozen=True)
class Record:
    """Which steps are recorded, and what beyond the standard measures.

    The start and the end of a run are always recorded. The rules may be combined.

    Parameters
    ----------
    every : int, optional
        Every ``every``-th step.
    log_steps : int, optional
        This many steps, spaced logarithmically from 1 to the step limit.
    at_losses : sequence of float, optional
        Where each of these losses is reached, lane by lane: flows stop there, gradient descent gives its first step
        at or below.
    at_times : sequence of float, optional
        These flow times: flows stop there, gradient descent with a fixed step gives its first step at or after.
    measures : sequence of str or callable
        Added measures: ``"end_to_end"``, names of `rankfall.measures` functions of a single matrix (``"stable_rank"``),
        norms by name as in `rankfall.measures.norm` (``"nuclear"``, ``"schatten-0.5"``, ``"ky-fan-1"``), or your own
        functions of the end-to-end matrix, of real values, stored under their names. A second function of one name
        (two lambdas) is stored as ``"NAME_2"``; what has no name (a ``functools.partial``) is called ``"measure"``.
        Functions of JAX arrays run inside the compiled loop; those that need NumPy arrays run on the recorded matrices
        between its chunks.
    schatten_p : sequence of float
        The ``p`` of the recorded Schatten norms, each positive.

    Raises
    ------
    ValueError
        If a number is out of range or a measure's name is unknown. If a function has a name that the trajectory uses
        itself, such as ``loss``: here, or by `rankfall.train` where that depends on the problem and the start.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.Record(at_losses=[1e-1, 1e-2]).every is None
    True
    >>> rf.Record(measures=["nuclear", lambda w: w.max(), lambda w: w.min()]).names()
    ['nuclear', '<lambda>', '<lambda>_2']
    """

    every: int | None = None
    log_steps: int | None = None
    at_losses: Sequence[float] | np.ndarray = ()
    at_times: Sequence[float] | np.ndarray = ()
    measures: Sequence[str | Callable[[Array], Array]] = ()
    schatten_p: Sequence[float] = (0.5, 1.0, 2.0, float("inf"))

    def __post_init__(self) -> None:
        for name in ("every", "log_steps"):
            if getattr(self, name) is not None:
                _checks.positive_integer(name, getattr(self, name))
        for name in ("at_losses", "at_times"):
            listed = _checks.real(name, getattr(self, name))
            if listed.size:
                _checks.positive(name, listed)
        for p in np.atleast_1d(_checks.real("schatten_p", self.schatten_p)):
            if not p > 0:
                raise ValueError(f"schatten_p holds {p:g}, but must hold positive numbers (np.inf: spectral norm).")
        if isinstance(self.measures, str) or not isinstance(self.measures, Sequence):
            raise ValueError(f"measures is {self.measures!r}, but must be a list of names and functions.")
        for measure in self.measures:
            if not callable(measure) and measure not in BY_NAME and not is_norm(measure):
                raise ValueError(
                    f"measures holds {_checks.shortened(measure)}, but must hold functions of the end-to-end matrix, "
                    "norms by name (such as 'nuclear', 'schatten-0.5', 'entrywise-1', 'ky-fan-2'), or names out of "
                    f"{', '.join(BY_NAME)}{nearest(measure, BY_NAME)}."
                )
        refuse_names(self, RESERVED)

    def names(self) -> list[str]:
        """Names that the values of ``measures`` are stored under, each once.

        Returns
        -------
        list of str
            One for each measure, in their order.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.Record(measures=["end_to_end", abs]).names()
        ['end_to_end', 'abs']
        """
        found: list[str] = []
        listed = [m for m in self.measures if isinstance(m, str)]
        for measure in self.measures:
            if isinstance(measure, str):
                found.append(measure)
                continue
            name, count = str(getattr(measure, "__name__", "measure")), 1
            while (numbered := name if count == 1 else f"{name}_{count}") in (*found, *listed):
                count += 1
            found.append(numbered)
        return found

    def levels(self) -> np.ndarray:
        """Loss levels, highest first."""
        return np.sort(np.atleast_1d(np.asarray(self.at_losses, dtype=np.float64)))[::-1].copy()

    def times(self) -> np.ndarray:
        """Flow times, lowest first."""
        return np.sort(np.atleast_1d(np.asarray(self.at_times, dtype=np.float64)))

    def steps(self, limit: int) -> np.ndarray:
        """Log-spaced steps up to the limit."""
        if self.log_steps is None:
            return np.zeros(0, dtype=np.int64)
        return np.unique(np.geomspace(1, limit, self.log_steps).round().astype(np.int64))


def probes(record: Record, problem: AbstractProblem, model: AbstractModel) -> tuple[tuple[str, Measured], ...]:
    """Return the named functions ``(problem, model, end_to_end) -> array`` of one lane that the compiled loop calls."""
    chosen: dict[str, Measured] = {probe.name: _OfModel(probe.function) for probe in model.probes()}
    chosen |= {probe.name: _OfProblem(probe.function) for probe in problem_probes(problem)}
    inner = {name for names in dimensions(problem, model).values() for name in names}
    refuse_names(record, {"end_to_end", *chosen, *inner})
    for name, measure in zip(record.names(), record.measures, strict=True):
        if measure == "end_to_end":
            chosen["end_to_end"] = _end_to_end
        elif isinstance(measure, str):
            if len(problem.shape) > 2:
                raise ValueError(
                    f"measures holds {measure!r}, which is one of matrices, but the problem's shape is "
                    f"{problem.shape}; give a function of the tensor."
                )
            chosen[name] = _Of(measure_of(measure))
        elif _compiles(name, measure, problem.shape, problem.dtype):
            chosen[name] = _Of(measure)
        else:
            chosen[AT_HAND] = _end_to_end
    return tuple(chosen.items())


def refuse_names(record: Record, taken: Collection[str]) -> None:
    """Refuse functions under names that a trajectory has for something else: one of both would be lost."""
    for name, measure in zip(record.names(), record.measures, strict=True):
        # The package's own function of that name means the same.
        if name in taken and callable(measure) and measure is not getattr(measures, name, None):
            _refuse_name(name)


def refuse_taken(chosen: Sequence[tuple[str, Measured]], own: Collection[str]) -> None:
    """Refuse the names that a rule records under, which are known where it is compiled."""
    for name, probe in chosen:
        if name in own and isinstance(probe, _Of):
            _refuse_name(name)


def _refuse_name(name: str) -> NoReturn:
    raise ValueError(
        f"measures holds a function called {name}, but the trajectory has something else under that name; give the "
        f"function another, such as my_{name}."
    )


def measure_of(name: str) -> Callable[[Array], Array]:
    """Return the measure of a name, a function of the package or a norm."""
    return getattr(measures, name) if name in BY_NAME else named_norm("measures", name)


def dimensions(problem: AbstractProblem, model: AbstractModel) -> dict[str, tuple[str, ...]]:
    """Return the dimension names, beyond lane and record, of what a model, its problem and the package record."""
    found = {probe.name: probe.dims for probe in (*model.probes(), *problem_probes(problem))}
    order = len(problem.shape)
    return found | {"end_to_end": ("row", "col") if order == 2 else tuple(f"mode_{n}" for n in range(order))}


def problem_probes(problem: AbstractProblem) -> list[Probe]:
    """Return what is worth recording of a problem: functions of it and the end-to-end array."""
    chosen = []
    unobserved = problem.unobserved_indices
    if unobserved is not None and 0 < len(unobserved) <= _UNOBSERVED:
        chosen.append(Probe("unobserved", _unobserved, ("entry",)))
    if problem.truth is not None:
        chosen += [Probe("test_error", _test_error), Probe("reconstruction_error", _reconstruction_error)]
    return chosen


# The matrices that functions of NumPy arrays are waiting for.
AT_HAND = "_end_to_end_at_hand"


def by_hand(
    record: Record, values: dict[str, np.ndarray], chosen: Sequence[tuple[str, Measured]]
) -> dict[str, np.ndarray]:
    """Put what functions of NumPy arrays, those not chosen for the loop, make of recorded matrices in their place."""
    if AT_HAND not in values:
        return values
    matrices, compiled = values.pop(AT_HAND), dict(chosen)
    for name, measure in zip(record.names(), record.measures, strict=True):
        if callable(measure) and name not in compiled:
            if name in values:
                _refuse_name(name)
            values[name] = _numbers(name, measure, matrices)
    return values


def _compiles(name: str, measure: Callable[[Array], Array], shape: tuple[int, ...], dtype: str) -> bool:
    """Whether JAX can trace a function of a matrix; one that cannot be traced may still take NumPy arrays."""
    try:
        found = jax.eval_shape(measure, jax.ShapeDtypeStruct(shape, dtype))
    except Exception:
        return False
    if not hasattr(found, "shape"):
        return False
    if jnp.issubdtype(found.dtype, jnp.complexfloating):
        _refuse_values(name, f"gives complex numbers ({found.dtype})")
    return True


def _numbers(name: str, measure: Callable[[Array], Array], matrices: np.ndarray) -> np.ndarray:
    found = [measure(w) for w in matrices]
    try:
        stacked = np.array(found)
        if stacked.dtype.kind != "c":
            return stacked.astype(np.float64)
    except (TypeError, ValueError):
        pass
    _refuse_values(name, f"gave {_checks.shortened(found[-1])}")


def _refuse_values(name: str, came: str) -> NoReturn:
    raise ValueError(
        f"measures holds {name}, which {came}, but a function must give a real number for a matrix, or as many for "
        "every matrix (of complex ones take abs, or real and imaginary parts)."
    )


# Functions as the loop calls them. They compare by what they hold, so that compiled loops are reused.


@dataclasses.dataclass(frozen=True)
class _Of:
    function: Callable[[Array], Array]

    def __call__(self, problem: AbstractProblem, model: AbstractModel, end_to_end: Array) -> Array:
        return self.function(end_to_end)


@dataclasses.dataclass(frozen=True)
class _OfModel:
    function: Callable[[AbstractModel, Array], Array]

    def __call__(self, problem: AbstractProblem, model: AbstractModel, end_to_end: Array) -> Array:
        return self.function(model, end_to_end)


@dataclasses.dataclass(frozen=True)
class _OfProblem:
    function: Callable[[AbstractProblem, Array], Array]

    def __call__(self, problem: AbstractProblem, model: AbstractModel, end_to_end: Array) -> Array:
        return self.function(problem, end_to_end)


def _end_to_end(problem: AbstractProblem, model: AbstractModel, end_to_end: Array) -> Array:
    return end_to_end


def _unobserved(problem: AbstractProblem, end_to_end: Array) -> Array:
    # Not measures.entries: inside the compiled loop the indices are traced and cannot be checked.
    where = problem.unobserved_indices
    assert where is not None
    return end_to_end[tuple(where[:, n] for n in range(len(problem.shape)))]


def _test_error(problem: AbstractProblem, end_to_end: Array) -> Array:
    return jnp.mean((end_to_end - problem.truth) ** 2)


def _reconstruction_error(problem: AbstractProblem, end_to_end: Array) -> Array:
    assert problem.truth is not None
    return jnp.sqrt(jnp.sum((end_to_end - problem.truth) ** 2) / jnp.sum(problem.truth**2))
