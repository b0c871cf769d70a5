"""The contradiction itself: over the solutions, norms are least where rank is most, and the other way round."""

import numpy as np
import xarray as xr

from ... import measures, theory
from ...claims import Claim, at_least, at_most, close_to
from ...experiments import Experiment, Settings

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
            "unobserved": ("x", w[:, 0, 0]),
            "norm_value": (("norm", "x"), np.stack(values)),
            "skewed_norm": ("x", measures.frobenius_norm(w @ skewed)),
            "effective_rank": ("x", measures.effective_rank(w)),
            "distance_to_infimal_rank": ("x", measures.distance_to_rank(w, 1)),
            "rank_suboptimality": ("x", measures.rank_suboptimality(w, infimal_rank=1, infimal_erank=1.0)),
            "numerical_rank": ("x", measures.numerical_rank(w, rtol=1e-12)),
            "perturbed_suboptimality": ("x", measures.rank_suboptimality(perturbed, infimal_rank=1, infimal_erank=1.0)),
            "perturbed_rank": ("x", measures.numerical_rank(perturbed, rtol=1e-3)),
        },
        coords={"x": x, "norm": names, "p": settings.schatten_p},
    )


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Where norms and rank measures are least and largest, and that they are the closed forms of the entry."""
    return [*_norm_claims(dataset), *_rank_claims(dataset)]


def _norm_claims(dataset: xr.Dataset) -> list[Claim]:
    x = dataset["unobserved"].values
    schatten = {p: dataset["norm_value"].sel(norm=f"S_{p:g}").values for p in dataset["p"].values.tolist()}
    skewed = abs(x[dataset["skewed_norm"].values.argmin()])
    minimisers = [
        at_most(
            f"minimiser-S_{p:g}",
            f"Among the solutions, the Schatten-{p:g} (quasi-)norm is least at |*| =",
            SOURCE,
            abs(x[values.argmin()]),
            0.0,
            1e-9,
            ("minimiser of ||W [[1,0],[1,1]]||_F, a norm that is least elsewhere", skewed),
            absolute=True,
        )
        for p, values in schatten.items()
    ]
    closed_forms = at_most(
        "closed-forms",
        "Norms, effective rank and distance equal their closed forms in the entry (largest relative difference).",
        "arcsinh parametrisation of the singular values",
        max(_difference(dataset, schatten, x)),
        0.0,
        1e-12,
        ("the same for half the entry", max(_difference(dataset, schatten, x / 2))),
        absolute=True,
    )
    return [*minimisers, closed_forms]


def _rank_claims(dataset: xr.Dataset) -> list[Claim]:
    x = dataset["unobserved"].values
    at_zero = int(np.argmin(np.abs(x)))
    subopt, perturbed = dataset["rank_suboptimality"].values, dataset["perturbed_suboptimality"].values
    return [
        close_to(
            "suboptimality-at-zero",
            "The rank suboptimality at * = 0, over its largest value.",
            SOURCE,
            subopt[at_zero] / subopt.max(),
            1.0,
            1e-12,
            ("the same for [[*, 1], [1, 0.5]], largest elsewhere", perturbed[at_zero] / perturbed.max()),
        ),
        at_most(
            "suboptimality-falls",
            "The rank suboptimality falls as |*| grows (largest increment from one value to the next).",
            SOURCE,
            np.diff(subopt[at_zero:]).max(),
            # Strictly: the smallest step it takes on this grid is 3e-8, far above rounding.
            -1e-9,
            0.0,
            (
                "the same for [[*, 1], [1, 0.5]], whose rank is least at * = 2",
                np.diff(perturbed[at_zero:]).max(),
            ),
        ),
        at_most(
            "suboptimality-vanishes",
            f"The rank suboptimality where |*| is largest, times |*| = {x[-1]:g}: it goes to 0 like 1/|*|.",
            SOURCE,
            subopt[-1] * x[-1],
            1.0,
            0.0,
            ("the same for [[*, 1], [1, 0.5]], whose rank grows again", perturbed[-1] * x[-1]),
        ),
        at_least(
            "rank-two",
            "Every solution has rank 2 (least rank over the grid).",
            SOURCE,
            dataset["numerical_rank"].min(),
            2,
            0.0,
            ("least rank over the solutions of [[*, 1], [1, 0.5]]", dataset["perturbed_rank"].min()),
        ),
    ]


def _difference(dataset: xr.Dataset, schatten: dict[float, np.ndarray], x: np.ndarray) -> list[float]:
    """Largest relative difference of each stored measure to its closed form in an entry."""
    pairs = [(values, theory.solution_schatten_norm(x, p)) for p, values in schatten.items()]
    pairs.append((dataset["effective_rank"].values, theory.solution_effective_rank(x)))
    pairs.append((dataset["distance_to_infimal_rank"].values, theory.solution_distance(x)))
    return [float(np.abs(values / exact - 1).max()) for values, exact in pairs]


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
    published={"suboptimality-falls": ("largest", "points")},
)
