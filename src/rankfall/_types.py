"""The vocabulary of arrays and shapes: ``Array`` is "an array of NumPy or of JAX", the others say its axes too.

The pure functions of the package take both and answer in kind. Under pytest the annotations are checked at run time,
shapes included: axes of one name agree within a call. A static checker knows too little of what the two libraries have
in common to be of use, and sees ``Any``.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    Array: TypeAlias = Any
    Scalars: TypeAlias = Any
    Matrices: TypeAlias = Any
    SquareMatrices: TypeAlias = Any
    Residuals: TypeAlias = Any
    Entries: TypeAlias = Any
else:
    # NumPy reductions of a single matrix give np.float64, not a zero-dimensional array; both count.
    Array: TypeAlias = np.ndarray | np.generic | jax.Array
    # One number for each member of the batch, which may have no axis at all.
    Scalars: TypeAlias = Float[Array, "*batch"]
    Matrices: TypeAlias = Float[Array, "*batch rows columns"]
    SquareMatrices: TypeAlias = Float[Array, "*batch size size"]
    Residuals: TypeAlias = Float[Array, "*batch observed"]
    Entries: TypeAlias = Float[Array, "*batch entries"]
