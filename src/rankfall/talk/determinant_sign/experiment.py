"""The sign of the determinant: an even chance at the start, what becomes of each half, and what loses the sign."""

import math
from functools import partial

import jax
import numpy as np
import xarray as xr

from ... import measures, theory
from ..._execution import raise_if_interrupted
from ...claims import Claim, at_least, at_most, close_to
from ...dynamics import Record, Stop
from ...dynamics.lanes import join, last, run_all, run_lanes, signed_starts
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...problems import two_by_two

SOURCE = "Razin and Cohen (2020), section 3.2"
KINDS = ("gaussian", "balanced", "orthogonal")
# What counts as a small start in the claims; larger ones are drawn beside them.
SMALL_SCALE, SMALL_IMBALANCE = 0.01, 0.01


class DeterminantSign(Settings):
    """Settings: draws for the probability, runs of both signs, unbalanced small starts, and step sizes at depth 2.

    ``steps`` is the budget in which a start has to reach the loss; the other runs go on for ``patience`` steps.
    """

    draws: int
    depths: list[int]
    rates: dict[str, float]
    scales: list[float]
    seeds: int
    loss: float
    steps: int
    imbalances: list[float]
    small_scale: float
    step_sizes: list[float]
    patience: int
    levels: int


def compute(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    """Draw starts, train both signs at every depth and scale, unbalance small starts, and vary the step."""
    dataset = xr.merge(
        run_all(
            [
                partial(_halves, settings, progress),
                partial(_by_imbalance, settings, progress),
                partial(_by_step_size, settings, progress),
                partial(_probability, settings),
            ]
        )
    )
    dataset.attrs |= {"target_loss": settings.loss, "budget": settings.steps}
    return dataset


def _probability(settings: DeterminantSign) -> xr.Dataset:
    shares = {}
    for number, kind in enumerate(KINDS):
        for depth in settings.depths:
            raise_if_interrupted()
            # Kinds share the underlying normal numbers at one key: each gets keys of its own.
            seed = jax.random.fold_in(jax.random.fold_in(jax.random.key(settings.seed), number), depth)
            keys = jax.random.split(seed, settings.draws)
            start = MatrixFactorization.init((2, 2), depth, kind=kind, scale=1.0, key=keys)
            shares[f"{kind}, depth {depth}"] = float((measures.det_sign(start.factors) > 0).mean())
    alphas = np.full(settings.draws, 0.1)
    identity = MatrixFactorization.init((2, 2), settings.depths[0], kind="identity", alpha=alphas)
    shares["identity"] = float((measures.det_sign(identity.factors) > 0).mean())
    half = 4 * 0.5 / math.sqrt(settings.draws)
    interval = {
        name: ("depth_kind", np.full(len(shares), 0.5 + side * half)) for name, side in (("low", -1), ("high", 1))
    }
    return xr.Dataset(
        {"probability": ("depth_kind", np.array(list(shares.values()))), **interval},
        coords={"depth_kind": list(shares)},
    )


def _halves(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    """Train balanced starts of many sizes and both signs, within a budget of steps."""
    parts = []
    for depth in settings.depths:
        rate = settings.rates[str(depth)]
        groups = [
            (_starts(settings, depth, scale, sign), rate, {"depth": depth, "scale": scale, "start_sign": sign})
            for scale in settings.scales
            for sign in (1, -1)
        ]
        stop = Stop(loss=settings.loss, steps=settings.steps)
        parts.append(run_lanes(two_by_two(), groups, stop, Record(), progress))
    runs = join(parts)
    found = {
        "unobserved": np.abs(last(runs, "unobserved")[:, 0]),
        "final_loss": last(runs, "loss"),
        "final_sign": last(runs, "det_sign"),
        "steps": last(runs, "step"),
        "reason": runs["stop_reason"].values,
        **{name: runs[name].values for name in ("depth", "scale", "start_sign", "learning_rate")},
    }
    return xr.Dataset({name: ("run", values) for name, values in found.items()}, attrs=runs.attrs)


def _by_imbalance(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    """Follow small starts of positive determinant whose outer layers are unbalanced, until they lose its sign."""
    found = []
    for depth in settings.depths:
        start = _starts(settings, depth, settings.small_scale, 1)
        groups = []
        for relative in settings.imbalances:
            # W_1 -> c W_1, W_L -> W_L / c leaves the product; c^2 - c^-2 = relative imbalance of the two layers.
            c = math.sqrt(relative / 2 + math.sqrt(relative**2 / 4 + 1))
            factors = [start.factors[0] * c, *start.factors[1:-1], start.factors[-1] / c]
            groups.append((MatrixFactorization(factors), settings.rates[str(depth)], {"imbalance": relative}))
        runs = run_lanes(two_by_two(), groups, *_followed(settings), progress)
        found.append(_while_positive(runs).reshape(len(settings.imbalances), settings.seeds))
    return xr.Dataset(
        {"unobserved_by_imbalance": (("imbalance_depth", "imbalance", "seed"), np.stack(found))},
        coords={"imbalance_depth": settings.depths, "imbalance": settings.imbalances},
    )


def _by_step_size(settings: DeterminantSign, progress: bool) -> xr.Dataset:
    """Follow balanced depth-2 starts at several step sizes and both precisions, until they lose the sign."""
    start = _starts(settings, 2, settings.small_scale, 1)
    groups = [(start, size, {"step_size": size}) for size in settings.step_sizes]
    shape = (len(settings.step_sizes), settings.seeds)
    found: dict[str, list[np.ndarray]] = {"unobserved_by_step_size": [], "loss_by_step_size": [], "unbalancedness": []}
    precisions = ("float64", "float32")
    for precision in precisions:
        runs = run_lanes(two_by_two(dtype=precision), groups, *_followed(settings), progress)
        positive = _positive(runs)
        values = (
            _while_positive(runs),
            np.where(positive, runs["loss"].values, np.inf).min(axis=1),
            np.nanmax(runs["unbalancedness"].values, axis=1),
        )
        for name, value in zip(found, values, strict=True):
            found[name].append(value.reshape(shape))
    over = ("precision", "step_size", "seed")
    return xr.Dataset(
        {name: (over, np.stack(values)) for name, values in found.items()},
        coords={"precision": list(precisions), "step_size": settings.step_sizes},
    )


def _starts(settings: DeterminantSign, depth: int, scale: float, sign: int) -> MatrixFactorization:
    return signed_starts(
        (2, 2), depth, kind="balanced", scale=scale, det_sign=sign, seed=settings.seed, seeds=settings.seeds
    )


def _followed(settings: DeterminantSign) -> tuple[Stop, Record]:
    levels = np.geomspace(1.0, settings.loss, settings.levels)
    return Stop(loss=settings.loss, steps=settings.patience), Record(at_losses=levels)


def _while_positive(runs: xr.Dataset) -> np.ndarray:
    """Largest |unobserved entry| that each lane records before its determinant first turns negative."""
    return np.where(_positive(runs), np.abs(runs["unobserved"].values[..., 0]), 0.0).max(axis=1)


def _positive(runs: xr.Dataset) -> np.ndarray:
    """Which records of each lane come before its determinant first turns negative."""
    return np.logical_and.accumulate(runs["det_sign"].values > 0, axis=1)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim the even chance, what becomes of both halves, and what the sign is lost to."""
    return [*_chance_claims(dataset), *_half_claims(dataset), *_reach_claims(dataset), *_loss_claims(dataset)]


def _chance_claims(dataset: xr.Dataset) -> list[Claim]:
    share, half = dataset["probability"], float(dataset["high"][0]) - 0.5
    control = ("identity starts, all positive", abs(float(share.sel(depth_kind="identity")) - 0.5))
    return [
        at_most(
            f"one-half-{label.replace(', ', '-').replace(' ', '-')}",
            f"Starts ({label}): the share of positive determinants differs from one half by at most four sigma.",
            SOURCE,
            abs(float(share.sel(depth_kind=label)) - 0.5),
            0.0,
            half,
            control,
            absolute=True,
        )
        for label in dataset["depth_kind"].values.tolist()
        if label != "identity"
    ]


def _half_claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim for depths 3 and 4 from small starts, where descent keeps the sign as the flow does."""
    small = dataset.isel(run=np.flatnonzero((dataset["scale"] <= SMALL_SCALE) & (dataset["reason"] == "loss")))
    kept = small["final_sign"].values == small["start_sign"].values
    deep, start = small["depth"].values > 2, small["start_sign"].values
    ratio = small["unobserved"].values / theory.unobserved_lower_bound(small["final_loss"].values)
    words = f"Depths 3 and 4, starts of size {SMALL_SCALE:g} and less that reach the loss"
    return [
        at_least(
            "right-half-grows",
            f"{words}, det > 0: |unobserved entry| over its bound at the end (smallest).",
            SOURCE,
            ratio[deep & (start > 0)].min(),
            1.0,
            1e-9,
            ("starts of det < 0, the other half", ratio[deep & (start < 0)].min()),
        ),
        at_least(
            "sign-is-kept",
            f"{words}, of either sign: the share that ends with the sign it started with.",
            SOURCE,
            kept[deep].mean(),
            1.0,
            0.0,
            ("depth 2, det > 0", kept[~deep & (start > 0)].mean()),
        ),
    ]


def _reach_claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim that the time to escape and to descend foretells who reaches the loss in the budget."""
    small = dataset["scale"].values <= SMALL_SCALE
    scale, depth = dataset["scale"].values[small], dataset["depth"].values[small]
    time = theory.escape_time(scale, depth) + theory.flow_time(dataset.attrs["target_loss"], depth)
    share = time / dataset["learning_rate"].values[small] / dataset.attrs["budget"]
    reached = (dataset["reason"].values == "loss")[small]
    return [
        at_least(
            "reach-foretold",
            "Starts whose predicted time to escape from zero and to descend is 0.3 of the steps allowed or less (a "
            "start that points the wrong way takes longer): the share that reaches the loss.",
            "rates of the end-to-end dynamics",
            reached[share <= 0.3].mean(),
            1.0,
            0.0,
            ("starts predicted to need twice the steps or more", reached[share >= 2].mean()),
        )
    ]


def _loss_claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim how much imbalance a depth bears, and what unbalances a start."""
    bound = float(theory.unobserved_lower_bound(dataset.attrs["target_loss"]))
    entry = dataset["unobserved_by_imbalance"].sel(imbalance_depth=dataset["imbalance_depth"] > 2)
    imbalance = dataset["imbalance"].values
    small = entry.sel(imbalance=imbalance <= SMALL_IMBALANCE)
    sizes = np.argsort(-dataset["step_size"].values)
    growth, gain = {}, {}
    for precision in ("float64", "float32"):
        of_step = dataset.sel(precision=precision).isel(step_size=sizes)
        unbalanced = of_step["unbalancedness"].values
        # The largest step is left out: there the second order in the step is not small yet.
        decades = np.log10(of_step["step_size"].values[1] / of_step["step_size"].values[-1])
        growth[precision] = np.log10(unbalanced[1] / unbalanced[-1]) / decades
        at_loss = of_step["loss_by_step_size"].values
        gain[precision] = at_loss[1:] / at_loss[:-1]
    furthest = {precision: slope[np.abs(slope - 1).argmax()] for precision, slope in growth.items()}
    return [
        at_least(
            "small-imbalance-keeps-sign",
            f"Depths 3 and 4, relative imbalance {SMALL_IMBALANCE:g} and less: |unobserved entry| while det > 0, over "
            "the bound at the target loss (smallest).",
            SOURCE,
            small.min() / bound,
            1.0,
            1e-9,
            (f"relative imbalance {imbalance.max():g}", entry.isel(imbalance=int(imbalance.argmax())).max() / bound),
        ),
        close_to(
            "descent-unbalances-by-its-step",
            "Depth 2, balanced starts, float64: the imbalance that descent brings about grows like the step size "
            "(exponent, furthest from 1).",
            "measured; the flow conserves balancedness exactly",
            furthest["float64"],
            1.0,
            0.02,
            ("the same in float32, where rounding takes over", furthest["float32"]),
        ),
        at_most(
            "smaller-steps-keep-sign-longer",
            "Depth 2, balanced starts, float64: the loss at which the sign is lost, over that at the next larger step "
            "size (largest ratio).",
            "measured",
            gain["float64"].max(),
            0.9,
            0.0,
            ("the same in float32, where more steps mean more rounding", gain["float32"].max()),
        ),
    ]


EXPERIMENT = Experiment(
    name="determinant-sign",
    title="The sign of the determinant decides, and it is a coin toss",
    question=(
        "The theorem asks for a positive determinant at the start. Random starts have one with probability one half. "
        "Balanced gradient flow keeps the sign for ever, so the other half ends at a finite unobserved entry instead. "
        "Which starts reach the loss at all? Too large ones diverge, too small ones are still at the saddle when the "
        "steps are used up. And what loses the sign? What is run here is descent, not the flow of the theorem. Depths "
        "3 and 4 bear a relative imbalance of some per cent. Depth 2 bears none: the imbalance grows exponentially "
        "there, and descent itself brings one about in proportion to its step size, so that balanced starts lose their "
        "sign on the way and end below the bound. Smaller steps postpone that, until rounding takes over, as it does "
        "early in float32."
    ),
    settings=DeterminantSign,
    compute=compute,
    claims=claims,
    published={
        "right-half-grows": ("depths", "rates"),
        "sign-is-kept": ("depths", "rates"),
        "small-imbalance-keeps-sign": ("depths", "rates", "small_scale"),
        "descent-unbalances-by-its-step": ("step_sizes", "small_scale"),
        "smaller-steps-keep-sign-longer": ("step_sizes", "small_scale", "patience"),
    },
)
