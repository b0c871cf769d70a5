import cvxpy as cp
import jax
import numpy as np
import pytest
import scipy.sparse.linalg

import rankfall as rf
from rankfall.references import SoftImpute, soft_impute


def problem(shape=(30, 20), rank=3, observed=250, seed=0, **options):
    return rf.low_rank_completion(shape, rank, observed, key=jax.random.key(seed), **options)


def filled(completion, matrix=0.0):
    """Observed entries, and those of a matrix elsewhere."""
    full = np.zeros(completion.shape) + matrix
    full[tuple(completion.indices.T)] = completion.values
    return full


def soft_threshold(matrix, penalty):
    u, s, v = np.linalg.svd(matrix, full_matrices=False)
    return (u * np.maximum(s - penalty, 0)) @ v


def exact(penalty, **options):
    return SoftImpute(penalty, tolerance=1e-7, **options)


@pytest.mark.parametrize("shape", [(30, 20), (20, 30)])
@pytest.mark.parametrize("penalty", [0.1, 1.0, 5.0])
def test_fixed_point_and_optimality_conditions(shape, penalty):
    completion = problem(shape)
    found = exact(penalty).solve(completion)
    x = found.solution
    assert found.status == "optimal" and found.gap < 1e-7
    np.testing.assert_allclose(soft_threshold(filled(completion, x), penalty), x, atol=1e-5)
    # The residual is the penalty times a subgradient of the nuclear norm.
    residual = filled(completion, x) - x
    assert np.linalg.norm(residual, 2) < penalty * (1 + 1e-5)
    u, s, v = np.linalg.svd(x)
    rank = found.details["rank"]
    assert rank == np.sum(s > 1e-6)
    np.testing.assert_allclose(u[:, :rank].T @ residual @ v[:rank].T, penalty * np.eye(rank), atol=2e-4 * penalty)
    np.testing.assert_allclose(found.objective, 0.5 * np.sum(residual**2) + penalty * s.sum(), rtol=1e-9)
    np.testing.assert_allclose(found.details["factors"].full(), x, atol=1e-12)
    assert found.details["fixed_point"] < 1e-7


def test_a_solution_that_is_not_one_breaks_the_conditions():
    completion = problem()
    x = exact(1.0).solve(completion).solution
    assert abs(soft_threshold(filled(completion, x), 1.1) - x).max() > 1e-3
    assert abs(soft_threshold(filled(completion, 1.01 * x), 1.0) - 1.01 * x).max() > 1e-3


def test_everything_observed_is_a_soft_threshold():
    matrix = np.random.default_rng(0).normal(size=(9, 7))
    found = exact(1.5).solve(rf.MatrixCompletion.from_dense(matrix))
    np.testing.assert_allclose(found.solution, soft_threshold(matrix, 1.5), atol=1e-6)


@pytest.mark.parametrize("penalty", [0.05, 0.5, 2.0])
def test_cvxpy_agrees(penalty):
    completion = problem((6, 5), 2, 18, frobenius=6.0)
    x = cp.Variable((6, 5))
    rows, columns = completion.indices.T
    least = cp.sum_squares(x[rows, columns] - completion.values) / 2 + penalty * cp.normNuc(x)
    value = cp.Problem(cp.Minimize(least)).solve(solver="CLARABEL")
    found = exact(penalty).solve(completion)
    np.testing.assert_allclose(found.objective, value, rtol=1e-6)
    np.testing.assert_allclose(found.solution, x.value, atol=1e-3)
    rough = SoftImpute(penalty, tolerance=0.1).solve(completion)
    assert rough.lower_bound <= value * (1 + 1e-8) and rough.objective >= value * (1 - 1e-8)


def test_path():
    completion = problem((60, 40), 4, 900, noise=0.1)
    path = SoftImpute(values=12).path(completion)
    penalties = np.array([one.details["penalty"] for one in path])
    np.testing.assert_allclose(penalties[0], np.linalg.norm(filled(completion), 2))
    np.testing.assert_allclose(penalties[1:] / penalties[:-1], 0.01 ** (1 / 11))
    assert not path[0].solution.any() and path[0].gap < 1e-7 and path[0].details["rank"] == 0
    assert {one.status for one in path} == {"optimal"}
    # Theorems: value, norm and fit of the solution are monotone in the penalty. The rank need not be, but is here.
    assert (np.diff([one.objective for one in path]) < 0).all()
    assert (np.diff([np.linalg.norm(one.solution, "nuc") for one in path]) > 0).all()
    assert (np.diff([completion.loss(one.solution) for one in path]) < 0).all()
    assert (np.diff([one.details["rank"] for one in path]) >= 0).all() and path[-1].details["rank"] > 10


def test_the_path_starts_each_value_from_the_one_before():
    completion = problem((60, 40), 4, 900, noise=0.1)
    seen = soft_impute._Observations(completion.indices, completion.values, completion.shape)
    before = seen.minimise(0.3, seen.zero(), 1e-4)
    warm, cold = seen.minimise(0.27, before, 1e-4), seen.minimise(0.27, seen.zero(), 1e-4)
    assert warm.iterations < 0.8 * cold.iterations
    np.testing.assert_allclose(warm.objective, cold.objective, rtol=1e-4)


def test_no_matrix_of_the_full_size_is_decomposed(monkeypatch):
    shapes = []
    plain, lanczos = np.linalg.svd, scipy.sparse.linalg.svds
    monkeypatch.setattr(np.linalg, "svd", lambda a, **options: shapes.append(a.shape) or plain(a, **options))
    sparse = []
    monkeypatch.setattr(
        scipy.sparse.linalg,
        "svds",
        lambda a, *rest, **more: sparse.append(a.nnz) or lanczos(a, *rest, **more),
    )
    completion = problem((400, 300), 3, 9000)
    found = SoftImpute(20.0).solve(completion)
    assert found.status == "optimal" and 1 <= found.details["rank"] <= 5
    assert shapes and max(min(shape) for shape in shapes) <= 20
    assert sparse and set(sparse) == {9000}


def test_a_penalty_chosen_by_held_out_entries():
    completion = problem((60, 40), 2, 1200, noise=0.5)

    def error(found):
        return np.linalg.norm(found.solution - completion.truth)

    chosen, path = SoftImpute().solve(completion), SoftImpute().path(completion)
    best = min(error(one) for one in path)
    assert error(chosen) < 1.1 * best and best < 0.8 * error(path[-1])  # the smallest penalty fits the noise
    errors = chosen.details["held_out_error"]
    assert chosen.details["penalty"] == min(errors, key=errors.get)
    np.testing.assert_array_equal(SoftImpute().solve(completion).solution, chosen.solution)
    assert SoftImpute(seed=1).solve(completion).details["held_out_error"] != errors
    # All entries are used again.
    again = SoftImpute(chosen.details["penalty"]).solve(completion)
    np.testing.assert_allclose(again.solution, chosen.solution, atol=0.02)
    # Held-out errors are of rows the solution has not seen: they are larger than those it has.
    assert min(errors.values()) > np.sqrt(np.mean(completion.residuals(chosen.solution) ** 2))


@pytest.mark.parametrize("seed", range(4))
def test_a_few_held_out_entries_do_not_end_the_path(seed):
    """The error of three to six entries may rise three times at the top of the path, where the solution is zero."""
    rng = np.random.default_rng(0)
    exact = sum(np.outer(rng.normal(size=6), rng.normal(size=5)) for _ in range(2))
    found = SoftImpute(seed=seed).solve(rf.MatrixCompletion.from_dense(exact))
    assert found.details["rank"] == 2 and found.residual < 0.02 * abs(exact).max()
    assert len(found.details["held_out_error"]) == 20


def test_the_end_of_the_path_is_found_where_it_is_best():
    completion = rf.low_rank_completion((10, 10), rank=2, observed=60, key=jax.random.key(3))
    error, of_path = (
        [np.linalg.norm(found.solution - completion.truth) / np.linalg.norm(completion.truth) for found in several]
        for several in ([SoftImpute().solve(completion)], SoftImpute().path(completion))
    )
    assert error[0] < 1.1 * min(of_path) < 0.26 < 0.89 < max(of_path)


def test_units_do_not_matter():
    completion = problem()
    larger = rf.MatrixCompletion.from_coo(completion.indices, 1e8 * completion.values, completion.shape)
    found, scaled = SoftImpute(1.0).solve(completion), SoftImpute(1e8).solve(larger)
    np.testing.assert_allclose(scaled.solution, 1e8 * found.solution, rtol=1e-6)
    np.testing.assert_allclose(scaled.gap, found.gap, rtol=1e-4)


def test_single_precision_problems_are_solved_in_double():
    found = exact(1.0).solve(problem(dtype="float32"))
    assert found.solution.dtype == np.float64
    np.testing.assert_allclose(found.solution, exact(1.0).solve(problem()).solution, atol=1e-5)


def test_iterations_that_end_too_early_are_called_inaccurate(monkeypatch):
    monkeypatch.setattr(soft_impute, "_MOST_ITERATIONS", 5)
    found = exact(0.1).solve(problem())
    assert found.status == "inaccurate" and found.gap > 1e-7
    assert SoftImpute(1e3).solve(problem()).status == "optimal"


def test_nothing_but_zeros():
    zeros = rf.MatrixCompletion.from_coo([[0, 1], [1, 0]], [0.0, 0.0], (3, 3))
    found = SoftImpute(1.0).solve(zeros)
    assert not found.solution.any() and found.objective == 0 and found.status == "optimal"
    with pytest.raises(ValueError, match="^problem has only zeros observed"):
        SoftImpute().path(zeros)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1), (2, 2)])
def test_small_shapes(shape):
    matrix = np.random.default_rng(1).normal(size=shape)
    found = exact(0.1).solve(rf.MatrixCompletion.from_dense(matrix))
    np.testing.assert_allclose(found.solution, soft_threshold(matrix, 0.1), atol=1e-6)


def test_a_rank_at_most():
    completion = problem((60, 40), 4, 900, noise=0.1)
    path = SoftImpute(max_rank=6).path(completion)
    assert len(path) < 20 and max(one.details["rank"] for one in path) <= 6
    with pytest.raises(ValueError, match="^max_rank is 2, but the solution with penalty 0.1 has rank"):
        SoftImpute(0.1, max_rank=2).solve(completion)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"penalty": 0.0}, "penalty is 0.0, but must be positive and finite"),
        ({"penalty": np.nan}, "penalty is nan, but must be positive"),
        ({"penalty": "chosen"}, "penalty is 'chosen', but must be one of 'validated'"),
        ({"values": 1}, "values is 1, but must be an integer of at least 2"),
        ({"fraction": 1.0}, "fraction is 1.0, but must be a share"),
        ({"max_rank": 0}, "max_rank is 0, but must be an integer of at least 1"),
        ({"tolerance": -1e-3}, "tolerance is -0.001, but must be positive"),
        ({"held_out": 0.0}, "held_out is 0.0, but must be a share"),
        ({"seed": -1}, "seed is -1, but must be an integer of at least 0"),
    ],
)
def test_bad_numbers(options, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}"):
        SoftImpute(**options)


def test_bad_problems():
    with pytest.raises(ValueError, match="^problem is of type LinearRegression, but SoftImpute is made for"):
        SoftImpute(1.0).solve(rf.LinearRegression([[1.0]], [1.0]))
    with pytest.raises(ValueError, match="^problem has 1 observed entry, but two are needed"):
        SoftImpute().solve(rf.MatrixCompletion.from_coo([[0, 0]], [1.0], (2, 2)))
    with pytest.raises(
        ValueError,
        match=r"^problem has shape \(131072, 16384\), and what is asked for takes 17.2 GB with every entry, but",
    ):
        SoftImpute(1.0).solve(rf.MatrixCompletion.from_coo([[0, 0]], [1.0], (2**17, 2**14)))
