import numpy as np
import pytest

from rankfall import theory

SLACK = 1e-9

# z, z', eps, loss, geometric lower bound
ORACLE = [
    (-2.0, 0.5, 0.0, 1e-4, 70.6806211),
    (-2.0, 0.5, 0.01, 1e-4, 41.3913017),
    (-2.0, 0.5, 0.05, 1e-4, 15.5603807),
    (-2.0, 0.5, 0.1, 1e-6, 9.85756989),
    (-2.0, 0.5, 0.5, 1e-6, 1.99176974),
]

PROBLEMS = [
    (1.0, 1.0, 0.0),
    (1.0, 1.0, 0.3),
    (-2.0, 0.5, 0.05),
    (-2.0, 0.5, -0.5),
    (-0.3, -4.0, 1.0),
    (1e-3, 1e-3, 0.0),
    (100.0, 0.01, 1e-4),
    (1.0, 2.0, 5.0),
]


@pytest.mark.parametrize("row", ORACLE)
def test_oracle_values(row):
    z, z_prime, eps, loss, expected = row
    assert theory.perturbed_unobserved_lower_bound(loss, z, z_prime, eps) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_bounds_hold(draw_near, problem):
    z, z_prime, eps = problem
    s = draw_near(5, 20_000, z, z_prime, eps, sign=np.sign(z * z_prime))
    assert (s.unobserved >= theory.perturbed_unobserved_lower_bound_simple(s.loss, *problem) * (1 - SLACK)).all()
    assert (s.unobserved >= theory.perturbed_unobserved_lower_bound(s.loss, *problem) * (1 - SLACK)).all()
    assert (s.singular_values[:, 1] <= theory.perturbed_distance_bound(s.loss, eps) * (1 + SLACK)).all()
    assert (s.second_share <= theory.perturbed_second_share_bound(s.loss, *problem) * (1 + SLACK)).all()
    assert (s.effective_rank <= theory.perturbed_effective_rank_bound(s.loss, *problem) * (1 + 1e-14)).all()
    assert (s.effective_rank <= theory.perturbed_effective_rank_bound_linear(s.loss, *problem) * (1 + 1e-14)).all()


def test_bounds_hold_on_random_problems(draw_near):
    rng = np.random.default_rng(8)
    count = 20_000
    z, z_prime, eps = 10.0 ** rng.uniform(-3, 3, (3, count)) * rng.choice([-1.0, 1.0], (3, count))
    s = draw_near(9, count, z, z_prime, eps, sign=np.sign(z * z_prime), loss_exponents=(-9.0, 4.0))
    bound = theory.perturbed_unobserved_lower_bound(s.loss, z, z_prime, eps)
    assert (bound > 0).mean() > 0.1
    assert (s.unobserved >= bound * (1 - SLACK)).all()
    assert (s.unobserved >= theory.perturbed_unobserved_lower_bound_simple(s.loss, z, z_prime, eps) * (1 - SLACK)).all()
    assert (s.effective_rank <= theory.perturbed_effective_rank_bound(s.loss, z, z_prime, eps) * (1 + 1e-14)).all()
    linear = theory.perturbed_effective_rank_bound_linear(s.loss, z, z_prime, eps)
    assert (s.effective_rank <= linear * (1 + 1e-14)).all()


def test_bounds_fail_for_the_other_determinant_sign(draw_near):
    """Negative control: with the wrong sign nothing keeps the unobserved entry away."""
    s = draw_near(6, 5_000, -2.0, 0.5, 0.05, sign=+1)
    assert (s.unobserved < theory.perturbed_unobserved_lower_bound(s.loss, -2.0, 0.5, 0.05) * (1 - SLACK)).mean() > 0.05
    assert (s.unobserved < theory.perturbed_unobserved_lower_bound_simple(s.loss, -2.0, 0.5, 0.05)).mean() > 0.05


def test_base_problem_is_a_special_case():
    loss = 10.0 ** np.linspace(-12, 0, 200)
    expected = theory.unobserved_lower_bound_simple(loss)
    np.testing.assert_allclose(theory.perturbed_unobserved_lower_bound(loss, 1, 1, 0), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(theory.perturbed_distance_bound(loss, 0), theory.smallest_singular_value_bound(loss))
    sharp = theory.unobserved_lower_bound(loss)
    assert (theory.perturbed_unobserved_lower_bound(loss, 1, 1, 0) <= sharp * (1 + 1e-14)).all()
    assert (theory.perturbed_effective_rank_bound(loss, 1, 1, 0) >= theory.effective_rank_bound(loss)).all()


def test_limits():
    assert theory.perturbed_unobserved_lower_bound(0.0, -2.0, 0.5, 0.1) == pytest.approx(10.0)
    assert theory.perturbed_unobserved_lower_bound(0.0, 1.0, 1.0, 0.0) == np.inf
    assert theory.perturbed_unobserved_lower_bound_simple(0.0, 1.0, 1.0, 0.0) == np.inf
    assert theory.perturbed_second_share_bound(0.0, 1.0, 1.0, 0.0) == 0.0
    for bound in (theory.perturbed_unobserved_lower_bound, theory.perturbed_unobserved_lower_bound_simple):
        np.testing.assert_array_equal(bound([0.125, 1.0, np.inf], -2.0, 0.5, 0.05), 0.0)
    # K < 0 although d < min: the geometric bound is vacuous, the simple one is not.
    assert theory.perturbed_unobserved_lower_bound(0.3, 1.0, 1.0, 5.0) == 0.0
    assert theory.perturbed_unobserved_lower_bound_simple(0.3, 1.0, 1.0, 5.0) > 0.0
    np.testing.assert_allclose(theory.perturbed_effective_rank_bound([1.0, np.inf], 1.0, 1.0, 0.0), 2.0)
    np.testing.assert_array_equal(theory.perturbed_limit(-2.0, 0.5, [0.01, 0.5, -0.5]), [-100, -2, 2])
    np.testing.assert_array_equal(theory.perturbed_limit([1, -1], 1, [0.0, -0.0]), [np.inf, -np.inf])


def test_the_scale_is_the_product_of_both_entries_not_the_smaller():
    bound = theory.perturbed_unobserved_lower_bound(0.5e-10, 1e-3, 1e-3, 0.0)
    assert bound == pytest.approx(0.1, rel=1e-3)


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, -1)])
def test_sign_rule_follows_swaps_of_rows_and_columns(draw_near, position, signs):
    z, z_prime = 2.0 * signs[0], 0.5 * signs[1]
    s = draw_near(7, 500, z, z_prime, 0.1, sign=np.sign(z * z_prime))
    rows, columns = (slice(None, None, -1 if moved else 1) for moved in position)
    moved = s.matrices[:, rows, columns]
    p, q = moved[:, position[0], 1 - position[1]], moved[:, 1 - position[0], position[1]]
    np.testing.assert_array_equal(p * q, s.matrices[:, 0, 1] * s.matrices[:, 1, 0])
    sign = theory.required_det_sign(position, z, z_prime)
    det = np.linalg.det(moved)
    clear = np.abs(det) > 1e-6
    assert clear.any() and (np.sign(det[clear]) == sign).all()


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: theory.perturbed_unobserved_lower_bound(-1.0, 1, 1, 0), "loss"),
        (lambda: theory.perturbed_unobserved_lower_bound(1.0, 0, 1, 0), "z"),
        (lambda: theory.perturbed_unobserved_lower_bound_simple(1.0, 1, [1, 0], 0), "z_prime"),
        (lambda: theory.perturbed_distance_bound(1.0, np.nan), "eps"),
        (lambda: theory.perturbed_second_share_bound(1.0, np.inf, 1, 0), "z"),
        (lambda: theory.perturbed_effective_rank_bound(1.0, 1, 1, np.inf), "eps"),
        (lambda: theory.perturbed_effective_rank_bound_linear(np.nan, 1, 1, 0), "loss"),
        (lambda: theory.perturbed_limit(0.0, 1, 0), "z"),
        (lambda: theory.required_det_sign((1, 2), 1, 1), "position"),
        (lambda: theory.required_det_sign((0, 0), 0, 1), "p"),
        (lambda: theory.required_det_sign((0, 0), 1, np.nan), "q"),
    ],
)
def test_wrong_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} .*; .*\.$"):
        call()
