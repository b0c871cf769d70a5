import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rankfall import measures

# x, sigma_1, sigma_2, effective rank of [[x, 1], [1, 0]]: facts, sections 1 and 2
ORACLE = [
    (0.0, 1.0, 1.0, 2.0),
    (1.0, 1.61803398875, 0.61803398875, 1.80311276588),
    (2.0, 2.41421356237, 0.414213562373, 1.516637223),
    (10.0, 10.0990195136, 0.0990195135928, 1.0561847244),
    (100.0, 100.009999, 0.00999900019995, 1.00102127396),
]


@pytest.mark.parametrize("x, first, second, erank", ORACLE)
def test_oracle_table(x, first, second, erank):
    for value in (x, -x):
        w = [[value, 1.0], [1.0, 0.0]]
        u = np.arcsinh(x / 2)
        np.testing.assert_allclose(measures.singular_values(w), [first, second], rtol=1e-10)
        np.testing.assert_allclose(measures.singular_values(w), [np.exp(u), np.exp(-u)], rtol=1e-14)
        np.testing.assert_allclose(measures.effective_rank(w), erank, rtol=1e-10)
        np.testing.assert_allclose(measures.effective_rank(w), 2 * np.cosh(u) * np.exp(-u * np.tanh(u)), rtol=1e-14)
        suboptimality = measures.rank_suboptimality(w, infimal_rank=1, infimal_erank=1.0)
        np.testing.assert_allclose(suboptimality, max(second, erank - 1), rtol=1e-9)


def test_where_distance_overtakes_effective_rank():
    w = np.array([[3.77296722950, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(measures.effective_rank(w) - 1, 0.248655825362, rtol=1e-10)
    np.testing.assert_allclose(measures.distance_to_rank(w, 1), 0.248655825362, rtol=1e-10)


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 3), (2, 5)])
def test_effective_rank_at_the_ends_of_its_range(shape):
    d = min(shape)
    assert measures.effective_rank(np.zeros(shape)) == 1.0
    np.testing.assert_allclose(measures.effective_rank(np.eye(*shape)), d, rtol=1e-14)
    np.testing.assert_allclose(measures.effective_rank(np.ones(shape)), 1.0, rtol=1e-13)


def test_effective_rank_of_rotations():
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(50, 4, 4)))
    np.testing.assert_allclose(measures.effective_rank(q), 4.0, rtol=1e-14)
    np.testing.assert_allclose(measures.effective_rank(np.linalg.qr(q[:, :2, :2])[0]), 2.0, rtol=1e-14)


@pytest.mark.parametrize("size", [1e-200, 1e200])
@pytest.mark.parametrize("shape", [(2, 2), (3, 4)])
def test_scale_invariance(size, shape):
    w = np.random.default_rng(1).normal(size=(20, *shape))
    np.testing.assert_allclose(measures.effective_rank(size * w), measures.effective_rank(w), rtol=1e-12)
    np.testing.assert_allclose(measures.stable_rank(size * w), measures.stable_rank(w), rtol=1e-12)
    assert (measures.numerical_rank(size * w) == min(shape)).all()
    distance = measures.distance_to_rank(size * w, 1) / size
    np.testing.assert_allclose(distance, measures.distance_to_rank(w, 1), rtol=1e-10)


@pytest.mark.parametrize("shape", [(2, 2), (5, 3), (4, 4)])
def test_against_truncated_svd(shape):
    w = np.random.default_rng(2).normal(size=shape)
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    for rank in range(min(shape) + 2):
        best = (u[:, :rank] * s[:rank]) @ vt[:rank]
        np.testing.assert_allclose(measures.distance_to_rank(w, rank), np.linalg.norm(w - best), atol=1e-14)
        np.testing.assert_array_equal(measures.numerical_rank(best, rtol=1e-12), min(rank, min(shape)))
    np.testing.assert_allclose(measures.stable_rank(w), (np.linalg.norm(w) / s[0]) ** 2, rtol=1e-13)


def test_numerical_rank_follows_numpy_and_the_given_tolerance():
    rng = np.random.default_rng(3)
    w = rng.normal(size=(6, 3)) @ rng.normal(size=(3, 5))
    assert measures.numerical_rank(w) == np.linalg.matrix_rank(w) == 3
    assert measures.numerical_rank(np.diag([1.0, 1e-3, 1e-6]), rtol=1e-4) == 2
    assert measures.numerical_rank(np.diag([1.0, 1e-3, 1e-6]), rtol=0) == 3
    assert measures.numerical_rank(np.zeros((3, 3))) == 0 and measures.stable_rank(np.zeros((3, 3))) == 0
    single = np.diag([1.0, 1e-7]).astype(np.float32)
    assert measures.numerical_rank(single) == 1 and measures.numerical_rank(single.astype(float)) == 2


def everything(w):
    return (
        measures.effective_rank(w),
        measures.numerical_rank(w),
        measures.stable_rank(w),
        measures.distance_to_rank(w, 1),
        measures.rank_suboptimality(w, infimal_rank=1, infimal_erank=1.0),
    )


def test_batched_equals_looped_and_compiled():
    batch = np.random.default_rng(4).normal(size=(5, 2, 2))
    looped = [np.array(values) for values in zip(*map(everything, batch), strict=True)]
    compiled = jax.jit(everything)(jnp.asarray(batch, jnp.float32))
    for whole, loop, jitted in zip(everything(batch), looped, compiled, strict=True):
        assert type(whole) is np.ndarray and (whole == loop).all()
        assert isinstance(jitted, jax.Array) and jitted.dtype in (jnp.float32, jnp.int32)
        np.testing.assert_allclose(jitted, whole, rtol=2e-4)


def test_nan_is_told():
    w = np.full((2, 2), np.nan)
    assert np.isnan(measures.effective_rank(w)) and np.isnan(measures.distance_to_rank(w, 1))
    assert np.isnan(measures.rank_suboptimality(w, infimal_rank=1, infimal_erank=1.0))


@pytest.mark.parametrize("missing", ["infimal_rank", "infimal_erank"])
def test_suboptimality_needs_both_infima(missing):
    infima = {"infimal_rank": 1, "infimal_erank": 1.0} | {missing: None}
    with pytest.raises(ValueError, match=f"{missing} is None"):
        measures.rank_suboptimality(np.eye(2), **infima)


def test_refusals():
    for rank in (-1, True):
        with pytest.raises(ValueError, match="rank is"):
            measures.distance_to_rank(np.eye(2), rank)
    for rtol in (-1e-3, np.nan):
        with pytest.raises(ValueError, match="rtol is"):
            measures.numerical_rank(np.eye(2), rtol)
    with pytest.raises(ValueError, match="matrix has shape"):
        measures.effective_rank([1.0, 2.0])


SPECTRUM = measures.spectrum
BAD = {
    "a number": (lambda: SPECTRUM.effective_rank(1.0), r"^singular_values has shape \(\)"),
    "none": (lambda: SPECTRUM.stable_rank(np.zeros((3, 0))), r"^singular_values has shape \(3, 0\)"),
    "negative": (lambda: SPECTRUM.schatten_norm([1.0, -2.0], 0.5), r"^singular_values holds -2.0"),
    "order": (lambda: SPECTRUM.log_schatten_norm([1.0], 0), "^p is 0"),
    "rank": (lambda: SPECTRUM.distance_to_rank([2.0, 1.0], -1), "^rank is -1"),
    "rtol": (lambda: SPECTRUM.numerical_rank([2.0, 1.0], np.nan), "^rtol is nan"),
    "infimal_rank": (lambda: SPECTRUM.rank_suboptimality([2.0, 1.0], -1, 1.0), "^infimal_rank is -1"),
    "infimal_erank": (lambda: SPECTRUM.rank_suboptimality([2.0, 1.0], 1, 0.5), "^infimal_erank is 0.5"),
}


@pytest.mark.parametrize("case", BAD)
def test_measures_of_spectra_name_the_argument(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
