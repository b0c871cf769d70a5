import jax
import numpy as np
import pytest

import rankfall as rf

KEY = jax.random.key(3)


def completion(**options):
    return rf.low_rank_completion(**({"shape": (12, 9), "rank": 2, "observed": 60, "key": KEY} | options))


def sensing(**options):
    return rf.low_rank_sensing(**({"shape": (6, 5), "rank": 2, "measurements": 300, "key": KEY} | options))


@pytest.mark.parametrize("make, rows", [(completion, 12), (sensing, 6)])
def test_truth(make, rows):
    problem = make()
    assert rf.measures.numerical_rank(problem.truth) == 2
    np.testing.assert_allclose(np.linalg.norm(problem.truth), rows, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(make(frobenius=0.5).truth), 0.5, rtol=1e-14)
    assert problem.loss(problem.truth) < 1e-25
    assert problem.required_det_sign is None and problem.infimal_rank is None


@pytest.mark.parametrize("make", [completion, sensing])
def test_the_key_decides_everything(make):
    first, again, other = make(), make(), make(key=jax.random.key(4))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.truth != other.truth).all() and not np.array_equal(first.values, other.values)
    single = make(dtype="float32", loss="mse")
    assert single.loss_kind == "mse" and single.values.dtype == np.float32
    np.testing.assert_array_equal(single.values, first.values.astype(np.float32))


def test_observed_entries():
    problem = completion(noise=0.0)
    assert problem.observed == 60 and problem.shape == (12, 9)
    np.testing.assert_array_equal(problem.values, problem.truth[tuple(problem.indices.T)])
    assert completion(observed=108).unobserved_indices.size == 0
    assert len(completion(observed=1).values) == 1


def test_measurements():
    problem = sensing()
    a = problem.measurements
    assert a.shape == (300, 6, 5)
    # 9000 numbers of deviation 1/6, within four standard errors
    np.testing.assert_allclose(a.std(), 1 / 6, rtol=4 / np.sqrt(2 * a.size))
    np.testing.assert_allclose(problem.values, (a * problem.truth).sum(axis=(1, 2)), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("make, count", [(completion, 60), (sensing, 300)])
def test_noise(make, count):
    clean, noisy = make(), make(noise=0.1)
    np.testing.assert_array_equal(clean.truth, noisy.truth)
    difference = noisy.values - clean.values
    np.testing.assert_allclose(difference.std(), 0.1, rtol=4 / np.sqrt(2 * count))
    assert abs(difference.mean()) < 4 * 0.1 / np.sqrt(count)
    # twice the noise is the same draw, doubled
    np.testing.assert_allclose(make(noise=0.2).values - clean.values, 2 * difference, atol=1e-14)


BAD = {
    "rank zero": ({"rank": 0}, "rank is 0"),
    "rank high": ({"rank": 10}, "rank is 10"),
    "rows": ({"shape": (0, 9)}, "shape's number of rows is 0"),
    "columns": ({"shape": (9, -1)}, "shape's number of columns is -1"),
    "noise negative": ({"noise": -0.1}, "noise is -0.1"),
    "noise nan": ({"noise": float("nan")}, "noise is nan"),
    "frobenius": ({"frobenius": 0.0}, "frobenius is 0.0"),
    "loss": ({"loss": "l2"}, "loss is 'l2'"),
    "dtype": ({"dtype": "complex64"}, "dtype is 'complex64'"),
}


@pytest.mark.parametrize("make", [completion, sensing])
@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_argument(make, case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_counts_out_of_range():
    for observed in (0, 109):
        with pytest.raises(ValueError, match=f"observed is {observed}"):
            completion(observed=observed)
    with pytest.raises(ValueError, match="measurements is 0"):
        sensing(measurements=0)
