import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall.measures import singular_values


def close_to_lapack(batch, tolerance=4e-15):
    """Within rounding of the largest singular value, which is all that LAPACK promises."""
    reference = np.linalg.svd(batch, compute_uv=False)
    return (np.abs(singular_values(batch) - reference) <= tolerance * reference[..., :1]).all()


@pytest.mark.parametrize("size", [1.0, 1e-200, 1e200])
def test_two_by_two_closed_form_agrees_with_lapack(size):
    rng = np.random.default_rng(0)
    full = rng.normal(size=(500, 2, 2))
    rank_one = rng.normal(size=(500, 2, 1)) * rng.normal(size=(500, 1, 2))
    angles = rng.uniform(0, 2 * np.pi, 500)
    tied = np.moveaxis(np.array([[np.cos(angles), -np.sin(angles)], [np.sin(angles), np.cos(angles)]]), 2, 0)
    for batch in (full, rank_one, tied, tied[:, ::-1], full * 10.0 ** rng.uniform(-8, 0, (500, 2, 1))):
        assert close_to_lapack(size * batch)
        s = singular_values(size * batch)
        assert (s[:, 0] >= s[:, 1]).all() and (s[:, 1] >= 0).all()


def test_two_by_two_smaller_value_is_exact_where_lapack_loses_it():
    # det = 1e-20 exactly, to be found beside entries of size one
    assert singular_values([[1.0, 0.0], [0.0, 1e-20]])[1] == 1e-20
    np.testing.assert_allclose(singular_values([[1e8, 1.0], [1.0, 0.0]])[1], 1e-8, rtol=1e-15)


def test_two_by_two_special_cases_are_exact():
    assert (singular_values(np.zeros((2, 2))) == 0).all()
    assert singular_values([[0.0, 1.0], [1.0, 0.0]]).tolist() == [1.0, 1.0]
    assert singular_values([[1.0, 1.0], [1.0, 1.0]]).tolist() == [2.0, 0.0]
    tiny = np.finfo(float).smallest_subnormal
    assert singular_values([[tiny, 0.0], [0.0, tiny]]).tolist() == [tiny, tiny]


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 4), (5, 1)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_matrix_does_not_spoil_its_batch(shape, bad):
    batch = np.random.default_rng(1).normal(size=(4, *shape))
    alone = singular_values(batch)
    batch[2, -1, 0] = bad
    s = singular_values(batch)
    assert np.isnan(s[2]).all()
    assert (np.delete(s, 2, axis=0) == np.delete(alone, 2, axis=0)).all()


@pytest.mark.parametrize("shape", [(2, 2), (3, 2), (4, 4)])
def test_batched_equals_looped(shape):
    batch = np.random.default_rng(2).normal(size=(2, 3, *shape))
    looped = np.array([[singular_values(w) for w in row] for row in batch])
    assert (singular_values(batch) == looped).all()
    assert looped.shape == (2, 3, min(shape))


def test_libraries_and_precisions_are_kept():
    single = np.random.default_rng(3).normal(size=(3, 2, 2)).astype(np.float32)
    assert type(singular_values(single)) is np.ndarray and singular_values(single).dtype == np.float32
    assert singular_values([[1, 2], [3, 4]]).dtype == np.float64
    for w in (single, np.ones((3, 2), np.float32)):
        compiled = jax.jit(singular_values)(jnp.asarray(w))
        assert isinstance(compiled, jax.Array) and compiled.dtype == jnp.float32
        np.testing.assert_allclose(compiled, np.linalg.svd(w, compute_uv=False), atol=1e-6)
    assert singular_values(jnp.asarray([[1, 0], [0, 2]])).dtype == jnp.float32


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("dtype", [np.float16, np.longdouble, int, bool])
def test_precisions_that_linear_algebra_lacks_are_widened(size, dtype):
    s = singular_values(np.eye(size, dtype=dtype))
    assert type(s) is np.ndarray and s.dtype == np.float64 and s.tolist() == [1.0] * size
    assert singular_values(jnp.eye(size, dtype=jnp.bfloat16)).dtype == jnp.float32


def test_masked_entries_are_not_known():
    w = np.ma.masked_array(np.eye(2), [[1, 0], [0, 0]])
    assert np.isnan(singular_values(w)).all()


@pytest.mark.parametrize("value", [1.0, [1.0, 2.0], np.zeros((0, 2)), np.zeros((3, 2, 0))])
def test_refuses_what_is_no_matrix(value):
    with pytest.raises(ValueError, match="matrix has shape"):
        singular_values(value)
    with pytest.raises(ValueError, match="matrix has shape"):
        rf.measures.max_row_sum(value)
