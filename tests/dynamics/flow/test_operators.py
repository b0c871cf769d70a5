"""Functions of two singular values: values, and derivatives where singular values are equal."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rankfall._execution import double_precision
from rankfall.dynamics.flow import operators

DEPTHS = (2, 2.5, 3, 8)


@pytest.mark.parametrize("depth", DEPTHS)
def test_weights_are_those_of_the_end_to_end_equation(depth):
    k = np.log([0.3, 1.7, 2.0])
    r, s = np.exp(k)[:, None], np.exp(k)[None, :]
    off = ~np.eye(3, dtype=bool)
    with double_precision(), np.errstate(divide="ignore", invalid="ignore"):
        power = np.asarray(operators.descent_weight(depth)(k[:, None], k[None, :]))
        turn = np.asarray(operators.rotation_weight(depth)(k[:, None], k[None, :]))
        logs = np.asarray(operators.log_weight(depth)(k[:, None], k[None, :]))
        split = s ** (2 / depth) - r ** (2 / depth)
        np.testing.assert_allclose(power[off], ((s**2 - r**2) / split)[off], rtol=1e-13)
        np.testing.assert_allclose(turn[off], ((s - r) / split)[off], rtol=1e-13)
        np.testing.assert_allclose(logs[off], (r * (np.log(s) - np.log(r)) / split)[off], rtol=1e-13)
    s = np.exp(k)
    np.testing.assert_allclose(np.diag(power), depth * s ** (2 - 2 / depth), rtol=1e-14)
    np.testing.assert_allclose(np.diag(logs), depth / 2 * s ** (1 - 2 / depth), rtol=1e-14)


@pytest.mark.parametrize("weight", [operators.descent_weight, operators.rotation_weight, operators.log_weight])
def test_nothing_is_lost_next_to_a_tie_or_far_from_it(weight):
    with double_precision():
        function = weight(3.0)
        near = [float(function(jnp.asarray(0.2), jnp.asarray(0.2 + gap))) for gap in (0.0, 1e-9, 0.9e-5, 1.1e-5)]
        far = [float(function(jnp.asarray(a), jnp.asarray(b))) for a, b in ((1.0, -2000.0), (-2000.0, 1.0))]
    np.testing.assert_allclose(near, near[0], rtol=1e-4)
    assert near[3] == pytest.approx(near[2], rel=3e-6)
    assert np.isfinite(far).all()


@pytest.mark.parametrize("logs", [np.zeros(3), np.array([0.5, 0.5, -1.0]), np.array([1.0, 0.2, -3.0])])
def test_derivative_also_at_ties(logs):
    """Against finite differences; JAX's own derivative of eigenvectors is not finite at ties."""
    rng = np.random.default_rng(0)
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    k, x, change = turn * logs @ turn.T, rng.normal(size=(3, 3)), rng.normal(size=(3, 3))
    change = change + change.T
    weight = operators.descent_weight(3.0)

    def value(k):
        return operators.apply(weight, k, operators.decompose(k), x)

    with double_precision():
        slope = jax.jvp(value, (jnp.asarray(k),), (jnp.asarray(change),))[1]
        h = 1e-5
        expected = (np.asarray(value(k + h * change)) - np.asarray(value(k - h * change))) / (2 * h)
    np.testing.assert_allclose(slope, expected, rtol=1e-6, atol=1e-7)
