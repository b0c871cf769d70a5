"""The vocabulary: ``Array`` is "an array of NumPy or of JAX".

The pure functions of the package take both and answer in kind. Under pytest the annotation is checked at run time; a
static checker knows too little of what the two have in common to be of use, and sees ``Any``.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import numpy as np

if TYPE_CHECKING:
    Array: TypeAlias = Any
else:
    # NumPy reductions of a single matrix give np.float64, not a zero-dimensional array; both count.
    Array: TypeAlias = np.ndarray | np.generic | jax.Array
