"""Components of a CP factorization are learned one after another, by a law of their norms."""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from ..._execution import double_precision
from ...claims import Claim, at_least, at_most
from ...dynamics import ExponentialDescent, Record, Stop, train
from ...dynamics.lanes import join, lanes_of, not_interrupted, run_all
from ...experiments import Experiment, Settings
from ...factorizations import CPFactorization
from ...problems import TensorCompletion

SOURCE = "Razin, Maman and Cohen (2021)"


class ComponentNorms(Settings):
    """Settings: targets of the same component norms, and starts from small to too large."""

    order: int
    extent: int
    norms: list[float]
    components: int
    targets: int
    share: float
    factor_std: list[float]
    loss: float
    agreement: float
    shown: int
    # Losses at which the law of the norms is put to the factors.
    law_at: list[float]


def compute(settings: ComponentNorms, progress: bool) -> xr.Dataset:
    """Train from every deviation, every step recorded, and put the law to the factors at some losses."""
    problems = [_problem(settings, target) for target in range(settings.targets)]
    key = jax.random.key(settings.seed)
    starts = [
        CPFactorization.init(problems[0].shape, settings.components, factor_std=std, key=key)
        for std in settings.factor_std
    ]
    rule = ExponentialDescent(agreement=settings.agreement)

    def follow(problem: TensorCompletion, start: CPFactorization, loss: float) -> Any:
        run = train(problem, start, rule, stop=Stop(loss=loss, steps=3000), record=Record(every=1), progress=progress)
        not_interrupted(run)
        return run

    lanes = list(itertools.product(range(settings.targets), range(len(starts))))
    runs = run_all([partial(follow, problems[target], starts[number], settings.loss) for target, number in lanes])
    parts = []
    for run in runs:
        path = run.trajectory[["loss", "time", "step", "reconstruction_error", "component_norms"]]
        order = np.argsort(path["component_norms"].values[0, -1])[::-1][: settings.shown]
        parts.append(path.isel(component=order))
    dataset = join(parts).assign_coords(
        target=("lane", [target for target, _ in lanes]),
        factor_std=("lane", [settings.factor_std[number] for _, number in lanes]),
    )
    laws = np.array([_law(problems[0], follow(problems[0], starts[0], loss).final) for loss in settings.law_at])
    dataset["law_error"] = (("law_at", "form"), laws)
    dataset = dataset.assign_coords(law_at=settings.law_at, form=["any start", "balanced", "of order two"])
    dataset.attrs = {"order": settings.order, "rank": len(settings.norms), "extent": settings.extent}
    dataset.attrs |= {"problem": "TensorCompletion", "loss": "mse", "dtype": "float64"}
    return dataset


def _problem(settings: ComponentNorms, target: int) -> TensorCompletion:
    rng = np.random.default_rng(settings.seed + target)
    rank = len(settings.norms)
    factors = [np.linalg.qr(rng.normal(size=(settings.extent, rank)))[0] for _ in range(settings.order)]
    truth = np.asarray(CPFactorization([factors[0] * settings.norms, *factors[1:]]).full())
    truth = truth / np.linalg.norm(truth)
    seen = rng.random(truth.shape) < settings.share
    return TensorCompletion.from_dense(np.where(seen, truth, np.nan), loss="mse", truth=truth)


def _law(problem: TensorCompletion, model: CPFactorization) -> tuple[float, float, float]:
    """Relative errors of three laws of the component norms: the exact one, the balanced one, and that of order two."""
    with double_precision():
        factors = tuple(jnp.asarray(w) for w in model.factors)
        model = CPFactorization(factors)
        _, slope = model.loss_and_gradient(problem)
        downhill = CPFactorization([-g for g in slope.factors])
        _, rate = jax.jvp(lambda m: m.component_norms(), (model,), (downhill,))
        steepness = jax.grad(problem.loss)(model.full())
        squares = jnp.stack([jnp.sum(w * w, axis=0) for w in factors])
        norms = model.component_norms()
        letters = "abcdefgh"[: len(factors)]
        along = jnp.einsum(f"{letters},{','.join(f'{a}r' for a in letters)}->r", -steepness, *factors) / norms
        order = len(factors)
        laws = (
            along * jnp.sum(norms**2 / squares, axis=0),
            order * norms ** (2 - 2 / order) * along,
            2 * norms * along,
        )
        errors = [float(jnp.abs(law - rate).max() / jnp.abs(rate).max()) for law in laws]
    return errors[0], errors[1], errors[2]


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Order of learning, how many, error, and the law; of medians over the targets."""
    stds = np.unique(dataset["factor_std"].values)
    std, far = float(stds[0]), float(stds[-1])
    small, large = (partial(_median, lanes_of(dataset, factor_std=value)) for value in (std, far))
    rank = int(dataset.attrs["rank"])
    law = dataset["law_error"]
    return [
        at_most(
            "one-after-another",
            f"From {std:g}: when a component has half its final norm, the next to have it has at most 5 % of its own.",
            SOURCE + ", figure 1",
            measured=small(_next_share, rank),
            expected=0.0,
            tolerance=5e-2,
            absolute=True,
            control=(f"from {far:g}", large(_next_share, rank)),
        ),
        at_most(
            "no-more-than-needed",
            f"From {std:g}: component {rank + 1} ends below a thousandth of the largest.",
            SOURCE + ", figure 1",
            measured=small(_share, rank),
            expected=0.0,
            tolerance=1e-3,
            absolute=True,
            control=(f"from {far:g}", large(_share, rank)),
        ),
        at_least(
            "all-that-are-needed",
            f"From {std:g}: component {rank} ends above a tenth of the largest.",
            SOURCE + ", figure 1",
            measured=small(_share, rank - 1),
            expected=0.1,
            control=(f"component {rank + 1}", small(_share, rank)),
        ),
        at_most(
            "error-falls-with-the-start",
            f"From {std:g} the relative error of the whole tensor ends below 1e-4.",
            SOURCE + ", figure 2",
            measured=small(_end_error),
            expected=0.0,
            tolerance=1e-4,
            absolute=True,
            control=(f"from {far:g}", large(_end_error)),
        ),
        at_most(
            "law-of-the-norms",
            "Component norms move by <-grad, C> sum_n s^2/|w^n|^2 (largest relative error along the path).",
            SOURCE + ", theorem 1",
            measured=float(law.sel(form="any start").max()),
            expected=0.0,
            tolerance=1e-9,
            absolute=True,
            control=("the law of order two", float(law.sel(form="of order two").min())),
        ),
    ]


def _median(paths: xr.Dataset, measure: Callable[..., float], *arguments: int) -> float:
    return float(np.median([measure(paths.isel(lane=lane), *arguments) for lane in range(paths.sizes["lane"])]))


def _end_error(path: xr.Dataset) -> float:
    seen = path["reconstruction_error"].values[np.isfinite(path["loss"].values)]
    return float(seen[-1]) if len(seen) else float("nan")


def _norms(path: xr.Dataset) -> np.ndarray:
    norms = np.asarray(path["component_norms"].values)
    seen = norms[np.isfinite(path["loss"].values)]
    return seen if len(seen) else norms[:1]


def _share(path: xr.Dataset, number: int) -> float:
    last = _norms(path)[-1]
    return float(last[number] / last[0])


def _next_share(path: xr.Dataset, rank: int) -> float:
    """Largest share of its final norm that the next one has, when a needed component has got to half of its own."""
    shares = _norms(path)[:, :rank] / _norms(path)[-1, :rank]
    half = np.argmax(shares >= 0.5, axis=0)
    order = np.argsort(half, kind="stable")
    return float(max(shares[half[one], following] for one, following in itertools.pairwise(order)))


EXPERIMENT = Experiment(
    name="component-norms",
    title="Components of a tensor are learned one after another",
    question=(
        "A component of a CP factorization of order N grows by N s^(2 - 2/N) times what the loss asks of it: slowly "
        "while its norm s is small, the more so the higher the order. From small starts that lets one component at a "
        "time go, and the others stay where they are; from large ones all go together. That is how low rank comes "
        "about."
    ),
    settings=ComponentNorms,
    compute=compute,
    claims=claims,
    published=dict.fromkeys(
        ("one-after-another", "no-more-than-needed", "all-that-are-needed", "error-falls-with-the-start"),
        ("order", "extent", "norms", "components", "share", "factor_std", "loss"),
    ),
)
