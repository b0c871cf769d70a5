"""The stiff integrator: its order, stiffness, and the small matrix inverse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rankfall._execution import double_precision
from rankfall.dynamics.flow.radau import STAGES, Radau, _inverse


def integrate(field, y, end, steps):
    radau, h = Radau(), end / steps
    with double_precision():
        y = jnp.asarray(y)
        state, errors = radau.init(field, y), []
        step = jax.jit(lambda y, state: radau.step(field, y, jnp.asarray(h), state, 1e-14 * jnp.ones_like(y)))
        for _ in range(steps):
            y, error, state, _ = step(y, state)
            errors.append(np.abs(error).max())
        return np.asarray(y), max(errors)


def test_order_nine_and_its_estimate():
    """A rotation of period 2 pi: halving the step divides the error by 2^9."""

    def field(y):
        return jnp.stack([-y[1], y[0]]) * (1 + 0.1 * y[0])

    exact, _ = integrate(field, [1.0, 0.0], 2.0, 40)
    errors, estimates = zip(*(integrate(field, [1.0, 0.0], 2.0, n) for n in (2, 4)), strict=True)
    rate = np.log2(np.abs(errors[0] - exact).max() / np.abs(errors[1] - exact).max())
    assert rate == pytest.approx(2 * STAGES - 1, abs=0.7)
    assert np.log2(estimates[0] / estimates[1]) == pytest.approx(STAGES + 1, abs=1.0)
    assert np.abs(errors[1] - exact).max() < estimates[1]  # the estimate is on the safe side


def test_stiff_and_slaved():
    """Prothero and Robinson with a rate of 1e9 that varies: what explicit methods would need 1e9 steps for."""

    def field(y):
        time, slaved = y
        return jnp.stack([jnp.ones_like(time), -1e9 * (1 + time) * (slaved - jnp.sin(time)) + jnp.cos(time)])

    end, _ = integrate(field, [0.0, 0.0], 2.0, 8)
    assert end[1] == pytest.approx(np.sin(2.0), abs=1e-12)


@pytest.mark.parametrize("size", [1, 2, 7, 33, 60])
def test_inverse(size):
    """Rows have to be exchanged: the first pivots are zero."""
    rng = np.random.default_rng(size)
    a = rng.normal(size=(4, size, size)) + 1j * rng.normal(size=(4, size, size))
    if size > 1:
        a[:, 0, 0] = a[:, 1, 0] = 0 if size > 2 else a[:, 1, 0]
    with double_precision():
        assert np.abs(np.asarray(jax.jit(_inverse)(a)) @ a - np.eye(size)).max() < 1e-11
