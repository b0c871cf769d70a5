import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankfall import theory

# x, sigma_1, sigma_2, nuclear, Schatten-1/2, effective rank
ORACLE = [
    (0.0, 1.0, 1.0, 2.0, 4.0, 2.0),
    (1.0, 1.61803398875, 0.61803398875, 2.2360679775, 4.2360679775, 1.80311276588),
    (2.0, 2.41421356237, 0.414213562373, 2.82842712475, 4.82842712475, 1.516637223),
    (10.0, 10.0990195136, 0.0990195135928, 10.1980390272, 12.1980390272, 1.0561847244),
    (100.0, 100.009999, 0.00999900019995, 100.019998, 102.019998, 1.00102127396),
]


@pytest.mark.parametrize("row", ORACLE)
def test_oracle_table(row):
    x, first, second, nuclear, half, erank = row
    np.testing.assert_allclose(theory.solution_singular_values(x), [first, second], rtol=1e-10)
    np.testing.assert_allclose(theory.solution_schatten_norm(x, [1.0, 0.5]), [nuclear, half], rtol=1e-9)
    np.testing.assert_allclose(theory.solution_effective_rank(-x), erank, rtol=1e-10)
    np.testing.assert_allclose(theory.solution_distance(x), second, rtol=1e-10)


def test_closed_forms_are_those_of_the_matrices():
    x = np.linspace(-50, 50, 201)
    values = np.linalg.svd(theory.solution(x), compute_uv=False)
    np.testing.assert_allclose(theory.solution_singular_values(x), values, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.det(theory.solution(x)), -1.0)
    for p in (0.3, 1.0, 2.0, 3.0):
        np.testing.assert_allclose(theory.solution_schatten_norm(x, p), (values**p).sum(axis=1) ** (1 / p), rtol=1e-12)
    np.testing.assert_allclose(theory.solution_schatten_norm(x, np.inf), values[:, 0], rtol=1e-12)
    np.testing.assert_allclose(theory.solution_schatten_norm(x, 2.0), np.sqrt(x**2 + 2), rtol=1e-12)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.floats(0, 1e12))
def test_full_precision_for_every_entry(x):
    with mp.workdps(60):
        u = mp.asinh(mp.mpf(x) / 2)
        second = mp.exp(-u)
        log_erank = mp.log(2 * mp.cosh(u)) - u * mp.tanh(u)
        suboptimality = max(second, mp.expm1(log_erank))
        excess = mp.expm1(log_erank)
    np.testing.assert_allclose(theory.solution_singular_values(x)[1], float(second), rtol=4e-16)
    np.testing.assert_allclose(theory.solution_rank_suboptimality(x), float(suboptimality), rtol=1e-14)
    np.testing.assert_allclose(np.expm1(np.log(theory.solution_effective_rank(x))), float(excess), atol=1e-15)


def test_huge_entries_do_not_overflow_or_cancel():
    for x in (1e8, 1e200, 1.7e308):
        first, second = theory.solution_singular_values(x)
        assert first == pytest.approx(x, rel=1e-15) and second == pytest.approx(1 / x, rel=1e-15)
    assert theory.solution_schatten_norm(0.0, 0.001) == pytest.approx(2.0**1000, rel=1e-12)
    assert theory.solution_schatten_norm(1e8, 0.01) == pytest.approx(
        float(mp.mpf(2 * mp.cosh(0.01 * mp.asinh(5e7))) ** 100), rel=1e-12
    )
    assert theory.solution_schatten_norm(1e8, 1e-4) == np.inf


def test_every_norm_is_least_at_zero_and_every_rank_measure_is_most():
    x = np.linspace(0, 40, 400)[:, None]
    assert (np.diff(theory.solution_schatten_norm(x, [0.05, 0.5, 1, 2, np.inf]), axis=0) > 0).all()
    for measure in (theory.solution_effective_rank, theory.solution_distance, theory.solution_rank_suboptimality):
        assert (np.diff(measure(x[:, 0])) < 0).all()
        assert measure(0.0) in (pytest.approx(1.0), pytest.approx(2.0))


def test_crossover_of_the_two_parts_of_rank_suboptimality():
    def difference(x):
        u = mp.asinh(x / 2)
        return 2 * mp.cosh(u) * mp.exp(-u * mp.tanh(u)) - 1 - mp.exp(-u)

    assert pytest.approx(float(mp.findroot(difference, 3.77)), rel=1e-14) == theory.SUBOPTIMALITY_CROSSOVER
    assert pytest.approx(3.77296722950, abs=5e-12) == theory.SUBOPTIMALITY_CROSSOVER
    assert theory.solution_distance(theory.SUBOPTIMALITY_CROSSOVER) == pytest.approx(0.248655825362, abs=1e-12)
    before, after = theory.SUBOPTIMALITY_CROSSOVER - 0.01, theory.SUBOPTIMALITY_CROSSOVER + 0.01
    assert theory.solution_rank_suboptimality(before) > theory.solution_distance(before)
    assert theory.solution_rank_suboptimality(after) == theory.solution_distance(after)


@pytest.mark.parametrize("p", [0.2, 0.5, 1.0, 2.0])
def test_near_minimisers_have_a_bounded_entry(p):
    constant, excess = max(1.0, 2.0 ** (1 / p - 1)), 0.7
    least = theory.solution_schatten_norm(0.0, p)
    radius = theory.minimiser_radius(least, 1.0, constant, excess)
    x = np.linspace(-2 * radius, 2 * radius, 2001)
    near = theory.solution_schatten_norm(x, p) <= least + excess
    assert near.any() and (np.abs(x[near]) <= radius).all()
    assert radius == pytest.approx(constant * (2 * least + excess))


def test_shapes():
    assert theory.solution(np.zeros((3, 4))).shape == (3, 4, 2, 2)
    assert theory.solution_singular_values(np.zeros((3, 4))).shape == (3, 4, 2)
    assert theory.solution_schatten_norm(np.zeros((3, 1)), [1.0, 2.0]).shape == (3, 2)
    assert theory.solution_distance(np.zeros((3, 4))).shape == (3, 4)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: theory.solution(np.nan), "x"),
        (lambda: theory.solution([1.0, np.inf]), "x"),
        (lambda: theory.solution_singular_values(np.array(["a"])), "x"),
        (lambda: theory.solution_effective_rank(np.array(1j)), "x"),
        (lambda: theory.solution_schatten_norm(1.0, 0.0), "p"),
        (lambda: theory.solution_schatten_norm(1.0, -1.0), "p"),
        (lambda: theory.minimiser_radius(0.0, 1.0), "norm_w0"),
        (lambda: theory.minimiser_radius(1.0, np.inf), "norm_e11"),
        (lambda: theory.minimiser_radius(1.0, 1.0, 0.5), "triangle_constant"),
        (lambda: theory.minimiser_radius(1.0, 1.0, 1.0, -1.0), "excess"),
    ],
)
def test_wrong_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} .*; .*\.$"):
        call()
