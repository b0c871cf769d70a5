"""Does training minimise the nuclear norm? Its own minimiser beside what deep matrix factorizations end at."""

from functools import partial
from typing import Any, Literal

import jax
import numpy as np
import xarray as xr

from ... import measures
from ...claims import Claim, at_least, at_most
from ...datasets import low_rank_completion, low_rank_sensing
from ...dynamics import ExponentialDescent, GradientDescent, Record, Stop, group_rmsprop, train
from ...dynamics.lanes import not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...problems import MatrixCompletion, MatrixSensing
from ...references import NuclearNorm

SOURCE = "Arora, Cohen, Hu and Luo (2019), figures 1 and 2"
MEASURED = ("error", "nuclear", "effective_rank", "final_loss", "steps")


class NuclearNormOrNot(Settings):
    """Settings: a target of low rank, how much of it is seen, and the factorizations."""

    extent: int
    rank: int
    kinds: list[Literal["completion", "sensing"]]
    observed: list[int]
    depths: list[int]
    scales: list[float]
    repetitions: int
    # Problems of sensing, where a gradient reads thousands of matrices.
    sensing_repetitions: int
    rule: Literal["exponential", "group RMSprop"]
    learning_rate: float
    loss: float
    steps: int


def compute(settings: NuclearNormOrNot, progress: bool) -> xr.Dataset:
    """Train every depth from every scale on every problem, and find the least nuclear norm of each."""
    repetitions = {"completion": settings.repetitions, "sensing": settings.sensing_repetitions}
    cases = [(kind, count, n) for kind in settings.kinds for count in settings.observed
             for n in range(repetitions[kind])]  # fmt: skip
    problems = {case: _problem(settings, *case) for case in cases}
    # Before the training, whose threads would be in each other's way with those of NumPy.
    least = [_reference(problem) for problem in problems.values()]
    tasks = [
        partial(_trained, settings, problem, case, depth, progress)
        for case, problem in problems.items()
        for depth in sorted(settings.depths, reverse=True)
    ]
    rows = [row for part in run_all(tasks) for row in part]
    labels = ("kind", "observed", "repetition", "depth", "scale", "stop_reason")
    dataset = xr.Dataset({name: ("run", np.array([row[name] for row in rows], dtype=float)) for name in MEASURED})
    dataset = dataset.assign_coords({name: ("run", np.array([row[name] for row in rows])) for name in labels})
    for name in ("error", "nuclear", "effective_rank", "lower_bound", "residual"):
        dataset[f"least_{name}"] = ("case", np.array([one[name] for one in least], dtype=float))
    for place, name in enumerate(("kind", "observed", "repetition")):
        dataset = dataset.assign_coords({f"case_{name}": ("case", np.array([case[place] for case in cases]))})
    truths = [problems[case].truth for case in cases]
    dataset["true_nuclear"] = ("case", np.array([float(measures.nuclear_norm(t)) for t in truths]))
    dataset["true_effective_rank"] = ("case", np.array([float(measures.effective_rank(t)) for t in truths]))
    dataset.attrs = {"problem": "MatrixCompletion", "loss": "mse", "dtype": "float64", "rule": settings.rule}
    dataset.attrs |= {"extent": settings.extent, "rank": settings.rank}
    return dataset


def _problem(settings: NuclearNormOrNot, kind: str, count: int, repetition: int) -> Any:
    key, n = jax.random.key(settings.seed + repetition), settings.extent
    options: dict[str, Any] = {"key": key, "frobenius": float(n), "loss": "mse"}
    if kind == "completion":
        return low_rank_completion((n, n), settings.rank, count, **options)
    # Gradients take as long as the measurements take to be read: half the bytes do, for a loss far above rounding.
    return low_rank_sensing((n, n), settings.rank, count, **options, dtype="float32")


def _trained(
    settings: NuclearNormOrNot,
    problem: MatrixCompletion | MatrixSensing,
    case: tuple[str, int, int],
    depth: int,
    progress: bool,
) -> list[dict[str, Any]]:
    """Train one depth from every scale."""
    key = jax.random.key(settings.seed + 100 + case[2])
    starts = [MatrixFactorization.init(problem.shape, depth, scale=scale, key=key) for scale in settings.scales]
    rule: Any = ExponentialDescent()
    # With 2000 matrices of 100 x 100 the 40,000 gradients of group RMSprop would take hours; both rules end alike.
    if settings.rule != "exponential" and case[0] == "completion":
        rule = GradientDescent(group_rmsprop(settings.learning_rate, eps=1e-4))
    stop, record = Stop(loss=settings.loss, steps=settings.steps), Record(log_steps=10)
    run = train(problem, MatrixFactorization.stack(starts), rule, stop=stop, record=record, progress=progress)
    rows = []
    for lane, (scale, reason) in enumerate(zip(settings.scales, not_interrupted(run), strict=True)):
        path, matrix = run.trajectory.isel(lane=lane), np.asarray(run.final.lane(lane).full())
        last = int(path["step"].values.argmax())
        rows.append({
            "kind": case[0], "observed": case[1], "repetition": case[2], "depth": depth, "scale": scale,
            "stop_reason": str(reason), "steps": int(path["step"][last]), "final_loss": float(path["loss"][last]),
            **_measured(problem, matrix),
        })  # fmt: skip
    return rows


def _reference(problem: MatrixCompletion | MatrixSensing) -> dict[str, float]:
    # In single precision the observations themselves are no better.
    found = NuclearNorm(gap=1e-7 if problem.dtype == "float64" else 1e-6).solve(problem)
    if found.status != "optimal":
        raise ArithmeticError(f"The least nuclear norm was not found ({found}).")
    return {"lower_bound": found.lower_bound, "residual": found.residual, **_measured(problem, found.solution)}


def _measured(problem: MatrixCompletion | MatrixSensing, matrix: np.ndarray) -> dict[str, float]:
    truth = np.asarray(problem.truth)
    return {
        "error": float(np.linalg.norm(matrix - truth) / np.linalg.norm(truth)),
        "nuclear": float(measures.nuclear_norm(matrix)),
        "effective_rank": float(measures.effective_rank(matrix)),
    }


def claims(dataset: xr.Dataset) -> list[Claim]:
    """With few observations training does not minimise the nuclear norm and does better; with many, it seems to."""
    few, many = (int(f(dataset["observed"].values)) for f in (np.min, np.max))
    smallest, largest = (float(f(dataset["scale"].values)) for f in (np.min, np.max))
    depths = sorted(set(dataset["depth"].values.tolist()))
    share = {count: _over_least(dataset, count, smallest) for count in (few, many)}
    deep = [_ratio(dataset, "error", few, smallest, depth) for depth in depths if depth > 2]
    ranks = _ratio(dataset, "effective_rank", few, smallest)
    return [
        at_most(
            "deep-completes-better-than-the-norm",
            f"From {few} observations, depths above 2 from {smallest:g} end at no more than a tenth of the error of "
            "the solution of least nuclear norm (largest ratio).",
            SOURCE,
            measured=float(np.max(deep)),
            expected=0.1,
            control=(f"depth 2 from {largest:g}", float(np.min(_ratio(dataset, "error", few, largest, depths[0])))),
        ),
        at_least(
            "not-the-least-nuclear-norm",
            f"From {few} observations every depth from {smallest:g} ends above the least nuclear norm by 1 % or more "
            "(smallest excess over its certified lower bound).",
            SOURCE,
            measured=float(np.min(share[few])),
            expected=0.01,
            control=(f"from {many} observations", float(np.max(share[many]))),
        ),
        at_most(
            "seemingly-the-least-nuclear-norm",
            f"From {many} observations every depth from {smallest:g} ends within 0.2 % of the least nuclear norm "
            "(largest difference).",
            "Gunasekar et al. (2017), whose setting it is",
            measured=float(np.max(abs(share[many]))),
            expected=2e-3,
            control=(f"from {few} observations", float(np.min(share[few]))),
        ),
        at_most(
            "lower-rank-than-the-norm",
            f"From {few} observations every depth from {smallest:g} has a lower effective rank than the solution of "
            "least nuclear norm (largest ratio).",
            SOURCE,
            measured=float(np.max(ranks)),
            expected=0.9,
            control=(f"depth 2 from {largest:g}",
                     float(np.min(_ratio(dataset, "effective_rank", few, largest, depths[0])))),
        ),
        at_most(
            "depth-helps",
            f"From {few} observations depth 3 ends at less than half the error of depth 2, from every scale (largest "
            "ratio).",
            SOURCE,
            measured=float(np.max(_error(dataset, few, 3) / _error(dataset, few, 2))),
            expected=0.5,
            control=(f"depth 3 from {largest:g} over depth 3 from {smallest:g}: no layer more, but a larger start",
                     float(np.min(_error(dataset, few, 3, largest) / _error(dataset, few, 3, smallest)))),
        ),
        *_of_sensing(dataset, few, many, smallest),
    ]  # fmt: skip


def _of_sensing(dataset: xr.Dataset, few: int, many: int, smallest: float) -> list[Claim]:
    """Check that Gaussian measurements say more than entries: as many are enough for the norm."""
    if "sensing" not in dataset["kind"].values:
        return []
    deep = dataset.isel(run=np.flatnonzero(dataset["depth"] > 2))
    over = np.concatenate([_over_least(deep, count, smallest, "sensing") for count in (few, many)])
    return [
        at_most(
            "gaussian-measurements-say-more",
            f"From {few} Gaussian measurements on both are the matrix already: depths above 2 from {smallest:g} end "
            "within 0.2 % of the least nuclear norm (largest difference).",
            "Recht, Fazel and Parrilo (2010), whose setting it is",
            measured=float(np.max(abs(over))),
            expected=2e-3,
            control=(f"from {few} entries", float(np.min(_over_least(dataset, few, smallest)))),
        )
    ]


def _runs(
    dataset: xr.Dataset, count: int, scale: float | None = None, depth: int | None = None, kind: str = "completion"
) -> xr.Dataset:
    chosen = (dataset["observed"].values == count) & (dataset["kind"].values == kind)
    if scale is not None:
        chosen &= dataset["scale"].values == scale
    if depth is not None:
        chosen &= dataset["depth"].values == depth
    runs = dataset.isel(run=np.flatnonzero(chosen))
    # Of runs that do not fit nothing is claimed.
    return runs.where(runs["stop_reason"] == "loss")


def _ratio(dataset: xr.Dataset, name: str, count: int, scale: float, depth: int | None = None) -> np.ndarray:
    """Return a measure of runs over that of the solution of least nuclear norm of the same problem."""
    runs = _runs(dataset, count, scale, depth)
    return np.asarray(runs[name].values / _of_case(dataset, runs, f"least_{name}"))


def _over_least(dataset: xr.Dataset, count: int, scale: float, kind: str = "completion") -> np.ndarray:
    runs = _runs(dataset, count, scale, kind=kind)
    return np.asarray(runs["nuclear"].values / _of_case(dataset, runs, "least_lower_bound") - 1)


def _of_case(dataset: xr.Dataset, runs: xr.Dataset, name: str) -> np.ndarray:
    names = ("kind", "observed", "repetition")
    cases = list(zip(*(dataset[f"case_{n}"].values.tolist() for n in names), strict=True))
    values = dict(zip(cases, dataset[name].values, strict=True))
    return np.array([values[case] for case in zip(*(runs[n].values.tolist() for n in names), strict=True)])


def _error(dataset: xr.Dataset, count: int, depth: int, scale: float | None = None) -> np.ndarray:
    return np.asarray(_runs(dataset, count, scale, depth)["error"].values)


EXPERIMENT = Experiment(
    name="nuclear-norm-or-not",
    title="Deep matrix factorization and the nuclear norm",
    question=(
        "A conjecture says that matrix factorization from a small start finds the solution of least nuclear norm. Here "
        "that solution is computed, with a certificate, beside what depths 2 to 4 end at from smaller and smaller "
        "starts, on a 100 x 100 matrix of rank 5. Where many entries are seen both are the matrix itself, and training "
        "seems to minimise the norm (it stops at a small loss and not at a solution, which takes some thousandths off "
        "its norm). Where few are seen, training ends at a larger norm, a lower rank and a smaller error."
    ),
    settings=NuclearNormOrNot,
    compute=compute,
    claims=claims,
    published={"*": ("extent", "rank", "observed", "depths", "scales", "rule", "learning_rate", "loss", "steps")},
    statement="nuclear-norm",
)
