import mpmath as mp
import numpy as np
import pytest

import rankfall as rf
from rankfall import theory

SLACK = 1e-9

# loss, C2, C3, C1, effective rank, paper's distance
ORACLE = [
    (0.1, 1.78885438, 1.82685072, 0.447214, 1.22009217, 1.34164),
    (0.01, 6.92964646, 6.93103333, 0.141421, 1.03198046, 0.424264),
    (0.001, 22.3159584, 22.3160030, 0.0447214, 1.00430959, 0.134164),
    (0.0001, 70.6965360, 70.6965374, 0.0141421, 1.00054532, 0.0424264),
    (1e-6, 707.105367, 707.105367, 0.00141421, 1.00000775, 0.00424264),
]


@pytest.mark.parametrize("row", ORACLE)
def test_oracle_table(row):
    loss, simple, sharp, second, erank, distance = row
    assert theory.unobserved_lower_bound_simple(loss) == pytest.approx(simple, rel=5e-9)
    assert theory.unobserved_lower_bound(loss) == pytest.approx(sharp, rel=5e-9)
    assert theory.smallest_singular_value_bound(loss) == pytest.approx(second, rel=5e-6)
    assert theory.effective_rank_bound(loss) == pytest.approx(erank, abs=6e-9)
    assert theory.theorem1_distance_bound(loss) == pytest.approx(distance, rel=5e-6)


def test_segment_lemma(positive_sample):
    solution_second = theory.solution_distance(positive_sample.matrices[:, 0, 0])
    together = positive_sample.singular_values[:, 1] + solution_second
    assert (together <= np.sqrt(2 * positive_sample.loss) * (1 + SLACK)).all()


def test_certified_bounds(positive_sample):
    s = positive_sample
    assert (s.singular_values[:, 1] <= theory.smallest_singular_value_bound(s.loss) * (1 + SLACK)).all()
    assert (s.unobserved >= theory.unobserved_lower_bound(s.loss) * (1 - SLACK)).all()
    assert (s.unobserved >= theory.unobserved_lower_bound_simple(s.loss) * (1 - SLACK)).all()
    assert (s.second_share <= theory.second_share_bound(s.loss) * (1 + SLACK)).all()
    assert (s.effective_rank <= theory.effective_rank_bound(s.loss) * (1 + 1e-14)).all()
    suboptimality = np.maximum(s.singular_values[:, 1], s.effective_rank - 1)
    assert (suboptimality <= theory.rank_suboptimality_bound(s.loss) * (1 + SLACK) + 1e-14).all()


def test_constants_of_the_paper(positive_sample):
    s = positive_sample
    assert (s.effective_rank <= theory.theorem1_effective_rank_bound(s.loss)).all()
    assert (s.singular_values[:, 1] <= theory.theorem1_distance_bound(s.loss)).all()
    for p in (0.3, 1.0, 2.0):
        norm = (s.singular_values**p).sum(axis=1) ** (1 / p)
        assert (norm >= theory.theorem1_norm_bound(s.loss, 1.0, 1.0, max(1.0, 2.0 ** (1 / p - 1))) - 1e-9).all()
    assert theory.theorem1_norm_bound(0.0078, 1.0, 1.0) > 0 > theory.theorem1_norm_bound(0.0079, 1.0, 1.0)
    assert theory.theorem1_effective_rank_bound(1.0) - 1 == pytest.approx(9.99528, abs=1e-5)


def test_bounds_fail_where_the_determinant_is_negative(draw_near):
    """Negative control: W_0, and matrices near it, break every one of them."""
    assert abs(theory.solution(0.0)[0, 0]) < theory.unobserved_lower_bound_simple(0.0) == np.inf
    near = theory.solution(0.0) + [[0.0, 0.01], [0.0, 0.0]]
    loss, values = 0.5e-4, np.linalg.svd(near, compute_uv=False)
    assert np.linalg.det(near) < 0
    assert abs(near[0, 0]) < theory.unobserved_lower_bound_simple(loss)
    assert values[1] > theory.theorem1_distance_bound(loss) > theory.smallest_singular_value_bound(loss)
    assert values[1] / values.sum() > theory.second_share_bound(loss)
    s = draw_near(3, 5_000, sign=-1)
    assert (s.unobserved < theory.unobserved_lower_bound(s.loss) * (1 - SLACK)).mean() > 0.02


@pytest.mark.parametrize("size", [2, 3, 4, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_segment_lemma_on_the_larger_problems(size, sign):
    rng = np.random.default_rng(size)
    problem = rf.two_by_two(size=size)
    solutions = np.zeros((4000, size, size))
    solutions[:, problem.indices[:, 0], problem.indices[:, 1]] = problem.values
    solutions[:, 0, 0] = rng.choice([-1, 1], 4000) * 10.0 ** rng.uniform(-1, 3, 4000)
    noise = rng.normal(size=solutions.shape) * 10.0 ** rng.uniform(-3, -0.3, (4000, 1, 1))
    noise[:, 0, 0] = 0
    w = solutions + noise
    of_sign = np.sign(np.linalg.det(w)) == sign
    w, solutions, d = w[of_sign], solutions[of_sign], np.sqrt(2 * np.asarray(problem.loss(w[of_sign])))
    assert len(w) > 200
    smallest = [np.linalg.svd(a, compute_uv=False)[:, -1] for a in (w, solutions)]
    x, near = np.abs(w[:, 0, 0]), d < 1
    excess = smallest[0] + smallest[1] - d
    if sign > 0:
        assert excess.max() < 1e-12
        assert (x - theory.unobserved_lower_bound_simple(d**2 / 2))[near].min() > -1e-12
    else:
        # Control: with a negative determinant, that of every solution, neither need hold.
        assert excess.max() > 0.5
        assert (x - theory.unobserved_lower_bound_simple(d**2 / 2))[near].min() < -1


def test_equality_case_attains_the_sharp_bound():
    loss = np.concatenate([10.0 ** np.linspace(-12, -0.5, 50), np.linspace(0.37, 0.4999, 40), [0.375]])
    w = theory.extremal_matrix(loss)
    attained = 0.5 * ((w[:, 0, 1] - 1) ** 2 + (w[:, 1, 0] - 1) ** 2 + w[:, 1, 1] ** 2)
    np.testing.assert_allclose(attained, loss, rtol=1e-9)
    np.testing.assert_array_equal(w[:, 0, 0], theory.unobserved_lower_bound(loss))
    np.testing.assert_allclose(w[:, 0, 0] * w[:, 1, 1], w[:, 0, 1] * w[:, 1, 0], rtol=1e-12)


@pytest.mark.parametrize("loss", [1e-3, 0.1, 0.37, 0.38, 0.45, 0.499])
def test_sharp_bound_is_the_minimum_over_a_grid(loss):
    polar, azimuth = np.meshgrid(np.linspace(0, np.pi, 1501)[1:-1], np.linspace(0, 2 * np.pi, 1501))
    d = np.sqrt(2 * loss)
    a, b, c = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)
    least = np.min((1 + d * a) * (1 + d * b) / np.maximum(np.abs(d * c), 1e-300))
    bound = theory.unobserved_lower_bound(loss)
    assert bound * (1 - 1e-12) <= least <= bound * (1 + 2e-3)


@pytest.mark.parametrize("loss, share", [(1e-4, 0.999), (1e-2, 0.99), (0.1, 0.9)])
def test_share_bound_is_nearly_attained(draw_near, loss, share):
    """A matrix of the given loss whose share comes close: W_x moved by d along its smallest singular direction."""
    d = np.sqrt(2 * loss)
    x = 1 / np.tan(np.arcsin(d) / 2) - np.tan(np.arcsin(d) / 2)
    angle, w22 = np.linspace(-np.pi, np.pi, 2001), np.linspace(-1, 1, 2001)[:, None]
    off = np.sqrt(np.maximum(1 - w22**2, 0) / 2)
    w = np.stack(np.broadcast_arrays(x * (1 + 0.2 * np.sin(angle)), 1 - d * off, 1 - d * off, d * w22), axis=-1)
    det = w[..., 0] * w[..., 3] - w[..., 1] * w[..., 2]
    square = (w**2).sum(axis=-1)
    gap = np.sqrt(np.maximum(square**2 - 4 * det**2, 0))
    first = np.sqrt((square + gap) / 2)
    best = np.max(np.where(det >= 0, det / (first**2 + det), 0))
    assert share * theory.second_share_bound(loss) <= best <= theory.second_share_bound(loss) * (1 + SLACK)


def test_tiny_losses_keep_their_digits():
    for loss in (1e-17, 1e-40, 1e-300):
        with mp.workdps(400):
            exact = mp.mpf(loss)
            a = (mp.sqrt(1 + 8 * exact) - 1) / 2
            d = mp.sqrt(2 * exact)
            tau = (1 - mp.sqrt(1 - d**2)) / d
            sharp, simple = float((1 - a) ** 1.5 / mp.sqrt(a)), float(1 / d - d)
            share = float(tau**2 / (1 + 2 * tau**2))
        assert theory.unobserved_lower_bound(loss) == pytest.approx(sharp, rel=1e-14)
        assert theory.unobserved_lower_bound_simple(loss) == pytest.approx(simple, rel=1e-14)
        assert theory.second_share_bound(loss) == pytest.approx(share, rel=1e-14)
        assert theory.rank_suboptimality_bound(loss) == pytest.approx(float(d), rel=1e-14)


def test_values_at_the_ends_and_where_the_formula_changes():
    edge = [0.375, np.nextafter(0.375, 1), np.nextafter(0.5, 0)]
    np.testing.assert_allclose(theory.unobserved_lower_bound(edge), [0.5, 0.5, np.sqrt(1.11e-16)], rtol=1e-3)
    np.testing.assert_array_equal(theory.unobserved_lower_bound([0.0, 0.5, 7.0, np.inf]), [np.inf, 0, 0, 0])
    np.testing.assert_array_equal(theory.unobserved_lower_bound_simple([0.0, 0.5, np.inf]), [np.inf, 0, 0])
    np.testing.assert_array_equal(theory.second_share_bound([0.0, 0.5, 7.0]), [0, 0.5, 0.5])
    np.testing.assert_allclose(theory.effective_rank_bound([0.0, 0.5, np.inf]), [1, 2, 2])
    np.testing.assert_allclose(theory.rank_suboptimality_bound([0.0, 0.5, 2.0]), [0, 1, 2])
    np.testing.assert_array_equal(theory.smallest_singular_value_bound([1.7e308, np.inf]) > 1e154, True)


def test_sharp_is_never_below_simple_and_all_are_monotone():
    loss = 10.0 ** np.linspace(-14, 0, 3000)
    sharp, simple = theory.unobserved_lower_bound(loss), theory.unobserved_lower_bound_simple(loss)
    assert (sharp >= simple * (1 - 1e-14)).all()
    assert (np.diff(sharp) <= 0).all()
    assert (np.diff(theory.effective_rank_bound(loss)) >= 0).all()
    assert (np.diff(theory.rank_suboptimality_bound(loss)) > 0).all()


def test_excess_effective_rank_decays_like_the_loss_not_its_root():
    excess = theory.effective_rank_bound([1e-8, 1e-4]) - 1
    slope = np.log(excess[1] / excess[0]) / np.log(1e4)
    assert 0.9 < slope < 1.0


def test_binary_entropy():
    p = np.array([0.0, 1e-20, 0.25, 0.5, 0.75, 1.0])
    expected = [0.0, 1e-20 * (1 - np.log(1e-20)), 0.562335144618808, np.log(2), 0.562335144618808, 0.0]
    np.testing.assert_allclose(theory.binary_entropy(p), expected, rtol=1e-13)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: theory.binary_entropy(1.1), "p"),
        (lambda: theory.unobserved_lower_bound(-1.0), "loss"),
        (lambda: theory.unobserved_lower_bound_simple([0.1, np.nan]), "loss"),
        (lambda: theory.smallest_singular_value_bound(-1), "loss"),
        (lambda: theory.second_share_bound(np.nan), "loss"),
        (lambda: theory.effective_rank_bound(np.array(["low"])), "loss"),
        (lambda: theory.rank_suboptimality_bound(-1e-300), "loss"),
        (lambda: theory.extremal_matrix(0.5), "loss"),
        (lambda: theory.extremal_matrix(0.0), "loss"),
        (lambda: theory.theorem1_norm_bound(-1.0, 1.0, 1.0), "loss"),
        (lambda: theory.theorem1_norm_bound(1.0, 0.0, 1.0), "norm_e11"),
        (lambda: theory.theorem1_norm_bound(1.0, 1.0, -1.0), "max_norm_eij"),
        (lambda: theory.theorem1_norm_bound(1.0, 2.0, 1.0), "max_norm_eij"),
        (lambda: theory.theorem1_norm_bound(1.0, 1.0, 1.0, 0.9), "triangle_constant"),
        (lambda: theory.theorem1_effective_rank_bound(-1.0), "loss"),
        (lambda: theory.theorem1_distance_bound(-1.0), "loss"),
    ],
)
def test_wrong_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} .*; .*\.$"):
        call()
