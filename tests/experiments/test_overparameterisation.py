import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.experiments.overparameterisation import padded


@pytest.mark.parametrize("family", ["tensor", "matrix"])
def test_zeros_stay_zeros_and_change_nothing(family):
    """Padded to a larger size, a factorization ends where it ends alone."""
    rng = np.random.default_rng(0)
    key = jax.random.key(1)
    if family == "tensor":
        data = rng.normal(size=(3, 3, 3))
        data[0, 1, 2] = np.nan
        problem = rf.TensorCompletion.from_dense(data, loss="mse")
        start = rf.CPFactorization.init(data.shape, 2, factor_std=0.1, key=key)
    else:
        data = rng.normal(size=(3, 4))
        data[0, 1] = np.nan
        problem = rf.MatrixCompletion.from_dense(data, loss="mse")
        start = rf.MatrixFactorization.init((3, 4), 3, widths=[2, 2], scale=1e-2, key=key)
    wide = padded(start, 5)
    np.testing.assert_array_equal(wide.full(), start.full())
    ends = [
        rf.train(problem, one, rf.ExponentialDescent(), stop=rf.Stop(steps=25), progress=False).final
        for one in (start, wide)
    ]
    np.testing.assert_allclose(ends[1].full(), ends[0].full(), rtol=1e-6, atol=1e-9)
    assert abs(ends[0].full() - start.full()).max() > 0.1
    again = padded(ends[0], 5)
    for mine, other in zip(ends[1].factors, again.factors, strict=True):
        assert mine.shape == other.shape and not np.asarray(mine)[np.asarray(other) == 0].any()
