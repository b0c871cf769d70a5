"""Bounds that are put to each recorded matrix of a run: the theorems about one matrix, with their constants.

They are true of every matrix whose determinant has the required sign; ``evolution`` has those about the way from one
record to the next.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from rankfall.theory import bounds, perturbation, published
from rankfall.theory._inputs import FloatArray, radius
from rankfall.theory.certificate import Statement
from rankfall.theory.records import Records

THEOREM_1 = "Razin and Cohen (2020), theorem 1"
THEOREM_2 = "Razin and Cohen (2020), theorem 2"
_SHARP = f"sharp form of {THEOREM_1}"
_EXPLICIT = f"explicit form of {THEOREM_2}"


def of_matrices(records: Records, norms: list[str]) -> Iterator[Statement]:
    """Statements about each recorded matrix, those that are known of the problem at hand."""
    if records.family.size > 2:
        yield from _extended(records, norms)
    elif records.family.base:
        yield from _base(records, norms)
        yield from _theorem_1(records, norms)
    else:
        yield from _perturbed(records, norms)


def _base(records: Records, norms: list[str]) -> Iterator[Statement]:
    loss, entry = records.loss, "At every record |unobserved entry|"
    sharp, simple = bounds.unobserved_lower_bound(loss), bounds.unobserved_lower_bound_simple(loss)
    yield _least(records, "unobserved-entry", f"{entry} >= B(loss), the sharp bound.", _SHARP, records.entry, sharp)
    text = f"{entry} >= 1/d - d, d = sqrt(2 loss)."
    yield _least(records, "unobserved-entry-simple", text, _SHARP, records.entry, simple)
    yield from _top_entry(records, norms, sharp, "B(loss)", _SHARP)
    distance = ("sqrt(2 loss)", bounds.smallest_singular_value_bound(loss))
    share = ("tau^2 / (1 + 2 tau^2), tau = tan(arcsin(sqrt(2 loss)) / 2)", bounds.second_share_bound(loss))
    yield from _rank(records, _SHARP, distance, share, bounds.effective_rank_bound(loss))


def _theorem_1(records: Records, norms: list[str]) -> Iterator[Statement]:
    loss, most = records.loss, partial(_most, records)
    for name in norms:
        constant, values = records.norms[name]
        bound = published.theorem1_norm_bound(loss, 1.0, 1.0, constant)
        text = f"At every record the {name} norm is at least a / sqrt(loss) - b, with the constants of the paper."
        yield _least(records, f"theorem-1a-{name}", text, f"{THEOREM_1} (norms)", values, bound)
    text = "At every record the effective rank is at most 1 + (2 sqrt(12) / ln 2) sqrt(loss)."
    bound = published.theorem1_effective_rank_bound(loss)
    yield most("theorem-1b", text, f"{THEOREM_1} (effective rank)", records["effective_rank"], bound, 2.0)
    text = "At every record the distance from rank 1 is at most 3 sqrt(2 loss)."
    bound = published.theorem1_distance_bound(loss)
    yield most("theorem-1c", text, f"{THEOREM_1} (distance)", _smallest(records), bound)


def _perturbed(records: Records, norms: list[str]) -> Iterator[Statement]:
    z, z_prime, eps, *_ = records.family
    problem = (records.loss, z, z_prime, eps)
    entry = f"At every record of the problem with z = {z:g}, z' = {z_prime:g}, eps = {eps:g}, |unobserved entry|"
    simple = perturbation.perturbed_unobserved_lower_bound_simple(*problem)
    geometric = perturbation.perturbed_unobserved_lower_bound(*problem)
    text = f"{entry} >= the geometric bound."
    yield _least(records, "unobserved-entry", text, _EXPLICIT, records.entry, geometric)
    text = f"{entry} >= (|z| - d) (|z'| - d) / (|eps| + d), d = sqrt(2 loss)."
    yield _least(records, "unobserved-entry-simple", text, _EXPLICIT, records.entry, simple)
    yield from _top_entry(records, norms, np.maximum(simple, geometric), "the bound on that entry", _EXPLICIT)
    distance = ("|eps| + sqrt(2 loss)", perturbation.perturbed_distance_bound(records.loss, eps))
    share = perturbation.perturbed_second_share_bound(*problem)
    erank = perturbation.perturbed_effective_rank_bound(*problem)
    formula = "1 / (1 + (|z| - d) (|z'| - d) / (|eps| + d)^2), d = sqrt(2 loss)"
    yield from _rank(records, _EXPLICIT, distance, (formula, share), erank)
    linear = perturbation.perturbed_effective_rank_bound_linear(*problem)
    text = "At every record the effective rank is at most 1 + 4 (|eps| + d) / min(|z|, |z'|), d = sqrt(2 loss)."
    yield _most(records, "effective-rank-linear", text, _EXPLICIT, records["effective_rank"], linear, 2.0)


def _extended(records: Records, norms: list[str]) -> Iterator[Statement]:
    z, z_prime, eps, _, size = records.family
    source = f"{_EXPLICIT}, its d x d extension"
    bound = perturbation.perturbed_unobserved_lower_bound(records.loss, z, z_prime, eps)
    # The segment lemma bounds the smallest singular value of the solution, and that may be one of the 1s beside the
    # 2x2 block; below distance 1 it is the block's.
    bound = np.where(radius(records.loss) < 1.0, bound, 0.0)
    text = f"At every record of the {size} x {size} problem |unobserved entry| >= the geometric bound" + (
        ", 1/d - d with d = sqrt(2 loss)." if abs(z) == abs(z_prime) == 1.0 and eps == 0.0 else "."
    )
    yield _least(records, "unobserved-entry", text, source, records.entry, bound)
    yield from _top_entry(records, norms, bound, "the bound on that entry", source)
    text = "At every record the smallest singular value is at most |eps| + sqrt(2 loss)."
    distance = perturbation.perturbed_distance_bound(records.loss, eps)
    yield _most(records, "distance-to-infimal-rank", text, source, _smallest(records), distance)


def _rank(
    records: Records,
    source: str,
    distance: tuple[str, FloatArray],
    share: tuple[str, FloatArray],
    erank: FloatArray,
) -> Iterator[Statement]:
    """Bound what the closeness of a 2 x 2 matrix to rank 1 is measured by; bounds come with their formulae."""
    most = partial(_most, records)
    formula, bound = distance
    smallest, measured_erank = _smallest(records), records["effective_rank"]
    text = f"At every record the smaller singular value is at most {formula}."
    yield most("distance-to-infimal-rank", text, source, smallest, bound)
    text = f"At every record the smaller singular value's share of their sum is at most {share[0]}."
    yield most("second-share", text, source, _share(records), share[1], 0.5)
    text = "At every record the effective rank is at most the exponential of the entropy of the bound on that share."
    yield most("effective-rank", text, source, measured_erank, erank, 2.0)
    text = (
        "At every record rank suboptimality is at most the larger of the bounds on distance and effective rank less 1."
    )
    # Every problem of the family has the infimal effective rank 1.
    measured = np.maximum(smallest, measured_erank - 1.0)
    larger = np.where(erank < 2.0, np.maximum(bound, erank - 1.0), np.inf)
    yield most("rank-suboptimality", text, source, measured, larger)


def _top_entry(records: Records, norms: list[str], bound: FloatArray, word: str, source: str) -> Iterator[Statement]:
    """Bound norms from below: none here is smaller than the largest entry."""
    for name in norms:
        text = f"At every record the {name} norm, which is at least |unobserved entry|, is at least {word}."
        yield _least(records, f"norm-{name}", text, source, records.norms[name][1], bound)


def _least(records: Records, name: str, text: str, source: str, measured: FloatArray, bound: FloatArray) -> Statement:
    """State that ``measured >= bound``, of a measure that is never negative."""
    tested = records.counted & (bound > 0.0)
    return Statement(name, text, source, measured, bound, True, tested, records.tolerance)


def _most(
    records: Records,
    name: str,
    text: str,
    source: str,
    measured: FloatArray,
    bound: FloatArray,
    trivial: float = np.inf,
) -> Statement:
    """State that ``measured <= bound``, of a measure that is at most ``trivial`` anyway."""
    tested = records.counted & (bound < trivial)
    return Statement(name, text, source, measured, bound, False, tested, records.tolerance)


def _smallest(records: Records) -> FloatArray:
    """Return the smallest singular value: the distance from the infimal rank, which is one below the size."""
    return records["singular_values"][..., -1]


def _share(records: Records) -> FloatArray:
    s = records["singular_values"]
    with np.errstate(invalid="ignore"):
        return np.asarray(s[..., -1] / s.sum(axis=-1))
