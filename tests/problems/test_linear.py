import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf

rng = np.random.default_rng(0)
A, B = rng.normal(size=(7, 3, 2)), rng.normal(size=7)
X, Y = rng.normal(size=(4, 6)), rng.normal(size=(4, 2))


@pytest.mark.parametrize("loss", ["half_sse", "mse"])
def test_sensing(loss):
    problem = rf.MatrixSensing(A, B, loss=loss)
    batch = rng.normal(size=(5, 3, 2))
    naive = np.array([[(a * w).sum() - b for a, b in zip(A, B, strict=True)] for w in batch])
    np.testing.assert_allclose(problem.residuals(batch), naive, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(problem.loss(batch), (naive**2).sum(axis=1) * (0.5 if loss == "half_sse" else 1 / 7))
    np.testing.assert_allclose(problem.half_sse(problem.loss(batch)), (naive**2).sum(axis=1) / 2)
    assert (problem.shape, problem.observed, problem.unobserved_indices) == ((3, 2), 7, None)
    assert problem.describe()["problem"] == "MatrixSensing" and problem.required_det_sign is None


def test_sensing_of_entries_is_completion():
    completion = rf.two_by_two(-2.0, 0.5, 0.1)
    units = np.zeros((3, 2, 2))
    units[np.arange(3), completion.indices[:, 0], completion.indices[:, 1]] = 1
    w = rng.normal(size=(4, 2, 2))
    np.testing.assert_allclose(rf.MatrixSensing(units, completion.values).loss(w), completion.loss(w), rtol=1e-13)


@pytest.mark.parametrize("loss", ["half_sse", "mse"])
def test_regression(loss):
    problem = rf.LinearRegression(X, Y, loss=loss)
    batch = rng.normal(size=(3, 6, 2))
    naive = np.array([(X @ w - Y).ravel() for w in batch])
    np.testing.assert_allclose(problem.residuals(batch), naive, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(problem.loss(batch), (naive**2).sum(axis=1) * (0.5 if loss == "half_sse" else 1 / 8))
    np.testing.assert_allclose(problem.half_sse(problem.loss(batch)), (naive**2).sum(axis=1) / 2)
    assert (problem.shape, problem.observed, problem.unobserved_indices) == ((6, 2), 8, None)
    assert problem.loss(np.linalg.pinv(X) @ Y) < 1e-24
    assert rf.LinearRegression(X, Y[:, 0]).shape == (6, 1)


def test_compiled():
    w = np.ones((3, 2)), np.ones((6, 2))
    problems = rf.MatrixSensing(A, B, dtype="float32"), rf.LinearRegression(X, Y, dtype="float32")
    losses = jax.jit(lambda ps, ws: [p.loss(m) for p, m in zip(ps, ws, strict=True)])(
        problems, [jnp.asarray(m, jnp.float32) for m in w]
    )
    for value, problem, m in zip(losses, problems, w, strict=True):
        assert problem.dtype == "float32" and value.dtype == jnp.float32
        np.testing.assert_allclose(value, problem.loss(m), rtol=1e-5)
    # a problem of NumPy arrays, closed over, meets JAX arrays
    assert isinstance(problems[1].loss(jnp.ones((6, 2))), jax.Array)
    assert isinstance(problems[0].loss(jnp.ones((3, 2))), jax.Array)


def nan_at(array, index):
    copy = array.copy()
    copy[index] = np.nan
    return copy


BAD = {
    "measurements flat": (lambda: rf.MatrixSensing(A[0], B), "measurements has shape"),
    "measurements none": (lambda: rf.MatrixSensing(A[:0], B[:0]), "measurements has shape"),
    "measurements nan": (lambda: rf.MatrixSensing(nan_at(A, (0, 0, 0)), B), "measurements holds nan"),
    "values shape": (lambda: rf.MatrixSensing(A, B[:-1]), "values has shape"),
    "values nan": (lambda: rf.MatrixSensing(A, nan_at(B, 2)), r"values holds nan at index \(2,\)"),
    "sensing truth": (lambda: rf.MatrixSensing(A, B, truth=np.eye(2)), "truth has shape"),
    "sensing loss": (lambda: rf.MatrixSensing(A, B, loss="l1"), "loss is 'l1'"),
    "sensing dtype": (lambda: rf.MatrixSensing(A, B, dtype="float16"), "dtype is 'float16'"),
    "inputs vector": (lambda: rf.LinearRegression(X[0], Y), "inputs has shape"),
    "inputs none": (lambda: rf.LinearRegression(X[:0], Y[:0]), "inputs has shape"),
    "inputs infinite": (lambda: rf.LinearRegression(X * np.inf, Y), "inputs holds"),
    "targets cube": (lambda: rf.LinearRegression(X, Y[None]), "targets has shape"),
    "targets rows": (lambda: rf.LinearRegression(X, Y[:-1]), "targets has shape"),
    "targets nan": (lambda: rf.LinearRegression(X, nan_at(Y, (1, 0))), "targets holds nan"),
    "regression truth": (lambda: rf.LinearRegression(X, Y, truth=np.ones((2, 6))), "truth has shape"),
    "regression loss": (lambda: rf.LinearRegression(X, Y, loss=""), "loss is ''"),
    "regression dtype": (lambda: rf.LinearRegression(X, Y, dtype="double precision"), "dtype is"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_argument(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()
