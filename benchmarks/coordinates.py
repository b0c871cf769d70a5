"""Loss and full gradient of a million entries of a 1000 x 1000 x 1000 tensor: prints seconds and peak megabytes."""

import time

import jax
import jax.numpy as jnp
import memory
import numpy as np

import rankfall as rf


def main(observed=1_000_000, extent=1000, components=50):
    """Draw entries without forming the tensor, and time the gradient that training takes."""
    rng = np.random.default_rng(0)
    flat = rng.permutation(np.unique(rng.integers(0, extent**3, size=observed + observed // 500)))[:observed]
    where = np.stack(np.unravel_index(flat, (extent,) * 3), axis=1)
    problem = rf.TensorCompletion.from_coo(where, rng.normal(size=observed), (extent,) * 3, dtype="float32")
    start = rf.CPFactorization.init(problem.shape, components, factor_std=0.1, key=jax.random.key(0), dtype="float32")
    model = jax.tree.map(jnp.asarray, start)
    gradient = jax.jit(lambda problem, model: model.loss_and_gradient(problem))
    jax.block_until_ready(gradient(problem, model))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(gradient(problem, model))
        times.append(time.perf_counter() - began)
    print(min(times), memory.peak())


if __name__ == "__main__":
    main()
