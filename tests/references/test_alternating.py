import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.references import AlternatingLeastSquares, SoftImpute, alternating


def matrix(observed=2000, seed=0, **options):
    return rf.low_rank_completion((100, 100), 5, observed, key=jax.random.key(seed), **options)


def tensor(observed=800, seed=0, **options):
    return rf.low_cp_rank_completion((20, 20, 20), 3, observed, key=jax.random.key(seed), **options)


def error(found, problem):
    return np.linalg.norm(found.solution - problem.truth) / np.linalg.norm(problem.truth)


def test_planted_matrix_whose_rank_nobody_tells():
    problem = matrix()
    found = AlternatingLeastSquares().solve(problem)
    assert found.details["rank"] == 5 and found.status == "local"
    assert error(found, problem) < 2e-6
    errors = found.details["held_out_error"]
    assert list(errors) == [1, 2, 3, 4, 5, 6, 7]  # two more ranks are tried, and are no better
    assert errors[4] > 1e4 * errors[5] and errors[6] > errors[5]


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_tensor_whose_rank_nobody_tells(seed):
    problem = tensor(seed=seed)
    found = AlternatingLeastSquares().solve(problem)
    assert found.details["rank"] == 3 and error(found, problem) < 1e-5
    assert found.details["factors"].shape == problem.shape


def test_noise_ends_the_ridge_early():
    problem = matrix(noise=0.1)
    found = AlternatingLeastSquares().solve(problem)
    assert found.details["rank"] == 5 and found.details["ridge"] >= 1e-3
    assert error(found, problem) < 0.115


def test_too_small_a_rank_does_not_fit():
    problem = matrix(5000)
    fits, fails = (AlternatingLeastSquares(rank, ridge=1e-6).solve(problem) for rank in (5, 4))
    assert error(fits, problem) < 1e-6 and fits.residual < 1e-5
    assert error(fails, problem) > 0.1 and fails.residual > 0.1


def test_order_four_and_order_two():
    problem = rf.low_cp_rank_completion((6, 7, 8, 9), 2, 700, key=jax.random.key(0))
    assert error(AlternatingLeastSquares().solve(problem), problem) < 1e-5
    first = matrix(5000)
    second = rf.TensorCompletion.from_coo(first.indices, first.values, first.shape)
    a, b = (AlternatingLeastSquares(5, ridge=0.1, starts=3).solve(one) for one in (first, second))
    np.testing.assert_allclose(a.solution, b.solution, atol=1e-12)


@pytest.mark.parametrize("ridge", [0.1, 0.3])
@pytest.mark.parametrize("rank", [2, 6])
def test_everything_observed_is_a_soft_threshold_cut_off(rank, ridge):
    dense = np.random.default_rng(0).normal(size=(8, 6))
    dense /= np.sqrt(np.mean(dense**2))
    u, s, v = np.linalg.svd(dense, full_matrices=False)
    kept = np.maximum(s - ridge, 0)[:rank]
    found = AlternatingLeastSquares(rank, ridge).solve(rf.MatrixCompletion.from_dense(dense))
    np.testing.assert_allclose(found.solution, (u[:, :rank] * kept) @ v[:rank], atol=1e-3)
    off = np.sum((found.solution - dense) ** 2)
    np.testing.assert_allclose(found.objective, 0.5 * off + ridge * kept.sum(), rtol=1e-5)


def test_soft_impute_is_the_same_where_the_rank_allows():
    problem = rf.low_rank_completion((30, 20), 3, 250, key=jax.random.key(0))
    size = np.sqrt(np.mean(problem.values**2))
    convex = SoftImpute(2.0, tolerance=1e-6).solve(problem)
    rank = convex.details["rank"]
    enough, few = (AlternatingLeastSquares(r, 2.0 / size).solve(problem) for r in (rank + 1, 2))
    np.testing.assert_allclose(enough.objective, convex.objective, rtol=1e-5)
    np.testing.assert_allclose(enough.solution, convex.solution, atol=3e-2)
    assert enough.objective >= convex.lower_bound and few.objective > 1.01 * convex.objective


@pytest.mark.parametrize("make", [matrix, tensor])
def test_the_gradient_vanishes(make):
    problem, ridge = make(noise=0.01), 0.3
    size = np.sqrt(np.mean(problem.values**2))
    found = AlternatingLeastSquares(2, ridge).solve(problem)
    factors = found.details["factors"].factors
    ridge *= size ** (2 - 2 / len(factors))

    def objective(factors):
        off = rf.CPFactorization(factors).entries(problem.indices) - problem.values
        return 0.5 * (off**2).sum() + 0.5 * ridge * sum((w**2).sum() for w in factors)

    np.testing.assert_allclose(objective(factors), found.objective, rtol=1e-10)
    rng = np.random.default_rng(0)
    for _ in range(5):
        step = [1e-3 * rng.normal(size=w.shape) * abs(w).max() for w in factors]
        up, down = (objective([w + t * d for w, d in zip(factors, step, strict=True)]) for t in (1, -1))
        assert up > found.objective and down > found.objective
        # The slope is lost in the curvature.
        assert abs(up - down) < 0.2 * (up + down - 2 * found.objective)


def test_the_seed_decides_everything():
    problem = rf.low_rank_completion((30, 20), 2, 300, key=jax.random.key(0), noise=0.1)
    first, again, other = (AlternatingLeastSquares(seed=seed).solve(problem) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.solution, again.solution)
    assert first.details["held_out_error"] == again.details["held_out_error"] != other.details["held_out_error"]


@pytest.mark.parametrize("make", [matrix, tensor])
def test_units_do_not_matter(make):
    problem = make(noise=0.01)
    larger = type(problem).from_coo(problem.indices, 1e6 * problem.values, problem.shape)
    a, b = (AlternatingLeastSquares(2, 0.1).solve(one) for one in (problem, larger))
    np.testing.assert_allclose(b.solution, 1e6 * a.solution, rtol=1e-6, atol=1)
    np.testing.assert_allclose(b.objective, 1e12 * a.objective, rtol=1e-6)


def test_a_rank_or_a_ridge_can_be_given_alone():
    problem = matrix(noise=0.1)
    ranked = AlternatingLeastSquares(rank=4).solve(problem)
    assert ranked.details["rank"] == 4 and list(ranked.details["held_out_error"]) == [4]
    ridged = AlternatingLeastSquares(ridge=0.05).solve(problem)
    assert ridged.details["ridge"] == 0.05 and ridged.details["rank"] == 5
    both = AlternatingLeastSquares(rank=4, ridge=0.05).solve(problem)
    assert both.details["held_out_error"] == {}


def test_rows_that_nobody_observed_are_zero():
    where = np.argwhere(np.ones((6, 5)))
    where = where[(where[:, 0] != 2) & (where[:, 1] != 4)]
    values = np.outer(np.arange(1.0, 7), np.arange(1.0, 6))[tuple(where.T)]
    found = AlternatingLeastSquares(1, 1e-6).solve(rf.MatrixCompletion.from_coo(where, values, (6, 5)))
    assert not found.solution[2].any() and not found.solution[:, 4].any()
    assert found.residual < 1e-4


def test_nothing_but_zeros():
    zeros = rf.MatrixCompletion.from_coo([[0, 1], [1, 0], [2, 2]], np.zeros(3), (3, 3))
    found = AlternatingLeastSquares().solve(zeros)
    assert abs(found.solution).max() < 1e-6 and found.details["rank"] == 1


def test_blocks_hold_every_observation_once():
    rng = np.random.default_rng(0)
    # Few rows have most of the observations, as with ratings.
    rows, columns = (rng.zipf(1.3, 5000) % n for n in (700, 90))
    indices = np.unique(np.stack([rows, columns], axis=1), axis=0)
    values = np.arange(1.0, len(indices) + 1)
    blocks = list(alternating._blocks(indices, values, (700, 90), 0))
    seen = []
    for rows, (places,), block in blocks:
        there = places < 90
        assert (block[~there] == 0).all() and len(rows) <= 256
        assert (there.sum(axis=1) >= 0.75 * places.shape[1] - 1e-9).all()
        owner = np.broadcast_to(rows[:, None], places.shape)
        seen += zip(owner[there], places[there], block[there], strict=True)
    assert sorted(seen) == [(*place, value) for place, value in zip(indices.tolist(), values, strict=True)]
    assert len(blocks) < 40


def test_a_matrix_too_large_to_be_formed_is_factorized():
    shape = (70_000, 20_000)
    rng = np.random.default_rng(0)
    where = np.stack([rng.permutation(1000)[:200].repeat(40), np.tile(rng.permutation(1000)[:40], 200)], axis=1)
    where = where[rng.random(len(where)) < 0.5]
    values = (np.sin(where[:, 0]) + 2) * (np.cos(where[:, 1]) + 2)
    problem = rf.MatrixCompletion.from_coo(where, values, shape)
    factors, _ = AlternatingLeastSquares(1, 1e-6).factorize(problem)
    assert factors.shape == shape
    np.testing.assert_allclose(factors.entries(where), values, rtol=1e-5)
    with pytest.raises(
        ValueError,
        match=r"^problem has shape \(70000, 20000\), and what is asked for takes 11.2 GB with every entry, but",
    ):
        AlternatingLeastSquares().solve(problem)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rank": 0}, "rank is 0, but must be an integer of at least 1"),
        ({"ridge": 0.0}, "ridge is 0.0, but must be positive"),
        ({"ridge": 1e-12}, "ridge is 1e-12, but must be at least 1e-10; with less"),
        ({"starts": 0}, "starts is 0, but must be an integer of at least 1"),
        ({"held_out": 1.0}, "held_out is 1.0, but must be a share"),
        ({"seed": -1}, "seed is -1, but must be an integer of at least 0"),
    ],
)
def test_bad_numbers(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        AlternatingLeastSquares(**options)


def test_bad_problems():
    with pytest.raises(
        ValueError, match="^problem is of type LinearRegression, but AlternatingLeastSquares is made for"
    ):
        AlternatingLeastSquares().solve(rf.LinearRegression([[1.0]], [1.0]))
    with pytest.raises(ValueError, match="^problem has 1 observed entry, but two are needed"):
        AlternatingLeastSquares().solve(rf.MatrixCompletion.from_coo([[0, 0]], [1.0], (2, 2)))
