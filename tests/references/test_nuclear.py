"""The solution of least nuclear norm: against CVXPY, closed forms and its own certificate."""

import cvxpy as cp
import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.references import NuclearNorm


def completion(shape, rank, observed, seed=0):
    return rf.low_rank_completion(shape, rank=rank, observed=observed, key=jax.random.key(seed))


def by_cvxpy(problem, tolerance=0.0):
    x = cp.Variable(problem.shape)
    rows, columns = np.asarray(problem.indices).T
    off = x[rows, columns] - np.asarray(problem.values)
    task = cp.Problem(cp.Minimize(cp.normNuc(x)), [off == 0] if not tolerance else [cp.abs(off) <= tolerance])
    return task.solve(solver=cp.CLARABEL)


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
@pytest.mark.parametrize("shape, rank, observed", [((12, 9), 2, 60), ((9, 14), 3, 50), ((10, 10), 4, 30)])
def test_agrees_with_cvxpy(shape, rank, observed, tolerance):
    problem = completion(shape, rank, observed)
    found = NuclearNorm(tolerance=tolerance).solve(problem)
    assert found.status == "optimal" and found.gap <= 1e-7
    assert found.objective == pytest.approx(by_cvxpy(problem, tolerance), rel=1e-6)
    assert found.residual <= tolerance * (1 + 1e-12)
    assert rf.measures.nuclear_norm(found.solution) == pytest.approx(found.objective, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_bounds_hold_and_meet_whatever_the_scale(scale):
    problem = completion((40, 30), 3, 800)
    found = NuclearNorm(gap=1e-9).solve(rf.MatrixCompletion.from_coo(problem.indices, scale * problem.values, (40, 30)))
    assert found.status == "optimal" and found.lower_bound <= found.objective <= found.lower_bound * (1 + 1e-9)
    # Nothing that fits is better: moves of the unobserved entries, small and large.
    rng = np.random.default_rng(0)
    free = tuple(np.asarray(problem.unobserved_indices).T)
    for size in (1e-3, 1.0):
        other = found.solution.copy()
        other[free] += scale * size * rng.normal(size=len(free[0]))
        assert rf.measures.nuclear_norm(other) > found.objective
    # So many entries of a matrix of rank 3 name it.
    assert np.linalg.norm(found.solution - scale * problem.truth) < 1e-5 * scale * np.linalg.norm(problem.truth)


@pytest.mark.parametrize("z, eps", [(1.0, 0.0), (2.0, 0.0), (1.0, 0.3)])
def test_two_by_two_family(z, eps):
    problem = rf.two_by_two(z, 1.0, eps)
    found = NuclearNorm(gap=1e-9).solve(problem)
    x = np.linspace(-3, 3, 60001)
    family = np.broadcast_to(found.solution, (len(x), 2, 2)).copy()
    family[:, 0, 0] = x
    assert found.objective <= rf.measures.nuclear_norm(family).min() * (1 + 1e-9)


def test_commuting_measurements():
    # <diag(1, 2), W> = 1: of all matrices diag(0, 1/2) has the least nuclear norm.
    found = NuclearNorm().solve(rf.MatrixSensing(np.diag([1.0, 2.0])[None], [1.0]))
    np.testing.assert_allclose(found.solution, np.diag([0.0, 0.5]), atol=1e-6)
    assert found.objective == pytest.approx(0.5, rel=1e-6) and found.lower_bound <= 0.5 * (1 + 1e-12)


def test_sensing_agrees_with_cvxpy():
    problem = rf.low_rank_sensing((8, 7), 2, 30, key=jax.random.key(1))
    x = cp.Variable((8, 7))
    fits = [cp.sum(cp.multiply(a, x)) == b for a, b in zip(problem.measurements, problem.values, strict=True)]
    least = cp.Problem(cp.Minimize(cp.normNuc(x)), fits).solve(solver=cp.CLARABEL)
    found = NuclearNorm().solve(problem)
    assert found.objective == pytest.approx(least, rel=1e-6) and found.residual < 1e-12


def test_regression_of_one_column_is_the_least_l2():
    rng = np.random.default_rng(0)
    problem = rf.LinearRegression(rng.normal(size=(3, 6)), rng.normal(size=3))
    least = rf.references.MinimalL2().solve(problem)
    np.testing.assert_allclose(NuclearNorm(gap=1e-10).solve(problem).solution, least.solution, atol=1e-8)


def test_too_few_steps_and_no_time_are_not_passed_off_as_a_solution():
    problem = completion((60, 60), 4, 900)
    for hurried in (NuclearNorm(steps=5), NuclearNorm(seconds=1e-9)):
        found = hurried.solve(problem)
        assert found.status == "inaccurate" and found.gap > 1e-7 and found.residual == 0
        # The bounds hold all the same.
        exact = NuclearNorm().solve(problem)
        assert found.lower_bound <= exact.objective <= found.objective


def test_nothing_but_zeros():
    found = NuclearNorm().solve(rf.MatrixCompletion.from_dense([[0.0, np.nan], [np.nan, 0.0]]))
    assert found.status == "optimal" and found.objective == 0 and not found.solution.any()


def test_a_complete_matrix_is_its_own_solution():
    whole = np.random.default_rng(0).normal(size=(6, 4))
    found = NuclearNorm().solve(rf.MatrixCompletion.from_dense(whole))
    assert found.status == "optimal"
    np.testing.assert_array_equal(found.solution, whole)


def test_mistakes():
    with pytest.raises(ValueError, match="tolerance is -1.*at least 0"):
        NuclearNorm(tolerance=-1.0)
    with pytest.raises(ValueError, match="gap is 0"):
        NuclearNorm(gap=0)
    with pytest.raises(ValueError, match="TensorCompletion, but NuclearNorm is made for MatrixCompletion or"):
        NuclearNorm().solve(rf.TensorCompletion.from_dense(np.ones((2, 2, 2))))
    with pytest.raises(ValueError, match="contradict each other"):
        NuclearNorm().solve(rf.MatrixSensing(np.stack([np.eye(2)] * 2), [1.0, 2.0]))
    with pytest.raises(ValueError, match="tolerance is 0.1, but must be 0 for MatrixSensing"):
        NuclearNorm(tolerance=0.1).solve(rf.MatrixSensing(np.eye(2)[None], [1.0]))
