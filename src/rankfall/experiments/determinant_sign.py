"""The sign of the determinant: an even chance at the start, kept by balanced flow, and what each half becomes."""

import math

import jax
import numpy as np
import xarray as xr

from .. import measures
from ..dynamics import Record, Stop
from ..factorizations import MatrixFactorization
from ..problems import two_by_two
from ..theory.claim import Claim, at_least, at_most
from .base import Experiment, Settings, join, last, run_lanes, signed_starts

SOURCE = "Razin and Cohen (2020), section 3.2"


class DeterminantSign(Settings):
    """Settings: draws for the probability, runs for both signs, and imbalances of a small start."""

    draws: int
    depths: list[int]
    rates: dict[str, float]
    scales: list[float]
    seeds: int
    loss: float
    steps: int
    imbalances: list[float]
    imbalance_scale: float
    imbalance_loss: float


def compute(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    """Draw starts, train both signs at every depth and scale, then unbalance small starts."""
    dataset = xr.merge([_probability(settings), _halves(settings, progress), _imbalance(settings, progress)])
    return dataset


def _probability(settings: DeterminantSign) -> xr.Dataset:
    labels, shares = [], []
    for number, kind in enumerate(("gaussian", "balanced", "orthogonal")):
        for depth in settings.depths:
            # Kinds share the underlying normal numbers at one key: each gets keys of its own.
            seed = jax.random.fold_in(jax.random.fold_in(jax.random.key(settings.seed), number), depth)
            keys = jax.random.split(seed, settings.draws)
            start = MatrixFactorization.init((2, 2), depth, kind=kind, scale=1.0, key=keys)
            labels.append(f"{kind}, depth {depth}")
            shares.append(float((measures.det_sign(start.factors) > 0).mean()))
    alphas = np.full(settings.draws, 0.1)
    identity = MatrixFactorization.init((2, 2), settings.depths[0], kind="identity", alpha=alphas)
    labels.append("identity")
    shares.append(float((measures.det_sign(identity.factors) > 0).mean()))
    half = 4 * 0.5 / math.sqrt(settings.draws)
    low, high = np.full(len(labels), 0.5 - half), np.full(len(labels), 0.5 + half)
    names = ("probability", "low", "high")
    data = {n: ("depth_kind", np.asarray(v)) for n, v in zip(names, (shares, low, high), strict=True)}
    return xr.Dataset(data, coords={"depth_kind": labels})


def _halves(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    parts = []
    record = Record(at_losses=np.geomspace(1.0, settings.loss, 30))
    for depth in settings.depths:
        groups = [
            (
                signed_starts(
                    (2, 2), depth, kind="balanced", scale=scale, det_sign=sign, seed=settings.seed, seeds=settings.seeds
                ),
                settings.rates[str(depth)],
                {"depth": depth, "scale": scale, "start_sign": sign},
            )
            for scale in settings.scales
            for sign in (1, -1)
        ]
        stop = Stop(loss=settings.loss, steps=settings.steps)
        parts.append(run_lanes(two_by_two(), groups, stop, record, progress))
    runs = join(parts)
    final = xr.Dataset(
        {
            "final_unobserved": ("run", np.abs(last(runs, "unobserved")[:, 0])),
            "final_loss": ("run", last(runs, "loss")),
            "final_sign": ("run", last(runs, "det_sign")),
            "start_sign": ("run", runs["start_sign"].values),
            "depth": ("run", runs["depth"].values),
            "scale": ("run", runs["scale"].values),
            "reached": ("run", runs["stop_reason"].values == "loss"),
        }
    )
    cells = [(d, s, sign) for d in settings.depths for s in settings.scales for sign in (1, -1)]
    share = [
        float(
            final["reached"].values[(final["depth"] == d) & (final["scale"] == s) & (final["start_sign"] == g)].mean()
        )
        for d, s, g in cells
    ]
    final["fraction"] = ("cell", np.array(share))
    return final.assign_coords(
        {
            f"cell_{name}": ("cell", np.array(values))
            for name, values in zip(("depth", "scale", "sign"), zip(*cells, strict=True), strict=True)
        }
    )


def _imbalance(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    kept = np.full((len(settings.depths), len(settings.imbalances)), np.nan)
    for row, depth in enumerate(settings.depths):
        start = signed_starts(
            (2, 2),
            depth,
            kind="balanced",
            scale=settings.imbalance_scale,
            det_sign=1,
            seed=settings.seed,
            seeds=settings.seeds,
        )
        groups = []
        for relative in settings.imbalances:
            # W_1 -> c W_1, W_L -> W_L / c leaves the product; c^2 - c^-2 = relative imbalance of the two layers.
            c = math.sqrt(relative / 2 + math.sqrt(relative**2 / 4 + 1))
            factors = [start.factors[0] * c, *start.factors[1:-1], start.factors[-1] / c]
            groups.append((MatrixFactorization(factors), settings.rates[str(depth)], {"imbalance": relative}))
        stop = Stop(loss=settings.imbalance_loss, steps=settings.steps)
        runs = run_lanes(two_by_two(), groups, stop, Record(), progress)
        same = last(runs, "det_sign") > 0
        kept[row] = [same[runs["imbalance"].values == r].mean() for r in settings.imbalances]
    return xr.Dataset(
        {"kept_sign": (("imbalance_depth", "imbalance"), kept)},
        coords={"imbalance_depth": settings.depths, "imbalance": settings.imbalances},
    )


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Probability one half; the sign is kept; the growth belongs to the right sign."""
    found = []
    half = float(dataset["high"][0]) - 0.5
    control = float(dataset["probability"].sel(depth_kind="identity"))
    for label in dataset["depth_kind"].values:
        if label == "identity":
            continue
        share = float(dataset["probability"].sel(depth_kind=label))
        found.append(
            at_most(
                f"one-half-{label.replace(', ', '-').replace(' ', '-')}",
                f"Starts ({label}): the share of positive determinants differs from one half by at most four sigma.",
                SOURCE,
                abs(share - 0.5),
                0.0,
                half,
                {
                    "what": "identity starts, all positive",
                    "measured": abs(control - 0.5),
                    "fails": abs(control - 0.5) > half,
                },
                absolute=True,
            )
        )
    deep = dataset["depth"].values > 2
    right, wrong = (deep & (dataset["start_sign"].values == s) & dataset["reached"].values for s in (1, -1))
    final, loss = dataset["final_unobserved"].values, dataset["final_loss"].values
    bound = 1 / np.sqrt(2 * loss) - np.sqrt(2 * loss)
    measured, control = float((final / bound)[right].min()), float((final / bound)[wrong].min())
    found.append(
        at_least(
            "right-half-grows",
            "Depths 3 and 4, positive start: the entry over 1/d - d at the end (smallest).",
            SOURCE,
            measured,
            1.0,
            1e-9,
            {"what": "negative starts", "measured": control, "fails": control < 1 - 1e-9},
        )
    )
    small = float(dataset["kept_sign"].isel(imbalance_depth=-1, imbalance=0))
    large = float(dataset["kept_sign"].min())
    found.append(
        at_least(
            "small-imbalance-keeps-sign",
            "Greatest depth, smallest imbalance: the share of runs that keep the sign.",
            SOURCE,
            small,
            1.0,
            0.0,
            {"what": "the smallest share over all depths and imbalances", "measured": large, "fails": large < 1.0},
        )
    )
    return found


EXPERIMENT = Experiment(
    name="determinant-sign",
    title="The sign of the determinant decides, and it is a coin toss",
    question=(
        "The theorem asks for a positive determinant at the start. Random starts have one with probability one half. "
        "Balanced gradient flow keeps the sign for ever, so the other half ends at a finite unobserved entry instead. "
        "Which starts reach the loss at all, and how unbalanced may a small start be before it loses its sign? What is "
        "run here is descent, with finite steps in floating point, not the flow of the theorem: at "
        "depth 2 even the most "
        "nearly balanced of these starts lose their sign on the way, which is why they end below the bound, and no "
        "claim is made about them."
    ),
    settings=DeterminantSign,
    compute=compute,
    claims=claims,
)
