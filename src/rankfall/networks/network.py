"""Any network as a start for training on labelled inputs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import _checks
from .._execution import compiled, double_precision
from .._types import Array, Probe
from ..factorizations.base import AbstractFactorization
from ..measures._namespace import namespace
from .form import NetworkForm, stacked, taken_apart


class Network(AbstractFactorization):
    """An Equinox module with its weights as factors: a start for ``train`` on `Supervised` problems.

    ``train`` makes one of a module by itself; make it yourself to hold several networks of one form as lanes
    (`stack`).

    Parameters
    ----------
    network : callable Equinox module
        Of one input to a number or an array. All its arrays of floating-point numbers are trained.

    Raises
    ------
    ValueError
        If the network cannot be called or has no weights.

    Examples
    --------
    >>> import equinox as eqx, jax, rankfall as rf
    >>> start = rf.networks.Network(eqx.nn.Linear(3, 2, key=jax.random.key(0)))
    >>> start.outputs([[0.0, 0.0, 0.0]]).shape, len(start.factors)
    ((1, 2), 2)
    """

    factors: tuple[Array, ...]
    form: NetworkForm = eqx.field(static=True)

    by_entries: ClassVar[bool] = True

    def __init__(self, network: Callable[..., Any]) -> None:
        if not callable(network):
            raise ValueError(f"network is {_checks.shortened(network)}, but must be a callable Equinox module.")
        self.factors, self.form = taken_apart(network)

    @property
    def network(self) -> Any:
        """The network with these weights, to be called on an input (the first axis of all weights is that of lanes)."""
        return self.form.network(self.factors)

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of an end-to-end object, of which a network on any inputs has none."""
        return ()

    @property
    def lanes(self) -> int | None:
        """Number of networks held together, ``None`` for a single one."""
        return int(self.factors[0].shape[0]) if self.factors[0].ndim > self.form.ndims[0] else None

    def full(self) -> Array:
        """Refuse: a network has no end-to-end matrix or tensor.

        Returns
        -------
        array, shape (..., *shape)
            Of other models.

        Raises
        ------
        ValueError
            Always; `GridNetwork` has one.

        Examples
        --------
        >>> import equinox as eqx, jax, rankfall as rf
        >>> rf.networks.Network(eqx.nn.Linear(3, 2, key=jax.random.key(0))).full()
        Traceback (most recent call last):
            ...
        ValueError: a Network has no end-to-end tensor, but outputs(inputs) at any inputs; ...
        """
        raise ValueError(
            "a Network has no end-to-end tensor, but outputs(inputs) at any inputs; rf.networks.GridNetwork has one."
        )

    def entries_at(self, indices: Array) -> Array:
        """Refuse, as `full` does.

        Parameters
        ----------
        indices : array of int, shape (n, order)

        Returns
        -------
        array, shape (..., n)
            Of other models.

        Raises
        ------
        ValueError
            Always; `GridNetwork` has entries.

        Examples
        --------
        >>> import equinox as eqx, jax, numpy as np, rankfall as rf
        >>> rf.networks.Network(eqx.nn.Linear(3, 2, key=jax.random.key(0))).entries_at(np.zeros((1, 2), int))
        Traceback (most recent call last):
            ...
        ValueError: a Network has no end-to-end tensor, but outputs(inputs) at any inputs; ...
        """
        return self.full()

    def probes(self) -> list[Probe]:
        """Nothing but what the problem says is worth recording."""
        return []

    def outputs(self, inputs: Any) -> Array:
        """Evaluate at inputs.

        Parameters
        ----------
        inputs : array_like, shape (n, ...)

        Returns
        -------
        array, shape (..., n, *outputs)
            NumPy for weights of NumPy, JAX for those of JAX.

        Raises
        ------
        ValueError
            If the network cannot be called on an input.

        Examples
        --------
        >>> import equinox as eqx, jax, numpy as np, rankfall as rf
        >>> linear = eqx.tree_at(lambda m: m.weight, eqx.nn.Linear(2, 1, use_bias=False, key=jax.random.key(0)),
        ...                      np.array([[2.0, 3.0]]))
        >>> rf.networks.Network(linear).outputs([[1.0, 1.0], [0.0, 1.0]])
        array([[5.],
               [3.]])
        """
        if namespace(*self.factors) is jnp:
            traced = jnp.asarray(inputs, self.factors[0].dtype)
            return (_outputs if self.lanes is None else _of_lanes)(self.form, self.factors, traced)
        x = _checks.real("inputs", inputs).astype(self.factors[0].dtype)
        self.output_shape(x)
        with double_precision():
            return np.asarray((_found if self.lanes is None else _found_of_lanes)(self.form, self.factors, x))

    def output_shape(self, inputs: Any) -> tuple[int, ...]:
        """Shape of what the network gives for one of the inputs.

        Parameters
        ----------
        inputs : array, shape (n, ...)

        Returns
        -------
        tuple of int

        Raises
        ------
        ValueError
            If the network cannot be called on an input.

        Examples
        --------
        >>> import equinox as eqx, jax, numpy as np, rankfall as rf
        >>> rf.networks.Network(eqx.nn.Linear(3, 2, key=jax.random.key(0))).output_shape(np.zeros((1, 3)))
        (2,)
        """
        weights = [w if self.lanes is None else w[0] for w in self.factors]
        one = np.zeros((1, *np.shape(inputs)[1:]), weights[0].dtype)
        with double_precision():
            try:
                return tuple(jax.eval_shape(lambda w: _outputs(self.form, w, one), weights).shape[1:])
            except Exception as problem:
                raise ValueError(
                    f"network cannot be called on an input of shape {one.shape[1:]} "
                    f"({str(problem).splitlines()[0]}); it is shown one input at a time."
                ) from problem

    @classmethod
    def stack(cls, starts: "Sequence[Network]") -> "Network":
        """Hold several networks of one form together, as lanes.

        Parameters
        ----------
        starts : sequence of Network
            Single ones, which differ in nothing but their weights.

        Returns
        -------
        Network

        Raises
        ------
        ValueError
            If there is none, or they differ in form.

        Examples
        --------
        >>> import equinox as eqx, jax, rankfall as rf
        >>> keys = jax.random.split(jax.random.key(0), 3)
        >>> rf.networks.Network.stack([rf.networks.Network(eqx.nn.Linear(3, 2, key=key)) for key in keys]).lanes
        3
        """
        found: Network = stacked(cls, starts)
        return found

    @property
    def degree(self) -> None:
        """None: networks of any kind are not homogeneous in their weights."""
        return None

    def describe(self) -> dict[str, Any]:
        """Facts about the network that are written into every result."""
        name, count = type(self.network).__name__, sum(w.size for w in self.factors)
        return {"factorization": type(self).__name__, "network": name, "weights": count // (self.lanes or 1)}

    @property
    def maker(self) -> "_Maker":
        """Function that makes the same network of other weights."""
        return _Maker(self.form)


@dataclasses.dataclass(frozen=True)
class _Maker:
    """Makes a `Network` of weights, for code that is compiled once for the form."""

    form: NetworkForm

    def __call__(self, factors: Sequence[Array]) -> Network:
        made = object.__new__(Network)
        object.__setattr__(made, "factors", tuple(factors))
        object.__setattr__(made, "form", self.form)
        return made


def _outputs(form: NetworkForm, factors: Sequence[Array], inputs: Array) -> Any:
    return jax.vmap(form.network(factors))(inputs)


_of_lanes = jax.vmap(_outputs, in_axes=(None, 0, None))
_found = compiled(_outputs, static_argnums=0)
_found_of_lanes = compiled(_of_lanes, static_argnums=0)
