"""Agreement with tensorly, an independent implementation of tensor operations and decompositions."""

import jax
import numpy as np
import pytest
import tensorly as tl
from tensorly.decomposition import parafac, tucker

import rankfall as rf

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def tensor():
    return np.random.default_rng(0).normal(size=(3, 4, 5, 2))


def test_matricizations_are_unfoldings(tensor):
    for mode in range(4):
        np.testing.assert_array_equal(rf.measures.matricization(tensor, mode), tl.unfold(tensor, mode))


def test_full_tensors_of_cp_and_tucker(tensor):
    cp = rf.CPFactorization.init(tensor.shape, 6, factor_std=1.0, key=KEY)
    np.testing.assert_allclose(cp.full(), tl.cp_to_tensor((None, list(cp.factors))), atol=1e-12)
    norms = np.array([np.linalg.norm(tl.cp_to_tensor((None, [w[:, [r]] for w in cp.factors]))) for r in range(6)])
    np.testing.assert_allclose(cp.component_norms(), norms, rtol=1e-12)
    decomposed = rf.TuckerFactorization.init(tensor.shape, (2, 3, 2, 2), factor_std=1.0, key=KEY)
    core = next(w for w in decomposed.factors if w.ndim == 4)
    matrices = [w for w in decomposed.factors if w.ndim == 2]
    np.testing.assert_allclose(decomposed.full(), tl.tucker_to_tensor((core, matrices)), atol=1e-12)


def test_fits_of_the_bracket_are_as_good_as_parafac():
    """A tensor of rank 3 with noise: at rank 3 the error is no larger than that of the other library's ALS."""
    cp = rf.CPFactorization.init((6, 5, 4), 3, factor_std=1.0, key=KEY)
    noisy = cp.full() / np.linalg.norm(cp.full())
    noisy = noisy + 1e-3 * np.random.default_rng(1).normal(size=noisy.shape) / np.sqrt(noisy.size)
    theirs = tl.cp_to_tensor(parafac(noisy, 3, n_iter_max=500, tol=1e-12, random_state=0))
    error = np.linalg.norm(noisy - theirs) / np.linalg.norm(noisy)
    bracket = rf.measures.cp_rank_bracket(noisy, 2e-3, key=KEY)
    assert (bracket.lower, bracket.upper) == (3, 3)
    assert bracket.fits[3] <= error * (1 + 1e-6)


def test_multilinear_rank_is_that_of_an_exact_tucker_decomposition():
    low = rf.TuckerFactorization.init((5, 6, 4), (2, 3, 2), factor_std=1.0, key=KEY).full()
    ranks = rf.measures.multilinear_rank(low, rtol=1e-10)
    assert ranks == (2, 3, 2)
    np.testing.assert_allclose(tl.tucker_to_tensor(tucker(low, ranks)), low, atol=1e-10)
    fewer = tl.tucker_to_tensor(tucker(low, (2, 2, 2)))
    assert np.linalg.norm(fewer - low) > 1e-2 * np.linalg.norm(low)  # one less does not do
