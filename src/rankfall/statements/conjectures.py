"""What gradient flow does or does not minimise: the conjecture on the nuclear norm, and the hypothesis on rank."""

import jax
import numpy as np

from .. import measures
from ..claims import Claim
from ..datasets import commuting_sensing
from ..dynamics import LinearFlow, Record, SpectralFlow, Stop, train
from ..factorizations import MatrixFactorization, SpectralFactorization
from ..problems import two_by_two
from ..theory import at_least, at_most
from .comparison import compare

LOSS = 1e-8


def gunasekar() -> list[Claim]:
    """Small starts do not lead to the solution of least nuclear norm here; where that is proved, they do."""
    start = SpectralFactorization.from_end_to_end(1e-6 * np.eye(2), 2)
    run = train(two_by_two(), start, SpectralFlow(), stop=Stop(loss=LOSS), progress=False)
    here = float(measures.nuclear_norm(run.final.full())) / 2.0
    problem = commuting_sensing(6, rank=1, measurements=4, key=jax.random.key(0))
    proved = compare(problem, ["nuclear"], [2], scales=[1e-4, 1e-6], draws=1, kind="identity", progress=False)
    there = 1 + proved.verdicts[0].excess
    return [
        at_least(
            "gunasekar",
            "Gunasekar's conjecture fails here: depth 2 from a start of 1e-6 does not "
            "approach the solution of "
            f"least nuclear norm (nuclear norm at loss {LOSS:g} over the least one)",
            "Razin and Cohen (2020) on Gunasekar et al. (2017)",
            here,
            1000.0,
            control=("commuting measurements, for which it is proved", there),
        ),
        at_most(
            "gunasekar-where-it-is-proved",
            "Where it is proved, on commuting positive semidefinite measurements (6 x 6, 4 of them), depth 2 from a "
            "start of 1e-6 ends at the least nuclear norm (ratio to it)",
            "Gunasekar et al. (2017), theorem 1",
            there,
            1.0,
            1e-2,
            ("[[*, 1], [1, 0]]", here),
        ),
    ]


def arora() -> list[Claim]:
    """No norm explains what depth does, but rank does: effective rank falls to its infimum while norms diverge."""
    worst = 1.0
    for depth in (2, 3, 4):
        start = SpectralFactorization.from_end_to_end(1e-3 * np.eye(2), depth)
        run = train(two_by_two(), start, SpectralFlow(), stop=Stop(loss=LOSS), progress=False)
        worst = max(worst, float(measures.effective_rank(run.final.full())))
    single = MatrixFactorization([1e-3 * np.eye(2)])
    flat = train(two_by_two(), single, LinearFlow(), stop=Stop(loss=LOSS), record=Record(), progress=False)
    return [
        at_most(
            "arora",
            "Arora's hypothesis holds here: with two factors or more training lowers effective "
            "rank to its infimum, "
            f"1, while every norm grows (effective rank at loss {LOSS:g}, depths 2, 3, 4)",
            "Razin and Cohen (2020) on Arora et al. (2019)",
            worst,
            1.0,
            1e-5,
            ("one factor", float(measures.effective_rank(flat.final.full()))),
        ),
    ]
