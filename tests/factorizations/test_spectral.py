"""Balanced factorizations by their singular values: to the form and back, and what it refuses."""

import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.factorizations.spectral import BALANCED

KEY = jax.random.key(0)


@pytest.mark.parametrize(("shape", "depth"), [((2, 2), 3), ((5, 3), 2), ((3, 5), 4)])
def test_there_and_back(shape, depth):
    start = rf.MatrixFactorization.init(shape, depth, kind="balanced", scale=0.3, key=jax.random.split(KEY, 3))
    spectral = rf.SpectralFactorization.from_factors(start)
    assert spectral.depth == depth and spectral.lanes == 3 and spectral.shape == shape
    np.testing.assert_allclose(spectral.full(), start.full(), atol=1e-14)
    back = spectral.to_factors()
    np.testing.assert_allclose(back.full(), start.full(), atol=1e-13)
    assert (rf.measures.unbalancedness(back.factors) < 1e-13).all()
    rebuilt = (spectral.left * np.exp(spectral.log_singular_values)[:, None, :]) @ np.swapaxes(spectral.right, 1, 2)
    np.testing.assert_allclose(rebuilt, start.full(), atol=1e-13)


def test_determinants_are_those_of_the_factors():
    """Of the smaller singular value the product has lost some digits, the factors have not."""
    middle = rf.SpectralFactorization.from_factors(rf.MatrixFactorization([np.diag([1.0, 1e-4])] * 3))
    assert middle.log_abs_det == pytest.approx(3 * np.log(1e-4), rel=1e-12) and middle.det_sign == 1


def test_rank_is_what_the_tolerance_says():
    w = np.diag([1.0, 1e-3, 1e-9])
    assert rf.SpectralFactorization.from_end_to_end(w, 3).rank == 3
    low = rf.SpectralFactorization.from_end_to_end(w, 3, rtol=1e-6)
    assert low.rank == 2 and low.det_sign == 0 and np.isneginf(low.log_abs_det)
    assert low.singular_values[2] == 0 and low.full()[2, 2] == 0


def test_refusals():
    unbalanced = rf.MatrixFactorization.init((2, 2), 3, scale=0.1, key=KEY)
    for make, words in (
        (lambda: rf.SpectralFactorization.from_factors(unbalanced), rf"at most {BALANCED:g}"),
        (lambda: rf.SpectralFactorization.from_end_to_end(np.zeros((2, 2)), 2), "matrix is zero"),
        (lambda: rf.SpectralFactorization.from_end_to_end([[np.inf]], 2), "must be finite"),
        (lambda: rf.SpectralFactorization.from_end_to_end(np.eye(2), 0.5), "depth is 0.5"),
        (lambda: rf.SpectralFactorization.from_end_to_end(np.eye(2), 2, rtol=1.0), "rtol is 1"),
        (lambda: rf.SpectralFactorization.from_end_to_end([np.eye(2), np.diag([1.0, 0.0])], 2), r"ranks \[1, 2\]"),
        (lambda: rf.SpectralFactorization.from_end_to_end(np.eye(2), 2.5).to_factors(), "depth is 2.5"),
        (lambda: rf.SpectralFactorization.from_end_to_end(np.eye(2), 2).lane(0), "only lanes have one"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
    assert rf.SpectralFactorization.from_factors(unbalanced.balance()).rank == 2
