"""The contradiction itself: over the solutions, norms are least where rank is most, and the other way round."""

import numpy as np
import xarray as xr

from .. import measures, theory
from ..theory.claim import Claim, at_least, at_most, close_to
from .base import Experiment, Settings

SOURCE = "Razin and Cohen (2020), section 3.1"


class SolutionSet(Settings):
    """Settings: a grid of the unobserved entry, symmetric and with 0 in it."""

    schatten_p: list[float]
    largest: float
    points: int


def compute(settings: SolutionSet, progress: bool) -> xr.Dataset:
    """Evaluate norms and rank measures on the solutions W_x = [[x, 1], [1, 0]]."""
    del progress
    # 2 is where [[x, 1], [1, 0.5]], the control, has rank 1.
    half = np.unique([0.0, 2.0, *np.geomspace(1e-3, settings.largest, settings.points)])
    x = np.concatenate([-half[:0:-1], half])
    w = np.asarray(theory.solution(x))
    names = [f"S_{p:g}" for p in settings.schatten_p]
    values = [measures.schatten_norm(w, p) for p in settings.schatten_p]
    for name in ("max_column_sum", "max_row_sum"):
        names.append(name)
        values.append(measures.norm(w, name))
    skewed = np.array([[1.0, 0.0], [1.0, 1.0]])
    perturbed = w + np.array([[0.0, 0.0], [0.0, 0.5]])
    return xr.Dataset(
        {
            "norm_value": (("norm", "x"), np.stack(values)),
            "skewed_norm": ("x", measures.frobenius_norm(w @ skewed)),
            "effective_rank": ("x", measures.effective_rank(w)),
            "distance_to_infimal_rank": ("x", measures.distance_to_rank(w, 1)),
            "rank_suboptimality": ("x", measures.rank_suboptimality(w, infimal_rank=1, infimal_erank=1.0)),
            "numerical_rank": ("x", measures.numerical_rank(w, rtol=1e-12)),
            "perturbed_suboptimality": ("x", measures.rank_suboptimality(perturbed, infimal_rank=1, infimal_erank=1.0)),
            "perturbed_rank": ("x", measures.numerical_rank(perturbed, rtol=1e-3)),
        },
        coords={"x": x, "norm": names},
    )


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Where norms and rank measures are least and largest."""
    x = dataset["x"].values
    at_zero = int(np.argmin(np.abs(x)))
    skewed = float(abs(x[dataset["skewed_norm"].values.argmin()]))
    found = []
    for name in dataset["norm"].values:
        if name.startswith("max"):
            continue
        where = float(abs(x[dataset["norm_value"].sel(norm=name).values.argmin()]))
        found.append(
            at_most(
                f"minimiser-{name}",
                f"Among the solutions, {name} is least at |*| =",
                SOURCE,
                where,
                0.0,
                1e-9,
                {
                    "what": "minimiser of ||W [[1,0],[1,1]]||_F, a norm that is least elsewhere",
                    "measured": skewed,
                    "fails": skewed > 1e-9,
                },
                absolute=True,
            )
        )
    subopt = dataset["rank_suboptimality"].values
    perturbed = dataset["perturbed_suboptimality"].values
    found.append(
        close_to(
            "suboptimality-at-zero",
            "The rank suboptimality is 1, its largest value, at * = 0.",
            SOURCE,
            float(subopt[at_zero]) if subopt.argmax() == at_zero else float("nan"),
            1.0,
            1e-12,
            {
                "what": "the same for [[*, 1], [1, 0.5]], largest elsewhere",
                "measured": float(perturbed[at_zero]),
                "fails": bool(abs(perturbed[at_zero] - perturbed.max()) > 1e-12),
            },
        )
    )
    falling = float(np.diff(subopt[at_zero:]).max())
    risen = float(np.diff(perturbed[at_zero:]).max())
    found.append(
        at_most(
            "suboptimality-falls",
            "The rank suboptimality falls strictly as |*| grows (largest increment).",
            SOURCE,
            falling,
            0.0,
            0.0,
            {
                "what": "the same for [[*, 1], [1, 0.5]], whose rank is least at * = 2",
                "measured": risen,
                "fails": risen > 0,
            },
            absolute=True,
        )
    )
    end = float(subopt[-1])
    found.append(
        at_most(
            "suboptimality-vanishes",
            f"At * = {x[-1]:g} the rank suboptimality is near 0.",
            SOURCE,
            end,
            0.0,
            2.0 / x[-1],
            {"what": "at * = 0", "measured": float(subopt[at_zero]), "fails": bool(subopt[at_zero] > 2.0 / x[-1])},
            absolute=True,
        )
    )
    rank, other = int(dataset["numerical_rank"].min()), int(dataset["perturbed_rank"].min())
    found.append(
        at_least(
            "rank-two",
            "Every solution has rank 2 (least rank over the grid).",
            SOURCE,
            rank,
            2,
            0.0,
            {"what": "least rank over the solutions of [[*, 1], [1, 0.5]]", "measured": other, "fails": other < 2},
        )
    )
    return found


EXPERIMENT = Experiment(
    name="solution-set",
    title="Small norm and small rank pull in opposite directions",
    question=(
        "Every matrix [[x, 1], [1, 0]] fits the three observations exactly, so the solutions form a line. On it every "
        "Schatten norm is least at x = 0, where the effective rank is largest; towards infinity the norms grow "
        "without bound and the matrix comes arbitrarily close to rank 1. Where training goes on this line tells norm "
        "from rank."
    ),
    settings=SolutionSet,
    compute=compute,
    claims=claims,
)
