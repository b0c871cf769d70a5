import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall import MatrixFactorization

KEY = jax.random.key(0)
IDENTITY = {"kind": "identity", "alpha": 0.5}


def gaussian(sizes, lanes=(), seed=0):
    rng = np.random.default_rng(seed)
    return MatrixFactorization([rng.normal(size=(*lanes, n, m)) for m, n in zip(sizes[:-1], sizes[1:], strict=True)])


@pytest.mark.parametrize("lanes", [(), (3,)])
@pytest.mark.parametrize("sizes", [(3, 2), (2, 2, 2), (4, 3, 5, 2), (2, 2, 2, 2, 2)])
def test_full_and_entries(sizes, lanes):
    start = gaussian(sizes, lanes)
    product = np.eye(sizes[0])
    for w in start.factors:
        product = w @ product
    np.testing.assert_allclose(start.full(), product, rtol=1e-12, atol=1e-13)
    where = [[0, 0], [sizes[-1] - 1, sizes[0] - 1], [1, 0], [0, 0]]
    expected = product[..., [i for i, _ in where], [j for _, j in where]]
    np.testing.assert_allclose(start.entries(where), expected, rtol=1e-12, atol=1e-13)
    assert start.shape == (sizes[-1], sizes[0]) and start.widths == sizes[1:-1] and start.depth == len(sizes) - 1
    assert start.lanes == (lanes[0] if lanes else None)
    assert start.describe()["widths"] == list(sizes[1:-1])


def test_compiled_is_the_same():
    # written out entry by entry at width 2, matrix products beyond
    pair = [gaussian(sizes, (3,)) for sizes in ((2, 2, 2), (2, 5, 4, 2))]
    on_jax = jax.tree.map(lambda w: jnp.asarray(w, jnp.float32), pair)
    results = jax.jit(lambda fs: [(f.full(), f.entries([[0, 1], [1, 0]])) for f in fs])(on_jax)
    for (full, entries), start in zip(results, pair, strict=True):
        assert isinstance(full, jax.Array) and full.dtype == jnp.float32
        np.testing.assert_allclose(full, start.full(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(entries, start.entries([[0, 1], [1, 0]]), rtol=1e-4, atol=1e-5)


def test_stack_and_lane():
    parts = [gaussian((2, 3, 2), seed=1), gaussian((2, 3, 2), (4,), seed=2), gaussian((2, 3, 2), seed=3)]
    together = MatrixFactorization.stack(parts)
    assert together.lanes == 6 and parts[0].as_lanes().lanes == 1 and parts[1].as_lanes() is parts[1]
    for index, single in ((0, parts[0]), (2, parts[1].lane(1)), (5, parts[2])):
        for a, b in zip(together.lane(index).factors, single.factors, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(together.full()[index], single.full())


def test_refusals():
    with pytest.raises(ValueError, match="factors is empty"):
        MatrixFactorization([])
    with pytest.raises(ValueError, match=r"factors\[1\] has shape \(2, 2\) and factors\[0\] \(3, 2\)"):
        MatrixFactorization([np.ones((3, 2)), np.ones((2, 2))])
    single = MatrixFactorization.init((2, 2), depth=2, **IDENTITY)
    with pytest.raises(ValueError, match=r"lane\(\)"):
        single.lane(0)
    with pytest.raises(ValueError, match="starts is empty"):
        MatrixFactorization.stack([])
    with pytest.raises(ValueError, match=r"^starts\[1\] is array"):
        MatrixFactorization.stack([single, np.eye(2)])
    for index in (2, -1):
        with pytest.raises(ValueError, match="^index is"):
            MatrixFactorization.stack([single, single]).lane(index)
    for other in (gaussian((2, 2, 2, 2)), gaussian((2, 3, 2)), gaussian((2, 2, 3))):
        with pytest.raises(ValueError, match="starts differ"):
            MatrixFactorization.stack([single, other])
    for indices in ([0, 1], [[0, 1, 1]]):
        with pytest.raises(ValueError, match="indices has shape"):
            single.entries(indices)


@pytest.mark.parametrize("lanes", [((3,), (4,)), ((3,), ()), ((), (3,)), ((1,), (3,))])
def test_factors_have_the_same_lanes(lanes):
    factors = [np.ones((*axis, 2, 2)) for axis in lanes]
    for build in (MatrixFactorization, rf.measures.det_sign, rf.measures.unbalancedness):
        with pytest.raises(ValueError, match=r"^factors\[1\] has shape .* but all factors must have the same lanes"):
            build(factors)


def test_factors_are_real_numbers():
    assert MatrixFactorization([jnp.eye(2, dtype=int)]).full().dtype == jnp.float32
    assert MatrixFactorization([np.eye(2, dtype=np.float16)]).full().dtype == np.float64
    for wrong in (jnp.ones((2, 2)) * 1j, 1j * np.ones((2, 2)), [[1.0], [1.0, 2.0]], jax.random.split(KEY, (2, 2))):
        with pytest.raises(ValueError, match=r"^factors\[0\] (is|has) .*real numbers"):
            MatrixFactorization([wrong])


def test_a_start_must_fit_its_problem():
    from rankfall.factorizations.base import check_factorization

    check_factorization(gaussian((2, 5, 2)), rf.two_by_two())
    with pytest.raises(ValueError, match="start's end-to-end matrix has shape"):
        check_factorization(gaussian((2, 3)), rf.two_by_two())


def test_balance_keeps_product_and_widths():
    start = rf.MatrixFactorization.init((4, 3), depth=4, widths=[5, 2, 6], scale=0.5, key=jax.random.split(KEY, 2))
    balanced = start.balance()
    assert balanced.widths == (5, 2, 6) and balanced.lanes == 2
    np.testing.assert_allclose(balanced.full(), start.full(), atol=1e-13)
    assert (rf.measures.unbalancedness(start.factors) > 1e-2).all()
    assert (rf.measures.unbalancedness(balanced.factors) < 1e-14).all()


def test_from_end_to_end_needs_room():
    rank_one = np.outer([1.0, 2.0], [3.0, 4.0])
    narrow = rf.MatrixFactorization.from_end_to_end(rank_one, 2, widths=[1])
    np.testing.assert_allclose(narrow.full(), rank_one, rtol=1e-13)
    np.testing.assert_array_equal(rf.MatrixFactorization.from_end_to_end(np.zeros((2, 3)), 2).full(), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="room for the rank"):
        rf.MatrixFactorization.from_end_to_end(np.eye(2), 2, widths=[1])
    with pytest.raises(ValueError, match="^matrix has shape"):
        rf.MatrixFactorization.from_end_to_end([1.0, 2.0], 2)
