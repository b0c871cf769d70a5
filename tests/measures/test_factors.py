import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rankfall.measures import det_sign, log_abs_det, signed_log_det, unbalancedness


def chain(sizes, batch=(), seed=0):
    """Gaussian factors; ``sizes`` are the extents from the input to the output."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(*batch, n, m)) for m, n in zip(sizes[:-1], sizes[1:], strict=True)]


def product(factors):
    total = factors[0]
    for w in factors[1:]:
        total = w @ total
    return total


@pytest.mark.parametrize("batch", [(), (20,), (2, 3)])
@pytest.mark.parametrize(
    "sizes",
    [(2, 2), (2, 2, 2, 2), (3, 3, 3), (1, 1, 1), (2, 3, 2), (2, 5, 2, 4, 2), (3, 3, 6, 3), (1, 4, 1), (3, 7, 4, 3)],
)
def test_against_slogdet_of_the_product(sizes, batch):
    factors = chain(sizes, batch)
    sign, log_abs = signed_log_det(factors)
    expected_sign, expected_log = np.linalg.slogdet(product(factors))
    assert np.shape(sign) == np.shape(log_abs) == batch
    np.testing.assert_array_equal(sign, expected_sign)
    np.testing.assert_allclose(log_abs, expected_log, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(det_sign(factors), sign)
    np.testing.assert_array_equal(log_abs_det(factors), log_abs)
    np.testing.assert_allclose(sign * np.exp(log_abs), np.linalg.det(product(factors)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("sizes", [(2, 1, 2), (3, 3, 2, 3), (3, 5, 2, 5, 3)])
def test_a_narrow_hidden_width_gives_zero(sizes):
    for batch in ((), (4,)):
        sign, log_abs = signed_log_det(chain(sizes, batch))
        assert np.shape(sign) == batch and (sign == 0).all() and (log_abs == -np.inf).all()


@pytest.mark.parametrize("size", [2, 3])
def test_a_singular_layer_gives_zero(size):
    singular = np.diag([0.0] + [1.0] * (size - 1))
    for factors in ([singular], [np.eye(size), singular], [np.zeros((size, size))]):
        assert det_sign(factors) == 0 and log_abs_det(factors) == -np.inf


@pytest.mark.parametrize("sizes", [(2, 2, 2, 2), (3, 3, 3, 3), (2, 3, 3, 2), (3, 4, 5, 3)])
def test_deep_underflow(sizes):
    factors = chain(sizes, (10,))
    sign, log_abs = signed_log_det(factors)
    tiny_sign, tiny_log = signed_log_det([1e-200 * w for w in factors])
    np.testing.assert_array_equal(tiny_sign, sign)
    shift = (len(sizes) - 1) * sizes[0] * np.log(1e-200)
    np.testing.assert_allclose(tiny_log, log_abs + shift, rtol=1e-12)


def test_sign_where_the_product_cancels():
    # The product's determinant, x w22 - w12 w21, is rounding; the factors know it: 1e-40 of either sign.
    rng = np.random.default_rng(1)
    u, v = (np.linalg.qr(rng.normal(size=(2, 2)))[0] for _ in range(2))
    for sign in (1, -1):
        factors = [np.diag([1.0, 1e-20]) @ v.T, np.diag([1.0, sign * 1e-20]), u]
        expected = sign * np.sign(np.linalg.det(u) * np.linalg.det(v))
        assert det_sign(factors) == expected
        np.testing.assert_allclose(log_abs_det(factors), 2 * np.log(1e-20), rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3])
def test_nan_spoils_only_its_own_lane(size):
    factors = chain((size,) * 3, (3,))
    expected, _ = signed_log_det(factors)
    factors[1][1, 0, 0] = np.nan
    sign, log_abs = signed_log_det(factors)
    assert np.isnan(log_abs[1]) and not np.isnan(log_abs[[0, 2]]).any()
    assert (sign[[0, 2]] == expected[[0, 2]]).all()


@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 4, 3)])
def test_compiled(sizes):
    factors = [w.astype(np.float32) for w in chain(sizes, (4,))]
    measured = jax.jit(lambda f: (*signed_log_det(f), unbalancedness(f)))([jnp.asarray(w) for w in factors])
    assert all(isinstance(a, jax.Array) and a.dtype == jnp.float32 for a in measured)
    for jitted, plain in zip(measured, (*signed_log_det(factors), unbalancedness(factors)), strict=True):
        np.testing.assert_allclose(jitted, plain, rtol=1e-4)


def test_unbalancedness():
    factors = chain((3, 4, 2), (5,))
    difference = np.swapaxes(factors[1], -1, -2) @ factors[1] - factors[0] @ np.swapaxes(factors[0], -1, -2)
    np.testing.assert_allclose(unbalancedness(factors), np.linalg.norm(difference, axis=(-2, -1)), rtol=1e-14)
    assert unbalancedness([np.ones((2, 3))]) == 0.0
    # the largest of the neighbours, not their sum
    assert unbalancedness([np.eye(1), 2 * np.eye(1), np.eye(1) * np.sqrt(2)]) == 3.0
    assert unbalancedness([np.eye(2), np.eye(2)]) == 0.0


def test_refusals():
    with pytest.raises(ValueError, match=r"factors multiply out to shape \(3, 2\)"):
        signed_log_det(chain((2, 4, 3)))
    with pytest.raises(ValueError, match=r"factors\[1\] has shape"):
        det_sign([np.eye(2), np.ones(2)])


@pytest.mark.parametrize("unit", [1e-100, 1e100])
def test_unbalancedness_squares_no_difference_of_squares(unit):
    chain = [np.diag([1.0, 0.0]) * unit, 2 * np.eye(2) * unit]
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_allclose(unbalancedness(chain) / unit / unit, 5.0, rtol=1e-14)
