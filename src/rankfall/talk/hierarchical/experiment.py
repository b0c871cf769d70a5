"""Three factorizations side by side: each learns its components one after another from a small start."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ..._execution import compiled, double_precision
from ...claims import Claim, at_most
from ...datasets import low_cp_rank_completion, low_hierarchical_rank_completion, low_rank_completion
from ...dynamics import AdaptiveDescent, ExponentialDescent, Record, Run, Stop, train
from ...dynamics.base import AbstractDynamics
from ...dynamics.lanes import join, not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import CPFactorization, HierarchicalFactorization, MatrixFactorization
from ...problems import AbstractProblem, TensorCompletion

SOURCE = "Razin, Maman and Cohen (2022)"
KINDS = ("matrix", "CP", "hierarchical")
STARTS = ("small", "large")
RULES = ("any start", "balanced", "of order two")


class Hierarchical(Settings):
    """Settings: targets of one rank in three senses, entries of mean square one, and a small and a large start."""

    rank: int
    # Part of the entries that is observed.
    share: float
    target_seed: int
    matrix_extent: int
    depth: int
    matrix_std: tuple[float, float]
    cp_extent: int
    components: int
    cp_std: tuple[float, float]
    hierarchical_extent: int
    width: int
    hierarchical_std: tuple[float, float]
    # Deviation of the balanced start at which the law of balanced starts is tried.
    balanced_std: float
    loss: float
    krylov: int
    agreement: float
    shown: int
    # Losses at which the law of the norms is put to the hierarchical factorization.
    law_at: list[float]


def compute(settings: Hierarchical, progress: bool) -> xr.Dataset:
    """Train the three factorizations from both starts, every step recorded; put the law to the hierarchical one."""
    tasks = [partial(task, settings, progress) for task in (_hierarchical, _cp, _matrix)]
    (hierarchical, laws), cp, matrix = run_all(tasks)
    dataset = join([*matrix, *cp, *hierarchical])
    dataset["law_error"] = (("state", "rule"), np.array(laws))
    names = [*(f"at a loss of {loss:g}" for loss in settings.law_at), "balanced start"]
    dataset = dataset.assign_coords(state=names, rule=list(RULES))
    dataset.attrs |= {"rank": settings.rank, "loss": "mse", "dtype": "float64"}
    return dataset


def _matrix(settings: Hierarchical, progress: bool) -> list[xr.Dataset]:
    problem = _problem(settings, low_rank_completion, (settings.matrix_extent,) * 2)
    start = partial(MatrixFactorization.init, problem.shape, settings.depth, key=jax.random.key(settings.seed))
    # A matrix is learned as cleanly by backtracking, which is quicker to compile; steps that have to gain this much do
    # not swing about the minimum.
    rule = AdaptiveDescent(decrease=0.6)
    return _both("matrix", settings, settings.matrix_std, _follow(problem, start, rule, progress))


def _cp(settings: Hierarchical, progress: bool) -> list[xr.Dataset]:
    problem = _problem(settings, low_cp_rank_completion, (settings.cp_extent,) * 3)
    start = partial(CPFactorization.init, problem.shape, settings.components, key=jax.random.key(settings.seed))
    return _both("CP", settings, settings.cp_std, _follow(problem, start, _rule(settings), progress))


def _hierarchical(settings: Hierarchical, progress: bool) -> tuple[list[xr.Dataset], list[list[float]]]:
    """Return the paths, and the errors of the laws along that from the small start and at a balanced one."""
    problem = _problem(settings, low_hierarchical_rank_completion, (settings.hierarchical_extent,) * 4)
    key = jax.random.key(settings.seed)
    start = partial(HierarchicalFactorization.init, problem.shape, settings.width, key=key)
    follow = _follow(problem, start, _rule(settings), progress)
    paths = _both("hierarchical", settings, settings.hierarchical_std, follow)
    states: list[Any] = [follow(settings.hierarchical_std[0], loss).final for loss in settings.law_at]
    states.append(start(kind="balanced", factor_std=settings.balanced_std))
    return paths, [_law(problem, state) for state in states]


def _problem(settings: Hierarchical, form: Callable[..., Any], shape: tuple[int, ...]) -> Any:
    """Return a target of the rank, whose entries have mean square one."""
    entries = math.prod(shape)
    key = jax.random.key(settings.target_seed)
    observed = round(settings.share * entries)
    return form(shape, settings.rank, observed, key=key, frobenius=math.sqrt(entries), loss="mse")


def _rule(settings: Hierarchical) -> ExponentialDescent:
    return ExponentialDescent(krylov=settings.krylov, agreement=settings.agreement)


def _follow(
    problem: AbstractProblem, start: Callable[..., Any], rule: AbstractDynamics, progress: bool
) -> Callable[[float, float], Run]:
    """Return what trains from factors of a deviation down to a loss."""

    def follow(std: float, loss: float) -> Run:
        stop = Stop(loss=loss, steps=10_000)
        run = train(problem, start(factor_std=std), rule, stop=stop, record=Record(every=1), progress=progress)
        not_interrupted(run)
        return run

    return follow


def _both(
    kind: str, settings: Hierarchical, stds: Sequence[float], follow: Callable[[float, float], Run]
) -> list[xr.Dataset]:
    """Paths from the small and the large start, which share compiled code."""
    return [
        part.assign_coords(start=("lane", [start]), std=("lane", [std]))
        for start, std in zip(STARTS, stds, strict=True)
        for part in _paths(kind, follow(std, settings.loss), settings.shown)
    ]


def _paths(kind: str, run: Run, shown: int) -> list[xr.Dataset]:
    """Largest norms of a run, a lane for each node of its tree; a matrix and a CP tensor have one."""
    path = run.trajectory
    own = path[["loss", "time", "step"]].assign(error=np.sqrt(path["test_error"]))
    own.attrs = dict(path.attrs)
    if kind == "hierarchical":
        final: Any = run.final
        ends = np.cumsum(final.widths)[:-1]
        by_node = np.split(path["local_component_norms"].values, ends, axis=-1)
        groups = dict(zip(map(str, final.inner_nodes), by_node, strict=True))
    else:
        groups = {"all": path["singular_values" if kind == "matrix" else "component_norms"].values}
    parts = []
    for node, norms in groups.items():
        order = np.argsort(norms[0, -1])[::-1][:shown]
        part = own.assign(norms=(("lane", "record", "component"), norms[..., order]))
        parts.append(part.assign_coords(factorization=("lane", [kind]), node=("lane", [node])))
    return parts


def _law(problem: TensorCompletion, state: HierarchicalFactorization) -> list[float]:
    """Relative errors of three laws of the local component norms, the worst node's: `RULES`."""
    with double_precision():
        model = state.like([jnp.asarray(w) for w in state.factors])
        return [float(error) for error in _errors(problem, model)]


@compiled
def _errors(problem: TensorCompletion, model: HierarchicalFactorization) -> Any:
    _, slope = model.loss_and_gradient(problem)
    downhill = model.like([-g for g in slope.factors])
    norms, rates = jax.jvp(lambda m: m.local_component_norms(), (model,), (downhill,))
    steepness = jax.grad(problem.loss)(model.full())
    # A tensor against the end-to-end one is linear in the rows of a node, one for each local component.
    against = jax.grad(lambda m: -jnp.sum(steepness * m.full()))(model)
    leaves, inner = len(model.shape), model.inner_nodes
    place = dict(enumerate(range(leaves))) | {node: leaves + at for at, node in enumerate(inner)}
    errors = []
    for node, s, rate in zip(inner, norms, rates, strict=True):
        row = model.factors[place[node]]
        along = jnp.sum(row * against.factors[place[node]], axis=1) / s
        columns = [jnp.sum(model.factors[place[child]] ** 2, axis=0) for child in node]
        exact = along * sum(s**2 / square for square in (jnp.sum(row**2, axis=1), *columns))
        length = len(node) + 1
        laws = jnp.stack([exact, length * s ** (2 - 2 / length) * along, 2 * s * along])
        errors.append(abs(laws - rate).max(axis=1) / abs(rate).max())
    return jnp.stack(errors).max(axis=0)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """How many, in which order, how well, for each factorization; and the law."""
    rank, found = int(dataset.attrs["rank"]), []
    for kind in KINDS:
        small, large = (_lanes(dataset, kind, start) for start in STARTS)
        std, far = float(small["std"][0]), float(large["std"][0])
        what, control = WORDS[kind], f"from {far:g}"
        claim = partial(at_most, expected=0.0, absolute=True)
        found += [
            claim(
                f"{kind}-as-many-as-the-rank",
                f"From {std:g} as many {what} end above {LARGE:.0%} of the largest as the rank of the target, {rank}"
                f"{MORE[kind]} (difference).",
                SOURCE + ", figure 1",
                measured=_miscounted(small, rank),
                tolerance=1.0 if MORE[kind] else 0.0,
                control=(control, _miscounted(large, rank)),
            ),
            claim(
                f"{kind}-one-after-another",
                f"From {std:g}: when one of the {rank} largest {ROOT.get(kind, what)} has half its final size, the "
                "next to come has at most 5 % of its own.",
                SOURCE + ", figure 1",
                measured=_next_share(_root(small), rank),
                tolerance=5e-2,
                control=(control, _next_share(_root(large), rank)),
            ),
            claim(
                f"{kind}-is-completed",
                f"From {std:g} the relative error of the whole ends below 1 %.",
                SOURCE + ", section 4",
                measured=_end(small),
                tolerance=1e-2,
                control=(control, _end(large)),
            ),
        ]
    return [*found, *_claims_of_the_law(dataset["law_error"])]


def _claims_of_the_law(law: xr.DataArray) -> list[Claim]:
    balanced = law.sel(state="balanced start")
    return [
        at_most(
            "law-of-the-local-norms",
            "Local component norms of a node move by <-grad, C> sum_k s^2/|w^k|^2, over the vectors of the component "
            "(largest relative error, along the path and at a balanced start).",
            SOURCE + ", theorem 1 without balance",
            measured=float(law.sel(rule="any start").max()),
            expected=0.0,
            tolerance=1e-9,
            absolute=True,
            control=("the law of order two, 2 s <-grad, C>", float(law.sel(rule="of order two").min())),
        ),
        at_most(
            "law-of-balanced-starts",
            "At a balanced start they move by 3 s^(4/3) <-grad, C>, three being the vectors of a component "
            "(relative error).",
            SOURCE + ", theorem 1",
            measured=float(balanced.sel(rule="balanced")),
            expected=0.0,
            tolerance=1e-9,
            absolute=True,
            control=("the law of order two, 2 s <-grad, C>", float(balanced.sel(rule="of order two"))),
        ),
    ]


WORDS = {"matrix": "singular values", "CP": "component norms", "hierarchical": "local component norms of every node"}
ROOT = {"hierarchical": "local component norms of the root"}
# Below the root a component that came first may have to share its place with one that fits better.
MORE = {"matrix": "", "CP": "", "hierarchical": ", or one more or less"}
# What counts as one that was learned, as a share of the largest.
LARGE = 0.05


def _lanes(dataset: xr.Dataset, kind: str, start: str) -> xr.Dataset:
    chosen = (dataset["factorization"].values == kind) & (dataset["start"].values == start)
    return dataset.isel(lane=np.flatnonzero(chosen))


def _root(lanes: xr.Dataset) -> xr.Dataset:
    """Return the lane of the whole tree, the last."""
    return lanes.isel(lane=[-1])


def _seen(lanes: xr.Dataset) -> Sequence[np.ndarray]:
    """Norms of each lane over its records."""
    there = np.isfinite(lanes["loss"].values)
    return [norms[seen] if seen.any() else norms[:1] for norms, seen in zip(lanes["norms"].values, there, strict=True)]


def _miscounted(lanes: xr.Dataset, rank: int) -> float:
    """Return the largest difference, over the nodes, between the number of large norms at the end and the rank."""
    ends = np.stack([norms[-1] for norms in _seen(lanes)])
    counts = (ends > LARGE * ends.max(axis=1, keepdims=True)).sum(axis=1)
    return float(abs(counts - rank).max()) if np.isfinite(ends).all() else float("nan")


def _next_share(lanes: xr.Dataset, rank: int) -> float:
    """Return the largest share that the next norm has of its end when one is at half of it, in the order they come."""
    shares = []
    for norms in _seen(lanes):
        share = norms[:, :rank] / norms[-1, :rank]
        half = np.argmax(share >= 0.5, axis=0)
        order = np.argsort(half, kind="stable")
        shares += [share[half[k], following] for k, following in zip(order[:-1], order[1:], strict=True)]
    return float(np.max(shares))


def _end(lanes: xr.Dataset) -> float:
    error = lanes["error"].values[0]
    seen = error[np.isfinite(lanes["loss"].values[0])]
    return float(seen[-1]) if len(seen) else float("nan")


EXPERIMENT = Experiment(
    name="hierarchical",
    title="Matrix, CP and hierarchical factorizations learn in the same way",
    question=(
        "Shallow and deep networks correspond to factorizations of tensors: CP to one hidden layer, hierarchical to "
        "many. The norms of its (local) components move like singular values of a deep matrix factorization: slowly "
        "while small, and the more so the more vectors a component has. Do all three learn one component after "
        "another from a small start, as many as the rank of the target in the sense of each (for the hierarchical "
        "rank: at every node of the tree), and not so from a large one? Below the root, where components are those of "
        "tensors of order three, two may come at a time, and one that came first may later share its place with "
        "another."
    ),
    settings=Hierarchical,
    compute=compute,
    claims=claims,
    published={
        "matrix-*": ("rank", "share", "target_seed", "matrix_extent", "depth", "matrix_std", "loss"),
        "CP-*": ("rank", "share", "target_seed", "cp_extent", "components", "cp_std", "loss"),
        "hierarchical-*": ("rank", "share", "target_seed", "hierarchical_extent", "width", "hierarchical_std", "loss"),
    },
)
