"""Convolutional arithmetic circuits are tensor factorizations: outputs, gradients, whole trainings, ranks."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jax import lax

from ... import measures
from ..._execution import compiled, double_precision
from ..._types import Array
from ...claims import Claim, at_least, at_most
from ...dynamics import GradientDescent, Record, Stop, train
from ...dynamics.lanes import not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import (
    AbstractFactorization,
    AbstractModel,
    CPFactorization,
    HierarchicalFactorization,
    MatrixFactorization,
)
from ...networks import DeepCircuit, ShallowCircuit, one_hot
from ...problems import AbstractProblem, MatrixCompletion, TensorCompletion

SHALLOW = "Cohen, Sharir and Shashua (2016), section 3"
DEEP = "Cohen, Sharir and Shashua (2016), section 4"
NETWORK, FACTORS, NUDGED, MATRIX, DEEPER = "network", "factorization", "nudged network", "depth 2", "depth 3"
# Singular values below this share of the largest are rounding.
RTOL = 1e-10
# A start one rounding (1e-16) away ends 1e-14 away: a nudge grows a hundredfold. Each of the thousands of steps rounds
# as well, so that some hundred times this is what honest arithmetic may leave.
TOLERANCE = 1e-12

Weights = tuple[Any, ...]
Build = Callable[[Weights], Any]
Model = tuple[str, TensorCompletion, AbstractFactorization, Build]
Path = tuple[np.ndarray, np.ndarray]
Labels = list[tuple[str, str]]
Task = Callable[[], list[Path]]


class CircuitEquivalence(Settings):
    """Settings: the circuits, the tensor and the matrix that are completed, and the step."""

    order: int
    extent: int
    rank: int
    share: float
    components: int
    # Of the pairs of positions, then of the root.
    widths: list[int]
    matrix_extent: int
    matrix_components: int
    real_inputs: int
    factor_std: float
    step_size: float
    steps: int
    every: int
    # Relative size of the change to the weights of the control.
    nudge: float


def compute(settings: CircuitEquivalence, progress: bool) -> xr.Dataset:
    """Compare drawn circuits with their tensors, then train circuits and factorizations from the same starts."""
    shape = (settings.extent,) * settings.order
    key = jax.random.key(settings.seed)
    tensor, matrix = _problem(settings, shape), _problem(settings, (settings.matrix_extent,) * 2)

    def models(factor_std: float) -> list[Model]:
        shallow = CPFactorization.init(shape, settings.components, key=key, factor_std=factor_std)
        deep = HierarchicalFactorization.init(shape, settings.widths, key=key, factor_std=factor_std)
        two = CPFactorization.init(matrix.shape, settings.matrix_components, key=key, factor_std=factor_std)
        return [
            ("shallow", tensor, shallow, ShallowCircuit),
            ("deep", tensor, deep, _deep),
            ("order 2", matrix, two, ShallowCircuit),
        ]

    drawn = models(factor_std=1.0)[:2]
    trainings = _trainings(settings, models(factor_std=settings.factor_std), progress)
    tasks = [partial(_compared, settings, problem, model, build) for _, problem, model, build in drawn]
    done = run_all([*(task for _, task in trainings), *tasks])
    labels = [label for names, _ in trainings for label in names]
    paths = [path for found in done[: len(trainings)] for path in found]
    outputs, gradients, spectra = zip(*done[len(trainings) :], strict=True)
    dataset = xr.Dataset(
        {
            "output_error": (("circuit", "inputs", "positions"), np.array(outputs)),
            "gradient_error": (("circuit", "weights"), np.array(gradients)),
            "singular_values": (("circuit", "cut", "number"), np.array(spectra)),
        },
        coords={
            "circuit": [name for name, *_ in drawn],
            "inputs": ["one-hot", "real"],
            "positions": ["in order", "exchanged"],
            "weights": ["of every position", "shared"],
            "cut": [_named(cut) for cut in _cuts(settings.order)],
            "step": np.arange(0, settings.steps + 1, settings.every),
        },
    )
    dataset = dataset.merge(_along(labels, paths))
    dataset.attrs = {"order": settings.order, "extent": settings.extent, "widths": settings.widths}
    dataset.attrs |= {"nudge": settings.nudge, "problem": "TensorCompletion", "loss": "mse", "dtype": "float64"}
    return dataset


def _problem(settings: CircuitEquivalence, shape: tuple[int, ...]) -> TensorCompletion:
    """Draw a tensor of low rank whose entries have mean square one, some of them observed."""
    rng = np.random.default_rng(settings.seed)
    truth = np.asarray(CPFactorization([rng.normal(size=(n, settings.rank)) for n in shape]).full())
    truth = truth / np.sqrt(np.mean(truth**2))
    seen = rng.random(shape) < settings.share
    return TensorCompletion.from_dense(np.where(seen, truth, np.nan), loss="mse", truth=truth)


def _deep(weights: Weights) -> DeepCircuit:
    *below, root = weights
    return DeepCircuit(below, root[:, 0])


def _places(shape: Sequence[int]) -> Any:
    """One-hot inputs of every entry, in C order."""
    return one_hot(np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1), shape[0])


def _compared(
    settings: CircuitEquivalence, problem: TensorCompletion, model: AbstractFactorization, build: Build
) -> tuple[Any, ...]:
    """Errors of a circuit's outputs and of its gradients, and the singular values of the tensor that it computes."""
    order, most = len(model.shape), math.prod(model.shape)
    tensor, places = np.asarray(model.full()), _places(model.shape)
    vectors = np.random.default_rng(settings.seed).normal(size=(settings.real_inputs, order, settings.extent))
    letters = "abcdefgh"[:order]
    terms = f"{letters},{','.join('z' + a for a in letters)}->z"
    contracted = np.einsum(terms, tensor, *np.moveaxis(vectors, 1, 0), optimize=True)
    inputs, expected = np.concatenate([places, vectors]), np.concatenate([tensor.ravel(), contracted])
    exchanged = [1, 0, *range(2, order)]
    with double_precision():
        weights = tuple(jnp.asarray(w) for w in model.factors)
        shown = compiled(lambda w, x: jax.vmap(build(w))(x))
        outputs = [np.asarray(shown(weights, jnp.asarray(inputs[:, p]))) for p in (list(range(order)), exchanged)]
        gradients = _gradient_errors(problem, model.like(weights), build)
    kinds = (slice(most), slice(most, None))
    errors = [[float(abs(out - expected)[k].max() / abs(expected[k]).max()) for out in outputs] for k in kinds]
    return errors, gradients, _spectra(outputs[0][:most].reshape(model.shape))


def _squared_loss(build: Build, inputs: Array, values: Array, weights: Weights) -> Any:
    """Mean squared error of the circuit's outputs, which knows of no tensor."""
    return jnp.mean((jax.vmap(build(weights))(inputs) - values) ** 2)


def _observed(problem: TensorCompletion) -> tuple[Any, Any]:
    return jnp.asarray(one_hot(problem.indices, problem.shape[0])), jnp.asarray(problem.values)


def _gradient_errors(problem: TensorCompletion, model: AbstractFactorization, build: Build) -> list[float]:
    """Largest differences of the gradients over the largest entry, with own weights and with the first one's shared."""
    order = len(problem.shape)
    loss = partial(_squared_loss, build, *_observed(problem))

    def gradients(weights: Weights) -> tuple[Any, ...]:
        of_factors = model.like(weights).loss_and_gradient(problem)[1].factors
        shared = jax.grad(lambda w: loss((w[0],) * order + w[order:]))
        return of_factors, jax.grad(loss)(weights), shared(weights)

    expected, *found = compiled(gradients)(model.factors)
    largest = max(float(abs(g).max()) for g in expected)
    return [max(float(abs(a - b).max()) for a, b in zip(g, expected, strict=True)) / largest for g in found]


def _cuts(order: int) -> list[tuple[int, ...]]:
    """Each position by itself, then the halves that the tree joins, then a half across it."""
    return [*((n,) for n in range(order)), tuple(range(order // 2)), tuple(range(0, order, 2))]


def _named(cut: tuple[int, ...]) -> str:
    return ",".join(str(n + 1) for n in cut)


def _spectra(tensor: np.ndarray) -> np.ndarray:
    """Singular values at every cut."""
    spectra = [np.linalg.svd(measures.matricization(tensor, cut), compute_uv=False) for cut in _cuts(tensor.ndim)]
    most = max(map(len, spectra))
    return np.array([np.pad(values, (0, most - len(values)), constant_values=np.nan) for values in spectra])


def _trainings(settings: CircuitEquivalence, models: list[Model], progress: bool) -> list[tuple[Labels, Task]]:
    """List what is trained, as tasks that return a path for each of their labels."""
    rng = np.random.default_rng(settings.seed)
    found: list[tuple[Labels, Task]] = []
    for name, problem, start, build in models:
        nudged = tuple(w * (1 + settings.nudge * rng.normal(size=w.shape)) for w in start.factors)
        task = partial(_descended, settings, problem, build, [start.factors, nudged])
        found.append(([(name, NETWORK), (name, NUDGED)], task))
        found.append(([(name, FACTORS)], partial(_trained, settings, problem, start, progress)))
    # The last is the one of order two.
    left, right = start.factors
    completion = MatrixCompletion.from_coo(problem.indices, problem.values, problem.shape, loss="mse")
    for path, between in ((MATRIX, []), (DEEPER, [np.eye(settings.matrix_components)])):
        matrices = MatrixFactorization([right.T, *between, left])
        found.append(([(name, path)], partial(_trained, settings, completion, matrices, progress)))
    return found


def _along(labels: Labels, paths: list[Path]) -> xr.Dataset:
    """Losses, and how far each tensor is from that of the factorization."""
    known = dict(zip(labels, paths, strict=True))
    references = [known[name, FACTORS][1] for name, _ in labels]
    distances = [
        np.linalg.norm(tensors - reference, axis=1) / np.linalg.norm(reference, axis=1)
        for (_, tensors), reference in zip(paths, references, strict=True)
    ]
    return xr.Dataset(
        {"loss": (("lane", "step"), np.array([loss for loss, _ in paths])),
         "distance": (("lane", "step"), np.array(distances))},
        coords={"model": ("lane", [name for name, _ in labels]), "path": ("lane", [path for _, path in labels])},
    )  # fmt: skip


def _descended(
    settings: CircuitEquivalence, problem: TensorCompletion, build: Build, starts: list[Weights]
) -> list[Path]:
    """Train a circuit by plain descent of its own, and record losses and the outputs on all one-hot inputs."""
    with double_precision():
        loss = partial(_squared_loss, build, *_observed(problem))
        places = jnp.asarray(_places(problem.shape))

        def step(weights: Weights, _: None) -> tuple[Weights, None]:
            slope = jax.grad(loss)(weights)
            return jax.tree.map(lambda w, g: w - settings.step_size * g, weights, slope), None

        def stretch(weights: Weights, _: None) -> tuple[Weights, Any]:
            seen = loss(weights), jax.vmap(build(weights))(places)
            return lax.scan(step, weights, length=settings.every)[0], seen

        run = compiled(lambda weights: lax.scan(stretch, weights, length=settings.steps // settings.every + 1)[1])
        paths = [run(tuple(jnp.asarray(w) for w in start)) for start in starts]
        return [(np.asarray(losses), np.asarray(tensors)) for losses, tensors in paths]


def _trained(
    settings: CircuitEquivalence, problem: AbstractProblem, start: AbstractModel, progress: bool
) -> list[Path]:
    """Train a factorization by the package: losses, and the end-to-end tensors, flat."""
    run = train(
        problem,
        start,
        GradientDescent(settings.step_size),
        stop=Stop(steps=settings.steps),
        record=Record(every=settings.every, measures=["end_to_end"]),
        progress=progress,
    )
    not_interrupted(run)
    path = run.trajectory.isel(lane=0)
    return [(path["loss"].values, path["end_to_end"].values.reshape(path.sizes["record"], -1))]


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Check outputs, gradients, trajectories, order two and ranks."""
    found: list[Claim] = []
    for circuit, factors, source in (("shallow", "CP", SHALLOW), ("deep", "hierarchical", DEEP)):
        outputs = dataset["output_error"].sel(circuit=circuit).max("inputs", skipna=False)
        gradients = dataset["gradient_error"].sel(circuit=circuit)
        found += [
            at_most(
                f"{circuit}-outputs",
                f"The {circuit} circuit gives the entries of the {factors} factorization of its weights on one-hot "
                "inputs, and the tensor's contraction on real ones (largest difference, over the largest value).",
                source=source,
                measured=float(outputs.sel(positions="in order")),
                expected=0.0,
                tolerance=1e-12,
                absolute=True,
                control=("two positions exchanged", float(outputs.sel(positions="exchanged"))),
            ),
            at_most(
                f"{circuit}-gradients",
                f"The gradient of the squared loss through the {circuit} circuit is the factorization's on tensor "
                "completion (largest difference, over the largest entry).",
                source=source,
                measured=float(gradients.sel(weights="of every position")),
                expected=0.0,
                tolerance=1e-12,
                absolute=True,
                control=("weights shared by all positions", float(gradients.sel(weights="shared"))),
            ),
        ]
    found += [_same_path(dataset, model, NETWORK, NUDGED) for model in ("shallow", "deep", "order 2")]
    return [*found, _same_path(dataset, "order 2", MATRIX, DEEPER), *_ranks(dataset)]


def _same_path(dataset: xr.Dataset, model: str, path: str, control: str) -> Claim:
    loss = _lane(dataset, model, path)["loss"]
    fall = f"while the loss falls to {float(loss[-1] / loss[0]):.1g} of its start"
    if path == MATRIX:
        source = "Razin and Cohen (2020), section 6"
        name, what, against = "order-2-is-depth-2", "The matrix factorization W2 W1 and the CP factorization", "depth 3"
    else:
        source = DEEP if model == "deep" else SHALLOW
        name, what = f"{model.replace(' ', '-')}-trajectory", f"The circuit ({model}) and its factorization"
        against = f"weights that start {dataset.attrs['nudge']:g} away"
    return at_most(
        name,
        f"{what}, trained apart from one start, stay together {fall} (largest difference of the root of the loss, over "
        "the first one, and of the end tensor, over its norm).",
        source=source,
        measured=_apart(dataset, model, path),
        expected=0.0,
        tolerance=TOLERANCE,
        absolute=True,
        control=(against, _apart(dataset, model, control)),
    )


def _ranks(dataset: xr.Dataset) -> list[Claim]:
    order, extent = int(dataset.attrs["order"]), int(dataset.attrs["extent"])
    *pairs, root = np.atleast_1d(dataset.attrs["widths"]).astype(int).tolist()
    *single, along, across = (_named(cut) for cut in _cuts(order))
    widest = min(extent, max(pairs))
    separated = widest ** (order // 2)
    across_rank = _rank(dataset, "deep", across)
    return [
        at_most(
            "rank-along-the-tree",
            f"At the cut of the positions {along} from the rest, which the tree makes, the deep circuit's tensor has "
            f"at most the rank {root}, its width there.",
            source=DEEP,
            measured=_rank(dataset, "deep", along),
            expected=root,
            control=(f"the cut {across}, across the tree", across_rank),
        ),
        at_most(
            "rank-of-one-position",
            f"At the cut of any one position from the rest the rank is at most {widest}, the width there.",
            source=DEEP,
            measured=float(np.max([_rank(dataset, "deep", cut) for cut in single])),
            expected=widest,
            control=("the shallow circuit, which is wider", max(_rank(dataset, "shallow", cut) for cut in single)),
        ),
        at_least(
            "depth-separation",
            f"At the cut {across}, across the tree, the rank is {separated} or more: a shallow circuit needs that many "
            f"components at least for what the deep one does with widths of {widest} and {root}.",
            source=DEEP,
            measured=across_rank,
            expected=separated,
            control=(f"the cut {along}, along the tree", _rank(dataset, "deep", along)),
        ),
    ]


def _lane(dataset: xr.Dataset, model: str, path: str) -> xr.Dataset:
    chosen = (dataset["model"].values == model) & (dataset["path"].values == path)
    return dataset.isel(lane=int(np.flatnonzero(chosen)[0]))


def _apart(dataset: xr.Dataset, model: str, path: str) -> float:
    """Largest difference from the factorization: of the root of the loss, over the first, and of the end tensor."""
    lane = _lane(dataset, model, path)
    # The root: where the loss is small, rounding of the residuals shows in it as in the tensor, and not magnified.
    root, reference = np.sqrt(lane["loss"].values), np.sqrt(_lane(dataset, model, FACTORS)["loss"].values)
    return float(np.maximum(abs(root - reference) / reference[0], lane["distance"].values).max())


def _rank(dataset: xr.Dataset, circuit: str, cut: str) -> float:
    values = dataset["singular_values"].sel(circuit=circuit, cut=cut).values
    return float((values > RTOL * values[0]).sum()) if np.isfinite(values[0]) else float("nan")


EXPERIMENT = Experiment(
    name="circuit-equivalence",
    title="Convolutional arithmetic circuits are tensor factorizations",
    question=(
        "A convolutional arithmetic circuit multiplies what linear maps make of its positions: all at once (shallow), "
        "or along a tree (deep). What it computes is its input contracted with a tensor, which is a CP "
        "factorization of the weights, or a hierarchical one. So training the network on one-hot inputs should be "
        "tensor completion, step by step: outputs, gradients, the whole path of descent. With two positions it is "
        "the matrix factorization of depth 2 again. And the tree says which ranks a deep circuit can have."
    ),
    settings=CircuitEquivalence,
    compute=compute,
    claims=claims,
)
