"""The vocabulary of arrays, shapes and keys, and of what is worth recording.

``Array`` is "an array of NumPy or of JAX", the names that follow it say its axes too; ``ArrayLike`` is what users hand
over and NumPy makes an array of. The pure functions of the package take arrays of both libraries and answer in kind.
Under pytest the annotations are checked at run time, shapes included: axes of one name agree within a call. A static
checker knows too little of what the two libraries have in common to be of use, and sees ``Any`` for an array.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import numpy as np
from jaxtyping import Float


@runtime_checkable
class _SupportsArray(Protocol):
    """What says itself how it is an array: a table of pandas, a tensor of another library."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


if TYPE_CHECKING:
    from typing import Self as Self

    Array: TypeAlias = Any
    Scalars: TypeAlias = Any
    Matrices: TypeAlias = Any
    SquareMatrices: TypeAlias = Any
    Residuals: TypeAlias = Any
    Entries: TypeAlias = Any
else:
    # The run-time checker is put around methods, not classes, and refuses the word there.
    Self: TypeAlias = Any
    # NumPy reductions of a single matrix give np.float64, not a zero-dimensional array; both count.
    Array: TypeAlias = np.ndarray | np.generic | jax.Array
    # One number for each member of the batch, which may have no axis at all.
    Scalars: TypeAlias = Float[Array, "*batch"]
    Matrices: TypeAlias = Float[Array, "*batch rows columns"]
    SquareMatrices: TypeAlias = Float[Array, "*batch size size"]
    Residuals: TypeAlias = Float[Array, "*batch observed"]
    Entries: TypeAlias = Float[Array, "*batch entries"]

ArrayLike: TypeAlias = float | complex | Sequence[Any] | _SupportsArray | np.ndarray | np.generic | jax.Array
DTypeLike: TypeAlias = str | type | np.dtype
# A key of JAX, or an array of them.
Key: TypeAlias = jax.Array
# A tree over modes as users write it: nested tuples, or lists, of their numbers.
TreeLike: TypeAlias = Sequence[Any]


class Probe(NamedTuple):
    """Something worth recording along a run.

    Attributes
    ----------
    name : str
        Name of the variable in the trajectory.
    function : callable
        Of what names the probe (a model, or a problem) and the end-to-end array, of one lane; it runs inside compiled
        code. Equal functions share that code, so take one that is defined once: no lambda made on the spot.
    dims : tuple of str
        Names of the dimensions of its values, none for a number.

    Examples
    --------
    >>> import rankfall as rf
    >>> cp = rf.CPFactorization([[[1.0]], [[2.0]], [[3.0]]])
    >>> [(probe.name, probe.dims) for probe in cp.probes()]
    [('component_norms', ('component',)), ('unbalancedness', ())]
    """

    name: str
    function: Callable[[Any, Any], Any]
    dims: tuple[str, ...] = ()
