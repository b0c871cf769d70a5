"""Statements about gradient flow itself: its equations, what it conserves, and how descent follows it."""

import jax
import numpy as np

from ..claims import Claim
from ..datasets import low_rank_completion
from ..dynamics import GradientDescent, GradientFlow, LinearFlow, Record, Run, SpectralFlow, Stop, train
from ..dynamics.base import AbstractDynamics
from ..factorizations import AbstractModel, MatrixFactorization, SpectralFactorization
from ..problems import LinearRegression, MatrixCompletion, two_by_two
from ..theory import at_most, close_to, min_l2_interpolator

ACH, ACHL = "Arora, Cohen and Hazan (2018), theorem 1", "Arora, Cohen, Hu and Luo (2019), theorem 3"
DEPTH = 3


def _small_problem() -> tuple[MatrixCompletion, MatrixFactorization]:
    key = jax.random.key(1)
    problem = low_rank_completion((3, 3), rank=2, observed=6, frobenius=3.0, key=key)
    return problem, MatrixFactorization.init((3, 3), DEPTH, kind="balanced", scale=0.1, key=key)


def singular_values() -> list[Claim]:
    """Singular values move as the equation says, measured by differences along the flow of the factors."""
    problem, start = _small_problem()
    middle, h = np.linspace(0.5, 12.0, 12), 1e-3
    times = (middle[:, None] + h * np.array([-1.0, 0.0, 1.0])).ravel()
    record = Record(at_times=times, measures=["end_to_end"])
    flow = GradientFlow(1e-12)
    run = train(problem, start, flow, stop=Stop(flow_time=13.0), record=record, progress=False)
    path = run.trajectory.isel(lane=0, record=slice(1, 1 + len(times)))
    s = path["singular_values"].values.reshape(len(middle), 3, 3)
    w = path["end_to_end"].values.reshape(len(middle), 3, 3, 3)[:, 1]
    measured = (s[:, 2] - s[:, 0]) / (2 * h)
    u, values, vt = np.linalg.svd(w)
    along = np.einsum("nir,nij,nrj->nr", u, problem.gradient(w), vt)

    def error(depth: float) -> float:
        predicted = -depth * values ** (2 - 2 / depth) * along
        return float((np.abs(measured - predicted) / np.abs(measured).max(axis=1, keepdims=True)).max())

    return [
        at_most(
            "singular-values",
            "Singular values move by L s^(2 - 2/L) <-grad, u v^T> (3 x 3 completion, "
            "depth 3: largest "
            "relative difference from the flow of the factors)",
            ACHL,
            error(DEPTH),
            1e-5,
            0.0,
            ("the equation of depth 2", error(2.0)),
        ),
    ]


def balancedness() -> list[Claim]:
    """Gradient flow conserves the differences of neighbouring layers' Gram matrices; descent does so to first order."""
    problem, start = _small_problem()
    run = train(problem, start, GradientFlow(1e-11, certify=False), stop=Stop(flow_time=13.0), progress=False)
    step = train(problem, start, GradientDescent(0.05), stop=Stop(flow_time=13.0), progress=False)
    return [
        at_most(
            "balancedness",
            "Balanced layers stay balanced under gradient flow (largest imbalance on a 3 x 3 completion of depth 3)",
            ACH,
            float(run.trajectory["unbalancedness"].max()),
            1e-9,
            0.0,
            ("gradient descent with steps of 0.05", float(step.trajectory["unbalancedness"].max())),
        ),
        at_most(
            "energy",
            "The loss lost is the integral of the squared gradient (largest difference, as a share of the first loss)",
            "gradient flow",
            float(run.trajectory["energy_error"].max()),
            1e-9,
            0.0,
            ("the loss lost until half of the records, and the whole integral", _mispaired(run)),
        ),
    ]


def _mispaired(run: Run) -> float:
    """Difference of the loss lost until half of the records and the integral until the last, as a share."""
    loss = run.trajectory["loss"].values[0]
    return abs(float(loss[0] - loss[len(loss) // 2]) - float(run.trajectory["dissipated"][0, -1])) / float(loss[0])


def flows_agree() -> list[Claim]:
    """Compare the flow of the factors with that of the product's singular values."""
    start = SpectralFactorization.from_end_to_end(1e-2 * np.array([[0.6, -0.2], [0.5, 0.9]]), DEPTH)
    other = SpectralFactorization.from_end_to_end(start.full(), DEPTH + 1)

    def time(first: AbstractModel, flow: AbstractDynamics) -> float:
        run = train(two_by_two(), first, flow, stop=Stop(loss=1e-5), record=Record(), progress=False)
        return float(run.trajectory["time"][0, -1])

    factors = time(start.to_factors(), GradientFlow())
    spectral, deeper = time(start, SpectralFlow()), time(other, SpectralFlow())

    return [
        close_to(
            "flows-agree",
            "Gradient flow on the factors and on their product's singular values reach loss 1e-5 at the same time",
            ACH,
            factors,
            spectral,
            1e-8,
            ("one factor more", deeper),
        ),
    ]


def descent_follows_flow() -> list[Claim]:
    """Gradient descent follows the flow, at a distance that is proportional to the step."""
    start = SpectralFactorization.from_end_to_end(1e-1 * np.array([[0.6, -0.2], [0.5, 0.9]]), DEPTH)
    end = Stop(flow_time=20.0)

    def distances(flow: SpectralFactorization) -> tuple[float, float]:
        exact = train(two_by_two(), flow, SpectralFlow(), stop=end, record=Record(), progress=False).final.full()
        sizes = np.array([4e-3, 2e-3])
        lanes = MatrixFactorization.stack([start.to_factors()] * 2)
        runs = train(two_by_two(), lanes, GradientDescent(sizes), stop=end, record=Record(), progress=False)
        both = np.abs(runs.final.full() - exact).max(axis=(1, 2))
        return float(both[0]), float(both[1])

    (long, short), wrong = distances(start), distances(SpectralFactorization.from_end_to_end(start.full(), DEPTH + 1))
    return [
        close_to(
            "descent-follows-flow",
            "Halving the step of gradient descent halves its distance to the flow "
            "(ratio of the "
            "distances at flow time 20)",
            "first-order consistency of Euler's method",
            long / short,
            2.0,
            0.05,
            ("the flow of one factor more", wrong[0] / wrong[1]),
        ),
    ]


def regression() -> list[Claim]:
    """Check the warm-up: on linear regression the flow from zero ends at the interpolator of least norm."""
    rng = np.random.default_rng(0)
    inputs, targets = rng.normal(size=(4, 7)), rng.normal(size=4)
    problem = LinearRegression(inputs, targets)
    least = min_l2_interpolator(inputs, targets)

    def distance(first: np.ndarray) -> float:
        start = MatrixFactorization([first[:, None]])
        final = train(problem, start, LinearFlow(), record=Record(), progress=False).final.full()[:, 0]
        steps = train(problem, start, GradientDescent(0.05), stop=Stop(steps=20_000), record=Record(), progress=False)
        return float(max(np.abs(final - least).max(), np.abs(steps.final.full()[:, 0] - least).max()))

    return [
        at_most(
            "regression",
            "On linear regression flow and descent from zero end at the interpolator of least norm (larger distance)",
            "the talk's warm-up",
            distance(np.zeros(7)),
            1e-9,
            0.0,
            ("from a start with ones", distance(np.ones(7))),
        ),
    ]
