"""Tucker factorization: against sums over the core, its starts, and what gradient flow conserves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 3)


def drawn(shape, ranks, lanes=(), seed=0):
    rng = np.random.default_rng(seed)
    matrices = [rng.normal(size=(*lanes, n, r)) for n, r in zip(shape, ranks, strict=True)]
    return rf.TuckerFactorization([*matrices, rng.normal(size=(*lanes, *ranks))])


def places(shape, count=7, seed=0):
    return np.random.default_rng(seed).integers(0, shape, (count, len(shape)))


@pytest.mark.parametrize("lanes", [(), (3,)])
@pytest.mark.parametrize(
    ("shape", "ranks"), [((4, 3), (2, 3)), ((2, 3, 4), (1, 4, 2)), ((2, 3, 2, 4), (2, 1, 3, 2)), ((2,) * 6, (2,) * 6)]
)
def test_full_and_entries(shape, ranks, lanes):
    start = drawn(shape, ranks, lanes)
    *matrices, core = start.factors
    letters = "abcdef"[: len(shape)]
    terms = [f"...{a.upper()}{a}" for a in letters]
    expected = np.einsum(f"...{letters},{','.join(terms)}->...{letters.upper()}", core, *matrices)
    np.testing.assert_allclose(start.full(), expected, rtol=1e-12, atol=1e-12)
    where = places(shape)
    np.testing.assert_allclose(start.entries(where), expected[(..., *where.T)], rtol=1e-12, atol=1e-12)
    assert (start.shape, start.ranks, start.lanes) == (shape, ranks, lanes[0] if lanes else None)
    assert start.describe() == {"factorization": "TuckerFactorization", "ranks": list(ranks)}
    if lanes:
        np.testing.assert_allclose(start.lane(1).full(), expected[1], rtol=1e-12, atol=1e-12)
    else:
        assert start.as_lanes().lanes == 1


def test_compiled_is_the_same():
    start = drawn((3, 4, 2), (2, 3, 2))
    where = places(start.shape)
    on_jax = start.like([jnp.asarray(w, jnp.float32) for w in start.factors])
    full, entries = jax.jit(lambda f: (f.full(), f.entries_at(where)))(on_jax)
    np.testing.assert_allclose(full, start.full(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(entries, start.entries(where), rtol=1e-4, atol=1e-5)


def test_entries_of_a_tensor_that_no_memory_holds():
    start = rf.TuckerFactorization.init((1000,) * 6, (2,) * 6, scale=1.0, key=KEY)
    assert np.isfinite(start.entries(places(start.shape))).all()
    with pytest.raises(ValueError, match=r"the full tensor of shape .* takes 8e\+09 GB, but"):
        start.full()


def test_starts():
    assert rf.TuckerFactorization.init((9, 2, 3), factor_std=1.0, key=KEY).ranks == (6, 2, 3)
    lanes = rf.TuckerFactorization.init((3, 3, 4), (2, 2, 2), scale=[0.1, 0.2, 0.3], key=KEYS)
    one = rf.TuckerFactorization.init((3, 3, 4), (2, 2, 2), scale=0.2, key=KEYS[1])
    for a, b in zip(lanes.lane(1).factors, one.factors, strict=True):
        np.testing.assert_array_equal(a, b)
    many = rf.TuckerFactorization.init((4, 4, 4), (3, 2, 2), scale=0.5, key=jax.random.split(KEY, 2000))
    assert abs(many.full().std() / 0.5 - 1) < 0.06
    small = rf.TuckerFactorization.init((3, 3), scale=1e-2, key=KEY, dtype="float32")
    assert all(w.dtype == np.float32 for w in small.factors)


def test_a_balanced_start_is_balanced_and_has_the_gaussian_tensor():
    options = {"scale": 0.1, "key": KEYS}
    for shape, ranks in (((4, 5, 6), (2, 3, 4)), ((9, 2, 3), None), ((3, 3), (2, 2))):
        start = rf.TuckerFactorization.init(shape, ranks, kind="balanced", **options)
        size = (start.factors[-1] ** 2).sum(axis=tuple(range(1, len(shape) + 1)))
        assert (start.unbalancedness() < 1e-13 * size).all()
        plain = rf.TuckerFactorization.init(shape, ranks, **options)
        np.testing.assert_allclose(start.full(), plain.full(), rtol=1e-10, atol=1e-12)


def test_unbalancedness_does_not_move_under_gradient_flow():
    truth = np.random.default_rng(1).normal(size=(3, 4, 2))
    start = drawn((3, 4, 2), (2, 3, 2))
    with double_precision():
        model = start.like([jnp.asarray(w) for w in start.factors])
        slope = jax.grad(lambda f: ((f.full() - truth) ** 2).sum() / 2)(model)
        *matrices, core = zip(model.factors, slope.factors, strict=True)
        for n, (w, g) in enumerate(matrices):
            others = [m for m in range(3) if m != n]
            change = w.T @ g - jnp.tensordot(core[0], core[1], (others, others))
            assert abs(change + change.T).max() < 1e-11


def test_order_two_is_the_matrix_factorization_of_depth_three():
    start = drawn((3, 4), (2, 2))
    u, v, core = start.factors
    chain = rf.MatrixFactorization([v.T, core, u])
    np.testing.assert_allclose(start.full(), chain.full(), rtol=1e-13, atol=1e-13)
    problem = rf.low_rank_completion((3, 4), 1, 9, key=KEY)
    options = {"stop": rf.Stop(steps=200), "progress": False}
    ends = [rf.train(problem, s, rf.GradientDescent(1e-2), **options).final.full() for s in (start, chain)]
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-11, atol=1e-12)


def test_training():
    # Just as many ranks as the truth has: with more, the loss falls by a power of time, and 1e-10 is far away.
    truth = rf.TuckerFactorization.init((4, 4, 4), (2, 2, 2), scale=0.5, key=KEY).full()
    where = np.argwhere(np.random.default_rng(0).random(truth.shape) < 0.8)
    problem = rf.TensorCompletion.from_coo(where, truth[tuple(where.T)], truth.shape, truth=truth)
    start = rf.TuckerFactorization.init(truth.shape, (2, 2, 2), scale=1e-2, kind="balanced", key=KEYS[:2])
    run = rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-10), progress=False)
    assert list(run.stop_reason) == ["loss", "loss"]
    assert run.final.lanes == 2 and (problem.loss_of(run.final) <= 1e-10).all()
    np.testing.assert_allclose(run.final.full(), np.stack([truth] * 2), atol=1e-3)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rf.TuckerFactorization([np.eye(2), np.eye(2)]), "factors has 2 arrays, but"),
        (lambda: rf.TuckerFactorization([np.eye(2), np.ones(2), np.eye(2)]), r"factors\[1\] has shape \(2,\), but"),
        (lambda: rf.TuckerFactorization([np.eye(2), np.eye(2), np.eye(3)]), r"factors\[2\] has shape \(3, 3\), but"),
        (
            lambda: rf.TuckerFactorization([np.ones((2, 3, 3)), np.eye(3), np.eye(3)]),
            r"factors\[1\] has lanes \(\), but factors\[0\] has \(2,\)",
        ),
        (lambda: start(ranks=(2, 2)), r"ranks is \(2, 2\), but must be 3 integers"),
        (lambda: start(ranks=(2, 2, 0)), r"ranks\[2\] is 0, but"),
        (
            lambda: start(ranks=(4, 2, 2), kind="balanced"),
            r"ranks\[0\] is 4, but a balanced start needs at most the mode",
        ),
        (lambda: start(ranks=(3, 1, 2), kind="balanced"), r"ranks\[0\] is 3, but .* product of the other ranks, 2"),
        (lambda: start(ranks=(2**20,) * 3), r"ranks is .*, but no memory"),
        (lambda: start(kind="identity"), "kind is 'identity', but"),
        (lambda: start(factor_std=1.0), "factor_std is 1.0 and scale is 1.0, but exactly one"),
        (lambda: start(scale=1e-300, dtype="float32"), "scale is 1e-300, but"),
        (lambda: start(shape=(3,)), r"shape is \(3,\), but"),
    ],
)
def test_refusals(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def start(shape=(3, 3, 3), ranks=None, **options):
    return rf.TuckerFactorization.init(shape, ranks, **({"scale": 1.0, "key": KEY} | options))
