"""The vocabulary of shapes: every axis of the package is named once, here.

``Array`` is "an array of NumPy or of JAX": the pure functions of the package take both and return what they were
given.  The axis names mean the same in every annotation; under pytest they are checked at run time.
"""

from typing import TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

# NumPy reductions of a single matrix give np.float64, not a zero-dimensional array; both count.
Array: TypeAlias = np.ndarray | np.generic | jax.Array

Matrix: TypeAlias = Float[Array, "*batch rows columns"]
Spectrum: TypeAlias = Float[Array, "*batch singular_value"]
PerMatrix: TypeAlias = Float[Array, "*batch"]
Indices: TypeAlias = Int[Array, "observed order"]
Mask: TypeAlias = Bool[Array, "rows columns"]
