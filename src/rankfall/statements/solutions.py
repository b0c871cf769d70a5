"""Statements about the solutions ``[[x, 1], [1, 0]]`` themselves."""

import numpy as np

from .. import measures
from ..claims import Claim
from ..theory import at_least, at_most, close_to, minimiser_radius, norm_constants, solution

TALK = "Razin and Cohen (2020)"
# Unobserved entries from 0 to a million, on both sides, denser where little happens.
ENTRIES = np.unique(np.append(np.sinh(np.linspace(-14.5, 14.5, 2001)), [0.0, 1.0, -1.0]))
SCHATTEN = (0.1, 0.5, 1.0, 1.5, 2.0, 10.0, np.inf)


def rank_of_solutions() -> list[Claim]:
    """Every solution has rank 2, although they come as near to rank 1 as one likes."""
    matrices = solution(ENTRIES[np.abs(ENTRIES) < 1e3])
    disturbed = matrices + [[0.0, 0.0], [0.0, 0.5]]
    away, far = (float(np.abs(np.linalg.det(w) + 1).max()) for w in (matrices, disturbed))
    return [
        at_most(
            "rank-of-solutions",
            "Every solution has rank 2: its determinant is -1 whatever the unobserved entry is (largest "
            "distance from -1)",
            f"{TALK}, section 3.1",
            away,
            1e-9,
            control=("with 1/2 observed in place of 0", far),
        )
    ]


def schatten_minimiser() -> list[Claim]:
    """Every Schatten (quasi-)norm is least at the unobserved entry 0, and nowhere else."""
    matrices = solution(ENTRIES)
    largest, rising = 0.0, np.inf
    for p in SCHATTEN:
        norms = np.asarray(measures.schatten_norm(matrices, p))
        largest = max(largest, abs(float(ENTRIES[norms.argmin()])))
        right = norms[ENTRIES >= 0]
        # The spectral norm of small p is flat to rounding at 0: steps are compared where the entry is above 1e-3.
        rising = min(rising, float(np.diff(right[ENTRIES[ENTRIES >= 0] > 1e-3]).min()))
    moved = np.linalg.norm(matrices - solution(1.0) * [[1.0, 0.0], [0.0, 0.0]], axis=(1, 2))
    return [
        at_most(
            "schatten-minimiser",
            f"Among the solutions the Schatten-p norms, p from {SCHATTEN[0]} to infinity, are least where the "
            f"unobserved "
            "entry is 0 (largest minimiser found)",
            f"{TALK}, section 3.1",
            largest,
            0.0,
            control=("distance to [[1, 0], [0, 0]] instead of a norm", float(ENTRIES[moved.argmin()])),
        ),
        at_least(
            "schatten-rising",
            "and grow with its magnitude (smallest increase found is positive)",
            f"{TALK}, section 3.1",
            rising,
            0.0,
            control=(
                "effective rank instead of a norm",
                float(np.diff(measures.effective_rank(matrices[-500:])).max()),
            ),
        ),
    ]


def _skewed(w: np.ndarray) -> float:
    return float(np.linalg.norm(w) + 2 * abs(w[0, 0] - 3 * w[0, 1]))


def _weighted(w: np.ndarray) -> float:
    return float(np.linalg.norm(w * [[0.1, 2.0], [0.5, 3.0]]))


def _mixed(w: np.ndarray) -> float:
    return float(np.abs(w).sum() + np.abs(w @ [[1.0, -0.5], [0.2, 1.0]]).max())


def bounded_minimisers() -> list[Claim]:
    """Check that the minimisers of any norm lie within a bound that the norm's constants give."""
    grid = ENTRIES[np.abs(ENTRIES) < 1e4]
    worst = 0.0
    for norm, c in ((_skewed, 1.0), (_weighted, 1.0), (_mixed, 1.0), ("schatten-0.5", None), ("entrywise-0.5", None)):
        known = norm_constants(norm, triangle_constant=c)
        radius = float(minimiser_radius(known.norm_w0, known.norm_e11, known.triangle_constant))
        values = np.asarray(measures.norm(solution(grid), norm)) if callable(norm) else _quasi(norm, grid)
        worst = max(worst, abs(float(grid[values.argmin()])) / radius)
    # The observed entries alone make a seminorm: no bound, every entry a minimiser.
    return [
        at_most(
            "bounded-minimisers",
            "The solutions that minimise a norm or quasi-norm have unobserved entries within c (2 |W_0|) / "
            "|E_11| (five "
            "norms, three of them least elsewhere than at 0; largest share of the bound)",
            f"{TALK}, section 3.1",
            worst,
            1.0,
            control=("the seminorm of the observed entries, least at every entry up to 10^4", float(grid.max())),
        )
    ]


def _quasi(name: str, grid: np.ndarray) -> np.ndarray:
    kind, p = name.rsplit("-", 1)
    function = measures.schatten_norm if kind == "schatten" else measures.entrywise_norm
    return np.asarray(function(solution(grid), float(p)))


def rank_suboptimality() -> list[Claim]:
    """Rank suboptimality is largest at the unobserved entry 0, and vanishes as it grows."""
    right = ENTRIES[ENTRIES >= 0]
    values = np.asarray(measures.rank_suboptimality(solution(right), infimal_rank=1, infimal_erank=1.0))
    nuclear = np.asarray(measures.nuclear_norm(solution(right)))
    return [
        close_to(
            "rank-suboptimality-largest",
            "Rank suboptimality of a solution is largest, 1, where the unobserved entry is 0 (where it is largest)",
            f"{TALK}, section 3.2",
            float(right[values.argmax()]),
            0.0,
            0.0,
            ("the nuclear norm instead", float(right[nuclear.argmax()])),
        ),
        at_most(
            "rank-suboptimality-vanishing",
            "and falls to 0 as the entry grows (value at 10^6; it falls all the way)",
            f"{TALK}, section 3.2",
            float(values[-1]) if (np.diff(values) < 1e-12).all() else np.nan,
            2e-6,
            control=("at the entry 10", float(values[right.searchsorted(10.0)])),
        ),
    ]
