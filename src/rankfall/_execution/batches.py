"""How lanes go through one compiled program: together, in blocks, or one after another; with the reasons."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
from jax import lax

# Numbers of a lane of matrices up to which lanes are moved together. Of 3 x 50 x 50 four together are still a quarter
# faster than one by one; beyond, company gains nothing.
TOGETHER = 8000
# The same for lanes of tensor factorizations, whose steps are products of larger matrices.
LARGE = 1000

# jaxlib hands a batch of decompositions to its thread pool from this much work on, by its own count of operations, and
# waits for them inside the pool: see `lanes_together`.
_WORK = 200_000
# Operations that it counts for n x n are n^3 (LU) to 10 n^3 (singular values), three times as many where complex.
_COUNTED = 30
_DECOMPOSITIONS = frozenset(
    "svd eigh eig lu qr geqrf geqp3 householder_product cholesky triangular_solve schur hessenberg tridiagonal".split()
)


def alone(function: Callable[..., Any]) -> Callable[..., Any]:
    """Run a function on a batch of one without the batch: XLA's products of batches are up to six times slower.

    Parameters
    ----------
    function : callable
        Of a lane.

    Returns
    -------
    callable
        Of arrays with an axis of length one in front, which it returns too.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> alone(lambda x: x @ x)(jnp.array([[3.0, 4.0]]))
    Array([25.], dtype=float32)
    """

    def single(*arguments: object) -> Any:
        result = function(*jax.tree.map(lambda a: a[0], arguments))
        return jax.tree.map(lambda a: a[None], result)

    return single


def lanes_together(function: Callable[..., Any], axis: int = 0) -> Callable[..., Any]:
    """Map a function over lanes as ``jax.vmap`` does, in blocks where the batch would be handed to the thread pool.

    jaxlib's LAPACK kernels share a large batch out to the pool of threads that programs run in, and wait for it in a
    thread of that pool. As many such waits as the pool has threads, in one program or in several, wait for each other
    without end (seen with jaxlib 0.10.2 on two cores: 1000 lanes of 20 x 20). Blocks below the work from which on a
    batch is handed over never wait, nor do single lanes.

    Parameters
    ----------
    function : callable
        Of the arrays of a lane.
    axis : int
        Of the lanes in the arguments; in the results it is the first.

    Returns
    -------
    callable
        Of the arrays of all lanes.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> lanes_together(jnp.linalg.det)(jnp.stack([jnp.eye(2), 2 * jnp.eye(2)]))
    Array([1., 4.], dtype=float32)
    """

    def mapped(*arguments: object) -> Any:
        count = jax.tree.leaves(arguments)[0].shape[axis]
        in_front = jax.tree.map(lambda a: a if axis == 0 else jnp.moveaxis(a, axis, 0), arguments)
        if count == 1:
            return alone(function)(*in_front)
        together, shape = jax.make_jaxpr(jax.vmap(function, in_axes=axis), return_shape=True)(*arguments)
        block = _block(together, count)
        if block >= count:
            # What has been traced is not traced again.
            flat = jax.extend.core.jaxpr_as_fun(together)(*jax.tree.leaves(arguments))
            return jax.tree.unflatten(jax.tree.structure(shape), flat)
        # Blocks of one length where they can be: the rest of a division would be compiled for itself.
        block = next((size for size in range(block, block // 2, -1) if count % size == 0), block)
        return lax.map(lambda lane: function(*lane), in_front, batch_size=block if block > 1 else None)

    return mapped


def _block(together: jax.extend.core.ClosedJaxpr, count: int) -> Any:
    """Count the lanes whose decompositions stay in the thread that calls them; infinite where there are none."""
    work = [
        _COUNTED * math.prod(shape[:-2]) * shape[-2] * shape[-1] * max(shape[-2:]) / count
        for shape in _decomposed(together.jaxpr)
    ]
    return max(1, int((_WORK - 1) // max(work))) if work else math.inf


def _decomposed(jaxpr: jax.extend.core.Jaxpr) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the batches of matrices that are decomposed, also in what is called."""
    for equation in jaxpr.eqns:
        if equation.primitive.name in _DECOMPOSITIONS:
            shapes = [getattr(v.aval, "shape", ()) for v in equation.invars]
            yield from (shape for shape in shapes if len(shape) > 2)
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(inner):
                yield from _decomposed(inner.jaxpr if hasattr(inner, "jaxpr") else inner)


def _is_program(value: object) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")
