"""The hypothesis of the talk on networks: training keeps the rank of the input-output mapping low."""

from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ... import measures
from ..._types import Array
from ...claims import Claim, at_least, at_most
from ...dynamics import ExponentialDescent, Record, Stop, train
from ...dynamics.lanes import join, lanes_of, last, not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import CPFactorization, HierarchicalFactorization
from ...networks import DeepCircuit, GridNetwork, ShallowCircuit
from ...problems import TensorCompletion

SOURCE = "Razin and Cohen (2020), section 7"
POSITIONS = 4
STARTS = ("small", "large")


class MappingRank(Settings):
    """Settings: three networks, each from a small and a large start, on one function of four inputs."""

    templates: int
    # Of the grid's inputs, those with a label.
    share: float
    width: int
    hidden_layers: int
    circuit_components: int
    circuit_widths: int
    # Deviation of the circuits' weights; factor on the usual start of the tanh network.
    small: dict[str, float]
    large: dict[str, float]
    seeds: int
    loss: float
    steps: int
    rtol: float


class TanhNetwork(eqx.Module):
    """Fully connected network on all positions together, from ``scale`` times the usual uniform start."""

    weights: list[Array]
    biases: list[Array]

    def __init__(self, width: int, depth: int, scale: float, seed: int) -> None:
        # Drawn by NumPy: the usual classes compile every draw by itself.
        rng, sizes = np.random.default_rng(seed), [POSITIONS, *[width] * depth, 1]
        ends = [scale / np.sqrt(n) for n in sizes[:-1]]
        shapes = zip(sizes[1:], sizes[:-1], strict=True)
        self.weights = [rng.uniform(-end, end, shape) for end, shape in zip(ends, shapes, strict=True)]
        self.biases = [rng.uniform(-end, end, n) for end, n in zip(ends, sizes[1:], strict=True)]

    def __call__(self, inputs: Array) -> Array:
        """Output on an input (positions, 1)."""
        hidden, (*layers, (row, shift)) = inputs.reshape(-1), zip(self.weights, self.biases, strict=True)
        for w, b in layers:
            hidden = jnp.tanh(w @ hidden + b)
        return (row @ hidden + shift)[0]


def compute(settings: MappingRank, progress: bool) -> xr.Dataset:
    """Train every network from every start, the ranks of its mapping recorded."""
    truth, problem = _problem(settings)
    record = Record(every=5, measures=["end_to_end"])
    stop = Stop(loss=settings.loss, steps=settings.steps)

    def follow(network: str, size: str, seed: int) -> xr.Dataset:
        start = _start(settings, network, getattr(settings, size)[network], settings.seed + seed)
        run = train(problem, start, ExponentialDescent(), stop=stop, record=record, progress=progress)
        reason = not_interrupted(run)
        tensors = run.trajectory["end_to_end"].values[0]
        bracket = measures.cp_rank_bracket(tensors[-1], settings.rtol, key=jax.random.key(0), max_rank=4)
        path = run.trajectory[["loss", "step", "time", "reconstruction_error"]]
        # Afterwards, by NumPy: seven decompositions in the compiled loop would cost more to compile than all steps.
        ranks = [measures.matricization_effective_ranks(t) for t in tensors]
        path = path.assign(effective_rank=(("lane", "record", "cut"), np.array([ranks])))
        labels = {"network": network, "start": size, "seed": seed, "stop_reason": str(reason[0])}
        path = path.assign(cp_lower=("lane", [float(bracket.lower)]), cp_upper=("lane", [float(bracket.upper)]))
        return path.assign_coords({name: ("lane", [value]) for name, value in labels.items()})

    # Lanes of one network share what is compiled, so they go one after another, the networks side by side.
    def all_of(network: str) -> list[xr.Dataset]:
        return [follow(network, size, seed) for size in STARTS for seed in range(settings.seeds)]

    parts = [part for of_one in run_all([partial(all_of, name) for name in settings.small]) for part in of_one]
    dataset = join(parts)
    dataset["target"] = ("cut", measures.matricization_effective_ranks(truth))
    filled = np.where(np.isnan(_labels(problem)), 0.0, _labels(problem))
    dataset["zeros_elsewhere"] = ("cut", measures.matricization_effective_ranks(filled))
    dataset = dataset.assign_coords(cut=["".join(str(n + 1) for n in c) for c in measures.bipartitions(POSITIONS)])
    dataset.attrs |= {"templates": settings.templates, "rtol": settings.rtol}
    return dataset


def _problem(settings: MappingRank) -> tuple[np.ndarray, TensorCompletion]:
    """``x1 x2 + x3 x4`` on equidistant points, of root mean square one; some of its values are seen."""
    x = np.linspace(-1, 1, settings.templates)
    pair = np.outer(x, x)
    truth = pair[:, :, None, None] + pair[None, None]
    truth = truth / np.sqrt(np.mean(truth**2))
    seen = np.random.default_rng(settings.seed).random(truth.shape) < settings.share
    return truth, TensorCompletion.from_dense(np.where(seen, truth, np.nan), loss="mse", truth=truth)


def _labels(problem: TensorCompletion) -> np.ndarray:
    whole = np.full(problem.shape, np.nan)
    whole[tuple(np.asarray(problem.indices).T)] = problem.values
    return whole


def _start(settings: MappingRank, network: str, size: float, seed: int) -> GridNetwork:
    """Circuits are shown one-hot points, as in tensor completion; the tanh network the numbers themselves."""
    shape = (settings.templates,) * POSITIONS
    if network == "tanh network":
        points = np.linspace(-1, 1, settings.templates)[:, None]
        return GridNetwork(TanhNetwork(settings.width, settings.hidden_layers, size, seed), points, POSITIONS)
    key = jax.random.key(seed)
    makes: dict[str, Callable[[], Any]] = {
        "shallow circuit": lambda: ShallowCircuit.from_factorization(
            CPFactorization.init(shape, settings.circuit_components, factor_std=size, key=key)
        ),
        "deep circuit": lambda: DeepCircuit.from_factorization(
            HierarchicalFactorization.init(shape, settings.circuit_widths, factor_std=size, key=key)
        ),
    }
    return GridNetwork(makes[network](), np.eye(settings.templates), POSITIONS)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Rank, error and CP rank at the end, for every network; and of the labels learned by heart."""
    found: list[Claim] = []
    for network in dict.fromkeys(dataset["network"].values.tolist()):
        found += _of_network(dataset, str(network))
    target = dataset["target"].values
    heart = float((dataset["zeros_elsewhere"].values / target).min())
    reached = max(_excess(dataset, str(n), "small").max() for n in np.unique(dataset["network"].values)) + 1
    return [
        *found,
        at_least(
            "by-heart",
            "The labels with zeros elsewhere, which fit too, have twice the target's effective rank along every cut.",
            SOURCE,
            measured=heart,
            expected=2.0,
            control=("the mappings from small starts, at most", reached),
        ),
    ]


def _of_network(dataset: xr.Dataset, network: str) -> list[Claim]:
    name = network.replace(" ", "-")
    errors = {size: _last(dataset, network, size, "reconstruction_error") for size in STARTS}
    brackets = {size: _rows(dataset, network, size) for size in STARTS}
    off = {
        size: np.maximum(abs(rows["cp_lower"].values - 2), abs(rows["cp_upper"].values - 2))
        for size, rows in brackets.items()
    }
    return [
        at_most(
            f"{name}-keeps-the-rank",
            f"The {network} from a small start ends at the target's effective ranks (largest excess of a cut).",
            SOURCE,
            measured=float(_excess(dataset, network, "small").max()),
            expected=0.0,
            tolerance=0.1,
            absolute=True,
            control=("from a large start, median over seeds", float(np.median(_excess(dataset, network, "large")))),
        ),
        at_most(
            f"{name}-completes",
            f"The {network} from a small start is right where it saw no label (largest relative error of a seed).",
            SOURCE,
            measured=float(errors["small"].max()),
            expected=0.0,
            tolerance=0.02,
            absolute=True,
            control=("from a large start, median over seeds", float(np.median(errors["large"]))),
        ),
        at_most(
            f"{name}-cp-rank",
            f"The mapping of the {network} from a small start has CP rank 2 within {dataset.attrs['rtol']:.0%} "
            "(distance of its bracket from [2, 2], largest over seeds).",
            SOURCE,
            measured=float(off["small"].max()),
            expected=0.0,
            control=("from a large start, median over seeds", float(np.median(off["large"]))),
        ),
    ]


def _rows(dataset: xr.Dataset, network: str, size: str) -> xr.Dataset:
    return lanes_of(dataset, network=network, start=size)


def _last(dataset: xr.Dataset, network: str, size: str, name: str) -> np.ndarray:
    return last(_rows(dataset, network, size), name)


def _excess(dataset: xr.Dataset, network: str, size: str) -> np.ndarray:
    """By how much the effective rank along the worst cut exceeds the target's, as a share; one number a seed."""
    ranks = _last(dataset, network, size, "effective_rank")
    return np.asarray((ranks / dataset["target"].values - 1).max(axis=1))


EXPERIMENT = Experiment(
    name="mapping-rank",
    title="Rank of the input-output mapping of networks in training",
    question=(
        "Tensor factorizations are networks of a kind. The hypothesis is that what holds for them holds for networks: "
        "training prefers input-output mappings of low rank. A function of four inputs is a tensor, its values at all "
        "combinations of some points; here two circuits and a fully connected tanh network see part of the values of "
        "x1 x2 + x3 x4, and the ranks of all values are measured while they train."
    ),
    settings=MappingRank,
    compute=compute,
    claims=claims,
    published=dict.fromkeys(
        ("*-keeps-the-rank", "*-completes", "*-cp-rank", "by-heart"),
        (
            "templates",
            "share",
            "width",
            "hidden_layers",
            "circuit_components",
            "circuit_widths",
            "small",
            "large",
            "loss",
            "steps",
            "rtol",
        ),
    ),
    statement="hypothesis",
)
