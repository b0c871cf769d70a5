import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.references import BiasBaseline, MeanBaseline


def problem(**options):
    return rf.low_rank_completion((12, 9), 2, 60, key=jax.random.key(0), **options)


@pytest.mark.parametrize("completion", [problem(), rf.low_cp_rank_completion((3, 4, 5), 1, 40, key=jax.random.key(0))])
def test_mean(completion):
    found = MeanBaseline().solve(completion)
    assert found.status == "computed" and found.solution.shape == completion.shape
    np.testing.assert_allclose(found.solution, completion.values.mean(), rtol=1e-14)
    np.testing.assert_allclose(found.objective, completion.half_sse(completion.loss(found.solution)))
    # Of all constants it is the best.
    for other in (-0.01, 0.01):
        assert completion.half_sse(completion.loss(found.solution + other)) > found.objective


@pytest.mark.parametrize("ridge", [1e-6, 0.5, 30.0])
def test_biases_solve_the_normal_equations(ridge):
    completion = problem()
    found = BiasBaseline(ridge).solve(completion)
    rows, columns = completion.indices.T
    design = np.zeros((60, 21))
    design[np.arange(60), rows] = design[np.arange(60), 12 + columns] = 1
    left = completion.values - completion.values.mean()
    biases = np.linalg.solve(design.T @ design + ridge * np.eye(21), design.T @ left)
    np.testing.assert_allclose(found.details["rows"], biases[:12], atol=1e-9)
    np.testing.assert_allclose(found.details["columns"], biases[12:], atol=1e-9)
    np.testing.assert_allclose(
        found.objective, 0.5 * np.sum((design @ biases - left) ** 2) + 0.5 * ridge * np.sum(biases**2), rtol=1e-9
    )
    mean = completion.values.mean()
    np.testing.assert_allclose(found.solution, mean + biases[:12, None] + biases[12:], atol=1e-9)
    assert found.status == "computed"


def test_a_sum_of_row_and_column_is_found_and_a_product_is_not():
    rng = np.random.default_rng(0)
    rows, columns, seen = rng.normal(size=(20, 1)), rng.normal(size=15), rng.random((20, 15)) < 0.5
    for truth, found in ((2 + rows + columns, True), (2 + rows * columns, False)):
        completion = rf.MatrixCompletion.from_mask(truth, seen)
        assert (abs(BiasBaseline(1e-6).solve(completion).solution - truth).max() < 1e-4) == found


def test_a_large_ridge_leaves_the_mean():
    completion = problem()
    found, mean = BiasBaseline(1e9).solve(completion), MeanBaseline().solve(completion)
    np.testing.assert_allclose(found.solution, mean.solution, atol=1e-6)
    assert abs(BiasBaseline(1.0).solve(completion).solution - mean.solution).max() > 0.1


def test_rows_that_nobody_observed_have_no_bias():
    completion = rf.MatrixCompletion.from_coo([[0, 0], [0, 1], [2, 1]], [1.0, 2.0, 3.0], (4, 2))
    found = BiasBaseline(1.0).solve(completion)
    assert found.details["rows"][1] == found.details["rows"][3] == 0
    np.testing.assert_allclose(found.solution[1], 2 + found.details["columns"])


def test_bad_input():
    with pytest.raises(ValueError, match="^ridge is 0.0, but must be positive and finite"):
        BiasBaseline(0.0)
    with pytest.raises(ValueError, match="^problem is of type LinearRegression, but MeanBaseline is made for"):
        MeanBaseline().solve(rf.LinearRegression([[1.0]], [1.0]))
    with pytest.raises(ValueError, match="^problem is of type TensorCompletion, but BiasBaseline is made for"):
        BiasBaseline().solve(rf.low_cp_rank_completion((3, 4, 5), 1, 40, key=jax.random.key(0)))
