"""Loss falls, every norm rises, rank falls: one picture of the contradiction."""

import numpy as np
import xarray as xr

from .. import measures, theory
from ..dynamics import Record, Stop
from ..factorizations import MatrixFactorization
from ..problems import two_by_two
from ..theory.claim import Claim, at_least, at_most
from .base import Experiment, Settings, join, run_lanes, signed_starts

SOURCE = "Razin and Cohen (2020), theorem 1"


class NormsAndRank(Settings):
    """Settings: ``rates[depth]`` is the learning rate."""

    rates: dict[str, float]
    scale: float
    seeds: int
    loss: float
    steps: int
    levels: int


def compute(settings: NormsAndRank, progress: bool) -> xr.Dataset:
    """Train balanced starts (depth 2: from alpha I, which rounding cannot unbalance)."""
    record = Record(at_losses=np.geomspace(1.0, settings.loss, settings.levels))
    stop = Stop(loss=settings.loss, steps=settings.steps)
    parts = []
    for depth, rate in ((int(d), r) for d, r in settings.rates.items()):
        if depth == 2:
            alphas = settings.scale * np.logspace(0, 1, settings.seeds)
            start, kind = MatrixFactorization.init((2, 2), 2, kind="identity", alpha=alphas), "identity"
        else:
            kind = "balanced"
            start = signed_starts(
                (2, 2), depth, kind=kind, scale=settings.scale, det_sign=1, seed=settings.seed, seeds=settings.seeds
            )
        label = {"depth": depth, "kind": kind, "scale": settings.scale}
        parts.append(run_lanes(two_by_two(), [(start, rate, label)], stop, record, progress))
    return join(parts)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Theorem 1 and its sharper forms at every recorded point; the control is the solution of least norm, * = 0."""
    loss = dataset["loss"].values
    where = np.isfinite(loss) & (loss < 0.5)
    at = loss[where]
    # The solution of least norm, at the lowest loss of the runs: what minimising a norm would have given.
    least = np.array([[0.0, 1.0], [1.0, 0.0]])
    end = float(at.min())
    bound_end = float(theory.unobserved_lower_bound(end))
    found = []
    for p in dataset["p"].values:
        ratio = dataset["schatten_norm"].sel(p=p).values[where] / np.asarray(theory.unobserved_lower_bound(at))
        control = float(measures.schatten_norm(least, float(p))) / bound_end
        found.append(
            at_least(
                f"schatten-{p:g}",
                f"The Schatten-{p:g} (quasi-)norm is at least B(loss) at every recorded point.",
                SOURCE,
                float(ratio.min()),
                1.0,
                1e-9,
                {
                    "what": "the ratio at the solution of least norm, * = 0",
                    "measured": control,
                    "fails": control < 1 - 1e-9,
                },
            )
        )
    frobenius = dataset["schatten_norm"].sel(p=2.0).values[where]
    paper = np.asarray(theory.theorem1_norm_bound(at, norm_e11=1.0, max_norm_eij=1.0))
    gap = float((frobenius - paper).min())
    control = float(np.sqrt(2.0) - theory.theorem1_norm_bound(1e-6, norm_e11=1.0, max_norm_eij=1.0))
    found.append(
        at_least(
            "theorem-1a",
            "Frobenius norm minus the theorem's a/sqrt(loss) - b, smallest over all points.",
            SOURCE,
            gap,
            0.0,
            0.0,
            {"what": "the same at * = 0 and loss 1e-6", "measured": control, "fails": control < 0},
        )
    )
    upper = [
        ("erank-sharp", "effective rank", "effective_rank", theory.effective_rank_bound, 2.0, 0.0),
        ("theorem-1b", "effective rank", "effective_rank", theory.theorem1_effective_rank_bound, 2.0, 0.0),
        (
            "distance-sharp",
            "distance from rank 1",
            "distance_to_infimal_rank",
            theory.smallest_singular_value_bound,
            1.0,
            0,
        ),
        ("theorem-1c", "distance from rank 1", "distance_to_infimal_rank", theory.theorem1_distance_bound, 1.0, 0.0),
        ("suboptimality", "rank suboptimality", "rank_suboptimality", theory.rank_suboptimality_bound, 1.0, 0.0),
    ]
    for name, words, variable, bound, at_zero, _ in upper:
        worst = float((dataset[variable].values[where] / np.asarray(bound(at))).max())
        control = at_zero / float(bound(min(end, 1e-3)))
        found.append(
            at_most(
                name,
                f"The {words} over its bound ({bound.__name__}), largest over all points.",
                SOURCE,
                worst,
                1.0,
                1e-9,
                {"what": "the same at * = 0", "measured": control, "fails": control > 1 + 1e-9},
            )
        )
    return found


EXPERIMENT = Experiment(
    name="norms-and-rank",
    title="Every norm rises while rank falls",
    question=(
        "Along the same training runs: the Schatten norms (nuclear, Frobenius, spectral, and a quasi-norm) all rise as "
        "the loss falls, while the effective rank falls to 1, its infimum, and so does the distance from the matrices "
        "of rank 1. No norm is being minimised; rank is. The lines are the bounds of the theorem with its stated "
        "constants, and the sharp ones."
    ),
    settings=NormsAndRank,
    compute=compute,
    claims=claims,
)
