"""Singular values along training by depth, and the gradient in the singular vectors: completion, or MovieLens 100K."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pydantic
import scipy.linalg
import xarray as xr

from ... import measures
from ..._types import Array
from ...claims import Claim, at_most
from ...datasets import low_rank_completion
from ...datasets.movielens import WANTED, ratings
from ...dynamics import AdaptiveDescent, GradientFlow, Record, Run, Stop, train
from ...dynamics.lanes import join, lanes_of, last, not_interrupted, run_all
from ...dynamics.linear_path import LinearPath
from ...experiments import Experiment, FileOption, Settings, UserFile
from ...factorizations import MatrixFactorization
from ...measures._namespace import namespace
from ...problems import MatrixCompletion

SOURCE = "Arora, Cohen, Hu and Luo (2019), figure 3"
PLACES = ("diagonal", "off the diagonal")


class Ratings(UserFile):
    """The user's copy of MovieLens 100K."""

    problem: Any = pydantic.Field(exclude=True, repr=False)


class SpectrumDynamics(Settings):
    """Settings: random completions of one rank, from a small and a large start; and how ratings are trained on."""

    extent: int
    rank: int
    observed: int
    targets: int
    depths: list[int]
    scale: float
    # A start too large for the effect.
    large_scale: float
    loss: float
    shown: int
    ratings_depths: list[int]
    # Multiple of the identity at the start, as published.
    ratings_alpha: float
    ratings_loss: float
    ratings_steps: int
    # Steps between records, each of which is a singular value decomposition.
    ratings_every: int
    # Instead of random matrices.
    movielens: Ratings | None = None


def read_ratings(settings: SpectrumDynamics, file: str | Path, content: bytes) -> Ratings:
    """Read the ratings of a file, of two items and two users at least."""
    del settings  # any ratings fit
    # Single precision halves the time, and its rounding is far below what is claimed.
    problem = ratings("movielens", file, content, loss="mse", dtype="float32")
    if min(problem.shape) < 2:
        items, users = problem.shape
        raise ValueError(
            f"movielens is {str(file)!r}, but it has {items} items and {users} users; a second singular value "
            "needs two of each or more."
        )
    return Ratings.of(file, content, problem=problem)


def compute(settings: SpectrumDynamics, progress: bool) -> xr.Dataset:
    """Follow every depth, on random matrices or on the user's ratings."""
    if settings.movielens is not None:
        # One after the other: each uses all cores for its products.
        lanes = [_on_ratings(settings, depth, progress) for depth in settings.ratings_depths]
        dataset = join(lanes)
        dataset.attrs["task"] = "ratings"
    else:
        # The deepest first, which takes the longest.
        tasks = [partial(_on_random, settings, depth, progress) for depth in sorted(settings.depths, reverse=True)]
        parts = dict(zip(sorted(settings.depths, reverse=True), run_all(tasks), strict=True))
        dataset = join([lane for depth in settings.depths for lane in parts[depth][0]])
        deep = [depth for depth in settings.depths if depth > 1]
        laws = np.array([parts[depth][1] for depth in deep])
        dataset["law_error"] = (("law_depth", "state", "exponent"), laws)
        dataset = dataset.assign_coords(law_depth=deep, state=["half the loss", "end"], exponent=["own", "one more"])
        dataset.attrs |= {"task": "random", "rank": settings.rank}
    return dataset.assign_coords(place=list(PLACES))


def _on_random(settings: SpectrumDynamics, depth: int, progress: bool) -> tuple[list[xr.Dataset], Any]:
    """Return the paths of a depth on all targets, and the errors of the law on the first."""
    # Claims are of two digits, and that about the law fails where balance is lost, so the flow need not watch it.
    rule = GradientFlow(rtol=1e-7, certify=False)

    def follow(problem: MatrixCompletion, start: MatrixFactorization, loss: float) -> Any:
        record = Record(every=1, measures=["end_to_end"])
        run = train(problem, start, rule, stop=Stop(loss=loss), record=record, progress=progress)
        not_interrupted(run)
        return run

    starts = [("small", settings.scale, number) for number in range(settings.targets)]
    starts.append(("large", settings.large_scale, 0))
    lanes: list[xr.Dataset] = []
    laws: list[list[float]] = []
    for name, scale, number in starts:
        problem, start = _random(settings, number, depth, scale)
        if depth == 1:
            lane = _unfactorized(problem, start.full(), settings.loss, 200, settings.shown)
        else:
            run = follow(problem, start, settings.loss)
            lane = _of_run(problem, run, settings.shown, depth)
            if not laws:
                half = follow(problem, start, float(run.trajectory["loss"][0, 0]) / 2)
                laws = [_law(problem, one.final) for one in (half, run)]
        labels = {"depth": depth, "start": name, "target": number}
        lanes.append(lane.assign_coords({key: ("lane", [value]) for key, value in labels.items()}))
    return lanes, laws


def _random(
    settings: SpectrumDynamics, number: int, depth: int, scale: float
) -> tuple[MatrixCompletion, MatrixFactorization]:
    shape = (settings.extent,) * 2
    draw, begin = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), number))
    problem = low_rank_completion(shape, settings.rank, settings.observed, key=draw, loss="mse")
    return problem, MatrixFactorization.init(shape, depth, kind="balanced", scale=scale, key=begin)


def _on_ratings(settings: SpectrumDynamics, depth: int, progress: bool) -> xr.Dataset:
    assert settings.movielens is not None
    problem = settings.movielens.problem
    start = MatrixFactorization.init(
        problem.shape, depth, kind="identity", alpha=settings.ratings_alpha, dtype=problem.dtype
    )
    if depth == 1:
        lane = _unfactorized(problem, start.full(), settings.ratings_loss, 16, settings.shown)
    else:

        def gradient_sizes(matrix: Array) -> Array:
            return _gradient_sizes(problem, matrix)

        # The first singular value comes up in a few steps, which have records by their loss.
        losses = np.linspace(float(problem.loss_of(start)), settings.ratings_loss, 16)[1:-1]
        run = train(
            problem,
            start,
            AdaptiveDescent(decrease=0.6),
            stop=Stop(loss=settings.ratings_loss, steps=settings.ratings_steps),
            record=Record(every=settings.ratings_every, at_losses=losses, measures=[gradient_sizes]),
            progress=progress,
        )
        not_interrupted(run)
        lane = _of_run(problem, run, settings.shown, depth)
    labels = {"depth": depth, "start": "small", "target": 0}
    return lane.assign_coords({key: ("lane", [value]) for key, value in labels.items()})


def _unfactorized(problem: MatrixCompletion, start: np.ndarray, loss: float, records: int, shown: int) -> xr.Dataset:
    """Gradient flow at depth 1 in closed form: every observed entry decays to its value, the others stay."""
    first = float(problem.loss(start))
    rate = problem.require_least_squares("depth 1 in closed form").rate
    times = np.linspace(0.0, np.log(first / loss) / (2 * rate), records)
    where = np.ravel_multi_index(tuple(np.asarray(problem.indices).T), problem.shape)
    closed = LinearPath.of_entries(where, -np.asarray(problem.residuals(start)), np.asarray(start))

    def path() -> Iterator[np.ndarray]:
        for time in times:
            yield closed.flow(rate * time)

    spectra = np.array([np.linalg.svd(matrix, compute_uv=False) for matrix in path()], dtype=np.float64)
    values = {
        "step": np.arange(records),
        "time": times,
        "loss": first * np.exp(-2 * rate * times),
        "effective_rank": measures.spectrum.effective_rank(spectra),
    }
    if problem.truth is not None:
        values["test_error"] = np.array([measures.mean_square_error(matrix, problem.truth) for matrix in path()])
    lane = xr.Dataset(
        {name: (("lane", "record"), value[None]) for name, value in values.items()}, attrs=problem.describe()
    )
    return _with_spectra(lane, spectra[None], np.full((1, records, 4), np.nan), shown)


def _of_run(problem: MatrixCompletion, run: Run, shown: int, depth: int) -> xr.Dataset:
    """Return what is stored of a run; the gradient in the singular vectors for depth 2 alone."""
    path = run.trajectory
    if "gradient_sizes" in path:
        sizes = path["gradient_sizes"].values
    elif depth == 2:
        sizes = np.stack([_gradient_sizes(problem, matrix) for matrix in path["end_to_end"].values[0]])[None]
    else:
        sizes = np.full((1, path.sizes["record"], 4), np.nan)
    names = ["step", "time", "loss", "effective_rank", "test_error"]
    return _with_spectra(path[[n for n in names if n in path]], path["singular_values"].values, sizes, shown)


def _with_spectra(lane: xr.Dataset, spectra: np.ndarray, sizes: np.ndarray, shown: int) -> xr.Dataset:
    over = ("lane", "record")
    return lane.assign(
        singular_values=((*over, "number"), spectra[..., :shown]),
        gradient_mean=((*over, "place"), sizes[..., :2]),
        gradient_largest=((*over, "place"), sizes[..., 2:]),
    )


def _gradient_sizes(problem: MatrixCompletion, matrix: Array) -> Array:
    """Entries of ``|U^T grad V|`` on the diagonal and off it: both means, then the largest of each."""
    xp = namespace(matrix)
    u, _, vt = xp.linalg.svd(matrix, full_matrices=False) if xp is not np else _svd(matrix)
    turned = abs(u.T @ problem.gradient(matrix) @ vt.T)
    on = xp.diagonal(turned)
    off = turned - xp.diag(on)
    return xp.stack([on.mean(), off.sum() / (off.size - on.size), on.max(), off.max()])


def _svd(matrix: np.ndarray) -> Any:
    # The usual driver hands even 50 x 50 to several threads, and takes a hundred times as long where these have to wait
    # for a core.
    return scipy.linalg.svd(matrix, full_matrices=False, lapack_driver="gesvd")


def _law(problem: MatrixCompletion, model: MatrixFactorization) -> list[float]:
    """Relative errors of ``-L sigma^(2 - 2/L) <grad, u v^T>`` as the speed of singular values, and of a wrong exponent.

    The speed is that of the product when all factors move down their gradients, which knows nothing of balance.
    """
    depth, product = model.depth, np.asarray(model.full())
    gradient = problem.gradient(product)
    below, above = [np.eye(product.shape[1])], [np.eye(product.shape[0])]
    for lower, upper in zip(model.factors[:-1], model.factors[:0:-1], strict=True):
        below.append(lower @ below[-1])
        above.append(above[-1] @ upper)
    velocity = -sum(a @ a.T @ gradient @ b.T @ b for a, b in zip(reversed(above), below, strict=True))
    u, s, vt = _svd(product)
    speed, along = (np.einsum("ir,ij,rj->r", u, m, vt) for m in (velocity, gradient))
    laws = [-depth * s ** (2 - 2 / exponent) * along for exponent in (depth, depth + 1)]
    return [float(abs(law - speed).max() / abs(speed).max()) for law in laws]


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Order of learning and effective rank by depth, the gradient in the singular vectors; the law."""
    # Limits were set after a look at both forms, and hold for six more seeds of the reduced one. Medians, since order
    # is blurred where two singular values of a target are nearly equal, and one target of these had a fourth learned.
    small = lanes_of(dataset, start="small")
    flat, deep = lanes_of(small, depth=1), small.isel(lane=np.flatnonzero(small["depth"] > 1))
    if dataset.attrs["task"] == "ratings":
        pairs, most = 1, 2.0
        shared = [_one_after_another(lanes_of(small, depth=2), flat, pairs, 0.05)]
    else:
        pairs, most = int(dataset.attrs["rank"]) - 1, dataset.attrs["rank"] + 1.0
        shared = [_one_after_another(deep.isel(lane=np.flatnonzero(deep["depth"] > 2)), flat, pairs, 0.1)]
    claim = partial(at_most, source=SOURCE)
    two = lanes_of(small, depth=2)
    shared += [
        claim(
            "few-at-half-the-loss",
            f"At depth 2 and more, when half the loss is gone, the effective rank is at most {most:g} (largest).",
            measured=_at_share(deep, "effective_rank", 0.5).max(),
            expected=most,
            control=("smallest at depth 1", _at_share(flat, "effective_rank", 0.5).min()),
        ),
        claim(
            "gradient-is-diagonal",
            "At depth 2, while the loss falls from 90 % to 10 % of that at the start, the entries of |U^T grad V| off "
            "the diagonal are at most a fifth of those on it (largest ratio of the means).",
            measured=_off_the_diagonal(two),
            expected=0.2,
            control=("smallest at the start", _ratios(two)[:, 0].min()),
        ),
    ]
    return shared if dataset.attrs["task"] == "ratings" else [*shared, *_of_random(dataset, deep, flat)]


def _of_random(dataset: xr.Dataset, deep: xr.Dataset, flat: xr.Dataset) -> list[Claim]:
    rank = int(dataset.attrs["rank"])
    law = dataset["law_error"]
    return [
        at_most(
            "deeper-leaves-less-behind",
            f"With every layer more, singular value {rank + 1} ends at a smaller share of singular value {rank}: at "
            "most 0.7 of the share at the depth before (largest over depths, median over targets).",
            "measured; a small singular value grows like its own power 2 - 2/L",
            measured=_fall(dataset, "small", rank),
            expected=0.7,
            control=("from a large start", _fall(dataset, "large", rank)),
        ),
        at_most(
            "deep-is-completed",
            "At depth 2 and more the mean square error of all entries, whose mean square is 1, ends below 5 %.",
            SOURCE.replace("figure 3", "figure 2"),
            measured=last(deep, "test_error").max(),
            expected=0.05,
            control=("smallest at depth 1", last(flat, "test_error").min()),
        ),
        at_most(
            "law-of-the-singular-values",
            "At half the loss and at the end, singular values move by -L sigma^(2-2/L) <gradient, u v^T> (largest "
            "difference from the speed that the factors give them, relative to the largest speed).",
            SOURCE.replace("figure 3", "theorem 3"),
            measured=law.sel(exponent="own").max(),
            expected=0.0,
            tolerance=1e-9,
            absolute=True,
            control=("with the exponent of one more layer, smallest", law.sel(exponent="one more").min()),
        ),
    ]


def _one_after_another(lanes: xr.Dataset, flat: xr.Dataset, pairs: int, most: float) -> Claim:
    depths = np.unique(lanes["depth"].values).tolist()
    which = "the first singular value" if pairs == 1 else f"one of the first {pairs} singular values"
    return at_most(
        "one-after-another",
        f"At depth {' and '.join(map(str, depths))}, when {which} has half its final size, the next has at most "
        f"{most:.0%} of its own (largest, median over targets).",
        SOURCE,
        measured=_median(lanes, _next_shares(lanes, pairs).max(axis=1)),
        expected=most,
        control=("smallest at depth 1", _next_shares(flat, pairs).min()),
    )


def _next_shares(lanes: xr.Dataset, pairs: int) -> np.ndarray:
    """Return, by lane and pair, the share that the next singular value has of its end when one is at half of it."""
    sigma = lanes["singular_values"].values
    ends = last(lanes, "singular_values")
    half = np.argmax(sigma >= ends[:, None] / 2, axis=1)
    lane = np.arange(len(sigma))
    return np.stack([sigma[lane, half[:, k], k + 1] / ends[:, k + 1] for k in range(pairs)], axis=1)


def _at_share(lanes: xr.Dataset, name: str, share: float) -> np.ndarray:
    """Return a variable at the first record of each lane at which the loss is a share of the first, NaN if none is."""
    loss = lanes["loss"].values
    there = loss <= share * loss[:, :1]
    at = lanes[name].values[np.arange(len(loss)), np.argmax(there, axis=1)]
    return np.where(there.any(axis=1), at, np.nan)


def _ratios(lanes: xr.Dataset) -> np.ndarray:
    on, off = np.moveaxis(lanes["gradient_mean"].values, -1, 0)
    return np.asarray(off / on)


def _off_the_diagonal(lanes: xr.Dataset) -> float:
    loss = lanes["loss"].values / lanes["loss"].values[:, :1]
    chosen = _ratios(lanes)[(loss <= 0.9) & (loss >= 0.1)]
    return float(chosen.max()) if chosen.size else float("nan")


def _fall(dataset: xr.Dataset, start: str, rank: int) -> float:
    """Largest ratio of the shares left behind at two successive depths, median over targets."""
    lanes = lanes_of(dataset, start=start)
    ends = last(lanes, "singular_values")
    shares = ends[:, rank] / ends[:, rank - 1]
    # Lanes of a depth are those of all targets, in their order.
    by_depth = np.stack([shares[lanes["depth"].values == depth] for depth in np.unique(lanes["depth"].values)])
    return float(np.median((by_depth[1:] / by_depth[:-1]).max(axis=0)))


def _median(lanes: xr.Dataset, values: np.ndarray) -> float:
    """Return the median over targets of the largest value of each target's lanes."""
    target = lanes["target"].values
    return float(np.median([values[target == number].max() for number in np.unique(target)]))


EXPERIMENT = Experiment(
    name="spectrum-dynamics",
    title="Depth separates singular values, and turns the singular vectors to the gradient",
    question=(
        "Why does depth lower the rank? A matrix of low rank is completed by matrices that are not factorized, and by "
        "products of two, three and four. Without factors all singular values grow together; with more layers one "
        "after another, and what is not needed stays behind. The gradient of the loss, written in the singular vectors "
        "of the product (U^T grad V), becomes nearly diagonal: singular vectors settle in its directions. Random "
        "matrices are learned by gradient flow of the factors, the limit of small steps, from small balanced starts "
        "(depth 1 in closed form); the ratings of MovieLens 100K, where a user brings them, by gradient descent with a "
        "backtracking step, from a small multiple of the identity."
    ),
    settings=SpectrumDynamics,
    compute=compute,
    claims=claims,
    published=dict.fromkeys(
        (
            "one-after-another",
            "few-at-half-the-loss",
            "gradient-is-diagonal",
            "deeper-leaves-less-behind",
            "deep-is-completed",
        ),
        (
            "extent",
            "rank",
            "observed",
            "depths",
            "scale",
            "large_scale",
            "loss",
            "ratings_depths",
            "ratings_alpha",
            "ratings_loss",
            "ratings_steps",
        ),
    ),
    takes=(
        FileOption(
            name="movielens",
            wanted=WANTED,
            help="Your copy of u.data of MovieLens 100K, which is on GroupLens' page of that data set",
            example="u.data",
            read=read_ratings,
        ),
    ),
)
