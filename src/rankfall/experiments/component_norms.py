"""Components of a CP factorization are learned one after another, by a law of their norms."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from .._precision import double_precision
from ..dynamics import ExponentialDescent, Record, Stop, train
from ..factorizations import CPFactorization
from ..problems import TensorCompletion
from ..theory.claim import Claim, at_least, at_most
from .base import Experiment, Settings, join, not_interrupted, run_all

SOURCE = "Razin, Maman and Cohen (2021)"


class ComponentNorms(Settings):
    """Settings: one target, and starts from small to too large."""

    order: int
    extent: int
    norms: list[float]
    components: int
    share: float
    factor_std: list[float]
    loss: float
    agreement: float
    shown: int
    # Losses at which the law of the norms is put to the factors.
    law_at: list[float]


def compute(settings: ComponentNorms, progress: bool) -> xr.Dataset:
    """Train from every deviation, every step recorded, and put the law to the factors at some losses."""
    problem = _problem(settings)
    key = jax.random.key(settings.seed)
    starts = [
        CPFactorization.init(problem.shape, settings.components, factor_std=std, key=key) for std in settings.factor_std
    ]
    rule = ExponentialDescent(agreement=settings.agreement)

    def follow(start: CPFactorization, loss: float) -> Any:
        run = train(problem, start, rule, stop=Stop(loss=loss, steps=3000), record=Record(every=1), progress=progress)
        not_interrupted(run)
        return run

    runs = run_all([partial(follow, start, settings.loss) for start in starts])
    parts = []
    for run in runs:
        path = run.trajectory[["loss", "time", "step", "reconstruction_error", "component_norms"]]
        order = np.argsort(path["component_norms"].values[0, -1])[::-1][: settings.shown]
        parts.append(path.isel(component=order))
    dataset = join(parts).assign_coords(factor_std=("lane", settings.factor_std))
    laws = np.array([_law(problem, follow(starts[0], loss).final) for loss in settings.law_at])
    dataset["law_error"] = (("law_at", "form"), laws)
    dataset = dataset.assign_coords(law_at=settings.law_at, form=["any start", "balanced", "of order two"])
    dataset.attrs = {"order": settings.order, "rank": len(settings.norms), "extent": settings.extent}
    dataset.attrs |= {"problem": "TensorCompletion", "loss": "mse", "dtype": "float64"}
    return dataset


def _problem(settings: ComponentNorms) -> TensorCompletion:
    rng = np.random.default_rng(settings.seed)
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
    """Order of learning, how many, error, and the law."""
    order = np.argsort(dataset["factor_std"].values)
    small, large = dataset.isel(lane=order[0]), dataset.isel(lane=order[-1])
    std, far = float(small["factor_std"]), float(large["factor_std"])
    rank = int(dataset.attrs["rank"])
    law = dataset["law_error"]
    return [
        at_most(
            "one-after-another",
            f"From {std:g}: when a component has half its final norm, the next has at most 5 % of its own.",
            SOURCE + ", figure 1",
            measured=_next_share(small, rank),
            expected=0.0,
            tolerance=5e-2,
            absolute=True,
            control=(f"from {far:g}", _next_share(large, rank)),
        ),
        at_most(
            "no-more-than-needed",
            f"From {std:g}: component {rank + 1} ends below a thousandth of the largest.",
            SOURCE + ", figure 1",
            measured=_share(small, rank),
            expected=0.0,
            tolerance=1e-3,
            absolute=True,
            control=(f"from {far:g}", _share(large, rank)),
        ),
        at_least(
            "all-that-are-needed",
            f"From {std:g}: component {rank} ends above a tenth of the largest.",
            SOURCE + ", figure 1",
            measured=_share(small, rank - 1),
            expected=0.1,
            control=(f"component {rank + 1}", _share(small, rank)),
        ),
        at_most(
            "error-falls-with-the-start",
            f"From {std:g} the relative error of the whole tensor ends below 1e-4.",
            SOURCE + ", figure 2",
            measured=_end(small, "reconstruction_error"),
            expected=0.0,
            tolerance=1e-4,
            absolute=True,
            control=(f"from {far:g}", _end(large, "reconstruction_error")),
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


def _end(path: xr.Dataset, name: str) -> float:
    seen = path[name].values[np.isfinite(path["loss"].values)]
    return float(seen[-1]) if len(seen) else float("nan")


def _norms(path: xr.Dataset) -> np.ndarray:
    norms = np.asarray(path["component_norms"].values)
    seen = norms[np.isfinite(path["loss"].values)]
    return seen if len(seen) else norms[:1]


def _share(path: xr.Dataset, number: int) -> float:
    last = _norms(path)[-1]
    return float(last[number] / last[0])


def _next_share(path: xr.Dataset, rank: int) -> float:
    norms = _norms(path)
    shares = []
    for k in range(rank - 1):
        half = int(np.argmax(norms[:, k] >= norms[-1, k] / 2))
        shares.append(norms[half, k + 1] / norms[-1, k + 1])
    return float(max(shares))


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
)
