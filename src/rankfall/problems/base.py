"""What every problem is: observed data, and the loss on it as a function of the end-to-end matrix or tensor."""

import abc
import math
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import equinox as eqx
import jax
import numpy as np

from .. import _checks
from .._execution import WithMethods
from .._types import Array, ArrayLike, DTypeLike, Residuals, Scalars
from ..measures._namespace import floating, matrices
from .losses import AbstractLoss, AbstractMarginLoss, LeastSquares, loss_of

# Unobserved entries are listed up to so many entries in all.
_LISTED = 2**20


@runtime_checkable
class Model(Protocol):
    """What a problem asks of a model; the models themselves are of a folder that is above this one."""

    by_entries: ClassVar[bool]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the end-to-end matrix or tensor."""
        ...

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single model."""
        ...

    def full(self) -> Array:
        """End-to-end matrix or tensor."""
        ...

    def entries_at(self, indices: Array) -> Array:
        """Entries at places that were checked, or are traced."""
        ...


M = TypeVar("M", bound=Model)


class AbstractProblem(WithMethods):
    """Observed data and the loss on it.

    A problem is a pytree: its arrays may be traced by JAX. Its functions take an end-to-end matrix (or tensor), or a
    batch of them, of NumPy or of JAX and answer in kind.

    It is made of a linear observation operator (`predict`, and `adjoint`, its transpose), the observed values
    (`values`) and a loss of both (`loss_function`); all else follows.

    Attributes
    ----------
    shape : tuple of int
        Extents of the end-to-end matrix or tensor.
    loss_function : AbstractLoss
        See `rankfall.problems.losses`.
    dtype : str
        ``"float64"`` or ``"float32"``: the precision that training runs in.
    values : array, shape (observed,)
        What was observed.
    truth : array, shape (*shape), or None
        The full matrix or tensor where it is known; it gives the test error.
    infimal_rank, infimal_erank : int, float or None
        Infima over the solution set where they are known or given.
    required_det_sign : int or None
        The sign of the determinant at the start that the theorems ask for, where they apply.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]
    loss_function: eqx.AbstractVar[AbstractLoss]
    dtype: eqx.AbstractVar[str]
    values: eqx.AbstractVar[Array]
    truth: eqx.AbstractVar[Array | None]
    infimal_rank: eqx.AbstractVar[int | None]
    infimal_erank: eqx.AbstractVar[float | None]
    required_det_sign: eqx.AbstractVar[int | None]

    @property
    @abc.abstractmethod
    def observed(self) -> int:
        """Number of observations."""

    @property
    def samples(self) -> int:
        """Number of observations that can be taken apart, see `part`; those of several numbers count once."""
        return self.observed

    @abc.abstractmethod
    def predict(self, full: Array) -> Array:
        """Return what would be observed of an end-to-end matrix or tensor.

        Parameters
        ----------
        full : array, shape (..., *shape)

        Returns
        -------
        array, shape (..., observed)

        Raises
        ------
        ValueError
            If ``full`` is not of the problem's shape.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().predict(np.array([[7.0, 1.5], [1.0, 0.0]]))
        array([1.5, 1. , 0. ])
        """

    @abc.abstractmethod
    def adjoint(self, values: Array) -> Array:
        """Apply the transpose of `predict`.

        Parameters
        ----------
        values : array, shape (..., observed)

        Returns
        -------
        array, shape (..., *shape)

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().adjoint(np.array([1.0, 2.0, 3.0]))
        array([[0., 1.],
               [2., 3.]])
        """

    @property
    def loss_kind(self) -> str:
        """Name of the loss."""
        return self.loss_function.name

    @property
    def least_squares(self) -> bool:
        """Whether the loss is one of squared residuals."""
        return self.loss_function.least_squares

    def require_least_squares(self, caller: str) -> LeastSquares:
        """Return what holds for squared residuals only; refuse a problem with another loss.

        Parameters
        ----------
        caller : str
            Who asks, as the user knows it.

        Returns
        -------
        LeastSquares
            The loss of a sum of squares, the slope of residuals, and how both convert.

        Raises
        ------
        ValueError
            If the loss is another.

        Examples
        --------
        >>> import rankfall as rf
        >>> float(rf.two_by_two(loss="mse").require_least_squares("an example").loss(3.0))
        1.0
        """
        if not self.least_squares:
            raise ValueError(
                f"problem has the loss {self.loss_kind!r}, but {caller} is for squared residuals alone; build the "
                "problem with loss='half_sse' or loss='mse'."
            )
        return LeastSquares(self.loss_function.mean, self._count)

    @property
    def _count(self) -> Any:
        """Number of observations that a mean is taken over; an array where compiled code is shared between counts."""
        return self.observed

    @property
    def observed_indices(self) -> Array | None:
        """Observed entries as ``(observed, order)`` indices, ``None`` where observations are no entries."""
        return None

    @property
    def unobserved_indices(self) -> Array | None:
        """Unobserved entries as ``(n, order)`` indices, ``None`` where the problem has no such notion."""
        return None

    def linear_system(self) -> tuple[Array, Array]:
        """Write the observations as a system of linear equations ``A X = B``.

        Returns
        -------
        A : array, shape (equations, unknowns)
        B : array, shape (equations, columns)
            ``X`` is the end-to-end object in C order, reshaped to ``(unknowns, columns)``.

        Raises
        ------
        ValueError
            If observations are not linear in the end-to-end object.

        Examples
        --------
        >>> import rankfall as rf
        >>> rf.LinearRegression([[1.0, 0.0, 1.0]], [2.0]).linear_system()
        (array([[1., 0., 1.]]), array([[2.]]))
        """
        size = math.prod(self.shape)
        rows = np.asarray(self.predict(np.eye(size).reshape(size, *self.shape))).T
        return rows, np.asarray(self.values)[:, None]

    def residuals(self, full: Array) -> Residuals:
        """Prediction minus observation.

        Parameters
        ----------
        full : array, shape (..., *shape)
            End-to-end matrix or tensor, or a batch of them.

        Returns
        -------
        array, shape (..., observed)

        Raises
        ------
        ValueError
            If ``full`` is not of the problem's shape.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().residuals(np.array([[7.0, 1.5], [1.0, 0.0]]))
        array([0.5, 0. , 0. ])
        """
        return self.predict(full) - self.values

    def loss(self, full: Array) -> Scalars:
        """Loss of an end-to-end matrix or tensor.

        Parameters
        ----------
        full : array, shape (..., *shape)
            End-to-end matrix or tensor, or a batch of them.

        Returns
        -------
        array, shape (...)
            In the convention of `loss_function`.

        Raises
        ------
        ValueError
            If ``full`` is not of the problem's shape.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> float(rf.two_by_two().loss(np.array([[7.0, 1.5], [1.0, 0.0]])))
        0.125
        """
        return self.loss_function.total(self.predict(full), self.values, self._count)

    def gradient(self, full: Array) -> Array:
        """Differentiate `loss` in the end-to-end matrix or tensor.

        Parameters
        ----------
        full : array, shape (..., *shape)

        Returns
        -------
        array, shape (..., *shape)

        Raises
        ------
        ValueError
            If ``full`` is not of the problem's shape.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().gradient(np.array([[7.0, 1.5], [1.0, 0.0]]))
        array([[0. , 0.5],
               [0. , 0. ]])
        """
        return self.adjoint(self.loss_function.slopes(self.predict(full), self.values, self._count))

    def end_to_end(self, model: Model) -> Array:
        """Return what a model is measured by: its end-to-end object, or its predictions at labelled inputs."""
        return model.full()

    def observe(self, model: Model) -> Array:
        """Predictions of a factorization, without forming the whole where that is dear.

        Parameters
        ----------
        model : factorization
            Of this problem's shape.

        Returns
        -------
        array, shape (..., observed)

        Raises
        ------
        ValueError
            If its shape is not the problem's.

        Examples
        --------
        >>> import rankfall as rf
        >>> start = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=1.0)
        >>> rf.two_by_two().observe(start)
        array([0., 0., 1.])
        """
        return self.predict(self.end_to_end(model))

    def loss_of(self, model: Model) -> Scalars:
        """Loss of a factorization.

        Parameters
        ----------
        model : factorization
            Of this problem's shape.

        Returns
        -------
        array, shape (...)

        Raises
        ------
        ValueError
            If its shape is not the problem's.

        Examples
        --------
        >>> import rankfall as rf
        >>> start = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=1.0)
        >>> float(rf.two_by_two().loss_of(start))
        1.5
        """
        return self.loss(self.end_to_end(model))

    def log_loss_of(self, model: Model) -> Scalars:
        """Logarithm of the loss of a factorization, also where the loss itself underflows.

        Parameters
        ----------
        model : factorization
            Of this problem's shape.

        Returns
        -------
        array, shape (...)

        Raises
        ------
        ValueError
            If the loss is none of margins.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> problem = rf.LinearClassification([[1.0]], [1.0], loss="exponential")
        >>> float(problem.log_loss_of(rf.MatrixFactorization([np.array([[1000.0]])])))
        -1000.0
        """
        if not isinstance(self.loss_function, AbstractMarginLoss):
            raise ValueError(
                f"problem has the loss {self.loss_kind!r}, which has no logarithm that decays linearly; take "
                "'logistic' or 'exponential'."
            )
        return self.loss_function.log_total(self.observe(model), self.values, self._count)

    def loss_and_gradient(self, model: M) -> tuple[Array, M]:
        """Return the loss of a factorization and its gradient in the factors (JAX, one lane).

        Parameters
        ----------
        model : factorization
            Of this problem's shape, of JAX arrays.

        Returns
        -------
        loss : array, shape ()
        gradient : factorization
            Of the same kind.

        Raises
        ------
        ValueError
            If its shape is not the problem's.

        Examples
        --------
        >>> import jax, numpy as np, rankfall as rf
        >>> model = jax.tree.map(jax.numpy.asarray, rf.MatrixFactorization([np.eye(2)]))
        >>> loss, gradient = rf.two_by_two().loss_and_gradient(model)
        >>> float(loss), gradient.factors[0].tolist()
        (1.5, [[0.0, -1.0], [-1.0, 1.0]])
        """
        return jax.value_and_grad(self.loss_of)(model)

    @property
    def wanted_start(self) -> str:
        """What a start of training has to be, in the words of an error's text."""
        kind = "MatrixFactorization" if len(self.shape) == 2 else "CPFactorization"
        return f"a factorization; make one with rf.{kind}.init(problem.shape, ...)"

    def check_model(self, model: Model) -> None:
        """Refuse a model that does not fit.

        Parameters
        ----------
        model : model

        Raises
        ------
        ValueError
            If its shape is not the problem's.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().check_model(rf.MatrixFactorization([np.eye(2)]))
        """
        what = "matrix" if len(self.shape) == 2 else "tensor"
        _checks.same_shape(
            f"the start's end-to-end {what}", model.shape, self.shape, "start from init(problem.shape, ...)"
        )

    def half_sse(self, loss: ArrayLike) -> Array:
        """Convert values of this problem's loss to half the sum of squared residuals, the theorems' convention.

        Parameters
        ----------
        loss : array_like, shape (...)
            As `loss` returns it.

        Returns
        -------
        array, shape (...)

        Raises
        ------
        ValueError
            If ``loss`` is no real number or array of them, or the problem's loss is not one of squares.

        Examples
        --------
        >>> import rankfall as rf
        >>> float(rf.two_by_two(loss="mse").half_sse(2.0))  # three observed entries
        3.0
        """
        squares = self.require_least_squares("half_sse()")
        return squares.half_sse(floating("loss", loss))

    def written_out(self) -> tuple[tuple[int, int], ...] | None:
        """Observed places of a matrix so small that training works entry by entry, else ``None``."""
        return None

    def stripped(self, model: Model) -> "AbstractProblem":
        """Return the same without what training this model does not use: problems of one form share compiled code."""
        return self

    def scaled(self, factor: float) -> "AbstractProblem":
        """Return the problem with observations, and a known truth, so many times as large."""
        truth = None if self.truth is None else self.truth * factor
        where = ["values"] if truth is None else ["values", "truth"]
        new = [self.values * factor, truth]
        return eqx.tree_at(lambda p: [getattr(p, name) for name in where], self, new[: len(where)])

    def part(self, which: Array) -> "AbstractProblem":
        """Return the problem of some of the observations.

        Parameters
        ----------
        which : array of int, shape (n,)
            0-based numbers of observations, below `samples`; may be traced.

        Returns
        -------
        AbstractProblem

        Raises
        ------
        ValueError
            If the problem cannot be taken apart.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.two_by_two().part(np.array([0, 2])).values
        array([1., 0.])
        """
        raise ValueError(f"problem is a {type(self).__name__}, whose observations cannot be taken apart.")

    def hold_out(self, share: float) -> "tuple[AbstractProblem, AbstractProblem]":
        """Split the observations at random, always in the same way.

        Parameters
        ----------
        share : float
            Share of the observations to hold out, between 0 and 1.

        Returns
        -------
        rest, held : AbstractProblem

        Raises
        ------
        ValueError
            If the share is no number between 0 and 1, or so small or large that one of the two parts has none.

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> problem = rf.low_rank_completion((8, 8), 1, 40, key=jax.random.key(0))
        >>> [part.observed for part in problem.hold_out(0.25)]
        [30, 10]
        """
        if not 0 < _checks.number("hold_out", share) < 1:
            raise ValueError(f"hold_out is {share:g}, but must be a share of the observations, between 0 and 1.")
        order = np.random.default_rng(0).permutation(self.samples)
        free = self._may_be_held_out(order)
        count = min(round(share * self.samples), len(free))
        if not 0 < count < self.samples:
            raise ValueError(
                f"hold_out is {share:g}, but of {self.samples} observations, of which {len(free)} can be spared, it "
                "must hold out one at least and leave one; take another share."
            )
        held = np.sort(free[:count])
        rest = np.setdiff1d(np.arange(self.samples), held)
        return self._rest(rest), self.part(held)

    def _may_be_held_out(self, order: np.ndarray) -> np.ndarray:
        """Return the numbers of the observations that can be spared, in a random order that is given."""
        return order

    def _rest(self, which: np.ndarray) -> "AbstractProblem":
        """Return the problem of what is not held out, in the form that trains fastest."""
        return self.part(which)

    def describe(self) -> dict[str, Any]:
        """Facts about the problem that are written into every result."""
        return {
            "problem": type(self).__name__,
            "shape": list(self.shape),
            "observed": self.observed,
            "loss": self.loss_kind,
            "dtype": self.dtype,
        }


def fitting(full: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return an end-to-end matrix or tensor, or a batch of them; refuse one of another shape."""
    found = matrices("full", full) if len(shape) == 2 else floating("full", full)
    if found.shape[-len(shape) :] != shape:
        inner = ", ".join(str(n) for n in shape)
        raise ValueError(f"full has shape {tuple(found.shape)}, but must have the problem's, (..., {inner}).")
    return found


def unobserved_of(observed: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """List the entries not named by indices ``(n, order)``, in C order; ``None`` where there would be too many."""
    if math.prod(shape) > _LISTED:
        return None
    seen = np.zeros(shape, bool)
    seen[tuple(observed.T)] = True
    return np.argwhere(~seen)


def check_options(loss: str | AbstractLoss | type[AbstractLoss], dtype: DTypeLike) -> tuple[AbstractLoss, str]:
    """Check the options common to all problems; return the loss and the name of the dtype."""
    return loss_of(loss), _checks.precision("dtype", dtype)


def check_infima(infimal_rank: object, infimal_erank: object) -> tuple[int | None, float | None]:
    """Return the infima over the solution set, ``None`` where they are not known."""
    rank = None if infimal_rank is None else _checks.integer("infimal_rank", infimal_rank, 0)
    return rank, None if infimal_erank is None else _checks.effective_rank("infimal_erank", infimal_erank)


def check_truth(truth: ArrayLike | None, shape: tuple[int, ...], dtype: str) -> np.ndarray | None:
    """Return the known full matrix as an array of the problem's dtype."""
    if truth is None:
        return None
    array = _checks.real("truth", truth, dtype)
    _checks.same_shape("truth", array.shape, shape)
    _checks.finite("truth", array)
    return array
