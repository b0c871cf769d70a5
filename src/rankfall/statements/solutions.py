"""Statements about the solutions ``[[x, 1], [1, 0]]`` themselves."""

import numpy as np

from .. import measures
from ..claims import Claim
from ..theory import at_least, at_most, close_to, minimiser_radius, norm_constants, solution
from ..theory.any_norm import Norm

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


def _flat(w: np.ndarray) -> float:
    """Constant in the entry up to where the bound ends: least from 0 to 6."""
    return float(max(abs(w[0, 0] - 3 * w[0, 1]), 3 * abs(w[0, 1]), abs(w[1, 0]), abs(w[1, 1])))


def _two_wells(w: np.ndarray) -> float:
    """Quasi-norm (c = 2) with wells at 0 and 100, the second one deeper."""
    a, b = w[0, 0], w[0, 1]
    return float(np.sqrt(np.abs([a - 100 * b, 0.9 * a, 0.01 * b, 0.01 * w[1, 0], 0.01 * w[1, 1]])).sum() ** 2)


def bounded_minimisers() -> list[Claim]:
    """Check that the minimisers of any norm lie within a bound that the norm's constants give, and that it is sharp."""
    norms = ((_skewed, 1.0), (_weighted, 1.0), (_mixed, 1.0), ("schatten-0.5", None), ("entrywise-0.5", None))
    shares = [_share_of_bound(norm, c) for norm, c in (*norms, (_two_wells, 2.0))]
    # With c = 1 the bound is that of a norm, which the quasi-norm with two wells is not.
    without = _share_of_bound(_two_wells, 2.0, taken=1.0)
    return [
        at_most(
            "bounded-minimisers",
            "The solutions that minimise a norm or quasi-norm have unobserved entries within c (2 |W_0|) / |E_11| (six "
            f"norms; shares of the bound {', '.join(f'{share:.3f}' for share in shares)}, the largest of them)",
            f"{TALK}, section 3.1",
            max(shares),
            1.0,
            control=("a quasi-norm of two wells, c = 2, in the bound with c = 1", without),
        ),
        close_to(
            "bounded-minimisers-sharply",
            "and no further bound holds for all norms: max(|w11 - 3 w12|, 3 |w12|, |w21|, |w22|) is least up to the "
            "bound itself (share of it)",
            f"{TALK}, section 3.1, sharpened",
            _share_of_bound(_flat, 1.0),
            1.0,
            1e-9,
            ("the same of the Frobenius norm with two weights and a bend", _share_of_bound(_skewed, 1.0)),
        ),
    ]


def _share_of_bound(norm: Norm, c: float | None, taken: float | None = None) -> float:
    """Largest magnitude of a minimiser, over the bound on it, which may be taken with another triangle constant."""
    known = norm_constants(norm, triangle_constant=c)
    radius = float(minimiser_radius(known.norm_w0, known.norm_e11, taken or known.triangle_constant))
    # A grid that has the end of the bound, and the kinks of the norms here.
    grid = np.union1d(ENTRIES[np.abs(ENTRIES) < 1e4], [radius, -radius, 3.0, 6.0, 100.0])
    values = np.asarray(measures.norm(solution(grid), norm)) if callable(norm) else _quasi(norm, grid)
    return float(np.abs(grid[values <= values.min() * (1 + 1e-12)]).max()) / radius


def _quasi(name: str, grid: np.ndarray) -> np.ndarray:
    kind, p = name.rsplit("-", 1)
    function = measures.schatten_norm if kind == "schatten" else measures.entrywise_norm
    return np.asarray(function(solution(grid), float(p)))


def _rank_suboptimality(entries: np.ndarray, opposite: float = 0.0) -> np.ndarray:
    """Of ``[[x, 1], [1, opposite]]``, where rank and effective rank come down to 1."""
    matrices = solution(entries) + [[0.0, 0.0], [0.0, opposite]]
    return np.asarray(measures.rank_suboptimality(matrices, infimal_rank=1, infimal_erank=1.0))


def rank_suboptimality() -> list[Claim]:
    """Rank suboptimality is largest at the unobserved entry 0, where it is 1, and vanishes as the entry grows."""
    right = ENTRIES[ENTRIES >= 0]
    both, other = _rank_suboptimality(ENTRIES), _rank_suboptimality(ENTRIES, opposite=0.5)
    values = both[ENTRIES >= 0]
    return [
        close_to(
            "rank-suboptimality-largest",
            "Rank suboptimality of a solution is at most 1 (largest value)",
            f"{TALK}, section 3.2",
            float(values.max()),
            1.0,
            1e-12,
            ("the solutions of [[*, 1], [1, 1/2]]", float(other.max())),
        ),
        close_to(
            "rank-suboptimality-at-zero",
            "and is largest where the unobserved entry is 0 (where it is largest)",
            f"{TALK}, section 3.2",
            float(ENTRIES[both.argmax()]),
            0.0,
            0.0,
            ("the solutions of [[*, 1], [1, 1/2]]", float(ENTRIES[other.argmax()])),
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
