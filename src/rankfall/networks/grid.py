"""Any network as a parameterisation of its grid tensor: what trains, measures and records tensors does so with it."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from .. import _checks
from .._execution import compiled, double_precision
from .._types import Array, ArrayLike
from ..factorizations.base import AbstractFactorization
from ..measures._namespace import namespace
from ..measures.grid import BLOCK, check_grid, inputs_at, template_points
from .form import Constant, NetworkForm, stacked, taken_apart


class GridNetwork(AbstractFactorization):
    """A network as far as it is seen at combinations of template points: a tensor with the weights for factors.

    Made of a network that you have; with other weights, given as arrays: `like`.

    It is a start for ``train`` on any problem of tensors: observed entries are labels of the inputs that they stand
    for, and descent, flows, records and measures (the ranks of its input-output mapping) are those of tensors.

    Parameters
    ----------
    network : callable Equinox module
        Of one input of shape (positions, features) to a number. All its arrays of floating-point numbers are trained.
    points : array_like, shape (templates, features), or sequence of such arrays
        Template points, as in `measures.grid_tensor`.
    positions : int, optional
        Number of positions, where the points are the same for all.
    output : int, optional
        0-based number of the output that is meant, of a network of several.

    Raises
    ------
    ValueError
        If the network cannot be called on the inputs, has no weights or gives no single number, or the points are not
        of one of the two forms.

    References
    ----------
    Cohen and Shashua (2016), section 4 (grid tensors); Razin and Cohen (2020), section 7.

    Examples
    --------
    >>> import jax, numpy as np, rankfall as rf
    >>> circuit = rf.networks.ShallowCircuit([np.eye(2)] * 3)
    >>> rf.networks.GridNetwork(circuit, [[1.0, 0.0], [1.0, 1.0]], positions=3).full()
    array([[[1., 1.],
            [1., 1.]],
    <BLANKLINE>
           [[1., 1.],
            [1., 2.]]])
    """

    factors: tuple[Array, ...]
    form: "_Form" = eqx.field(static=True)

    # A network is evaluated at every input by itself.
    by_entries: ClassVar[bool] = True

    def __init__(
        self,
        network: Callable[[Array], Array],
        points: ArrayLike | Sequence[ArrayLike],
        positions: int | None = None,
        output: int | None = None,
    ) -> None:
        if not callable(network):
            raise ValueError(f"network is {_checks.shortened(network)}, but must be a callable Equinox module.")
        templates = template_points(points, positions)
        number = None if output is None else _checks.integer("output", output, 0)
        self.factors, rest = taken_apart(network)
        self.form = _Form(rest, tuple(Constant.of(t) for t in templates), number)
        self._check()

    @property
    def network(self) -> Callable[[Array], Array]:
        """The network with these weights, to be called on inputs (the first axis of all weights is that of lanes)."""
        return self.form.rest.network(self.factors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of template points at each position."""
        return tuple(t.shape[0] for t in self.form.points)

    @property
    def lanes(self) -> int | None:
        """Number of networks held together, ``None`` for a single one."""
        return self.factors[0].shape[0] if self.factors[0].ndim > self.form.rest.ndims[0] else None

    def full(self) -> Array:
        """Grid tensor.

        Returns
        -------
        array, shape (..., *shape)
            NumPy for weights of NumPy, JAX for those of JAX.

        Raises
        ------
        ValueError
            If it takes more than 8 GB.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> circuit = rf.networks.ShallowCircuit([np.eye(2)] * 2)
        >>> rf.networks.GridNetwork(circuit, [[1.0, 0.0], [1.0, 1.0]], positions=2).full()
        array([[1., 1.],
               [1., 2.]])
        """
        check_grid(self.shape)
        flat = self.entries_at(np.stack(np.unravel_index(np.arange(math.prod(self.shape)), self.shape), axis=1))
        return flat.reshape(*flat.shape[:-1], *self.shape)

    def entries_at(self, indices: Array) -> Array:
        """Give the outputs at some of the inputs, for indices that were checked or are traced."""
        if namespace(*self.factors) is jnp:
            outputs = partial(_outputs, self.form, indices=indices)
            return jax.vmap(outputs)(self.factors) if self.lanes is not None else outputs(self.factors)
        with double_precision():
            outputs = _found if self.lanes is None else _found_lanes
            return np.asarray(outputs(self.form, self.factors, indices))

    @classmethod
    def stack(cls, starts: Sequence["GridNetwork"]) -> "GridNetwork":
        """Hold several networks of one form together, as lanes.

        Parameters
        ----------
        starts : sequence of GridNetwork
            Single ones, which differ in nothing but their weights.

        Returns
        -------
        GridNetwork

        Raises
        ------
        ValueError
            If there is none, or they differ in form.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> points = [[1.0, 0.0], [1.0, 1.0]]
        >>> circuits = [rf.networks.ShallowCircuit([c * np.eye(2)] * 3) for c in (1.0, 2.0)]
        >>> rf.networks.GridNetwork.stack([rf.networks.GridNetwork(c, points, 3) for c in circuits]).lanes
        2
        """
        found: GridNetwork = stacked(cls, starts)
        return found

    @property
    def maker(self) -> "_Maker":
        """Function that makes the same network of other weights; equal where points and functions are."""
        return _Maker(self.form)

    @property
    def degree(self) -> None:
        """None: networks of any kind are not homogeneous in their weights."""
        return None

    def describe(self) -> dict[str, Any]:
        """Facts about the network that are written into every result."""
        name = type(self.network).__name__
        return {"factorization": type(self).__name__, "network": name, "weights": sum(w.size for w in self.factors)}

    def _check(self) -> None:
        """Refuse a network that does not give one number for an input."""
        one = np.zeros((1, len(self.shape)), int)
        with double_precision():
            try:
                jax.eval_shape(lambda w: _outputs(self.form, w, one), self.factors)
            except _NoNumber as found:
                raise ValueError(
                    f"network gives an array of shape {found.args[0]} for an input, but must give one number; pass "
                    "output=0, or the output that is meant."
                ) from None
            except Exception as problem:
                raise ValueError(
                    f"network cannot be called on an input of these points ({str(problem).splitlines()[0]}); it is "
                    "shown an array (positions, features)."
                ) from problem


@dataclasses.dataclass(frozen=True)
class _Form:
    """All of a network but its weights, the template points, and which output is meant."""

    rest: NetworkForm
    points: tuple[Constant, ...]
    output: int | None


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes a `GridNetwork` of weights, for code that is compiled once for the form."""

    form: _Form

    def __call__(self, factors: Sequence[Array]) -> GridNetwork:
        made = object.__new__(GridNetwork)
        object.__setattr__(made, "factors", tuple(factors))
        object.__setattr__(made, "form", self.form)
        return made


class _NoNumber(Exception):
    """The network gives something else than a number."""


def _outputs(form: _Form, factors: Sequence[Array], indices: Array) -> jax.Array:
    """Give the outputs of a single network at places of the grid."""
    network, dtype = form.rest.network(factors), factors[0].dtype
    templates = [jnp.asarray(t.array, dtype) for t in form.points]

    def one(where: jax.Array) -> jax.Array:
        inputs = jax.tree.map(lambda x: x[0], inputs_at(templates, where[None]))
        found = network(inputs)
        found = found if form.output is None else found[form.output]
        if jnp.shape(found) != ():
            raise _NoNumber(jnp.shape(found))
        return found

    where = jnp.asarray(indices)
    return jax.vmap(one)(where) if len(where) <= BLOCK else lax.map(one, where, batch_size=BLOCK)


_found = compiled(_outputs, static_argnums=0)
_found_lanes = compiled(jax.vmap(_outputs, in_axes=(None, 0, None)), static_argnums=0)
