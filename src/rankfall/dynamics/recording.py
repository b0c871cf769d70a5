"""What is recorded along a run, and when."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks, measures
from ..factorizations import MatrixFactorization, SpectralFactorization
from ..measures.named_norms import is_norm, named_norm, nearest

# Entries that nobody observed are recorded one by one up to this many; a picture shows no more.
_UNOBSERVED = 16

Probe = Callable[[Any, Any, Any], Any]


def _of_one_matrix(name: str) -> bool:
    """Whether a measure needs nothing but a matrix."""
    function = getattr(measures, name)
    if not inspect.isfunction(function):
        return False
    first, *rest = inspect.signature(function).parameters.values()
    return first.name == "matrix" and all(p.default is not p.empty for p in rest)


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
        functions of the end-to-end matrix, stored under their names. Functions of JAX arrays run inside the compiled
        loop; those that need NumPy arrays run on the recorded matrices between its chunks.
    schatten_p : sequence of float
        The ``p`` of the recorded Schatten norms, each positive.

    Raises
    ------
    ValueError
        If a number is out of range or a measure's name is unknown.

    Examples
    --------
    >>> import rankfall as rf
    >>> rf.Record(at_losses=[1e-1, 1e-2]).every is None
    True
    """

    every: int | None = None
    log_steps: int | None = None
    at_losses: Sequence[float] | np.ndarray = ()
    at_times: Sequence[float] | np.ndarray = ()
    measures: Sequence[str | Callable[[Any], Any]] = ()
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


def probes(record: Record, problem: Any, model: Any) -> tuple[tuple[str, Probe], ...]:
    """Return the named probes ``(problem, model, end_to_end) -> array`` of one lane, run inside the compiled loop."""
    if len(problem.shape) > 2 or not isinstance(model, MatrixFactorization | SpectralFactorization):
        return _of_tensors(record, problem, model)
    chosen: dict[str, Probe] = {"singular_values": _singular_values}
    unobserved = problem.unobserved_indices
    if unobserved is not None and 0 < len(unobserved) <= _UNOBSERVED:
        chosen["unobserved"] = _unobserved
    factors = isinstance(model, MatrixFactorization)
    if model.shape[0] == model.shape[1]:
        chosen |= {"det_sign": _det_sign, "log_abs_det": _log_abs_det} if factors else _SPECTRAL_DET
    if factors:
        chosen["unbalancedness"] = _unbalancedness
    else:
        chosen |= {"singular_values": _all_singular_values, "log_singular_values": _log_singular_values}
    if problem.truth is not None:
        chosen["test_error"] = _test_error
    return _with_measures(chosen, record, problem)


def _of_tensors(record: Record, problem: Any, model: Any) -> tuple[tuple[str, Probe], ...]:
    chosen: dict[str, Probe] = {}
    unobserved = problem.unobserved_indices
    if unobserved is not None and 0 < len(unobserved) <= _UNOBSERVED:
        chosen["unobserved"] = _unobserved
    if hasattr(model, "component_norms"):
        chosen["component_norms"] = _component_norms
    if hasattr(model, "local_component_norms"):
        chosen["local_component_norms"] = _local_component_norms
    if hasattr(model, "unbalancedness"):
        chosen["unbalancedness"] = _component_unbalancedness
    if problem.truth is not None:
        chosen |= {"test_error": _tensor_error, "reconstruction_error": _reconstruction_error}
    return _with_measures(chosen, record, problem)


def _with_measures(chosen: dict[str, Probe], record: Record, problem: Any) -> tuple[tuple[str, Probe], ...]:
    for measure in record.measures:
        if measure == "end_to_end":
            chosen["end_to_end"] = _end_to_end
        elif not callable(measure):
            if len(problem.shape) > 2:
                raise ValueError(
                    f"measures holds {measure!r}, which is one of matrices, but the problem's shape is "
                    f"{problem.shape}; give a function of the tensor."
                )
            chosen[measure] = _Of(measure_of(measure))
        elif _compiles(measure, problem.shape, problem.dtype):
            chosen[name_of(measure)] = _Of(measure)
        else:
            chosen[AT_HAND] = _end_to_end
    return tuple(chosen.items())


def measure_of(name: str) -> Callable[[Any], Any]:
    """Return the measure of a name, a function of the package or a norm."""
    return getattr(measures, name) if name in BY_NAME else named_norm("measures", name)


# The matrices that functions of NumPy arrays are waiting for.
AT_HAND = "_end_to_end_at_hand"


def by_hand(record: Record, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Put what functions of NumPy arrays make of the recorded matrices in the place of these."""
    if AT_HAND not in values:
        return values
    matrices = values.pop(AT_HAND)
    for measure in record.measures:
        if callable(measure) and name_of(measure) not in values:
            values[name_of(measure)] = _numbers(measure, matrices)
    return values


def name_of(measure: Any) -> str:
    """Name under which a function's values are stored."""
    return str(getattr(measure, "__name__", "measure"))


def _compiles(measure: Callable[[Any], Any], shape: tuple[int, ...], dtype: str) -> bool:
    """Whether JAX can trace a function of a matrix; one that cannot be traced may still take NumPy arrays."""
    try:
        found = jax.eval_shape(measure, jax.ShapeDtypeStruct(shape, dtype))
    except Exception:
        return False
    return hasattr(found, "shape")


def _numbers(measure: Callable[[Any], Any], matrices: np.ndarray) -> np.ndarray:
    found = [measure(w) for w in matrices]
    try:
        return np.array(found, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(
            f"measures holds {name_of(measure)}, which gave {_checks.shortened(found[-1])}, but a function of NumPy "
            "arrays must give a real number for a matrix, or as many for every matrix."
        ) from None


@dataclasses.dataclass(frozen=True)
class _Of:
    """A function of the end-to-end matrix as a probe (compared by the function, so that compiled loops are reused)."""

    function: Callable[[Any], Any]

    def __call__(self, problem: Any, model: Any, end_to_end: Any) -> Any:
        return self.function(end_to_end)


def _singular_values(problem: Any, model: Any, end_to_end: Any) -> Any:
    s = measures.singular_values(end_to_end)
    if model.shape != (2, 2):
        return s
    # The factors know the determinant where the product matrix has lost it to rounding: sigma_2 = |det| / sigma_1.
    _, log_abs_det = measures.signed_log_det(model.factors)
    top = jnp.where(s[0] > 0, s[0], 1)
    return jnp.stack([s[0], jnp.minimum(jnp.exp(log_abs_det) / top, s[0])])


def _all_singular_values(problem: Any, model: Any, end_to_end: Any) -> Any:
    return jnp.exp(_log_singular_values(problem, model, end_to_end))


def _log_singular_values(problem: Any, model: Any, end_to_end: Any) -> Any:
    k = model.log_singular_values
    return jnp.concatenate([k, jnp.full((min(model.shape) - model.rank,), -jnp.inf, k.dtype)])


def _unobserved(problem: Any, model: Any, end_to_end: Any) -> Any:
    # Not measures.entries: inside the compiled loop the indices are traced and cannot be checked.
    where = problem.unobserved_indices
    return end_to_end[tuple(where[:, n] for n in range(len(problem.shape)))]


def _det_sign(problem: Any, model: Any, end_to_end: Any) -> Any:
    return measures.det_sign(model.factors)


def _log_abs_det(problem: Any, model: Any, end_to_end: Any) -> Any:
    return measures.log_abs_det(model.factors)


_SPECTRAL_DET: dict[str, Probe] = {
    "det_sign": lambda problem, model, end_to_end: model.det_sign,
    "log_abs_det": lambda problem, model, end_to_end: model.log_abs_det,
}


def _unbalancedness(problem: Any, model: Any, end_to_end: Any) -> Any:
    return measures.unbalancedness(model.factors)


def _test_error(problem: Any, model: Any, end_to_end: Any) -> Any:
    return measures.mean_square_error(end_to_end, problem.truth)


def _tensor_error(problem: Any, model: Any, end_to_end: Any) -> Any:
    return jnp.mean((end_to_end - problem.truth) ** 2)


def _reconstruction_error(problem: Any, model: Any, end_to_end: Any) -> Any:
    return jnp.sqrt(jnp.sum((end_to_end - problem.truth) ** 2) / jnp.sum(problem.truth**2))


def _component_norms(problem: Any, model: Any, end_to_end: Any) -> Any:
    return model.component_norms()


def _local_component_norms(problem: Any, model: Any, end_to_end: Any) -> Any:
    return jnp.concatenate(model.local_component_norms())


def _component_unbalancedness(problem: Any, model: Any, end_to_end: Any) -> Any:
    return model.unbalancedness()


def _end_to_end(problem: Any, model: Any, end_to_end: Any) -> Any:
    return end_to_end
