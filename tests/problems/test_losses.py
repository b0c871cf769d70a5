"""Losses against their formulae in many digits, in NumPy and in JAX, and what they refuse."""

import dataclasses

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.problems import losses

EXACT = {
    "half_sse": lambda p, y: (p - y) ** 2 / 2,
    "mse": lambda p, y: (p - y) ** 2,
    "huber": lambda p, y: (p - y) ** 2 / 2 if abs(p - y) <= 1 else abs(p - y) - mpmath.mpf(1) / 2,
    "logistic": lambda p, y: mpmath.log1p(mpmath.exp(-y * p)),
    "exponential": lambda p, y: mpmath.exp(-y * p),
    "poisson": lambda p, y: mpmath.exp(p) - y * p - (y - (y * mpmath.log(y) if y else 0)),
}
PREDICTIONS = np.array([-30.0, -2.0, -1e-3, 0.0, 0.4, 1.0, 3.0, 30.0, 300.0])


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("target", [-1.0, 0.0, 1.0, 3.0])
def test_value_and_slope(name, target):
    loss = losses.LOSSES[name]
    if (isinstance(loss, losses.AbstractMarginLoss) and abs(target) != 1) or (name == "poisson" and target < 0):
        with pytest.raises(ValueError, match="targets holds .*but must hold"):
            loss.check_targets("targets", np.array([target]))
        return
    loss.check_targets("targets", np.array([target]))
    with mpmath.workdps(60):
        exact = [EXACT[name](mpmath.mpf(p), mpmath.mpf(target)) for p in PREDICTIONS]
        slopes = [mpmath.diff(lambda p: EXACT[name](p, mpmath.mpf(target)), mpmath.mpf(p)) for p in PREDICTIONS]
    target = np.array(target)
    # Poisson's deviance cancels next to its minimum: to rounding of its parts.
    atol = 1e-14 if name == "poisson" else 0.0
    found = loss.value(PREDICTIONS, target)
    np.testing.assert_allclose(found, [float(e) for e in exact], rtol=1e-13, atol=atol)
    np.testing.assert_allclose(loss.slope(PREDICTIONS, target), [float(s) for s in slopes], rtol=1e-12, atol=1e-15)
    assert isinstance(found, np.ndarray)
    with double_precision():
        traced = loss.value(jnp.asarray(PREDICTIONS), target)
        assert isinstance(traced, jax.Array)
        np.testing.assert_allclose(traced, found, rtol=1e-12, atol=1e-14)
        slope = jax.grad(lambda p: loss.value(p, target).sum())(jnp.asarray(PREDICTIONS[1:8]))
        np.testing.assert_allclose(slope, loss.slope(PREDICTIONS[1:8], target), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ["logistic", "exponential"])
def test_logarithms_go_on_where_the_loss_underflows(name):
    loss, margins = losses.LOSSES[name], np.array([-800.0, -3.0, 0.0, 35.9, 36.1, 50.0, 800.0, 1e6])
    with mpmath.workdps(60):
        exact = [mpmath.log(EXACT[name](mpmath.mpf(u), 1)) for u in margins[:-1]]
        steep = [mpmath.log(-mpmath.diff(lambda p: EXACT[name](p, 1), mpmath.mpf(u))) for u in margins[:-2]]
    np.testing.assert_allclose(loss.log_of(margins), [*map(float, exact), -1e6], rtol=1e-15)
    np.testing.assert_allclose(loss.log_slope_of(margins)[:-2], [*map(float, steep)], rtol=1e-14, atol=1e-15)
    total = loss.log_total(np.array([800.0, 801.0]), np.ones(2), 2)
    np.testing.assert_allclose(total, -800 + np.log1p(np.exp(-1)), rtol=1e-15)
    with double_precision():  # and can be differentiated there: weights that sum to one
        slope = jax.grad(lambda p: loss.log_total(p, jnp.ones(2), 2))(jnp.array([800.0, 801.0]))
        np.testing.assert_allclose(slope, -np.array([1.0, np.exp(-1)]) / (1 + np.exp(-1)), rtol=1e-12)


def test_squares_convert():
    half, mean = losses.LeastSquares(False, 4), losses.LeastSquares(True, 4)
    r = np.array([1.0, -2.0, 0.0, 3.0])
    assert half.loss(14.0) == 7.0 and mean.loss(14.0) == 3.5 and half.rate == 1.0 and mean.rate == 0.5
    assert mean.half_sse(3.5) == half.half_sse(7.0) == 7.0
    np.testing.assert_array_equal(half.slope(r), r)
    np.testing.assert_array_equal(mean.slope(r), r / 2)


@dataclasses.dataclass(frozen=True)
class Quartic(losses.AbstractLoss):
    name = "quartic"

    def value(self, prediction, target):
        return (prediction - target) ** 4 / 4

    def slope(self, prediction, target):
        return (prediction - target) ** 3


def test_a_loss_of_ones_own():
    problem = rf.two_by_two()
    mine = rf.MatrixCompletion.from_coo(problem.indices, problem.values, (2, 2), loss=Quartic())
    w = np.array([[7.0, 3.0], [1.0, 0.0]])
    assert float(mine.loss(w)) == 4.0 and mine.gradient(w).tolist() == [[0.0, 8.0], [0.0, 0.0]]
    assert mine.loss_kind == "quartic" and not mine.least_squares and mine.describe()["loss"] == "quartic"
    start = rf.MatrixFactorization([w, np.eye(2)])
    for dynamics in (rf.GradientDescent(1e-3), rf.AdaptiveDescent()):
        assert rf.train(mine, start, dynamics, stop=rf.Stop(loss=1e-2), progress=False).stop_reason == "loss"


def test_what_is_no_loss():
    for loss, nearest in (
        ("logistc", "'logistic' is the nearest"),
        ("", "must be one of"),
        (Quartic, "call it, as in"),
    ):
        with pytest.raises(ValueError, match=nearest):
            losses.loss_of(loss)
    with pytest.raises(ValueError, match="delta is 0.0, but must be positive"):
        losses.Huber(delta=0)
    with pytest.raises(ValueError, match="which has no logarithm"):
        rf.two_by_two().log_loss_of(rf.MatrixFactorization([np.eye(2)]))


def test_dense_losses_heed_observed_entries_alone():
    """Beyond sixteen entries the loss is taken of the whole array: what is not observed must not overflow it."""
    seen = np.random.default_rng(0).random((6, 6)) < 0.6
    counts = np.where(seen, np.random.default_rng(1).integers(0, 4, (6, 6)), np.nan)
    problem = rf.MatrixCompletion.from_dense(counts, loss="poisson")
    assert problem.mask is not None
    w = np.where(seen, 0.3, 1e4)
    by_entries = losses.Poisson().value(np.full(seen.sum(), 0.3), counts[seen]).sum()
    np.testing.assert_allclose(problem.loss(w), by_entries, rtol=1e-13)
    with double_precision():
        slope = jax.grad(problem.loss)(jnp.asarray(w))
        np.testing.assert_allclose(slope, problem.gradient(w), rtol=1e-12)
        assert (np.asarray(slope)[~seen] == 0).all()
