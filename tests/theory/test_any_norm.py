import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest

from rankfall import measures, theory
from rankfall.measures.named_norms import named_norm

WEIGHTS = np.array([[1.0, 2.0], [0.5, 3.0]])
KERNEL = np.array([0.3, -0.7, 0.45, 0.2])
PROJECTION = np.eye(4) - np.outer(KERNEL, KERNEL) / (KERNEL @ KERNEL)
ORDERS = (0.2, 0.5, 1.0, 2.0, np.inf)
NAMES = [*measures.NORMS, *(f"{family}-{p:g}" for family in ("schatten", "entrywise") for p in ORDERS)]


def weighted(w):
    return np.linalg.norm(WEIGHTS * w)


def off_centre(w):
    return np.linalg.norm(w) + 2.0 * abs(w[0, 0] - 3.0 * w[0, 1])


def half(w):
    return (np.sqrt(np.abs(w)) * [[1.0, 2.0], [2.0, 1.0]]).sum() ** 2


# Function, and its true triangle constant.
FUNCTIONS = [
    (weighted, 1.0),
    (off_centre, 1.0),
    (half, 2.0),
    (functools.partial(measures.schatten_norm, p=0.2), 16.0),
    (functools.partial(measures.entrywise_norm, p=0.5), 2.0),
    (lambda w: np.abs(w).max(), 1.0),
    (lambda w: jnp.abs(w).sum(), 1.0),
]


@pytest.mark.parametrize("p", ORDERS)
@pytest.mark.parametrize("family", ["schatten", "entrywise"])
def test_names_are_certified(family, p):
    known = theory.norm_constants(f"{family}-{p:g}")
    assert known.certified and known.above_entry and known.name == f"{family}-{p:g}"
    assert known.triangle_constant == max(1.0, 2.0 ** (1 / p - 1))
    assert known.norm_e11 == known.max_norm_eij == pytest.approx(1.0, rel=1e-14)
    assert known.norm_w0 == pytest.approx(2.0 ** (1 / p), rel=1e-12)


def test_the_constant_is_for_two_parts_not_for_four():
    """Which is why the bounds nest it."""
    four = [np.eye(4)[i].reshape(2, 2) for i in range(4)]
    p, c = 0.5, theory.norm_constants("entrywise-0.5").triangle_constant
    whole = measures.entrywise_norm(sum(four), p)
    assert whole == pytest.approx(16.0) and whole > c * 4.0
    assert whole <= c * c * 4.0


@pytest.mark.parametrize("function", measures.NORMS.values())
def test_functions_of_the_package_are_certified_too(function):
    known = theory.norm_constants(function)
    assert known.certified and measures.NORMS[known.name] is function


@pytest.mark.parametrize(("function", "c"), FUNCTIONS)
def test_a_probed_constant_is_a_lower_bound_and_says_so(function, c):
    probed = theory.norm_constants(function)
    assert not probed.certified and not probed.above_entry
    assert 1.0 <= probed.triangle_constant <= c * (1 + 1e-9)
    assert probed == theory.norm_constants(function)  # the probes do not change from call to call
    given = theory.norm_constants(function, triangle_constant=16)
    assert given.certified and given.triangle_constant == 16.0


def test_constants_against_a_direct_computation():
    known = theory.norm_constants(weighted, triangle_constant=1)
    assert (known.norm_e11, known.max_norm_eij, known.name) == (1.0, 3.0, "weighted")
    assert known.norm_w0 == pytest.approx(np.hypot(2.0, 0.5))
    corner = theory.norm_constants(weighted, triangle_constant=1, position=(0, 1))
    assert (corner.norm_e11, corner.norm_w0) == (2.0, pytest.approx(np.hypot(1.0, 3.0)))


def observed_only(w):
    return abs(w[0, 1]) + abs(w[1, 0]) + abs(w[1, 1])


def wavy(w):
    """Homogeneous by powers of two only."""
    size = np.linalg.norm(w)
    return size * (2.0 + np.sin(2.0 * np.pi * np.log2(size))) if size else 0.0


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda w: np.linalg.norm(w) ** 2, r"homogeneous, .* at 2 A it is 4 instead of 2"),
        (lambda w: np.linalg.norm(w) + np.linalg.norm(w) ** 1.001, "homogeneous"),
        (wavy, "homogeneous, .* at 3 A"),
        (lambda w: np.linalg.norm(w) + 1.0, "0 at the zero matrix: its value there is 1"),
        (lambda w: float(w.any()), "homogeneous"),
        (lambda w: np.maximum(w, 0).sum() + 2 * np.maximum(-w, 0).sum(), "at -1 A"),
        (measures.effective_rank, "effective_rank"),
        (observed_only, r"observed_only, but must be positive .*\(a seminorm is no norm\): at \[\[1, 0\], \[0, 0\]\]"),
        (lambda w: abs(np.trace(w)) + abs(w[0, 1]) + abs(w[1, 0]), r"seminorm.* at \[\[1, 0\], \[0, -1\]\] it is 0"),
        (lambda w: np.linalg.norm(PROJECTION @ w.ravel()), "seminorm"),
        (lambda w: np.abs(PROJECTION @ w.ravel()).sum(), "seminorm"),
        (lambda w: np.abs(PROJECTION @ w.ravel()).max(), "seminorm"),
        (lambda w: -np.linalg.norm(w), "positive at every matrix but 0: at .* it is -1"),
        (lambda w: np.nan, "finite: at .* it is nan"),
        (lambda w: np.inf if w[1, 1] else np.linalg.norm(w), "finite: at .* it is inf"),
        (lambda w: w, "one real number: at .* it gives array"),
        (lambda w: [np.linalg.norm(w)], "one real number"),
        (lambda w: 1j * np.linalg.norm(w), "one real number"),
        (lambda w: None, "one real number: at .* it gives None"),
        ("schatten-0", "must be a function"),
        ("schatten-nan", "must be a function"),
        ("schatten-1e-5", "finite"),
        ("nuclera", "'nuclear'"),
    ],
)
def test_what_is_no_norm(function, words):
    with pytest.raises(ValueError, match=f"^norm is .*{words}") as caught:
        theory.norm_constants(function)
    name = function if isinstance(function, str) else function.__name__
    assert name in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("weight", [1e-12, 1e-9, 1e9, 1e12])
@pytest.mark.parametrize("entry", range(4))
@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_a_norm_with_one_weight_of_any_size_is_a_norm(weight, entry, order):
    weights = np.where(np.arange(4) == entry, weight, 1.0)
    known = theory.norm_constants(lambda w: np.linalg.norm(weights * w.ravel(), order), triangle_constant=1)
    assert known.norm_e11 == weights[0] and known.max_norm_eij == weights.max()


@pytest.mark.parametrize("order", [1, 2, np.inf])
def test_a_seminorm_is_refused_at_the_matrix_where_it_vanishes(order):
    """In random directions, each known to the last digits."""
    for seed in range(2):
        kernel = np.random.default_rng(seed).normal(size=4)
        others = np.eye(4) - np.outer(kernel, kernel) / (kernel @ kernel)
        with pytest.raises(ValueError, match="seminorm"):
            theory.norm_constants(lambda w, o=others: np.linalg.norm(o @ w.ravel(), order), triangle_constant=1)
        # Weighed by 1e-9 in that direction, it is a norm.
        lifted = others + 1e-9 * np.outer(kernel, kernel) / (kernel @ kernel)
        assert theory.norm_constants(lambda w, o=lifted: np.linalg.norm(o @ w.ravel(), order), triangle_constant=1)


def test_zero_at_zero_is_part_of_homogeneity():
    with pytest.raises(ValueError, match="zero matrix: its value there is 1"):
        theory.norm_constants(lambda w: np.linalg.norm(w) if w.any() else 1.0)


@pytest.mark.parametrize(("norm", "c"), [("schatten-0.2", 15.9), (half, 1.9), ("entrywise-0.5", 1)])
def test_a_constant_that_a_pair_breaks(norm, c):
    with pytest.raises(ValueError, match=f"^triangle_constant is {c:g}, but must be at least .* A = .* B = "):
        theory.norm_constants(norm, triangle_constant=c)


@pytest.mark.parametrize("bound", [theory.generic_norm_bound, theory.theorem1_any_norm_bound])
def test_no_bound_from_a_constant_nobody_vouches_for(bound):
    with pytest.raises(ValueError, match="^norm is weighted, .* triangle_constant"):
        bound(1e-4, weighted)
    probed = theory.norm_constants(weighted)
    assert bound(1e-4, probed) == bound(1e-4, weighted, triangle_constant=1)
    with pytest.raises(ValueError, match="^triangle_constant is 1, but must be None"):
        bound(1e-4, probed, triangle_constant=1)


@pytest.mark.parametrize(
    ("norm", "c"), [*((name, None) for name in NAMES), *FUNCTIONS], ids=lambda x: getattr(x, "__name__", None)
)
def test_bounds_hold_for_matrices_of_determinant_at_least_0(norm, c, positive_sample):
    few = slice(None, None, 40)
    loss, values = positive_sample.loss[few], named_norm("norm", norm).finite(positive_sample.matrices[few])
    sharp = theory.generic_norm_bound(loss, norm, triangle_constant=c)
    published = theory.theorem1_any_norm_bound(loss, norm, triangle_constant=c)
    assert (values >= sharp * (1 - 1e-9)).all() and (values >= published - 1e-9 * np.abs(published)).all()
    assert (sharp >= 0).all() and (sharp >= published - 1e-9 * np.abs(published)).all()


@pytest.mark.parametrize("position", [(0, 1), (1, 0), (1, 1)])
def test_bounds_hold_at_the_other_positions(position, positive_sample):
    row, column = position
    few = positive_sample.matrices[::40]
    moved = np.roll(few, (row, column), axis=(1, 2))
    known = theory.norm_constants(weighted, triangle_constant=1, position=position)
    values = named_norm("norm", weighted).finite(moved)
    assert (values >= theory.generic_norm_bound(positive_sample.loss[::40], known) * (1 - 1e-9)).all()


@pytest.mark.parametrize(("norm", "c"), [("nuclear", None), (weighted, 1.0), (half, 2.0)])
def test_bounds_fail_where_the_determinant_is_negative(norm, c):
    """Negative control: matrices near W_0."""
    near = theory.solution(0.0) + [[0.0, 1e-3], [0.0, 0.0]]
    value = named_norm("norm", norm).finite(near[None])[0]
    assert np.linalg.det(near) < 0
    assert value < theory.theorem1_any_norm_bound(0.5e-6, norm, triangle_constant=c)
    assert value < theory.generic_norm_bound(0.5e-6, norm, triangle_constant=c)


def test_an_underestimated_constant_makes_a_false_bound():
    """Negative control for `certified`: a quasi-norm (c = 2) in a basis of which W, near E_11, is a member."""
    x = 7.0
    w = np.array([[x, 1.0], [1.0, 1.0 / x]])

    def adapted(matrix):
        a = matrix[0, 0]
        parts = a, matrix[0, 1] - a / x, matrix[1, 0] - a / x, matrix[1, 1] - a / x**2
        return np.sqrt(np.abs(parts)).sum() ** 2

    loss, true = 0.5 / x**2, theory.norm_constants(adapted, triangle_constant=2)
    assert adapted(w) == pytest.approx(x) and abs(np.linalg.det(w)) < 1e-12
    assert adapted(w) >= theory.generic_norm_bound(loss, true)
    assert adapted(w) < 0.5 * theory.generic_norm_bound(loss, dataclasses.replace(true, triangle_constant=1.0))
    with pytest.raises(ValueError, match="triangle inequality"):
        theory.norm_constants(adapted, triangle_constant=1)


@pytest.mark.parametrize("loss", [0.5, 1.0, np.inf])
@pytest.mark.parametrize("norm", ["frobenius", "schatten-0.2"])
def test_vacuous_from_one_half_on(loss, norm):
    assert theory.generic_norm_bound(loss, norm) == 0.0
    assert theory.generic_norm_bound(loss, theory.NormConstants("n", 1.0, 1.0, 2.0, 1.0, True)) == 0.0


def test_infinite_at_loss_0_and_shaped_like_the_loss():
    assert theory.generic_norm_bound(0.0, weighted, triangle_constant=1) == np.inf
    assert theory.generic_norm_bound(np.full((2, 3), 1e-4), "nuclear").shape == (2, 3)
    assert theory.theorem1_any_norm_bound(np.full((2, 3), 1e-4), "nuclear").shape == (2, 3)


@pytest.mark.parametrize(("norm", "c"), [("spectral", None), (weighted, 1.0), (off_centre, 1.0), (half, 2.0)])
def test_the_bound_grows_like_one_over_the_root_of_the_loss(norm, c):
    known = theory.norm_constants(norm, triangle_constant=c)
    ratio = theory.generic_norm_bound(1e-20, known) / theory.generic_norm_bound(1e-18, known)
    assert ratio == pytest.approx(10.0, rel=1e-6)
