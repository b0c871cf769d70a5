"""Tensor completion by training a CP factorization of far too many components: the rank that comes out is the least."""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pydantic
import xarray as xr

from ... import measures
from ..._execution import double_precision
from ...claims import Claim, at_least, at_most
from ...datasets.targets import targets
from ...dynamics import AdaptiveDescent, ExponentialDescent, Record, Stop, train
from ...dynamics.lanes import not_interrupted
from ...experiments import Experiment, FileOption, Settings, UserFile
from ...factorizations import CPFactorization
from ...problems import TensorCompletion

SOURCE = "Razin and Cohen (2020), section 6"


class Targets(UserFile):
    """The user's tensors and orders of observation by rank."""

    tensors: dict[int, np.ndarray] = pydantic.Field(exclude=True, repr=False)
    orders: dict[int, np.ndarray] = pydantic.Field(exclude=True, repr=False)


class TensorOrder(Settings):
    """Settings: random tensors of a CP rank, trained from so many of their entries."""

    order: int
    extent: int
    ranks: list[int]
    # Components; zero for as many as any tensor of this shape needs.
    components: int
    observed: list[int]
    # From so many observations on the claims are about completion: fewer do not determine the tensor.
    enough: dict[str, int]
    factor_std: list[float]
    # Largest median error claimed, for each of them.
    tolerance: list[float]
    # A start too large for the effect, tried at the fewest observations that are enough.
    large_std: float
    repetitions: int
    loss: float
    steps: int
    rtol: float
    # Instead of random tensors and observations.
    targets: Targets | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the tensors."""
        return (self.extent,) * self.order


def read_targets(settings: TensorOrder, file: str | Path, content: bytes) -> Targets:
    """Read tensors and orders of observation that fit the settings."""
    tensors, orders = targets(file, content, settings.ranks, settings.shape, min(settings.observed))
    return Targets.of(file, content, tensors=tensors, orders=orders)


def compute(settings: TensorOrder, progress: bool) -> xr.Dataset:
    """Train from every number of observations and every deviation, a lane for each repetition."""
    runs: list[dict[str, Any]] = []
    baselines: list[dict[str, Any]] = []
    for rank, observed in itertools.product(settings.ranks, settings.observed):
        problem, truth = _problem(settings, rank, observed)
        filled = np.zeros(truth.shape)
        filled[tuple(np.asarray(problem.indices).T)] = problem.values
        lower = measures.cp_rank_bracket(filled, settings.rtol, key=jax.random.key(0), max_rank=1).lower
        baselines.append({"rank": rank, "observed": observed, "error": np.linalg.norm(filled - truth), "lower": lower})
        rules = [("exponential", std) for std in settings.factor_std]
        if observed == settings.enough[str(rank)]:
            rules.append(("exponential", settings.large_std))
        if observed == max(settings.observed):
            rules.append(("backtracking", settings.factor_std[0]))
        for rule, std in rules:
            runs += _train(settings, problem, rank, rule, std, progress)
    names = ("error", "lower", "upper", "loss", "steps", "second", "last")
    dataset = xr.Dataset({name: ("run", np.array([r[name] for r in runs], dtype=float)) for name in names})
    labels = ("rank", "observed", "factor_std", "repetition", "rule", "stop_reason")
    dataset = dataset.assign_coords({name: ("run", np.array([r[name] for r in runs])) for name in labels})
    for name in ("error", "lower"):
        grid = np.array([float(b[name]) for b in baselines]).reshape(len(settings.ranks), len(settings.observed))
        dataset[f"linear_{name}"] = (("target_rank", "count"), grid)
    dataset = dataset.assign_coords(target_rank=settings.ranks, count=settings.observed)
    enough = {f"enough_{rank}": settings.enough[str(rank)] for rank in settings.ranks}
    dataset.attrs |= {"order": settings.order, "extent": settings.extent, "rtol": settings.rtol, **enough}
    dataset.attrs |= {"factor_std": settings.factor_std, "tolerance": settings.tolerance}
    dataset.attrs |= {"large_std": settings.large_std, "problem": "TensorCompletion", "loss": "mse", "dtype": "float64"}
    return dataset


def _problem(settings: TensorOrder, rank: int, observed: int) -> tuple[TensorCompletion, np.ndarray]:
    shape = settings.shape
    if settings.targets is None:
        truth, order = _drawn(settings, rank)
    else:
        truth, order = settings.targets.tensors[rank], settings.targets.orders[rank]
    where = np.stack(np.unravel_index(order[:observed], shape), axis=1)
    return TensorCompletion.from_coo(where, truth[tuple(where.T)], shape, loss="mse", truth=truth), truth


def _drawn(settings: TensorOrder, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Random tensor, and one order of its entries: more observations are those of fewer and some on top."""
    key = jax.random.fold_in(jax.random.key(settings.seed), 10 * settings.order + rank)
    draw, choose = jax.random.split(key)
    truth = CPFactorization.init(settings.shape, rank, factor_std=1.0, key=draw).full()
    with double_precision():
        return truth / np.linalg.norm(truth), np.asarray(jax.random.permutation(choose, truth.size))


def _train(
    settings: TensorOrder, problem: TensorCompletion, rank: int, rule: str, std: float, progress: bool
) -> list[dict[str, Any]]:
    keys = jax.random.split(jax.random.key(settings.seed + 1), settings.repetitions)
    start = CPFactorization.init(problem.shape, settings.components or None, factor_std=std, key=keys)
    dynamics = ExponentialDescent() if rule == "exponential" else AdaptiveDescent()
    stop, record = Stop(loss=settings.loss, steps=settings.steps), Record(log_steps=10)
    run = train(problem, start, dynamics, stop=stop, record=record, progress=progress)
    reasons = not_interrupted(run)
    found = []
    for lane in range(settings.repetitions):
        path = run.trajectory.isel(lane=lane)
        last = int(path["step"].values.argmax())
        final: Any = run.final.lane(lane)
        tensor = final.full()
        bracket = measures.cp_rank_bracket(tensor, settings.rtol, key=jax.random.key(lane), max_rank=rank + 2)
        norms = np.sort(final.component_norms())[::-1]
        found.append({
            "rank": rank, "observed": problem.observed, "factor_std": std, "repetition": lane, "rule": rule,
            "stop_reason": str(reasons[lane]), "error": float(path["reconstruction_error"][last]),
            "lower": bracket.lower, "upper": bracket.upper, "loss": float(path["loss"][last]),
            "steps": int(path["step"][last]), "second": norms[rank] / norms[0] if len(norms) > rank else 0.0,
            "last": norms[rank - 1] / norms[0],
        })  # fmt: skip
    return found


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Error, rank bracket, baseline, and size of the start, for each rank."""
    ranks = dataset["target_rank"].values.tolist()
    return [claim for rank in ranks for claim in [*_of_error(dataset, rank), *_of_rank(dataset, rank)]]


def _groups(dataset: xr.Dataset, rank: int) -> list[xr.Dataset]:
    """Return the runs of enough observations from the small, the second and the large start."""
    over = (dataset["rank"] == rank) & (dataset["observed"] >= dataset.attrs[f"enough_{rank}"])
    over &= dataset["rule"] == "exponential"
    stds = [*dataset.attrs["factor_std"], dataset.attrs["large_std"]]
    return [dataset.isel(run=np.flatnonzero(over & (dataset["factor_std"] == std))) for std in stds]


def _of_error(dataset: xr.Dataset, rank: int) -> list[Claim]:
    enough, large_std = dataset.attrs[f"enough_{rank}"], dataset.attrs["large_std"]
    (small, second), (close, closer) = dataset.attrs["factor_std"], dataset.attrs["tolerance"]
    near, far, large = _groups(dataset, rank)
    linear = dataset.sel(target_rank=rank).isel(count=np.flatnonzero(dataset["count"] >= enough))
    completes = partial(at_most, source=SOURCE, expected=0.0, absolute=True)
    return [
        completes(
            f"rank-{rank}-is-completed",
            f"Rank {rank}: from {small:g} and {enough} observations on, the median error is at most {close:g}.",
            measured=_worst_median(near, near["error"]),
            tolerance=close,
            control=("the observed values with zeros elsewhere", float(linear["linear_error"].min())),
        ),
        completes(
            f"rank-{rank}-from-{second:g}",
            f"Rank {rank}: from {second:g} it is at most {closer:g}.",
            measured=_worst_median(far, far["error"]),
            tolerance=closer,
            control=(f"from {large_std:g}", _worst_median(large, large["error"])),
        ),
    ]


def _of_rank(dataset: xr.Dataset, rank: int) -> list[Claim]:
    enough, large_std = dataset.attrs[f"enough_{rank}"], dataset.attrs["large_std"]
    small = dataset.attrs["factor_std"][0]
    near, _, large = _groups(dataset, rank)
    linear = dataset.sel(target_rank=rank).isel(count=np.flatnonzero(dataset["count"] >= enough))
    return [
        at_most(
            f"rank-{rank}-is-found",
            f"Rank {rank}: the bracket of the smallest CP rank within {dataset.attrs['rtol']:g} is "
            f"[{rank}, {rank}] (largest median distance of either end from it).",
            source=SOURCE,
            measured=_worst_median(near, np.maximum(abs(near["upper"] - rank), abs(near["lower"] - rank))),
            expected=0.0,
            absolute=True,
            control=(
                "the least possible rank of the observed values with zeros elsewhere, less this",
                float(linear["linear_lower"].min()) - rank,
            ),
        ),
        at_least(
            f"rank-{rank}-needs-a-small-start",
            f"Rank {rank}: a start of {large_std:g}, on {enough} observations, ends at tensors that "
            f"need {rank + 3} terms or more.",
            source=SOURCE,
            measured=float(large["lower"].min()),
            expected=rank + 3,
            control=(f"terms that suffice from {small:g}", float(near["upper"].max())),
        ),
        at_most(
            f"rank-{rank}-uses-no-more",
            f"Rank {rank}: the norm of component {rank + 1} is at most 1 % of that of component {rank}, which is "
            "needed (largest median share).",
            source="Razin, Maman and Cohen (2021), section 4",
            measured=_worst_median(near, near["second"] / near["last"]),
            expected=0.0,
            tolerance=1e-2,
            absolute=True,
            control=(f"from {large_std:g}", float((large["second"] / large["last"]).median())),
        ),
    ]


def _worst_median(runs: xr.Dataset, values: Any) -> float:
    """Largest median over the repetitions, of all numbers of observations: the published figure has medians, too."""
    return max(float(part.median()) for _, part in values.groupby(runs["observed"]))


TARGETS = FileOption(
    name="targets",
    wanted="an .npz file",
    help="Tensors of your own instead of random ones, with the order of their observations: an .npz file of "
    "rank_R_order_N_target, which is scaled to norm one, and rank_R_order_N_observation_order, a permutation of the "
    "flat indices (C order) whose first n are the n observations",
    example="my_targets.npz",
    read=read_targets,
)


def experiment(order: int, published: str) -> Experiment:
    """Declare the experiment of an order."""
    return Experiment(
        name=f"tensor-order{order}",
        title=f"Tensor factorization finds the least tensor rank (order {order})",
        question=(
            f"A tensor of order {order} is completed by training a CP factorization of far more components than its "
            "rank, on the observed entries alone: as many as any tensor of its shape needs in the full form, and fewer "
            "in the reduced one, where a start has to be larger to go wrong. Nothing "
            "asks for low rank. Does a small start end at the tensor of least rank, and at the truth? "
            f"{published} The baseline leaves the unobserved entries at zero, as gradient descent on the entries "
            "themselves does. With few observations some runs end at another tensor of low rank: the data do not "
            "say which, and the claims begin where they do. Even there a single start may go far astray, and does so "
            "with ever smaller steps, too: claims are of medians, as the published figure is."
        ),
        settings=TensorOrder,
        compute=compute,
        claims=claims,
        published={
            "rank-*": ("extent", "ranks", "components", "observed", "factor_std", "large_std", "loss", "steps", "rtol")
        },
        takes=(TARGETS,),
    )


EXPERIMENTS = (
    experiment(3, "The published runs end at errors of about 5e-6 from 200 of 512 observations on."),
    experiment(4, "The published runs end at errors of about 1e-6 from 1000 of 4096 observations on."),
)
