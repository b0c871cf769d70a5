"""From how many observations the nuclear norm recovers a matrix of low rank, and training does."""

from functools import partial

import jax
import numpy as np
import xarray as xr

from ...claims import Claim, at_least, at_most
from ...datasets import low_rank_completion
from ...dynamics import AdaptiveDescent, Record, Stop, train
from ...dynamics.lanes import not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...measures import nuclear_norm
from ...problems import MatrixCompletion
from ...references import FillWithZeros, NuclearNorm

SOURCE = "Candes and Recht (2009), theorem 1.3"
METHODS = ("least nuclear norm", "zeros elsewhere")


class ExactRecovery(Settings):
    """Settings: a target of low rank, and how many of its entries are seen."""

    extent: int
    rank: int
    # Observations as multiples of the degrees of freedom of a matrix of the rank.
    multiples: list[float]
    depth: int
    scale: float
    repetitions: int
    loss: float
    steps: int
    # Error below which a matrix counts as recovered.
    recovered: float


def compute(settings: ExactRecovery, progress: bool) -> xr.Dataset:
    """Complete the same matrices by the norm and by training, for every number of observations."""
    freedom = settings.rank * (2 * settings.extent - settings.rank)
    counts = [round(m * freedom) for m in settings.multiples]
    shape, norm = (settings.extent, settings.extent), float(settings.extent)
    problems = {
        (count, n): low_rank_completion(
            shape, settings.rank, count, key=jax.random.key(settings.seed + n), frobenius=norm, loss="mse"
        )
        for count in counts
        for n in range(settings.repetitions)
    }
    least = {case: NuclearNorm(gap=1e-6).solve(problem) for case, problem in problems.items()}
    tasks = [partial(_trained, settings, problem, progress) for problem in problems.values()]
    trained = dict(zip(problems, run_all(tasks), strict=True))
    names = (*METHODS, f"depth {settings.depth}")
    errors = np.full((len(counts), settings.repetitions, len(names)), np.nan)
    gaps, of_zeros = (np.full(errors.shape[:2], np.nan) for _ in range(2))
    for (count, n), problem in problems.items():
        at, norm_found = counts.index(count), least[count, n]
        zeros, truth = FillWithZeros().solve(problem).solution, np.asarray(problem.truth)
        for k, found in enumerate((norm_found.solution, zeros, trained[count, n])):
            errors[at, n, k] = np.linalg.norm(found - truth) / np.linalg.norm(truth)
        gaps[at, n] = norm_found.gap
        # How far above the least value it is, by the certified bound.
        of_zeros[at, n] = 1 - norm_found.lower_bound / float(nuclear_norm(zeros))
    dataset = xr.Dataset(
        {
            "error": (("multiple", "repetition", "solution"), errors),
            "gap": (("multiple", "repetition"), gaps),
            "gap_of_zeros": (("multiple", "repetition"), of_zeros),
        },
        coords={"multiple": settings.multiples, "observed": ("multiple", counts), "solution": list(names)},
    )
    dataset.attrs = {"problem": "MatrixCompletion", "loss": "mse", "dtype": "float64", "rank": settings.rank}
    dataset.attrs |= {"extent": settings.extent, "recovered": settings.recovered, "scale": settings.scale}
    return dataset


def _trained(settings: ExactRecovery, problem: MatrixCompletion, progress: bool) -> np.ndarray:
    key = jax.random.key(settings.seed + 100)
    start = MatrixFactorization.init(problem.shape, settings.depth, scale=settings.scale, key=key)
    stop, record = Stop(loss=settings.loss, steps=settings.steps), Record(log_steps=5)
    run = train(problem, start, AdaptiveDescent(), stop=stop, record=record, progress=progress)
    not_interrupted(run)
    return np.asarray(run.final.full())


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Check that the norm recovers from enough observations, that training needs fewer, and that zeros never do."""
    small = float(dataset.attrs["recovered"])
    error = dataset["error"].transpose("multiple", "repetition", "solution")
    share = (error < small).where(error.notnull()).mean("repetition", skipna=False)
    norm, zeros = (share.sel(solution=name) for name in METHODS)
    deep = share.isel(solution=-1)
    few, many = (float(f(dataset["multiple"].values)) for f in (np.min, np.max))
    first = {name: _first(curve) for name, curve in (("norm", norm), ("deep", deep))}
    return [
        at_least(
            "recovered-from-enough",
            f"From {many:g} times the degrees of freedom the least nuclear norm is the matrix (share of repetitions).",
            SOURCE,
            measured=float(norm.sel(multiple=many)),
            expected=1.0,
            control=(f"from {few:g} times", float(norm.sel(multiple=few))),
        ),
        at_least(
            "more-observations-more-recovery",
            "The share recovered by the norm does not fall as observations grow (smallest difference of neighbours).",
            SOURCE,
            measured=float(norm.diff("multiple").min()) if norm.notnull().all() else np.nan,
            expected=0.0,
            control=("its error instead of that share", float(error[..., 0].mean("repetition").diff("multiple").min())),
        ),
        at_most(
            "training-needs-fewer",
            f"Depth {str(dataset['solution'].values[-1]).split()[-1]} from a small start recovers all from fewer "
            "observations than the norm does (ratio of the two).",
            "Arora, Cohen, Hu and Luo (2019), figure 1",
            measured=first["deep"] / first["norm"],
            expected=0.9,
            control=(f"errors from {few:g} times, where neither recovers (smallest ratio)",
                     float((error[..., -1] / error[..., 0]).sel(multiple=few).min())),
        ),
        at_least(
            "zeros-are-no-completion",
            "With zeros elsewhere the error stays above a tenth at every number of observations (smallest).",
            "Razin and Cohen (2020), section 6",
            measured=float(dataset["error"].sel(solution=METHODS[1]).min()),
            expected=0.1,
            control=("the least nuclear norm", float(dataset["error"].sel(solution=METHODS[0]).min())),
        ),
        at_most(
            "certified",
            "Every least nuclear norm is certified by a duality gap (largest).",
            "Fazel (2002)",
            measured=float(dataset["gap"].max(skipna=False)),
            expected=0.0,
            tolerance=1e-6,
            absolute=True,
            control=("zeros elsewhere, by the same bound", float(dataset["gap_of_zeros"].min())),
        ),
    ]  # fmt: skip


def _first(share: xr.DataArray) -> float:
    """Least multiple from which on all repetitions are recovered; NaN where there is none."""
    values = share.values
    all_from = np.minimum.accumulate(values[::-1])[::-1] == 1
    return float(share["multiple"].values[all_from].min()) if all_from.any() else float("nan")


EXPERIMENT = Experiment(
    name="exact-recovery",
    title="From how many entries a matrix of low rank is recovered",
    question=(
        "The nuclear norm is a good guess for what training minimises because its minimiser is the matrix of low rank "
        "itself once enough entries are seen. From how many is that so, and does training from a small start need as "
        "many? Numbers of entries are multiples of the degrees of freedom of a matrix of that rank, below which no "
        "method can do."
    ),
    settings=ExactRecovery,
    compute=compute,
    claims=claims,
    published={
        "recovered-from-enough": ("extent", "rank", "multiples", "depth", "scale", "loss", "steps", "recovered"),
        "more-observations-more-recovery": (
            "extent",
            "rank",
            "multiples",
            "depth",
            "scale",
            "loss",
            "steps",
            "recovered",
        ),
        "training-needs-fewer": ("extent", "rank", "multiples", "depth", "scale", "loss", "steps", "recovered"),
        "zeros-are-no-completion": ("extent", "rank", "multiples"),
    },
)
