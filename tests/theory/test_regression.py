import numpy as np
import pytest

from rankfall import theory


@pytest.fixture
def problem():
    rng = np.random.default_rng(0)
    return rng.normal(size=(4, 9)), rng.normal(size=4), rng.normal(size=9)


def naive_descent(X, y, eta, steps, start):
    w = start.copy()
    for _ in range(steps):
        w = w - eta * X.T @ (X @ w - y)
    return w


def test_limit_is_the_pseudo_inverse_and_the_untouched_null_space(problem):
    X, y, w0 = problem
    inverse = np.linalg.pinv(X)
    np.testing.assert_allclose(theory.min_l2_interpolator(X, y), inverse @ y, atol=1e-14)
    limit = theory.descent_limit(X, y, w0)
    np.testing.assert_allclose(limit, inverse @ y + (np.eye(9) - inverse @ X) @ w0, atol=1e-14)
    np.testing.assert_allclose(X @ limit, y, atol=1e-14)
    assert np.linalg.norm(theory.min_l2_interpolator(X, y)) < np.linalg.norm(limit)


@pytest.mark.parametrize("fraction", [1e-6, 0.3, 0.9, 1.0, 1.7, 2.1])
@pytest.mark.parametrize("steps", [0, 1, 2, 7, 200])
def test_iterates_are_those_of_a_loop(problem, fraction, steps):
    X, y, w0 = problem
    eta = float(fraction / np.linalg.norm(X, 2) ** 2)
    for start in (None, w0):
        expected = naive_descent(X, y, eta, steps, np.zeros(9) if start is None else start)
        np.testing.assert_allclose(
            theory.descent_iterate(X, y, eta, steps, start), expected, rtol=1e-9, atol=1e-12 * (1 + abs(expected).max())
        )


def test_step_of_exactly_one_over_the_curvature():
    for steps, expected in ((0, 0.0), (1, 1.0), (5, 1.0)):
        assert theory.descent_iterate([[1.0]], [1.0], 1.0, steps)[0] == expected


def test_tiny_steps_keep_their_digits():
    moved = theory.descent_iterate([[1.0]], [1.0], 1e-20, 10**6)
    np.testing.assert_allclose(moved, [1e-14], rtol=1e-12)
    np.testing.assert_allclose(theory.flow_iterate([[1.0]], [1.0], 1e-20), [1e-20], rtol=1e-12)


def test_iterates_stay_in_the_row_space_and_converge(problem):
    X, y, w0 = problem
    eta = 1.0 / np.linalg.norm(X, 2) ** 2
    outside = np.eye(9) - np.linalg.pinv(X) @ X
    assert np.abs(outside @ theory.descent_iterate(X, y, eta, 5)).max() < 1e-14
    np.testing.assert_allclose(theory.descent_iterate(X, y, eta, 10**6, w0), theory.descent_limit(X, y, w0), atol=1e-13)


def test_flow_is_the_limit_of_small_steps(problem):
    X, y, w0 = problem
    flow = theory.flow_iterate(X, y, 0.5, w0)
    np.testing.assert_allclose(theory.descent_iterate(X, y, 0.5e-6, 10**6, w0), flow, atol=1e-5)
    np.testing.assert_allclose(theory.flow_iterate(X, y, np.inf, w0), theory.descent_limit(X, y, w0), atol=1e-14)
    np.testing.assert_array_equal(theory.flow_iterate(X, y, 0.0, w0), w0)


def test_too_large_steps_diverge(problem):
    X, y, _ = problem
    eta = 2.5 / np.linalg.norm(X, 2) ** 2
    assert np.linalg.norm(theory.descent_iterate(X, y, eta, 100)) > 1e10
    assert not np.isfinite(theory.descent_iterate(X, y, eta, 10**6)).all()


def test_ridge_solves_its_normal_equations(problem):
    X, y, _ = problem
    for decay in (1e-3, 1.0, 50.0):
        expected = np.linalg.solve(X.T @ X + decay * np.eye(9), X.T @ y)
        np.testing.assert_allclose(theory.ridge_solution(X, y, decay), expected, atol=1e-11)
    np.testing.assert_array_equal(theory.ridge_solution(X, y, 0.0), theory.min_l2_interpolator(X, y))


def test_rank_deficient_and_overdetermined_inputs():
    rng = np.random.default_rng(1)
    thin, y = rng.normal(size=(6, 2)), rng.normal(size=6)
    deficient = thin @ rng.normal(size=(2, 5))
    for X in (thin, deficient, np.zeros((6, 3))):
        np.testing.assert_allclose(theory.min_l2_interpolator(X, y), np.linalg.pinv(X) @ y, atol=1e-12)
    start = rng.normal(size=5)
    np.testing.assert_allclose(
        theory.descent_iterate(deficient, y, 0.01, 30, start), naive_descent(deficient, y, 0.01, 30, start), atol=1e-12
    )


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: theory.min_l2_interpolator([1.0], [1.0]), "X"),
        (lambda: theory.min_l2_interpolator([[1.0]], [1.0, 2.0]), "y"),
        (lambda: theory.min_l2_interpolator([[np.nan]], [1.0]), "X"),
        (lambda: theory.descent_limit([[1.0]], [1.0], [1.0, 2.0]), "start"),
        (lambda: theory.descent_iterate([[1.0]], [1.0], 0.0, 1), "step_size"),
        (lambda: theory.descent_iterate([[1.0]], [1.0], 0.1, -1), "steps"),
        (lambda: theory.descent_iterate([[1.0]], [1.0], 0.1, True), "steps"),
        (lambda: theory.flow_iterate([[1.0]], [1.0], -1.0), "time"),
        (lambda: theory.ridge_solution([[1.0]], [1.0], -1.0), "weight_decay"),
    ],
)
def test_wrong_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} .*; .*\.$"):
        call()
