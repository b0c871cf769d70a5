"""A gallery of norms and quasi-norms: where each is least among the solutions, and where the flow drives it."""

import numpy as np
import xarray as xr

from ...claims import Claim, at_least, at_most
from ...dynamics import Record, Run, SpectralFlow, Stop, train
from ...dynamics.lanes import not_interrupted
from ...experiments import Experiment, Settings
from ...factorizations import SpectralFactorization
from ...measures import nuclear_norm
from ...problems import AbstractProblem, MatrixSensing, two_by_two
from ...references import NormMinimal, NuclearNorm
from ...references.norms import norm_of
from ...theory import solution

SOURCE = "Razin and Cohen (2020), theorem 1"


def tilted(w: np.ndarray) -> float:
    """Norm of an inner product that is not that of the entries: least at -1/2."""
    return float(np.sqrt((w**2).sum() + w[0, 0] * w[0, 1]))


def pinned(w: np.ndarray) -> float:
    """Largest entry and the difference of two: least at 1."""
    return float(np.abs(w).max() + abs(w[0, 0] - w[0, 1]))


FUNCTIONS = {"tilted": tilted, "pinned": pinned}


class AnyNorm(Settings):
    """Settings: the norms by name (or of `FUNCTIONS`), and the flow."""

    norms: list[str]
    depths: list[int]
    scale: float
    loss: float
    levels: int
    # Largest entry of the solutions that are drawn, and how many.
    reach: float
    points: int


def compute(settings: AnyNorm, progress: bool) -> xr.Dataset:
    """Minimise every norm among the solutions, and evaluate all along one flow of each depth."""
    problem, levels = two_by_two(), np.geomspace(1.0, settings.loss, settings.levels)
    norms = {name: FUNCTIONS.get(name, name) for name in settings.norms}
    least = {name: NormMinimal(norm).solve(problem) for name, norm in norms.items()}
    x = 2.0 * np.sinh(np.linspace(-1, 1, settings.points) * np.arcsinh(settings.reach / 2.0))
    family, values = solution(x), {name: norm_of(norm).value for name, norm in norms.items()}
    paths, entries = [], []
    for depth in settings.depths:
        run = _flow(problem, depth, settings.scale, settings.loss, levels, progress)
        tensors = run.trajectory["end_to_end"].values[0]
        paths.append(np.array([value(tensors) for value in values.values()]))
        entries.append(tensors[:, 0, 0])
    # The start comes before the levels.
    records = settings.levels
    proved = MatrixSensing(np.diag([1.0, 2.0])[None], np.array([1.0]))
    control = _flow(proved, 2, 1e-3 * settings.scale, 1e-16, np.array([1e-16]), progress)
    dataset = xr.Dataset(
        {
            "minimiser": ("norm", np.array([found.solution[0, 0] for found in least.values()])),
            "minimum": ("norm", np.array([found.objective for found in least.values()])),
            "lower_bound": ("norm", np.array([found.lower_bound for found in least.values()])),
            "status": ("norm", np.array([found.status for found in least.values()])),
            "on_solutions": (("norm", "x"), np.array([np.asarray(value(family)) for value in values.values()])),
            "along_flow": (("depth", "norm", "record"), np.array([path[:, -records:] for path in paths])),
            "unobserved": (("depth", "record"), np.array([entry[-records:] for entry in entries])),
            "loss": ("record", levels),
            "where_proved": float(nuclear_norm(control.final.full())) / NuclearNorm().solve(proved).objective,
        },
        coords={"norm": list(norms), "x": x, "depth": settings.depths},
    )
    dataset.attrs = {"problem": "MatrixCompletion", "loss": "half_sse", "dtype": "float64", "scale": settings.scale}
    return dataset


def _flow(problem: AbstractProblem, depth: int, scale: float, loss: float, levels: np.ndarray, progress: bool) -> Run:
    start = SpectralFactorization.from_end_to_end(scale * np.eye(2), depth)
    record = Record(at_losses=levels, measures=["end_to_end"])
    run = train(problem, start, SpectralFlow(), stop=Stop(loss=loss), record=record, progress=progress)
    not_interrupted(run)
    return run


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Every norm is driven from its minimum, at one rate; minimisers are near; where it is proved, one is minimised."""
    minimum = dataset["minimum"]
    ratio = dataset["along_flow"].isel(record=-1) / minimum
    named = dataset["status"] == "optimal"
    late = dataset["loss"] <= 100 * float(dataset["loss"][-1])
    slope = _slopes(dataset.isel(record=np.flatnonzero(late)))
    early = np.flatnonzero(dataset["loss"] >= 0.01 * float(dataset["loss"][0]))
    end = float(abs(dataset["unobserved"].isel(record=-1)).min())
    gaps = 1 - dataset["lower_bound"] / minimum
    return [
        at_least(
            "every-norm-leaves-its-minimum",
            f"At a loss of {float(dataset['loss'][-1]):.0e} each of {ratio.sizes['norm']} norms and quasi-norms is a "
            "hundred times its least value on the solutions or more (smallest ratio).",
            SOURCE,
            measured=float(ratio.min()),
            expected=1e2,
            control=("commuting measurements, where the nuclear norm is proved to be minimised",
                     float(dataset["where_proved"])),
        ),
        at_most(
            "minimisers-are-near",
            "Each norm is least at a solution whose unobserved entry is at most 1 (largest magnitude).",
            "Razin and Cohen (2020), section 3",
            measured=float(abs(dataset["minimiser"]).max()),
            expected=1.0,
            tolerance=1e-6,
            control=("where the flow ends", end),
        ),
        at_most(
            "one-rate-for-all",
            "Over the last two decades of the loss every norm grows like its root's inverse (largest difference of a "
            "slope from 1/2).",
            SOURCE,
            measured=float(abs(slope - 0.5).max()),
            expected=0.0,
            tolerance=5e-2,
            absolute=True,
            control=("the first two decades", float(abs(_slopes(dataset.isel(record=early)) - 0.5).max())),
        ),
        at_most(
            "minima-are-certified",
            "Of the norms by name no solution is less than the minimum found by more than a millionth of it.",
            "Weyl's inequality on intervals of the solutions",
            measured=float(gaps.where(named, drop=True).max()),
            expected=0.0,
            tolerance=1e-6,
            absolute=True,
            control=("the same of the solutions whose entry is 1 instead (smallest)", _gap_beside(dataset, named)),
        ),
        at_most(
            "where-it-is-proved",
            "On commuting positive semidefinite measurements the flow of depth 2 from a small start ends at the least "
            "nuclear norm (ratio to it).",
            "Gunasekar et al. (2017), theorem 1",
            measured=float(dataset["where_proved"]),
            expected=1.0,
            tolerance=1e-2,
            control=("the nuclear norm on [[*, 1], [1, 0]]", float(ratio.sel(norm="nuclear").min())),
        ),
    ]  # fmt: skip


def _gap_beside(dataset: xr.Dataset, named: xr.DataArray) -> float:
    """Smallest gap that a solution beside the minimiser would leave."""
    beside = dataset["on_solutions"].sel(x=1.0, method="nearest")
    return float((1 - dataset["lower_bound"] / beside).where(named, drop=True).min())


def _slopes(late: xr.Dataset) -> np.ndarray:
    """Slope of the logarithm of each norm against that of the inverse loss."""
    if not late.sizes["record"]:
        return np.array([np.nan])
    reach = -np.log(late["loss"].values)
    values = np.log(late["along_flow"].values).reshape(-1, len(reach))
    return np.polyfit(reach, values.T, 1)[0]


EXPERIMENT = Experiment(
    name="any-norm",
    title="Ten norms: where each is least, and where the flow drives it",
    question=(
        "If training minimised some norm, gradient flow on [[*, 1], [1, 0]] from a small start would end near the "
        "solution where that norm is least. Here are ten norms and quasi-norms with their minimisers on all "
        "solutions, found with a certificate where the norm has a name; and their values along the flow. Where the "
        "nuclear norm is proved to be minimised, the same flow does minimise it."
    ),
    settings=AnyNorm,
    compute=compute,
    claims=claims,
    published={
        "every-norm-leaves-its-minimum": ("norms", "scale", "loss"),
        "one-rate-for-all": ("norms", "scale", "loss"),
        "minimisers-are-near": ("norms",),
        "where-it-is-proved": ("scale",),
    },
)
