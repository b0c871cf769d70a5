"""How fast each depth approaches rank 1: the determinant against the unobserved entry, for whole and real depths."""

import numpy as np
import xarray as xr

from ... import theory
from ...claims import Claim, at_most
from ...dynamics.lanes import join, lanes_of, signed_starts
from ...experiments import Experiment, Settings
from ...factorizations import SpectralFactorization
from ...problems import two_by_two
from ..flows import STATE, largest, run_flow

SOURCE = "smaller singular value of Arora, Cohen, Hu and Luo (2019) along the valley of Razin and Cohen (2020)"
# From here on the law is held to; fits begin there too. The early stretch is where it must not hold yet.
LARGE_ENTRY, EARLY = 1e4, (1.0, 10.0)
# Depth 2: from where on the terms that vanish with x are small, and up to where x^2 / 2 keeps its digits.
GAUSSIAN = (20.0, 2000.0)
# The excess over the bound is 1e-10 at least, or rounding shows in it, and terms in 1/x^2 are small.
LEAST_EXCESS, VALLEY = 1e-10, 100.0


class DepthLaw(Settings):
    """Settings: depths, which need not be whole; for each scale as many starts as seeds, the same at every depth."""

    depths: list[float]
    scales: list[float]
    seeds: int
    loss: float
    levels: int


def compute(settings: DepthLaw, progress: bool) -> xr.Dataset:
    """Follow the flow of every depth from the same end-to-end matrices of positive determinant."""
    matrices = [
        signed_starts(
            (2, 2), 2, kind="balanced", scale=scale, det_sign=1, seed=settings.seed + number, seeds=settings.seeds
        ).full()
        for number, scale in enumerate(settings.scales)
    ]
    parts = []
    for depth in settings.depths:
        start = SpectralFactorization.from_end_to_end(np.concatenate(matrices), depth)
        scale = np.repeat(settings.scales, settings.seeds)
        lanes = run_flow(two_by_two(), start, settings.loss, settings.levels, progress, depth=depth, scale=scale)
        parts.append(lanes[list(STATE)])
    dataset = join(parts)
    dataset.attrs["target_loss"] = settings.loss
    return dataset


def limit(depth: float) -> tuple[float, float]:
    """Prefactor and exponent of the law ``det W -> c x^e`` at a depth above 2, whole or not."""
    return ((depth + 2) / (depth - 2)) ** (depth / (depth - 2)), -4 / (depth - 2)


def fitted_exponent(lanes: xr.Dataset, least: float = LARGE_ENTRY, most: float = np.inf) -> float:
    """Slope of ln det against ln x between two values of the unobserved entry, by least squares over all lanes."""
    x, log_det = entry(lanes), lanes["log_abs_det"].values
    chosen = (x > least) & (x < most)
    return float(np.polyfit(np.log(x[chosen]), log_det[chosen], 1)[0]) if chosen.sum() > 1 else np.nan


def entry(lanes: xr.Dataset) -> np.ndarray:
    """Absolute value of the unobserved entry, by lane and record."""
    return np.abs(lanes["unobserved"].values[..., 0])


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Claim the law at whole depths, its exponent at all, the Gaussian law of depth 2, and what det W means."""
    found = [_law(lanes_of(dataset, depth=depth), int(depth)) for depth in (3.0, 4.0)]
    depths = [depth for depth in np.unique(dataset["depth"].values).tolist() if depth > 2]
    by_depth = {depth: lanes_of(dataset, depth=depth) for depth in depths}
    late = np.array([fitted_exponent(lanes) / limit(depth)[1] for depth, lanes in by_depth.items()])
    early = np.array([fitted_exponent(lanes, *EARLY) / limit(depth)[1] for depth, lanes in by_depth.items()])
    depth_2 = lanes_of(dataset, depth=2.0)
    excess = [_excess_error(lanes) for lanes in by_depth.values()]
    wrong = [_excess_error(lanes, of_limit=True) for lanes in by_depth.values()]
    return [
        *found,
        at_most(
            "exponent-of-real-depths",
            f"Depths {', '.join(f'{depth:g}' for depth in depths)}: det W falls like x to the power -4/(L-2), fitted "
            f"where x = |unobserved entry| is above {LARGE_ENTRY:g} (largest relative difference of the exponent).",
            SOURCE,
            np.abs(late - 1).max(),
            0.0,
            0.01,
            (f"fitted too early, at {EARLY[0]:g} < x < {EARLY[1]:g}", np.abs(early - 1).max()),
            absolute=True,
        ),
        at_most(
            "determinant-depth-2",
            f"Depth 2: ln det + x^2/2 + 3 ln x is the same number all along each run, {GAUSSIAN[0]:g} < x < "
            f"{GAUSSIAN[1]:g} (largest spread).",
            "integral of d ln det / dt = -2 w22 along the valley, derived here",
            _spread(depth_2, 3.0),
            0.0,
            0.05,
            ("the spread of ln det + x^2/2", _spread(depth_2, 0.0)),
            absolute=True,
        ),
        at_most(
            "determinant-is-the-excess",
            f"Every depth above 2, x = |unobserved entry| above {VALLEY:g}, det W above {LEAST_EXCESS:g}: x exceeds "
            "its bound B(loss) by the factor 1 + det W (largest relative difference of x / B - 1 from det W).",
            "expansion of the sharp bound",
            largest(np.array(excess)),
            0.0,
            1e-3,
            ("with 1/sqrt(2 loss) in the place of B(loss)", largest(np.array(wrong))),
            absolute=True,
        ),
    ]


def _law(lanes: xr.Dataset, depth: int) -> Claim:
    x, log_det = entry(lanes), lanes["log_abs_det"].values
    large = x > LARGE_ENTRY

    def worst(of: int) -> float:
        return largest(np.abs(np.exp(log_det[large]) / theory.depth_law_determinant(x[large], of) - 1))

    return at_most(
        f"law-depth-{depth}",
        f"Depth {depth}, x = |unobserved entry| above {LARGE_ENTRY:g}: det W is ((L+2)/(L-2))^(L/(L-2)) x^(-4/(L-2)) "
        "(largest relative difference).",
        SOURCE,
        worst(depth),
        0.0,
        0.02,
        (f"from the law of depth {depth + 1}", worst(depth + 1)),
        absolute=True,
    )


def _spread(lanes: xr.Dataset, logarithms: float) -> float:
    """Largest difference, within a lane, of ln det + x^2 / 2 + logarithms * ln x."""
    x = entry(lanes)
    inside = (x > GAUSSIAN[0]) & (x < GAUSSIAN[1])
    with np.errstate(divide="ignore"):
        constant = lanes["log_abs_det"].values + x**2 / 2 + logarithms * np.log(x)
    constant = np.where(inside, constant, np.nan)[inside.any(axis=1)]
    return largest(np.nanmax(constant, axis=1) - np.nanmin(constant, axis=1))


def _excess_error(lanes: xr.Dataset, of_limit: bool = False) -> float:
    """Largest relative difference from det W of the entry's excess over its bound, or over the bound's limit."""
    det = np.exp(lanes["log_abs_det"].values)
    chosen = (det > LEAST_EXCESS) & (entry(lanes) > VALLEY)
    loss = lanes["loss"].values[chosen]
    bound = 1 / np.sqrt(2 * loss) if of_limit else theory.unobserved_lower_bound(loss)
    return largest(np.abs((entry(lanes)[chosen] / bound - 1) / det[chosen] - 1))


EXPERIMENT = Experiment(
    name="depth-law",
    title="Each depth approaches rank 1 by a law of its own",
    question=(
        "The determinant of the trained matrix measures how far it is from rank 1: the unobserved entry exceeds its "
        "proved bound by the factor 1 + det W. How fast does it fall as the entry x grows? At depth 2 faster than any "
        "power, like exp(-x^2/2) x^-3. At every depth L above 2 like the power x^(-4/(L-2)), with a prefactor that "
        "depends on the depth alone: the start is forgotten. The flow of singular values has a meaning for depths "
        "that are no whole numbers, so that the exponent can be followed between them: deeper products come near rank "
        "1 more slowly in x, although all of them come as near as one likes."
    ),
    settings=DepthLaw,
    compute=compute,
    claims=claims,
    published={
        "law-depth-*": ("scales",),
        "exponent-of-real-depths": ("depths", "scales", "loss"),
        "determinant-depth-2": ("scales",),
    },
)
