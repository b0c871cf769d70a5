import numpy as np
import pytest

from rankfall import theory

# alpha: (x, y, q) of the gradient flow at times 1, 10, 100
ORACLE = {
    1.0: [
        (1.42677018832, 0.697986621694, 0.528764445537),
        (3.27095315296, 0.929284067377, 0.264203780726),
        (7.97770297619, 0.9851884772, 0.121663634069),
    ],
    0.5: [
        (0.893368087705, 0.57039748981, 0.476538512942),
        (3.05863949724, 0.921583761451, 0.277731034073),
        (7.93243558185, 0.985028471742, 0.122318180858),
    ],
    0.1: [
        (0.287652551374, 0.248652106764, 0.240862188455),
        (2.84729267147, 0.912648673169, 0.292536607676),
        (7.89113345755, 0.984880249498, 0.122921391593),
    ],
    0.01: [
        (0.0363862822815, 0.0346510472789, 0.0356513321573),
        (2.64260657842, 0.902539389166, 0.308247755158),
        (7.85455292828, 0.984747158784, 0.123460491716),
    ],
}


def two_factor_descent(alpha, eta, steps):
    """End-to-end matrices and logarithms of their determinants, the latter from the factors."""
    first = np.sqrt(alpha) * np.eye(2)
    second = first.copy()
    ends, log_dets = [second @ first], [2 * np.log(alpha)]
    for _ in range(steps):
        residual = (second @ first - [[0.0, 1.0], [1.0, 0.0]]) * [[0.0, 1.0], [1.0, 1.0]]
        first, second = first - eta * second.T @ residual, second - eta * residual @ first.T
        ends.append(second @ first)
        log_dets.append(np.linalg.slogdet(first)[1] + np.linalg.slogdet(second)[1])
    return np.array(ends), np.array(log_dets)


@pytest.mark.parametrize("alpha, eta", [(1.0, 0.01), (0.1, 0.1), (1e-3, 0.05), (2.0, 0.3)])
def test_recursion_is_explicit_two_factor_descent(alpha, eta):
    (ends, log_dets), path = two_factor_descent(alpha, eta, 150), theory.identity_descent(alpha, eta, 150)
    np.testing.assert_allclose(path.x, ends[:, 0, 0], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(path.y, ends[:, 0, 1], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(path.q, ends[:, 1, 1], rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(path.log_det, log_dets, atol=1e-9)


@pytest.mark.parametrize("time, row", [(1.0, 0), (10.0, 1)])
def test_small_steps_follow_the_flow(time, row):
    alphas, eta = np.array(list(ORACLE)), 2e-3
    coarse = theory.identity_descent(alphas, eta, round(time / eta))
    fine = theory.identity_descent(alphas, eta / 2, round(2 * time / eta))
    expected = np.array([ORACLE[alpha][row] for alpha in alphas]).T
    # The error is linear in the step, so this combination of two steps is one order better.
    extrapolated = 2 * np.array(fine[:3])[:, -1] - np.array(coarse[:3])[:, -1]
    np.testing.assert_allclose(extrapolated, expected, rtol=1e-5)


def test_late_flow():
    path = theory.identity_descent(0.1, 2e-3, 50_000)
    np.testing.assert_allclose([path.x[-1], path.y[-1], path.q[-1]], ORACLE[0.1][2], rtol=1e-4)
    # d ln det = -2 q dt, so the determinant is far below the smallest float64 while its logarithm is ordinary.
    assert path.log_det[-1] == pytest.approx(2 * np.log(0.1) - 2 * 2e-3 * path.q[:-1].sum(), rel=1e-3)


def test_lanes_are_the_single_runs_bit_for_bit():
    alphas, etas = np.array([1.0, 0.1, 0.01]), np.array([0.02, 0.05, 0.1])
    lanes = theory.identity_descent(alphas[:, None], etas, 60)
    assert lanes.x.shape == lanes.log_det.shape == lanes.loss.shape == (61, 3, 3)
    for i, alpha in enumerate(alphas):
        for j, eta in enumerate(etas):
            single = theory.identity_descent(alpha, eta, 60)
            for lane, alone in zip(lanes, single, strict=True):
                np.testing.assert_array_equal(lane[:, i, j], alone)


def test_bounds_hold_along_the_path_and_the_entry_grows():
    path = theory.identity_descent(1e-3, 0.02, 20_000)
    assert (path.x >= theory.unobserved_lower_bound(path.loss) * (1 - 1e-9)).all()
    assert (np.diff(path.x) >= 0).all() and path.loss[-1] < 3e-3
    assert (path.log_det[:-1] > path.log_det[1:])[10:].all()


@pytest.mark.parametrize("eta, steps", [(0.7, 12), (1.1, 6), (1.6, 4)])
def test_determinant_is_multiplied_by_a_square_at_any_step_size(eta, steps):
    """Steps far too large to converge: the iterates leave, the sign of the determinant stays."""
    path, (ends, log_dets) = theory.identity_descent(0.5, eta, steps), two_factor_descent(0.5, eta, steps)
    np.testing.assert_allclose(path.log_det, log_dets, atol=1e-8)
    assert np.ptp(path.loss) > 0.1 and (np.linalg.eigvalsh(ends) > -1e-9 * np.abs(ends).max()).all()


def test_zero_steps_and_divergence_are_values():
    start = theory.identity_descent(0.3, 0.1, 0)
    assert start.x.tolist() == start.q.tolist() == [0.3] and start.y.tolist() == [0.0]
    assert start.log_det[0] == pytest.approx(2 * np.log(0.3))
    assert start.loss[0] == pytest.approx(1 + 0.3**2 / 2)
    assert not np.isfinite(theory.identity_descent(1.0, 50.0, 100).x[-1])


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: theory.identity_descent(0.0, 0.1, 1), "alpha"),
        (lambda: theory.identity_descent(1.0, -0.1, 1), "step_size"),
        (lambda: theory.identity_descent(1.0, [0.1, np.inf], 1), "step_size"),
        (lambda: theory.identity_descent(1.0, 0.1, -1), "steps"),
    ],
)
def test_wrong_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} .*; .*\.$"):
        call()
