import jax
import jax.numpy as jnp
import numpy as np

from rankfall.measures.khatri_rao import khatri_rao


def test_khatri_rao_is_the_kronecker_product_of_columns():
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(n, 5)) for n in (2, 3, 4))
    product = khatri_rao([a, b, c])
    for r in range(5):
        np.testing.assert_allclose(product[:, r], np.kron(np.kron(a[:, r], b[:, r]), c[:, r]), rtol=1e-14)
    lanes = [rng.normal(size=(3, n, 4)) for n in (2, 3)]
    np.testing.assert_array_equal(khatri_rao(lanes), [khatri_rao(pair) for pair in zip(*lanes, strict=True)])
    assert isinstance(khatri_rao([jnp.asarray(a), jnp.asarray(b)]), jax.Array)
    np.testing.assert_array_equal(khatri_rao([a]), a)
