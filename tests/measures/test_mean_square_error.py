import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rankfall.measures import mean_square_error

rng = np.random.default_rng(0)
MATRIX, TRUTH, MASK = rng.normal(size=(4, 3, 2)), rng.normal(size=(3, 2)), rng.random((3, 2)) < 0.5


def test_against_numpy():
    square = (MATRIX - TRUTH) ** 2
    np.testing.assert_allclose(mean_square_error(MATRIX, TRUTH), [s.mean() for s in square], rtol=1e-14)
    np.testing.assert_allclose(mean_square_error(MATRIX, TRUTH, MASK), [s[MASK].mean() for s in square], rtol=1e-14)
    assert type(mean_square_error(MATRIX, TRUTH)) is np.ndarray


def test_entries_that_do_not_count_are_not_looked_at():
    holes = np.where(MASK, TRUTH, np.nan)
    expected = mean_square_error(MATRIX, TRUTH, MASK)
    np.testing.assert_array_equal(mean_square_error(MATRIX, holes, MASK), expected)


def test_compiled():
    single = jnp.asarray(MATRIX, jnp.float32)
    truth = TRUTH.astype(np.float32)
    both = jax.jit(lambda w, m: (mean_square_error(w, truth, MASK), mean_square_error(w, truth, m)))(single, MASK)
    for value in both:
        assert isinstance(value, jax.Array) and value.dtype == jnp.float32
        np.testing.assert_allclose(value, mean_square_error(MATRIX, TRUTH, MASK), rtol=1e-5)


def test_refusals():
    with pytest.raises(ValueError, match="truth has shape"):
        mean_square_error(MATRIX, TRUTH.T)
    for mask in (MASK.T, np.zeros((3, 2), bool)):
        with pytest.raises(ValueError, match="where has shape"):
            mean_square_error(MATRIX, TRUTH, mask)
    with pytest.raises(ValueError, match="where is"):
        mean_square_error(MATRIX, TRUTH, [[True], [True, False]])
