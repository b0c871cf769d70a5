import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall.measures import _cp_fit, cp_rank_bracket, published_rank_estimate
from rankfall.measures._cp_exact import hyperdeterminant

KEY = jax.random.key(0)


def outer_sum(factors):
    """Sum of outer products of columns, written out."""
    return sum(
        math.prod(np.ix_(*(f[:, r] for f in factors))) for r in range(factors[0].shape[1])
    )  # fmt: skip


def generated(shape, rank, seed, noise=0.0):
    g = np.random.default_rng(seed)
    t = outer_sum([g.normal(size=(size, rank)) for size in shape])
    extra = g.normal(size=shape)
    return t / np.linalg.norm(t) + noise * extra / np.linalg.norm(extra)


def moved(t, seed=0):
    """A tensor in other bases, which changes no rank."""
    g = np.random.default_rng(seed)
    for n in range(t.ndim):
        t = np.moveaxis(np.tensordot(g.normal(size=(t.shape[n], t.shape[n])), t, axes=(1, n)), 0, n)
    return t


def sparse(shape, entries):
    t = np.zeros(shape)
    for index, value in entries.items():
        t[index] = value
    return t


def diagonal(size, order):
    return sparse((size,) * order, {(i,) * order: 1.0 for i in range(size)})


W = sparse((2, 2, 2), {(0, 0, 1): 1.0, (0, 1, 0): 1.0, (1, 0, 0): 1.0})
COMPLEX = sparse((2, 2, 2), {(0, 0, 0): 1.0, (1, 1, 0): -1.0, (0, 1, 1): 1.0, (1, 0, 1): 1.0})
MATMUL = sparse((4, 4, 4), {(2 * i + j, 2 * j + k, 2 * i + k): 1.0 for i, j, k in itertools.product((0, 1), repeat=3)})


def ends(bracket):
    return bracket.lower, bracket.upper


@pytest.mark.parametrize("noise", [0.0, 1e-4, 5e-4])
@pytest.mark.parametrize("shape", [(8, 8, 8), (8, 8, 8, 8)])
def test_rank_three_targets_are_bracketed_by_three(shape, noise):
    found = [cp_rank_bracket(generated(shape, 3, seed, noise), key=KEY) for seed in range(20)]
    assert sum(ends(b) == (3, 3) for b in found) >= 18
    assert all(b.lower == 3 for b in found)
    for b in found:
        assert b.fits[3] < 1e-13 if noise == 0 else 0.9 * noise < b.fits[3] <= noise


@pytest.mark.parametrize("shape", [(8, 8, 8, 8), (2, 3, 4), (5, 1, 5), (2,) * 12])
def test_products_of_vectors_have_rank_one(shape):
    b = cp_rank_bracket(generated(shape, 1, 0), key=KEY)
    assert ends(b) == (1, 1) and b.exact == 1 and b.border is None


@pytest.mark.parametrize("rank", [0, 1, 3, 5])
def test_matrices_have_their_rank(rank):
    g = np.random.default_rng(rank)
    w = g.normal(size=(5, rank)) @ g.normal(size=(rank, 7))
    for t in (w, w[:, None, :], w[:, :, None, None]):
        b = cp_rank_bracket(t, key=KEY)
        assert ends(b) == (rank, rank) and b.exact == rank
        assert rank == np.linalg.matrix_rank(w)


def test_a_matrix_within_the_tolerance_has_the_rank_of_its_tail():
    w = np.diag([1.0, 0.1, 1e-4, 1e-5])
    for rtol in (0.5, 1e-2, 1e-3, 5e-5, 1e-6):
        expected = rf.measures.numerical_rank(w, rtol)
        b = cp_rank_bracket(w, rtol, key=KEY)
        assert ends(b) == (expected, expected) and b.exact == 4


def test_generic_two_by_two_by_two():
    seen = set()
    for t in np.random.default_rng(0).normal(size=(16, 2, 2, 2)):
        expected = 2 if hyperdeterminant(t) > 0 else 3
        b = cp_rank_bracket(t, 1e-7, key=KEY, restarts=2)
        assert ends(b) == (2, expected) and b.exact == expected
        seen.add(expected)
    assert seen == {2, 3}


def test_hyperdeterminant_by_its_definition():
    for a, b in np.random.default_rng(1).normal(size=(20, 2, 2, 2)):
        p = np.poly1d(np.polyfit([-1, 0, 1], [np.linalg.det(a + x * b) for x in (-1, 0, 1)], 2)).coeffs
        np.testing.assert_allclose(hyperdeterminant(np.stack([a, b])), p[1] ** 2 - 4 * p[0] * p[2], atol=1e-12)
    share = np.mean([hyperdeterminant(t) > 0 for t in np.random.default_rng(2).normal(size=(20000, 2, 2, 2))])
    assert abs(share - np.pi / 4) < 0.01


def test_complex_multiplication_has_real_rank_three():
    b = cp_rank_bracket(COMPLEX, key=KEY)
    assert ends(b) == (2, 3) and b.exact == 3 and hyperdeterminant(COMPLEX) == -4
    # 0.5 = sqrt(1/4): a best approximation of rank 2 does not exist, and its infimum is not zero
    assert b.fits[2] > 0.4 and b.border is None


@pytest.mark.parametrize(("rtol", "upper"), [(0.34, 3), (0.49, 3), (0.4999, 3), (0.501, 2), (0.51, 2)])
def test_a_fit_just_above_the_tolerance_is_none(rtol, upper):
    """Two terms come as near to complex multiplication as 1/2, and no nearer; no matricization knows that."""
    b = cp_rank_bracket(COMPLEX, rtol, key=KEY)
    assert ends(b) == (2, upper)
    assert b.fits[2] >= 0.5 * (1 - 1e-12) and b.fit == b.fits[upper] <= rtol
    if upper == 3:
        assert b.fits[2] > rtol


def test_says_which_fit_it_rests_on():
    found = cp_rank_bracket(COMPLEX, 0.51, key=KEY)
    assert str(found) == f"CP rank 2 (2 terms fit with a relative error of {found.fit:.3g})"
    assert str(cp_rank_bracket(COMPLEX, key=KEY)).startswith("CP rank 2 to 3 (3 terms fit with a relative error of ")
    none = cp_rank_bracket(MATMUL, key=KEY, max_rank=3)
    assert none.fit is None
    assert str(none) == "CP rank 4 to 16 (no fit; 16 terms are enough for any tensor of this shape)"


def test_w_has_rank_three_and_border_rank_two():
    b = cp_rank_bracket(W, key=KEY)
    assert ends(b) == (2, 2) and b.exact == 3 and "zero" in b.exact_rule
    assert b.border.rank == 2
    assert all(later <= earlier / 4 for earlier, later in itertools.pairwise(b.border.errors))
    assert all(later > 1.3 * earlier for earlier, later in itertools.pairwise(b.border.component_norms[-3:]))
    # to be exact costs a third term
    tight = cp_rank_bracket(W, 1e-9, key=KEY)
    assert ends(tight) == (2, 3) and tight.fits[3] < 1e-9 < tight.fits[2]


def test_ranks_that_are_attained_are_no_evidence():
    for shape, rank in {(3, 3, 3): 3, (2, 3, 4, 2): 4, (4, 4, 4): 6}.items():
        for seed in range(3):
            assert cp_rank_bracket(generated(shape, rank, seed), key=KEY).border is None
    # two nearly equal terms cancel, but do not grow
    a, b = np.array([1.0, 0.0]), np.array([1.0, 1e-2])
    t = 100 * outer_sum([np.stack([b, a], axis=1) * s for s in ([1, -1], [1, 1], [1, 1])])
    found = cp_rank_bracket(t, 1e-6, key=KEY)
    assert ends(found) == (2, 2) and found.exact == 2 and found.border is None


def test_next_to_w_nothing_is_decided():
    b = cp_rank_bracket(moved(W), key=KEY)
    assert (b.exact, b.exact_rule) == (None, None) and b.border.rank == 2
    step = sparse((2, 2, 2), {(1, 1, 1): 1.0})
    assert cp_rank_bracket(W + 1e-14 * step, key=KEY).exact is None
    # H = 4 x for W + x e1 e1 e1
    assert [cp_rank_bracket(W + x * step, key=KEY).exact for x in (-1e-3, 1e-3)] == [3, 2]


@pytest.mark.parametrize("order", [4, 5])
def test_w_of_higher_order(order):
    w = sparse((2,) * order, {tuple(np.eye(order, dtype=int)[i]): 1.0 for i in range(order)})
    b = cp_rank_bracket(w, key=KEY)
    assert ends(b) == (2, 2) and b.border.rank == 2 and b.exact is None


def test_two_by_two_matrix_multiplication_takes_seven_terms():
    b = cp_rank_bracket(MATMUL, key=KEY)
    assert ends(b) == (4, 7) and b.exact is None and b.fits[7] < 1e-12 and b.fits[6] > 0.1


@pytest.mark.parametrize("order", [3, 4])
@pytest.mark.parametrize("size", [2, 3, 5])
def test_diagonal_tensors(size, order):
    b = cp_rank_bracket(diagonal(size, order), key=KEY)
    assert ends(b) == (size, size) and b.border is None


@pytest.mark.parametrize(("size", "seed"), [(3, 0), (3, 1), (4, 2), (5, 3)])
def test_square_pencils_by_their_eigenvalues(size, seed):
    t = np.random.default_rng(seed).normal(size=(size, size, 2))
    real = np.isreal(np.linalg.eigvals(np.linalg.solve(t[..., 0], t[..., 1]))).all()
    for turned in (t, t.transpose(2, 0, 1), moved(t)):
        assert cp_rank_bracket(turned, key=KEY, restarts=1).exact == (size if real else size + 1)


def test_square_pencils_of_both_kinds():
    same = np.eye(3)
    rotation = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    real = moved(np.stack([same, np.diag([1.0, 2.0, 3.0])], axis=-1))
    found = cp_rank_bracket(real, key=KEY)
    assert ends(found) == (3, 3) and found.exact == 3
    found = cp_rank_bracket(moved(np.stack([same, rotation], axis=-1)), 1e-6, key=KEY, restarts=2)
    assert ends(found) == (3, 4) and found.exact == 4


def test_pencils_that_are_not_generic_are_left_open():
    jordan = np.eye(3) + np.eye(3, k=1)
    tied = np.diag([1.0, 1.0, 2.0])
    singular = np.zeros((3, 3, 2))  # a block of one row and two columns beside its transpose
    singular[0, 0, 0] = singular[0, 1, 1] = singular[1, 2, 0] = singular[2, 2, 1] = 1.0
    for t in (np.stack([np.eye(3), jordan], axis=-1), np.stack([np.eye(3), tied], axis=-1), singular):
        assert cp_rank_bracket(moved(t), key=KEY, restarts=1).exact is None


def test_rectangular_pencils():
    g = np.random.default_rng(0)
    for shape, expected in {(3, 4, 2): 4, (4, 2, 3): 4, (2, 3, 6): 6, (2, 5, 4): 5, (2, 4, 9): 8}.items():
        b = cp_rank_bracket(g.normal(size=shape), key=KEY)
        assert b.exact == expected and ends(b) == (b.lower, expected)
    # an eigenvalue: one row and two columns without any, beside a two-by-two block with some
    t = np.zeros((3, 4, 2))
    t[0, 0, 0] = t[0, 1, 1] = 1.0
    t[1:, 2:, 0], t[1:, 2:, 1] = np.eye(2), [[0.0, -1.0], [1.0, 0.0]]
    assert cp_rank_bracket(moved(t), key=KEY, restarts=1).exact is None


def test_exact_rules_look_into_the_mode_spaces():
    g = np.random.default_rng(0)
    q = [np.linalg.qr(g.normal(size=(6, 2)))[0] for _ in range(3)]
    big = np.einsum("abc,ia,jb,kc->ijk", COMPLEX, *q)
    b = cp_rank_bracket(big, key=KEY)
    assert b.exact == 3 and ends(b) == (2, 3)
    assert cp_rank_bracket(np.asarray(big, np.float32), key=KEY).exact == 3


@pytest.mark.parametrize("shape", [(4, 4, 4), (2, 3, 3, 3)])
def test_gaussian_tensors_have_no_small_bracket(shape):
    t = np.random.default_rng(0).normal(size=shape)
    b = cp_rank_bracket(t, key=KEY, restarts=2)
    # as many parameters as entries, and a few less for the scales: below it almost no tensor is a sum
    least = math.ceil(t.size / (sum(shape) - len(shape) + 1))
    assert least <= b.upper <= t.size // max(shape)
    assert b.fits[b.lower] > 0.05


def test_coarser_tolerances_take_fewer_terms():
    t = np.random.default_rng(3).normal(size=(4, 4, 4))
    found = [cp_rank_bracket(t, rtol, key=KEY, restarts=2) for rtol in (1e-3, 0.3, 0.6, 0.9, 1.0)]
    for finer, coarser in itertools.pairwise(found):
        assert coarser.lower <= finer.lower and coarser.upper <= finer.upper
    assert ends(found[-1]) == (0, 0) and found[-1].fits == {0: 1.0}
    assert found[0].upper > found[1].upper > found[3].upper


def test_lower_end_is_never_above_a_rank_within_the_tolerance():
    for seed in range(10):
        t = generated((5, 5, 5), 2, seed, noise=0.05)
        clean = generated((5, 5, 5), 2, seed)
        # the clean one is within exactly this
        rtol = np.linalg.norm(t - clean) / np.linalg.norm(t)
        assert cp_rank_bracket(t, rtol, key=KEY, restarts=1).lower <= 2
        assert cp_rank_bracket(t, 1e-3, key=KEY, max_rank=4).lower == 5
    w = np.diag([2.0, 1.0, 1.0])
    assert cp_rank_bracket(w, float(np.sqrt(2 / 6)), key=KEY).lower == 1


def test_fits_fall_with_the_rank_and_are_what_they_say():
    for t in (MATMUL, generated((4, 4, 4), 6, 0), np.random.default_rng(1).normal(size=(4, 4, 4))):
        b = cp_rank_bracket(t, key=KEY)
        errors = [b.fits[rank] for rank in sorted(b.fits)]
        assert list(b.fits) == sorted(b.fits) and errors == sorted(errors, reverse=True)
        assert b.fits[b.upper] <= 1e-3 < min(error for rank, error in b.fits.items() if rank < b.upper)
        for rank, error in b.fits.items():
            for n in range(t.ndim):
                flat = rf.measures.matricization(t, n)
                assert error >= 0.999 * rf.measures.distance_to_rank(flat, rank) / np.linalg.norm(t) - 1e-12


def test_one_key_one_answer():
    t = np.random.default_rng(5).normal(size=(3, 3, 3))
    one = cp_rank_bracket(t, key=KEY, restarts=2)
    assert one == cp_rank_bracket(t, key=KEY, restarts=2)
    other = cp_rank_bracket(t, key=jax.random.key(1), restarts=2)
    assert other.fits != one.fits and other.lower == one.lower == 3


@pytest.mark.parametrize("size", [1e-300, 1e200])
def test_scale_is_no_matter(size):
    for t in (W, COMPLEX, generated((4, 4, 4), 3, 0)):
        assert ends(cp_rank_bracket(size * t, key=KEY)) == ends(cp_rank_bracket(t, key=KEY))


def test_zero():
    b = cp_rank_bracket(np.zeros((2, 3, 4)), key=KEY)
    assert ends(b) == (0, 0) and (b.exact, b.exact_rule, b.fits) == (0, "zero tensor", {0: 0.0})


def test_tolerances_at_rounding():
    t = generated((5, 5, 5), 3, 0)
    assert ends(cp_rank_bracket(t, 1e-13, key=KEY)) == (3, 3)
    b = cp_rank_bracket(t, 1e-15, key=KEY)
    assert ends(b) == (3, 25) and list(b.fits) == [3]


def test_a_search_cut_short_leaves_the_trivial_end():
    b = cp_rank_bracket(np.random.default_rng(0).normal(size=(3, 4, 5)), key=KEY, max_rank=5, restarts=1)
    assert b.lower == 5 and b.upper == 12 and list(b.fits) == [5] and b.fits[5] > 1e-3
    b = cp_rank_bracket(MATMUL, key=KEY, max_rank=3)
    assert ends(b) == (4, 16) and b.fits == {}
    # two directions of three are all that matters, so 2 x 2 and not 3 x 3 is left
    t = np.zeros((3, 3, 3))
    t[:2, :2, :2] = COMPLEX
    assert cp_rank_bracket(t, key=KEY, max_rank=1).upper == 4


def test_lists_and_jax_arrays():
    assert ends(cp_rank_bracket(W.tolist(), key=KEY)) == (2, 2)
    assert ends(cp_rank_bracket(jnp.asarray(generated((3, 3, 3), 2, 0), jnp.float32), key=KEY)) == (2, 2)


def test_alternation_and_polish_descend():
    g = np.random.default_rng(0)
    t = generated((3, 4, 5, 2), 9, 0)
    target, start = _cp_fit.Target(t), _cp_fit.random_terms(t.shape, 4, g)
    np.testing.assert_allclose(_cp_fit.full(start), outer_sum(start), atol=1e-13)
    path = []
    after = _cp_fit.als(target, start, 50, 0.0, path)
    np.testing.assert_allclose(path[-1][0], np.linalg.norm(outer_sum(after) - t), rtol=1e-9)
    polished, _ = _cp_fit.polish(target, after, 100, path)
    errors = [error for error, _ in path]
    assert errors == sorted(errors, reverse=True)
    residual = outer_sum(polished) - t
    np.testing.assert_allclose(errors[-1], np.linalg.norm(residual), rtol=1e-9)
    # at a minimum no factor pulls
    gradient = np.einsum("ijkl,jr,kr,lr->ir", residual, *polished[1:])
    assert abs(gradient).max() < 1e-4
    squares = np.empty((56, 56))
    _cp_fit._squares(polished, np.cumsum([0, 12, 16, 20, 8]), squares)
    jacobian = jax.jacobian(lambda f: jnp.einsum("ir,jr,kr,lr->ijkl", *f))(polished)
    jacobian = np.concatenate([np.reshape(j, (t.size, -1)) for j in jacobian], axis=1)
    np.testing.assert_allclose(squares, jacobian.T @ jacobian, atol=1e-4)


def test_published_estimate_finds_small_ranks():
    for shape in ((8, 8, 8), (4, 4, 4, 4)):
        assert published_rank_estimate(generated(shape, 1, 0), key=KEY) == 1
        assert published_rank_estimate(generated(shape, 3, 0), key=KEY) == 3
    assert published_rank_estimate(np.zeros((2, 2, 2)), key=KEY) == 0


def test_published_estimate_is_no_certificate():
    t = generated((6, 6, 6), 3, 0)
    # what is small per entry has "rank one", whatever it is
    assert published_rank_estimate(1e-3 * t, key=KEY) == 1
    assert ends(cp_rank_bracket(1e-3 * t, key=KEY)) == (3, 3)
    # one start in a poor minimum is a larger "rank"
    hard = 100 * MATMUL
    found = {published_rank_estimate(hard, key=jax.random.key(seed), max_rank=12, sweeps=60) for seed in range(4)}
    assert max(found) > 7
    assert published_rank_estimate(hard, key=KEY, max_rank=3, sweeps=20) == 3


def test_refuses_wrong_input():
    cases = {
        "tensor": [([1.0, 2.0], {}), (np.full((2, 2), np.nan), {}), (np.zeros((2, 0)), {}), ([[1j, 1.0]], {})],
        "rtol": [(W, {"rtol": value}) for value in (0.0, -1.0, np.nan)],
        "key": [(W, {"key": value}) for value in (jax.random.split(KEY, 2),)],
        "max_rank": [(W, {"max_rank": 0})],
        "restarts": [(W, {"restarts": 0})],
        "sweeps": [(W, {"sweeps": 0})],
    }
    for name, calls in cases.items():
        for tensor, options in calls:
            with pytest.raises(ValueError, match=f"^{name} .* but .*[.]$"):
                cp_rank_bracket(tensor, **{"key": KEY} | options)
    for options in ({"mse": 0.0}, {"max_rank": 0}, {"sweeps": 0}):
        with pytest.raises(ValueError, match=f"^{next(iter(options))} .* but "):
            published_rank_estimate(W, **{"key": KEY} | options)
