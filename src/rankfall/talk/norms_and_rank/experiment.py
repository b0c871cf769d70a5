"""Loss falls, every norm rises, rank falls: one picture of the contradiction."""

from functools import partial

import numpy as np
import xarray as xr

from ... import theory
from ..._types import Array, ArrayLike
from ...claims import Claim, at_least, at_most
from ...dynamics import Record, Stop
from ...dynamics.lanes import join, recorded, run_all, run_lanes, signed_starts
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...problems import two_by_two

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
    tasks = []
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
        tasks.append(partial(run_lanes, two_by_two(), [(start, rate, label)], stop, record, progress))
    return join(run_all(tasks))


# What falls, below which of the theory's bounds, and its value at the solution of least norm.
UPPER = (
    ("erank-sharp", "effective rank", "effective_rank", theory.effective_rank_bound, 2.0),
    ("theorem-1b", "effective rank", "effective_rank", theory.theorem1_effective_rank_bound, 2.0),
    ("distance-sharp", "distance from rank 1", "distance_to_infimal_rank", theory.smallest_singular_value_bound, 1.0),
    ("theorem-1c", "distance from rank 1", "distance_to_infimal_rank", theory.theorem1_distance_bound, 1.0),
    ("suboptimality", "rank suboptimality", "rank_suboptimality", theory.rank_suboptimality_bound, 1.0),
)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Theorem 1 and its sharper forms at every recorded point; the control is the solution of least norm, * = 0.

    That control is put at the lowest loss of the runs: what minimising a norm would have given there.
    """
    where = recorded(dataset, below=0.5)
    loss = dataset["loss"].values[where]
    end = float(loss.min())
    norms = {p: dataset["schatten_norm"].sel(p=p).values[where] for p in dataset["p"].values.tolist()}
    found = []
    for p, values in norms.items():
        least = theory.solution_schatten_norm(0.0, p) / theory.unobserved_lower_bound(end)
        found.append(
            at_least(
                f"schatten-{p:g}",
                f"The Schatten-{p:g} (quasi-)norm is at least B(loss) at every recorded point (smallest ratio).",
                SOURCE,
                (values / theory.unobserved_lower_bound(loss)).min(),
                1.0,
                1e-9,
                ("the ratio at the solution of least norm, * = 0", least),
            )
        )
    found.append(
        at_least(
            "theorem-1a",
            "Frobenius norm minus the theorem's a/sqrt(loss) - b, smallest over all points.",
            SOURCE,
            (norms[2.0] - _theorem_1a(loss)).min(),
            0.0,
            0.0,
            ("the same at * = 0 and the lowest loss", theory.solution_schatten_norm(0.0, 2.0) - _theorem_1a(end)),
        )
    )
    x, d = dataset["unobserved"].values[..., 0][where], np.sqrt(2 * loss)
    found.append(
        at_most(
            "entry-carries-the-norm",
            "The Frobenius norm is that of the solution with the same unobserved entry, up to sqrt(2 loss) (largest "
            "difference over sqrt(2 loss)): the growth of the norm is that of the entry.",
            "triangle inequality: the solution is at Frobenius distance sqrt(2 loss)",
            (np.abs(norms[2.0] - theory.solution_schatten_norm(x, 2.0)) / d).max(),
            1.0,
            1e-9,
            ("the same for * = 0", (np.abs(norms[2.0] - theory.solution_schatten_norm(0.0, 2.0)) / d).max()),
        )
    )
    for name, words, variable, bound, at_zero in UPPER:
        found.append(
            at_most(
                name,
                f"The {words} over its bound ({bound.__name__}), largest over all points.",
                SOURCE,
                (dataset[variable].values[where] / bound(loss)).max(),
                1.0,
                1e-9,
                ("the same at * = 0", at_zero / float(bound(end))),
            )
        )
    return found


def _theorem_1a(loss: ArrayLike) -> Array:
    return theory.theorem1_norm_bound(loss, norm_e11=1.0, max_norm_eij=1.0)


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
