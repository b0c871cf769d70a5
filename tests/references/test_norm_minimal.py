"""What any norm would have picked: closed forms, certificates, controls, and honest answers without certificates."""

import cvxpy as cp
import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.references import MinimalL2, NormMinimal, NuclearNorm
from rankfall.references.norms import norm_of
from rankfall.references.observations import observations_of

EYE = np.eye(2)
CONVEX = [
    "nuclear", "frobenius", "spectral", "schatten-1.5", "schatten-4", "ky-fan-2", "entrywise-1", "entrywise-3",
    "entrywise-inf", "max_column_sum", "max_row_sum",
]  # fmt: skip


@pytest.fixture(scope="module")
def completion():
    return rf.low_rank_completion((7, 6), rank=2, observed=28, key=jax.random.key(0))


@pytest.fixture(scope="module")
def sensing():
    return rf.low_rank_sensing((5, 4), 2, 15, key=jax.random.key(1))


@pytest.mark.parametrize("norm", CONVEX)
def test_minimisers_of_the_two_by_two_family(norm):
    # All these are least at 0 among [[x, 1], [1, 0]] (facts of the solution set).
    found = NormMinimal(norm).solve(rf.two_by_two())
    value = norm_of(norm).value(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert found.status == "optimal" and found.objective == pytest.approx(value, rel=1e-6)
    assert found.lower_bound <= value * (1 + 1e-12) and found.residual == 0


@pytest.mark.parametrize("norm", CONVEX)
@pytest.mark.parametrize("problem", ["completion", "sensing"])
def test_nothing_that_fits_is_below_the_bound(norm, problem, request):
    problem = request.getfixturevalue(problem)
    found = NormMinimal(norm).solve(problem)
    assert found.status == "optimal" and found.gap <= 1e-6 and found.residual < 1e-12
    data, rng = observations_of(problem, 0.0), np.random.default_rng(0)
    value = norm_of(norm).value
    for size in (0.0, 1e-3, 1.0):
        near = data.nearest(found.solution + size * rng.normal(size=problem.shape))
        assert value(near) >= found.lower_bound * (1 - 1e-12)
    assert value(problem.truth) >= found.lower_bound
    # And the bound is tight: something that does not fit is below it.
    assert value(0.99 * found.solution) < found.lower_bound


def test_dual_norms_bound_inner_products():
    rng = np.random.default_rng(0)
    for name in CONVEX:
        norm = norm_of(name)
        for _ in range(20):
            x, y = rng.normal(size=(2, 5, 4)) * 10.0 ** rng.uniform(-3, 3, (2, 1, 1))
            assert (x * y).sum() <= norm.value(x) * norm.dual(y) * (1 + 1e-12)


def test_frobenius_fills_with_zeros_and_agrees_with_least_squares(completion, sensing):
    np.testing.assert_allclose(NormMinimal("frobenius").solve(completion).solution,
                               rf.references.FillWithZeros().solve(completion).solution, atol=1e-6)  # fmt: skip
    least = MinimalL2().solve(sensing)
    assert NormMinimal("frobenius").solve(sensing).objective == pytest.approx(least.objective, rel=1e-6)


def test_agrees_with_the_scalable_solver(completion):
    ours = NuclearNorm().solve(completion)
    assert NormMinimal("nuclear").solve(completion).objective == pytest.approx(ours.objective, rel=1e-6)


@pytest.mark.parametrize("problem", ["completion", "sensing"])
def test_within_a_tolerance(problem, request):
    problem = request.getfixturevalue(problem)
    exact, near = (NormMinimal("nuclear", tolerance=t).solve(problem) for t in (0.0, 0.1))
    assert near.status == "optimal" and near.objective < exact.objective * (1 - 1e-3)
    assert 0.09 < near.residual < 0.1 * (1 + 1e-5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_quasi_norms_on_a_line_are_certified(p):
    found = NormMinimal(f"schatten-{p}").solve(rf.two_by_two())
    assert found.status == "optimal" and found.gap <= 1e-6
    assert abs(found.solution[0, 0]) < 1e-3 and found.objective == pytest.approx(2 ** (1 / p), rel=1e-6)
    # Least where the matrix is singular, a cusp: rank 1 at w11 = 1/2.
    seen = rf.MatrixCompletion.from_dense([[np.nan, 1.0], [1.0, 2.0]])
    cusp = NormMinimal(f"schatten-{p}", gap=1e-4).solve(seen)
    at = np.linspace(-2, 2, 40001)
    family = np.broadcast_to(seen.target if seen.target is not None else [[0, 1], [1, 2.0]], (len(at), 2, 2)).copy()
    family[:, 0, 0] = at
    assert cusp.status == "optimal" and cusp.lower_bound <= rf.measures.schatten_norm(family, p).min()
    assert cusp.solution[0, 0] == pytest.approx(0.5 if p < 0.9 else cusp.solution[0, 0], abs=1e-6)


def test_quasi_norms_on_a_line_of_measurements():
    rng = np.random.default_rng(0)
    truth = np.outer([1.0, 2.0], [1.0, -1.0])
    a = rng.normal(size=(3, 2, 2))
    found = NormMinimal("schatten-0.3").solve(rf.MatrixSensing(a, (a * truth).sum(axis=(1, 2))))
    assert found.status == "optimal" and found.residual < 1e-12
    # Two of the matrices on the line have rank 1; the one with the smaller norm is found.
    assert found.objective <= rf.measures.schatten_norm(truth, 0.3) * (1 + 1e-9)
    assert rf.measures.singular_values(found.solution)[1] < 1e-9


def test_any_function_on_a_line_is_a_grid_and_says_so():
    found = NormMinimal(lambda w: np.abs(w).max() + abs(w[0, 0] - w[0, 1])).solve(rf.two_by_two())
    assert found.status == "grid" and found.gap == np.inf and found.solution[0, 0] == pytest.approx(1.0, abs=1e-6)


def test_quasi_norms_elsewhere_are_local_and_say_so(completion):
    found = NormMinimal("schatten-0.5").solve(completion)
    start = rf.references.FillWithZeros().solve(completion).solution
    assert found.status == "local" and found.gap == np.inf and found.residual == 0
    assert found.objective < 0.7 * rf.measures.schatten_norm(start, 0.5)
    # Where enough was seen, the low rank is found, which the nuclear norm misses by a little.
    seen = rf.low_rank_completion((20, 20), rank=2, observed=180, key=jax.random.key(3))
    error = np.linalg.norm(NormMinimal("schatten-0.5").solve(seen).solution - seen.truth) / np.linalg.norm(seen.truth)
    assert error < 1e-6 < 1e-3 < np.linalg.norm(NuclearNorm().solve(seen).solution - seen.truth)


def test_entrywise_quasi_norms_of_completions_are_least_at_zero(completion):
    found = NormMinimal("entrywise-0.5").solve(completion)
    assert found.status == "optimal"
    np.testing.assert_array_equal(found.solution, rf.references.FillWithZeros().solve(completion).solution)


def test_expression(completion):
    found = NormMinimal(expression=lambda x: cp.normNuc(x) + 2 * cp.sum(cp.abs(x))).solve(completion)
    value = rf.measures.nuclear_norm(found.solution) + 2 * abs(found.solution).sum()
    assert found.status == "optimal" and found.objective == pytest.approx(value, rel=1e-6)


def test_out_of_time_is_not_passed_off_as_a_solution():
    problem = rf.low_rank_completion((40, 40), rank=3, observed=500, key=jax.random.key(0))
    try:
        found = NormMinimal("nuclear", seconds=0.02).solve(problem)
    except RuntimeError as said:
        assert "status" in str(said) or "gave up" in str(said)
    else:
        assert found.status == "inaccurate" and np.isfinite(found.solution).all()


def test_mistakes(completion, sensing):
    refused = [
        (lambda: NormMinimal("nuklear"), "norm is 'nuklear', but must be a function"),
        (lambda: NormMinimal("schatten-0"), "norm is 'schatten-0'"),
        (lambda: NormMinimal("ky-fan-1.5"), "norm is 'ky-fan-1.5'"),
        (lambda: NormMinimal(), "both missing"),
        (lambda: NormMinimal("nuclear", tolerance=-1), "tolerance is -1"),
        (lambda: NormMinimal("schatten-0.5", tolerance=0.1).solve(completion), "not known to be convex"),
        (lambda: NormMinimal(expression=lambda x: -cp.normNuc(x)).solve(completion), "expression is concave"),
        (lambda: NormMinimal(lambda w: abs(w).max()).solve(completion), "14 free parameters"),
        (lambda: NormMinimal("nuclear").solve(rf.MatrixCompletion.from_coo([[0, 0]], [1.0], (300, 300))), "Nuclear"),
        (lambda: NormMinimal("nuclear").solve(rf.MatrixSensing(np.stack([EYE, EYE]), [1, 2.0])), "contradict"),
    ]  # fmt: skip
    for call, words in refused:
        with pytest.raises(ValueError, match=words):
            call()
