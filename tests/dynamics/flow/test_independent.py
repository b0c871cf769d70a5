"""The velocity in another form: against the factors, and against equations that are wrong in one place."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.dynamics import loop
from rankfall.dynamics.flow import factors, operators, polar, reduced, two_by_two
from rankfall.dynamics.flow.independent import VELOCITY_TOLERANCE, equation

RIGHT = operators.ratio_of_decays


def by_factors(problem, start):
    """Velocity of the product, and rate of the loss, from the factors by automatic differentiation."""
    factors = [jnp.asarray(w) for w in start.to_factors().factors]

    def product(factors):
        return rf.MatrixFactorization(factors).full()

    slopes = jax.grad(lambda f: problem.loss(product(f)))(factors)
    _, moved = jax.jvp(product, (factors,), ([-g for g in slopes],))
    return moved, sum(jnp.sum(g * g) for g in slopes)


@pytest.mark.parametrize("depth", [2, 3, 7])
@pytest.mark.parametrize(
    "matrix",
    [
        np.random.default_rng(0).normal(size=(4, 3)),
        np.outer([1.0, 2.0, 0.5, 0.0], [0.3, 1.0, -1.0]),
        np.eye(4)[:, :3],
    ],
    ids=["full", "rank one", "tied"],
)
def test_plain_equation_is_that_of_the_factors(depth, matrix):
    problem = rf.low_rank_completion((4, 3), 2, 8, key=jax.random.key(0))
    start = rf.SpectralFactorization.from_end_to_end(matrix, depth)
    with double_precision():
        rates = equation(start, problem.gradient(matrix), depth)
        moved, lost = by_factors(problem, start)
    np.testing.assert_allclose(rates.matrix, moved, atol=1e-12)
    np.testing.assert_allclose(rates.loss, lost, rtol=1e-12)


def test_of_a_real_depth_it_is_the_quotient_of_powers():
    start = rf.SpectralFactorization.from_end_to_end(np.diag([2.0, 1e-3]), 2.5)
    slope = np.array([[0.3, 1.0], [-2.0, 0.7]])
    with double_precision():
        rates = equation(start, slope, 2.5)
    weight = (2.0**2 - 1e-6) / (2.0**0.8 - 1e-3**0.8)
    np.testing.assert_allclose(rates.matrix[0, 1], -weight * slope[0, 1], rtol=1e-9)
    np.testing.assert_allclose(rates.log_det, -2.5 * (2.0**0.2 * 0.3 + 1e-3**0.2 * 0.7), rtol=1e-12)


def run_of(problem, start, flow):
    return rf.train(problem, start, flow, stop=rf.Stop(loss=5e-5, steps=400), progress=False)


def worst(run):
    return float(np.nanmax(run.trajectory["velocity_error"]))


def balanced(size, depth=3):
    return rf.MatrixFactorization.init(
        (size, size), depth, kind="balanced", scale=1e-2, det_sign=1, key=jax.random.key(0)
    )


def wrong_residuals(original):
    """Residuals that move at 1.0001 of their rate."""

    def velocity(self, problem, state, constants):
        found = original(self, problem, state, constants)
        matrix = polar._matrix(state, polar._decompose(state))
        moved = found.residuals - polar._drawn(problem, matrix, state, constants)
        return type(found)(
            found.left, found.logs, found.right, found.shift, found.residuals + 1e-4 * moved, found.dissipated
        )

    return velocity


def times(factor, original, field):
    """Velocity of which one number is multiplied."""

    def velocity(self, *arguments):
        found = original(self, *arguments)
        names = {**vars(found), field: jax.tree.map(lambda v: factor * v, getattr(found, field))}
        return type(found)(**names)

    return velocity


CASES = {
    "weight of the 2 x 2 flow": (
        rf.two_by_two(), balanced(2), rf.SpectralFlow(),
        [(two_by_two, "ratio_of_decays", lambda a, b, gap: RIGHT(a, b / 2, gap))],
    ),
    "weight of the plain equation": (
        rf.two_by_two(), balanced(2), rf.EndToEndFlow(),
        [(operators, "ratio_of_decays", lambda a, b, gap: RIGHT(a, 1.001 * b, gap))],
    ),
    "residuals of the polar form": (
        rf.two_by_two(size=3), balanced(3), rf.SpectralFlow(),
        [(polar.PolarSystem, "velocity", wrong_residuals(polar.PolarSystem.velocity))],
    ),
    "symmetric form": (
        rf.two_by_two(), rf.MatrixFactorization.init((2, 2), 3, kind="identity", alpha=0.1), rf.SymmetricFlow(),
        [(reduced, "ratio_of_decays", lambda a, b, gap: RIGHT(a, 1.001 * b, gap))],
    ),
    "identity form": (
        rf.two_by_two(), rf.MatrixFactorization.init((2, 2), 2, kind="identity", alpha=0.1), rf.IdentityFlow(),
        [(reduced.IdentitySystem, "velocity", times(1.001, reduced.IdentitySystem.velocity, "x"))],
    ),
    "factors": (
        rf.two_by_two(), balanced(2), rf.GradientFlow(certify=False),
        [(factors, "layer_gradients", lambda w, g, exact=factors.layer_gradients: [1.001 * v for v in exact(w, g)])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_equation_that_is_wrong_in_one_place_is_seen(name, monkeypatch):
    problem, start, flow, changes = CASES[name]
    loop.chunk.forget()
    assert worst(run_of(problem, start, flow)) < 0.1 * VELOCITY_TOLERANCE
    for place, attribute, other in changes:
        monkeypatch.setattr(place, attribute, other)
    loop.chunk.forget()
    try:
        wrong = run_of(problem, start, flow)
    finally:
        loop.chunk.forget()
    assert worst(wrong) > 10 * VELOCITY_TOLERANCE
    reasons = {c.name: c.certified for c in rf.theory.check(wrong)}
    assert not reasons["velocity"]
