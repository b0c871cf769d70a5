"""Statements about gradient flow itself: its equations, what it conserves, and how descent follows it."""

import jax
import numpy as np

from .._execution import double_precision
from ..claims import Claim
from ..datasets import low_rank_completion
from ..dynamics import (
    AlignedFlow,
    EndToEndFlow,
    GradientDescent,
    GradientFlow,
    IdentityFlow,
    LinearFlow,
    Record,
    Run,
    SpectralFlow,
    Stop,
    SymmetricFlow,
    train,
)
from ..dynamics.base import AbstractDynamics
from ..dynamics.flow.independent import VELOCITY_TOLERANCE, equation
from ..factorizations import AbstractModel, MatrixFactorization, SpectralFactorization
from ..problems import AbstractProblem, LinearRegression, MatrixCompletion, two_by_two
from ..theory import at_most, close_to, min_l2_interpolator
from ..theory.plain_flow import time_of_loss

ACH, ACHL = "Arora, Cohen and Hazan (2018), theorem 1", "Arora, Cohen, Hu and Luo (2019), theorem 3"
DEPTH = 3


def _small_problem() -> tuple[MatrixCompletion, MatrixFactorization]:
    key = jax.random.key(1)
    problem = low_rank_completion((3, 3), rank=2, observed=6, frobenius=3.0, key=key)
    return problem, MatrixFactorization.init((3, 3), DEPTH, kind="balanced", scale=0.1, key=key)


def _small_flow(problem: MatrixCompletion, start: MatrixFactorization, times: np.ndarray) -> Run:
    """Follow the factors without the certificate that would end the run; one program for whoever asks."""
    record = Record(at_times=times, measures=["end_to_end"])
    flow = GradientFlow(1e-12, certify=False)
    return train(problem, start, flow, stop=Stop(flow_time=13.0), record=record, progress=False)


def singular_values() -> list[Claim]:
    """Singular values move as the equation says, measured by differences along the flow of the factors."""
    problem, start = _small_problem()
    middle, h = np.linspace(0.5, 12.0, 12), 1e-3
    times = (middle[:, None] + h * np.array([-1.0, 0.0, 1.0])).ravel()
    run = _small_flow(problem, start, times)
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
    run = _small_flow(problem, start, np.linspace(0.25, 12.75, 50))
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


def _time(
    runs: list[Run], problem: AbstractProblem, model: AbstractModel, flow: AbstractDynamics, loss: float
) -> float:
    """Return the time at which a flow reaches a loss, and keep its run."""
    runs.append(train(problem, model, flow, stop=Stop(loss=loss), progress=False))
    return float(runs[-1].trajectory["time"][0, -1])


def _start(problem: AbstractProblem, depth: int) -> SpectralFactorization:
    sign, key = problem.required_det_sign, jax.random.key(2)
    drawn = MatrixFactorization.init(problem.shape, 2, kind="balanced", scale=0.1, det_sign=sign, key=key)
    return SpectralFactorization.from_end_to_end(drawn.full(), depth)


def flows_agree() -> list[Claim]:
    """Compare the flow of the factors with that of the product's singular values, and both with the plain equation."""
    runs: list[Run] = []
    problem, off, plain = two_by_two(), [], {}
    for depth, loss in ((2, 5e-2), (4, 2e-2), (6, 2e-2)):
        start = _start(problem, depth)
        plain[depth] = time_of_loss(problem, start.full(), depth, loss)
        off.append(abs(_time(runs, problem, start, SpectralFlow(), loss) / plain[depth] - 1))
    later = [
        _time(runs, problem, start, flow, 1e-4)
        for start, flow in ((_start(problem, 4).to_factors(), GradientFlow()), (_start(problem, 4), SpectralFlow()))
    ]
    off.append(abs(later[1] / later[0] - 1))
    return [
        at_most(
            "flows-agree",
            "Gradient flow on the product's singular values reaches a loss when factors that SciPy moves do (2 x 2, "
            "depths 2, 4, 6), and a hundredth of it when GradientFlow does (depth 4; largest relative difference)",
            ACH,
            max(off),
            1e-7,
            control=("depth 6 and depth 4", abs(plain[6] / plain[4] - 1)),
        ),
        _velocity("velocity", "of these five runs", runs),
    ]


def larger_flows_agree() -> list[Claim]:
    """Compare the same on larger matrices, and the form that carries residuals of its own with the plain equation."""
    import diffrax  # half a second: only where a flow runs

    runs: list[Run] = []
    tall = low_rank_completion((4, 6), rank=2, observed=16, key=jax.random.key(1))
    off, time, explicit = [], 0.0, SpectralFlow(solver=diffrax.Dopri8())
    for problem, depth, loss, flow in ((two_by_two(size=3), 2, 5e-2, SpectralFlow()), (tall, 4, 1e-2, explicit)):
        start = _start(problem, depth)
        time = _time(runs, problem, start, flow, loss)
        off.append(abs(time / time_of_loss(problem, start.full(), depth, loss) - 1))
    other = time_of_loss(tall, _start(tall, 4).full(), 5, loss)
    _time(runs, two_by_two(size=3), _start(two_by_two(size=3), 2), SpectralFlow(), 5e-5)
    return [
        at_most(
            "larger-flows-agree",
            "and so does it on 3 x 3 (depth 2) and 4 x 6 (depth 4; larger relative difference)",
            ACH,
            max(off),
            1e-7,
            control=("4 x 6, one factor more", abs(other / time - 1)),
        ),
        _velocity("velocity-of-larger-flows", "of these runs, and of 3 x 3 to loss 5e-5 with residuals carried,", runs),
    ]


def _velocity(name: str, which: str, runs: list[Run]) -> Claim:
    return at_most(
        name,
        f"At every record {which} the velocity is that of another form of the equation (largest relative difference)",
        ACH,
        max(float(np.nanmax(run.trajectory["velocity_error"].values)) for run in runs),
        VELOCITY_TOLERANCE,
        control=("the equation of one factor more, at the last record", _other_depth(runs[-1])),
    )


def _other_depth(run: Run) -> float:
    """Relative difference between the velocities of a matrix at its depth and at one factor more."""
    final, problem = run.final, run.problem
    assert isinstance(final, SpectralFactorization)
    slope = np.asarray(problem.gradient(final.full()))
    with double_precision():
        right, other = (np.asarray(equation(final, slope, final.depth + more).matrix) for more in (0, 1))
    return float(np.linalg.norm(other - right) / np.linalg.norm(right))


def other_forms() -> list[Claim]:
    """Check the velocities of the forms of the flow that serve for comparison, and in experiments."""
    base, two, three = (
        two_by_two(),
        *(MatrixFactorization.init((2, 2), depth, kind="identity", alpha=0.1) for depth in (2, 3)),
    )
    whole = MatrixCompletion.from_dense(np.diag([2.0, 1.0]))
    cases: list[tuple[AbstractProblem, MatrixFactorization, AbstractDynamics]] = [
        (base, two, IdentityFlow()),
        (base, three, SymmetricFlow()),
        (base, three, EndToEndFlow()),
        (whole, three, AlignedFlow()),
    ]
    runs = [train(*case, stop=Stop(loss=1e-2), progress=False) for case in cases]
    times = [float(run.trajectory["time"][0, -1]) for run in runs]
    return [
        _velocity("velocity-of-other-forms", "of the reduced and of the plain form", runs[:1] + runs[2:] + runs[1:2]),
        at_most(
            "forms-agree",
            "The symmetric and the plain form reach loss 1e-2 at the same time (relative difference)",
            ACH,
            abs(times[1] / times[2] - 1),
            1e-7,
            control=("one factor less", abs(times[0] / times[2] - 1)),
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
