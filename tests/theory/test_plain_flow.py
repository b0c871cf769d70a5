"""The flow of the factors in plain NumPy, against closed forms."""

import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.theory.plain_flow import balanced_factors, product, slope_of, time_of_loss, velocity


@pytest.mark.parametrize("depth", [2, 3, 5])
def test_one_singular_value_grows_in_the_time_of_the_integral(depth):
    # s' = L s^(2 - 2/L) (1 - s) for the only entry of a 1 x 1 problem; the loss is (1 - s)^2 / 2.
    problem, begin, end = rf.MatrixCompletion.from_dense([[1.0]]), 0.1, 0.9
    nodes, weights = np.polynomial.legendre.leggauss(80)
    s = begin + (end - begin) * (nodes + 1) / 2
    expected = (end - begin) / 2 * np.sum(weights / (depth * s ** (2 - 2 / depth) * (1 - s)))
    found = time_of_loss(problem, np.array([[begin]]), depth, (1 - end) ** 2 / 2)
    assert found == pytest.approx(expected, rel=1e-9)
    assert time_of_loss(problem, np.array([[begin]]), depth + 1, (1 - end) ** 2 / 2) != pytest.approx(found, rel=1e-2)


def test_velocity_is_minus_the_gradient_of_each_factor():
    rng = np.random.default_rng(0)
    problem = rf.low_rank_completion((3, 4), rank=2, observed=8, key=jax.random.key(0))
    factors = balanced_factors(rng.normal(size=(1, 3, 4)), 3)
    moved = velocity(factors, slope_of(problem))
    for j, w in enumerate(factors):
        direction = rng.normal(size=w.shape)
        losses = [
            float(problem.loss(product([*factors[:j], w + h * direction, *factors[j + 1 :]])[0])) for h in (1e-5, -1e-5)
        ]
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(-float(np.sum(moved[j] * direction)), rel=1e-6)
