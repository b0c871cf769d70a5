"""Low rank is not due to narrow factorizations: components and widths from too few to twice what any target needs."""

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr

from ... import measures
from ..._types import Key
from ...claims import Claim, at_least, at_most
from ...dynamics import ExponentialDescent, Record, Stop, train
from ...dynamics.lanes import not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import AbstractModel, CPFactorization, MatrixFactorization
from ...problems import MatrixCompletion, TensorCompletion

Model = CPFactorization | MatrixFactorization
SOURCE = "Razin and Cohen (2020), section 6; Arora, Cohen, Hu and Luo (2019)"
FAMILIES = ("tensor", "matrix")
MEASURED = ("error", "lower", "upper", "effective_rank", "used", "loss", "steps")
# A component is in use when its norm is at least this share of the largest.
IN_USE = 1e-2


class Family(Settings):
    """One kind of factorization: its target, and the sizes and starts that are tried."""

    extent: int
    order: int
    # Singular values or component norms of the target; their number is its rank.
    norms: list[float]
    observed: int
    # Factors of a matrix.
    depth: int = 2
    # Components or hidden widths: the first is one too few.
    sizes: list[int]
    # Deviation of the factors' entries (tensors) or of the product's (matrices): a small one, and a too large one.
    starts: list[float]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the target."""
        return (self.extent,) * self.order


class Overparameterisation(Settings):
    """Settings: a tensor and a matrix, and what both have in common."""

    tensor: Family
    matrix: Family
    repetitions: int
    loss: float
    steps: int
    rtol: float


def compute(settings: Overparameterisation, progress: bool) -> xr.Dataset:
    """Train every size from every start, all of a family in one batch."""
    tasks = [partial(_train, settings, family, progress) for family in FAMILIES]
    runs = list(itertools.chain(*run_all(tasks)))
    dataset = xr.Dataset({name: ("run", np.array([r[name] for r in runs], dtype=float)) for name in MEASURED})
    labels = ("family", "size", "start", "repetition", "stop_reason")
    dataset = dataset.assign_coords({name: ("run", np.array([r[name] for r in runs])) for name in labels})
    for family in FAMILIES:
        given: Family = getattr(settings, family)
        dataset.attrs |= {f"{family}_{name}": getattr(given, name) for name in ("extent", "order", "starts", "depth")}
        # What any target of this shape can be written with.
        dataset.attrs |= {f"{family}_rank": len(given.norms), f"{family}_most": given.extent ** (given.order - 1)}
    dataset.attrs |= {"rtol": settings.rtol, "in_use": IN_USE}
    dataset.attrs |= {"problem": "TensorCompletion and MatrixCompletion", "loss": "mse", "dtype": "float64"}
    return dataset


def _train(settings: Overparameterisation, family: str, progress: bool) -> list[dict[str, Any]]:
    given: Family = getattr(settings, family)
    problem, truth = _problem(given, settings.seed)
    labels = [
        (start, size, repetition)
        for start in given.starts
        for size in given.sizes
        for repetition in range(settings.repetitions)
        # One too few cannot fit the data, wherever it starts.
        if start == min(given.starts) or size >= len(given.norms)
    ]
    keys = jax.random.split(jax.random.key(settings.seed), settings.repetitions)
    singles = [padded(_start(given, start, size, keys[rep]), max(given.sizes)) for start, size, rep in labels]
    lanes = type(singles[0])([np.stack(w) for w in zip(*(one.factors for one in singles), strict=True)])
    stop, record = Stop(loss=settings.loss, steps=settings.steps), Record(log_steps=10)
    run = train(problem, lanes, ExponentialDescent(), stop=stop, record=record, progress=progress)
    reasons, final = not_interrupted(run), run.final
    found = []
    for lane, (start, size, repetition) in enumerate(labels):
        path, model = run.trajectory.isel(lane=lane), final.lane(lane)
        last = int(path["step"].values.argmax())
        end = np.asarray(model.full())
        rank = len(given.norms)
        bracket = measures.cp_rank_bracket(end, settings.rtol, key=jax.random.key(lane), max_rank=rank + 2)
        found.append({
            "family": family, "start": start, "size": size, "repetition": repetition, "stop_reason": str(reasons[lane]),
            "error": np.linalg.norm(end - truth) / np.linalg.norm(truth), "lower": bracket.lower,
            "upper": bracket.upper, "loss": float(path["loss"][last]), "steps": int(path["step"][last]),
            "used": _used(model), "effective_rank": measures.effective_rank(end) if end.ndim == 2 else np.nan,
        })  # fmt: skip
    return found


def _problem(given: Family, seed: int) -> tuple[Any, np.ndarray]:
    """Orthonormal directions with the norms asked for, scaled to norm one, and a random choice of entries."""
    rng = np.random.default_rng(seed)
    factors = [np.linalg.qr(rng.normal(size=(given.extent, len(given.norms))))[0] for _ in given.shape]
    truth = np.asarray(CPFactorization([factors[0] * given.norms, *factors[1:]]).full())
    truth = truth / np.linalg.norm(truth)
    hidden = rng.permutation(truth.size)[given.observed :]
    data = truth.copy()
    data.flat[hidden] = np.nan
    kind: Any = MatrixCompletion if given.order == 2 else TensorCompletion
    return kind.from_dense(data, loss="mse", truth=truth), truth


def _start(given: Family, start: float, size: int, key: Key) -> Model:
    if given.order > 2:
        return CPFactorization.init(given.shape, size, factor_std=start, key=key)
    widths = [size] * (given.depth - 1)
    return MatrixFactorization.init((given.extent, given.extent), given.depth, widths=widths, scale=start, key=key)


def padded(model: Model, size: int) -> Model:
    """Return the same factorization with components or hidden units of zeros up to ``size``.

    They have no gradient and no curvature, and stay zero: the narrow factorization trains as it would alone, and all
    sizes are one batch of one shape, compiled once.
    """
    if isinstance(model, CPFactorization):
        return CPFactorization([_widened(w, w.shape[0], size) for w in model.factors])
    outer = [model.factors[0].shape[1], *[size] * (len(model.factors) - 1), model.factors[-1].shape[0]]
    return MatrixFactorization([
        _widened(w, rows, columns) for w, columns, rows in zip(model.factors, outer[:-1], outer[1:], strict=True)
    ])  # fmt: skip


def _widened(w: np.ndarray, rows: int, columns: int) -> np.ndarray:
    return np.pad(w, ((0, rows - w.shape[0]), (0, columns - w.shape[1])))


def _used(model: AbstractModel) -> float:
    """Components in use; of a product of matrices there is no such thing."""
    if not isinstance(model, CPFactorization):
        return float("nan")
    norms = model.component_norms()
    return float((norms >= IN_USE * norms.max()).sum())


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Error and rank over the size, of the tensor and of the matrix."""
    found: list[Claim] = []
    for family, word in zip(FAMILIES, ("components", "hidden units"), strict=True):
        rank, most = int(dataset.attrs[f"{family}_rank"]), int(dataset.attrs[f"{family}_most"])
        runs = dataset.isel(run=np.flatnonzero(dataset["family"] == family))
        small, large = (float(f(dataset.attrs[f"{family}_starts"])) for f in (min, max))
        enough = _where(runs, (runs["start"] == small) & (runs["size"] >= rank))
        few = _where(runs, runs["size"] < rank)
        wide = _where(runs, (runs["start"] == large) & (runs["size"] >= most))
        widest = int(runs["size"].max())
        found += _of_family(family, word, (rank, most, widest), (small, large), (enough, few, wide))
        if family == "tensor":
            found.append(
                at_most(
                    "tensor-uses-as-many-at-every-size",
                    f"Up to {widest} components: {rank} have a norm above {float(dataset.attrs['in_use']):g} of the "
                    "largest (largest distance from that).",
                    SOURCE,
                    measured=float(abs(enough["used"] - rank).max()),
                    expected=0.0,
                    absolute=True,
                    control=(f"from {large:g}", float(abs(wide["used"] - rank).min())),
                )
            )
        else:
            over = _where(runs, (runs["start"] == large) & (runs["size"] >= rank))
            found.append(
                at_most(
                    "matrix-has-one-effective-rank",
                    f"Up to width {widest}: effective ranks differ by at most 0.01 over all widths and repetitions.",
                    SOURCE,
                    measured=_spread(enough["effective_rank"]),
                    expected=0.0,
                    tolerance=1e-2,
                    absolute=True,
                    control=(f"from {large:g}", _spread(over["effective_rank"])),
                )
            )
    return found


def _of_family(
    family: str, word: str, sizes: Sequence[int], starts: Sequence[float], parts: Sequence[xr.Dataset]
) -> list[Claim]:
    (rank, most, widest), (small, large), (enough, few, wide) = sizes, starts, parts
    return [
        at_most(
            f"{family}-is-completed-at-every-size",
            f"From {small:g}: with {rank} to {widest} {word} the relative error is at most 5e-4 (largest).",
            SOURCE,
            measured=float(enough["error"].max()),
            expected=0.0,
            tolerance=5e-4,
            absolute=True,
            control=(f"with {rank - 1}", float(few["error"].min())),
        ),
        at_most(
            f"{family}-rank-is-found-at-every-size",
            f"From {small:g}: with {rank} to {widest} {word} the rank is {rank} (largest distance from it of either "
            "end of its bracket).",
            SOURCE,
            measured=float(np.maximum(abs(enough["lower"] - rank), abs(enough["upper"] - rank)).max()),
            expected=0.0,
            absolute=True,
            control=(f"from {large:g}, with {most} or more", float((wide["lower"] - rank).min())),
        ),
        at_least(
            f"{family}-rank-grows-from-a-large-start",
            f"From {large:g}: with {most} {word} or more the rank is at least {rank + 2}.",
            SOURCE,
            measured=float(wide["lower"].min()),
            expected=rank + 2,
            control=(f"rank that suffices from {small:g}", float(enough["upper"].max())),
        ),
        at_least(
            f"{family}-is-not-completed-from-a-large-start",
            f"From {large:g}: with {most} {word} or more, which fit the data, the relative error is above 0.5.",
            SOURCE,
            # A run that does not fit says nothing.
            measured=float(wide["error"].min()) if (wide["stop_reason"] == "loss").all() else float("nan"),
            expected=0.5,
            control=(f"from {small:g}", float(enough["error"].max())),
        ),
    ]


def _where(runs: xr.Dataset, chosen: xr.DataArray) -> xr.Dataset:
    return runs.isel(run=np.flatnonzero(chosen))


def _spread(values: xr.DataArray) -> float:
    return float(values.max(skipna=False) - values.min(skipna=False))


EXPERIMENT = Experiment(
    name="overparameterisation",
    title="The rank is small however many components or hidden units there are",
    question=(
        "Is the rank small because the factorization is narrow? A tensor and a matrix of low rank are completed, from "
        "some more than half of their entries, with factorizations of every size: one component or hidden unit too "
        "few, just enough, as many as any target of the shape needs, and twice as many. If small starts find the rank "
        "of the target at every size, it is the training that keeps it small. From large starts, which fit the data "
        "as well, rank and error grow with the size."
    ),
    settings=Overparameterisation,
    compute=compute,
    claims=claims,
    published={"*": ("tensor", "matrix", "loss", "steps")},
)
