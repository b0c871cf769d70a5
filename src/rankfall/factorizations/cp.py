"""CP factorization: a tensor written as a sum of outer products of vectors, one for each mode."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from .. import _checks
from .._declared import declared
from .._execution import double_precision
from .._types import Array, ArrayLike, DTypeLike, Key, Probe, Self
from ..measures._namespace import floating, namespace
from ..measures.khatri_rao import khatri_rao
from . import initialisation
from .base import AbstractFactorization

KINDS = ("gaussian", "balanced", "constant")


@declared("factorization", "cp", lanes=("scale", "factor_std", "alpha"))
class CPFactorization(AbstractFactorization):
    """Tensor ``sum_r w_r^1 x ... x w_r^N``, held as one matrix of columns ``w_r^n`` for each mode.

    Made of arrays that you have, as here, or drawn: `init`.

    Parameters
    ----------
    factors : sequence of arrays, shapes (extent_n, components)
        At least two; all have a leading axis of lanes when many starts are held together.

    Raises
    ------
    ValueError
        If there are fewer than two factors, one is no matrix of real numbers, or they differ in components or lanes.

    Notes
    -----
    With two modes it is the matrix factorization of depth 2, ``factors[0] factors[1]^T``.

    References
    ----------
    Razin and Cohen (2020), section 6; Razin, Maman and Cohen (2021).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> rf.CPFactorization([np.ones((2, 1)), np.ones((3, 1)), np.ones((4, 1))]).full().shape
    (2, 3, 4)
    """

    factors: tuple[Array, ...]

    def __init__(self, factors: Sequence[ArrayLike]) -> None:
        listed = _checks.sequence("factors", factors, "a list of matrices, one for each mode")
        self.factors = tuple(_factor(f"factors[{n}]", w) for n, w in enumerate(listed))
        if len(self.factors) < 2:
            raise ValueError(f"factors has {len(self.factors)} matrices, but a tensor has two modes at least.")
        for n, w in enumerate(self.factors):
            rest = (*w.shape[:-2], w.shape[-1])
            first = (*self.factors[0].shape[:-2], self.factors[0].shape[-1])
            if rest != first:
                raise ValueError(
                    f"factors[{n}] has (lanes and) components {rest}, but factors[0] has {first}; all must be equal."
                )

    @classmethod
    def init(
        cls,
        shape: Sequence[int],
        components: int | None = None,
        *,
        key: Key,
        kind: str = "gaussian",
        factor_std: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        alpha: ArrayLike | None = None,
        dtype: DTypeLike = "float64",
    ) -> Self:
        """Draw a start, or one for each key of an array of keys.

        Parameters
        ----------
        shape : sequence of int
            Extents of the tensor.
        components : int, optional
            Number of components; by default the product of all extents but the largest, which every tensor of this
            shape can be written with.
        key : jax.random key, or array of keys, shape (lanes,)
            An array of keys makes lanes.
        kind : {"gaussian", "balanced", "constant"}
            Balanced: Gaussian directions and sizes, with all vectors of a component brought to the same length.
            Constant: every component has the norm ``alpha``, in a direction drawn for each vector.
        factor_std : float, or array_like, shape (lanes,), optional
            Standard deviation of a factor's entry.
        scale : float, or array_like, shape (lanes,), optional
            Standard deviation of an END-TO-END entry instead.
        alpha : float, or array_like, shape (lanes,), optional
            Norm of every component (constant only).
        dtype : {"float64", "float32"}

        Returns
        -------
        CPFactorization
            Factors as NumPy arrays, with a leading lane axis if ``key`` or the size has one.

        Raises
        ------
        ValueError
            If a number is out of range, an option does not fit the kind, or the factors do not fit in memory.

        References
        ----------
        Razin and Cohen (2020), appendix (Gaussian factors of deviation 1e-2 and 1e-3).

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> rf.CPFactorization.init((8, 8, 8), factor_std=1e-3, key=jax.random.key(0)).components
        64
        """
        sizes = {"factor_std": factor_std, "scale": scale, "alpha": alpha}
        return cls(_draw(shape, components, key=key, kind=kind, sizes=sizes, dtype=dtype))

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the tensor."""
        return tuple(int(w.shape[-2]) for w in self.factors)

    @property
    def components(self) -> int:
        """Number of components, zero ones included."""
        return int(self.factors[0].shape[-1])

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single start."""
        return int(self.factors[0].shape[0]) if self.factors[0].ndim == 3 else None

    def full(self) -> Array:
        """Form the tensor; NumPy for NumPy factors.

        Returns
        -------
        array, shape (..., *shape)

        Raises
        ------
        ValueError
            If the tensor would not fit in memory; `entries` needs no more than the entries asked for.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.CPFactorization([np.full((2, 1), 2.0), np.full((2, 1), 3.0)]).full()
        array([[6., 6.],
               [6., 6.]])
        """
        check_size(self.shape, self.factors[0], self.lanes)
        # One matrix product of two Khatri-Rao products as equal in size as contiguous modes allow.
        half = _middle(self.shape)
        left, right = khatri_rao(self.factors[:half]), khatri_rao(self.factors[half:])
        return (left @ right.swapaxes(-1, -2)).reshape(*left.shape[:-2], *self.shape)

    def entries_at(self, indices: Array) -> Array:
        """Entries, for indices that were checked or are traced."""
        rows = [w[..., indices[:, n], :] for n, w in enumerate(self.factors)]
        return math.prod(rows[1:], start=rows[0]).sum(axis=-1)

    def component_norms(self) -> Array:
        """Frobenius norm ``prod_n |w_r^n|`` of each component, in the order of the columns.

        Returns
        -------
        array, shape (..., components)

        References
        ----------
        Razin, Maman and Cohen (2021), theorem 1.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.CPFactorization([np.eye(2), 2 * np.eye(2), 3 * np.eye(2)]).component_norms()
        array([6., 6.])
        """
        xp = namespace(*self.factors)
        norms = [xp.sqrt(xp.sum(w * w, axis=-2)) for w in self.factors]
        return math.prod(norms[1:], start=norms[0])

    def unbalancedness(self) -> Array:
        """Largest difference between squared lengths of two vectors of one component, which gradient flow conserves.

        Returns
        -------
        array, shape (...)

        References
        ----------
        Razin, Maman and Cohen (2021), definition 2.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> float(rf.CPFactorization([np.eye(2), 2 * np.eye(2)]).unbalancedness())
        3.0
        """
        squares = self._squares()
        return (squares.max(axis=0) - squares.min(axis=0)).max(axis=-1)

    def conserved(self) -> tuple[Array, ...]:
        """Differences of the squared lengths of a component's vectors."""
        squares = self._squares()
        return (squares[1:] - squares[:-1],)

    def probes(self) -> list[Probe]:
        """Norms of the components and unbalancedness, with what every matrix has."""
        norms = Probe("component_norms", _component_norms, ("component",))
        return [*super().probes(), norms, Probe("unbalancedness", _unbalancedness)]

    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""
        return {"factorization": type(self).__name__, "components": self.components}

    def _squares(self) -> Array:
        """Squared lengths of all vectors, shape (order, ..., components)."""
        return namespace(*self.factors).stack([(w * w).sum(axis=-2) for w in self.factors])


def _component_norms(model: CPFactorization, end_to_end: Array) -> Array:
    return model.component_norms()


def _unbalancedness(model: CPFactorization, end_to_end: Array) -> Array:
    return model.unbalancedness()


def check_size(shape: Sequence[int], factor: Array, lanes: int | None) -> None:
    """Refuse a tensor, of the precision of a factor, that does not fit in memory."""
    size = math.prod(shape) * factor.dtype.itemsize * (lanes or 1)
    # What compiled code does not use it does not form.
    if size > _checks.MEMORY and not isinstance(factor, jax.core.Tracer):
        raise ValueError(
            f"the full tensor of shape {tuple(shape)} takes {size / 1e9:.3g} GB, but at most "
            f"{_checks.MEMORY / 1e9:.3g} GB are taken; ask for entries(indices) instead, and build the problem with "
            "from_coo."
        )


def _middle(shape: Sequence[int]) -> int:
    sizes = [max(math.prod(shape[:n]), math.prod(shape[n:])) for n in range(1, len(shape))]
    return 1 + sizes.index(min(sizes))


def _factor(name: str, value: ArrayLike) -> Array:
    array = floating(name, value)
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ValueError(
            f"{name} has shape {tuple(array.shape)}, but must be a matrix (extent, components), or lanes of them."
        )
    return array


def _draw(
    shape: Sequence[int],
    components: int | None,
    *,
    key: Key,
    kind: str,
    sizes: dict[str, ArrayLike | None],
    dtype: DTypeLike,
) -> list[np.ndarray]:
    extents = _checks.tensor_shape("shape", shape)
    most = math.prod(extents) // max(extents)
    count = most if components is None else _checks.positive_integer("components", components)
    _checks.room("components", count, count * sum(extents))
    _checks.one_of("kind", kind, KINDS)
    dtype = _checks.precision("dtype", dtype)
    name = _size(kind, sizes)
    keys, size, laned = initialisation._lanes(key, initialisation._within(name, sizes[name], dtype), name)
    order = len(extents)
    with double_precision():
        factors = initialisation._normals(keys, [(extent, count) for extent in extents])
    if kind == "constant":
        std = size ** (1 / order)
    else:
        # An end-to-end entry sums so many products of one entry of each factor.
        std = size if name == "factor_std" else (size / math.sqrt(count)) ** (1 / order)
    lengths = [np.linalg.norm(w, axis=-2, keepdims=True) for w in factors]
    if kind == "constant":
        factors = [w / s for w, s in zip(factors, lengths, strict=True)]
    elif kind == "balanced":
        mean = np.exp(np.mean([np.log(s) for s in lengths], axis=0))
        factors = [w / s * mean for w, s in zip(factors, lengths, strict=True)]
    made = [(std[:, None, None] * w).astype(dtype) for w in factors]
    return [w if laned else w[0] for w in initialisation._not_lost(name, size, made)]


def _size(kind: str, sizes: dict[str, ArrayLike | None]) -> str:
    """Return the name of the one size given; refuse none, more, and those of other kinds of start."""
    fitting = ("alpha",) if kind == "constant" else ("factor_std", "scale")
    initialisation._refuse(kind, **{n: v for n, v in sizes.items() if n not in fitting})
    chosen = [n for n in fitting if sizes[n] is not None]
    if len(chosen) != 1:
        came = " and ".join(f"{n} is {_checks.shortened(sizes[n])}" for n in fitting)
        raise ValueError(f"{came}, but a {kind} start needs exactly one size; take {fitting[0]}=...")
    return chosen[0]
