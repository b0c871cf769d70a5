import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rankfall import measures

# x, nuclear norm, Schatten-1/2 of [[x, 1], [1, 0]]: facts, section 1
ORACLE = [
    (0.0, 2.0, 4.0),
    (1.0, 2.2360679775, 4.2360679775),
    (2.0, 2.82842712475, 4.82842712475),
    (10.0, 10.1980390272, 12.1980390272),
    (100.0, 100.019998, 102.019998),
]
POWERS = [0.001, 0.5, 1, 2, 7, np.inf]

entry = st.floats(-1e3, 1e3).filter(lambda v: v == 0 or abs(v) > 1e-3)
matrices = st.tuples(st.integers(1, 4), st.integers(1, 4)).flatmap(lambda shape: arrays(float, shape, elements=entry))
few = settings(max_examples=40, derandomize=True, deadline=None)


def log_power_mean(s, p):
    """ln (sum s^p)^(1/p) by the largest term, independent of the library's normalisation."""
    s = s[s > 0]
    if s.size == 0:
        return -np.inf
    return np.log(s.max()) if p == np.inf else np.logaddexp.reduce(p * np.log(s)) / p


@pytest.mark.parametrize("x, nuclear, half", ORACLE)
def test_oracle_table(x, nuclear, half):
    w = np.array([[x, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(measures.nuclear_norm(w), np.sqrt(x**2 + 4), rtol=1e-14)
    np.testing.assert_allclose(measures.nuclear_norm(w), nuclear, rtol=1e-10)
    np.testing.assert_allclose(measures.schatten_norm(w, 0.5), half, rtol=1e-10)
    np.testing.assert_allclose(measures.frobenius_norm(w), np.sqrt(x**2 + 2), rtol=1e-14)
    np.testing.assert_allclose(measures.spectral_norm(w), np.exp(np.arcsinh(x / 2)), rtol=1e-14)


@pytest.mark.parametrize("p", POWERS)
@few
@given(w=matrices)
def test_schatten_against_svd(p, w):
    s = np.linalg.svd(w, compute_uv=False)
    # At small p a singular value that is zero but for rounding counts as much as any other.
    if p < 1 and s.min() < 1e-10 * s.max():
        w = np.zeros_like(w)
        w[np.arange(s.size), np.arange(s.size)] = s = np.where(s < 1e-10 * s.max(), 0.0, s)
    expected = log_power_mean(s, p)
    np.testing.assert_allclose(measures.log_schatten_norm(w, p), expected, rtol=1e-10, atol=1e-10)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(measures.schatten_norm(w, p), np.exp(expected), rtol=1e-9)


def test_schatten_below_the_reach_of_doubles():
    assert measures.schatten_norm(np.eye(3), 0.001) == np.inf
    np.testing.assert_allclose(measures.log_schatten_norm(np.eye(3), 0.001), 1000 * np.log(3), rtol=1e-14)
    zero = np.zeros((3, 2))
    assert measures.log_schatten_norm(zero, 0.001) == -np.inf and measures.schatten_norm(zero, 0.001) == 0


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("p", [0.5, 1, 2, 7, np.inf])
def test_norms_are_homogeneous_at_extreme_scales(size, p):
    w = np.random.default_rng(0).normal(size=(3, 4))
    for norm in (measures.schatten_norm, measures.entrywise_norm):
        np.testing.assert_allclose(norm(size * w, p) / size, norm(w, p), rtol=1e-12)


@few
@given(w=matrices)
def test_entrywise_and_induced_norms_against_numpy(w):
    flat = w.ravel()
    for p in (0.5, 1, 2, 7, np.inf):
        np.testing.assert_allclose(measures.entrywise_norm(w, p), np.linalg.norm(flat, p), rtol=1e-12)
    np.testing.assert_allclose(measures.frobenius_norm(w), np.linalg.norm(w), rtol=1e-12)
    np.testing.assert_allclose(measures.max_column_sum(w), np.linalg.norm(w, 1), rtol=1e-14)
    np.testing.assert_allclose(measures.max_row_sum(w), np.linalg.norm(w, np.inf), rtol=1e-14)
    s = np.linalg.svd(w, compute_uv=False)
    for k in range(1, s.size + 1):
        np.testing.assert_allclose(measures.ky_fan_norm(w, k), s[:k].sum(), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("shape", [(2, 2), (2, 3)])
def test_nan_and_infinity_are_told(shape):
    bad = np.ones((3, *shape))
    bad[0, 0, 0], bad[1, 1, 1] = np.nan, np.inf
    for p in POWERS:
        assert np.isnan(measures.schatten_norm(bad, p)[:2]).all() and not np.isnan(measures.schatten_norm(bad, p)[2])
        assert np.isnan(measures.entrywise_norm(bad, p)[0]) and measures.entrywise_norm(bad, p)[1] == np.inf


@pytest.mark.parametrize("kind", sorted(measures.NORMS))
def test_named_norms_batched_and_compiled(kind):
    batch = np.random.default_rng(1).normal(size=(2, 3, 2, 2))
    whole = measures.norm(batch, kind)
    assert type(whole) is np.ndarray and whole.shape == (2, 3)
    assert (whole == [[measures.norm(w, kind) for w in row] for row in batch]).all()
    compiled = jax.jit(lambda w: measures.norm(w, kind))(jnp.asarray(batch, jnp.float32))
    assert isinstance(compiled, jax.Array) and compiled.dtype == jnp.float32
    np.testing.assert_allclose(compiled, whole, rtol=1e-5)


def test_quasi_norms_compile():
    w = jnp.asarray([[3.0, 1.0], [0.0, 2.0]])
    both = jax.jit(lambda m: (measures.schatten_norm(m, 0.5), measures.entrywise_norm(m, 0.5)))(w)
    expected = measures.schatten_norm(np.asarray(w), 0.5), measures.entrywise_norm(np.asarray(w), 0.5)
    np.testing.assert_allclose(both, expected, rtol=1e-5)


def test_own_norm_is_called_for_each_matrix():
    batch = np.arange(24.0).reshape(3, 2, 2, 2)

    def largest(w):
        assert w.shape == (2, 2)
        return np.abs(w).max()

    assert (measures.norm(batch, largest) == batch.max(axis=(-2, -1))).all()
    assert measures.norm(batch[0, 0], largest) == 3.0
    assert isinstance(measures.norm(jnp.ones((2, 2, 2)), lambda w: jnp.abs(w).max()), jax.Array)


def test_own_norm_of_no_matrix_at_all():
    assert measures.norm(np.zeros((0, 2, 2)), np.max).shape == (0,)


def test_own_norm_may_be_traced():
    compiled = jax.jit(jax.grad(lambda w: measures.norm(w, lambda m: (m * m).sum())))(jnp.ones((2, 2)))
    assert compiled.tolist() == [[2.0, 2.0], [2.0, 2.0]]


@pytest.mark.parametrize("value", [[[1.0]], [[1.0], [1.0, 2.0]], "a", None, 1j, True, np.ones(2)])
def test_own_norm_must_give_one_number(value):
    with pytest.raises(
        ValueError, match=r"^kind is <lambda>, but must give one real number: at \[\[1, 0\], \[0, 1\]\] it gives .*\.$"
    ):
        measures.norm(np.eye(2), lambda w: value)


def test_refusals():
    w = np.eye(2)
    with pytest.raises(ValueError, match=r"^matrix has dtype complex64, but must hold real numbers\.$"):
        measures.nuclear_norm(jnp.ones((2, 2)) * 1j)
    for p in (0, -1, np.nan):
        with pytest.raises(ValueError, match=r"^p is"):
            measures.schatten_norm(np.eye(3), p)
        with pytest.raises(ValueError, match=r"^p is"):
            measures.log_schatten_norm(w, p)
    for k in (0, 3):
        with pytest.raises(ValueError, match=r"^k is"):
            measures.ky_fan_norm(w, k)
    with pytest.raises(ValueError, match="kind is 'frob'"):
        measures.norm(w, "frob")
