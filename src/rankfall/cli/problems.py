"""What problem a word of the command line means."""

from collections.abc import Callable
from functools import partial
from typing import Any

from ..datasets.tables import read_matrix
from ..experiments.seeds import key_of

__all__ = ["DRAWN", "NAMES", "key_of", "problem_of"]

DRAWN = {"completion": "low_rank_completion", "sensing": "low_rank_sensing", "commuting": "commuting_sensing"}
NAMES = ("two-by-two", *DRAWN)


def problem_of(word: str, extent: int, rank: int, observed: int | None) -> Any:
    """Return the problem, or a function of a key that draws it: a family by name, or the matrix in a file."""
    from .. import datasets, problems

    if word == "two-by-two":
        return problems.two_by_two()
    if word in DRAWN:
        half = extent // 2 if word == "commuting" else extent**2 // 2
        count = half if observed is None else observed
        shape: Any = extent if word == "commuting" else (extent, extent)
        return partial(_drawn, getattr(datasets, DRAWN[word]), shape, rank, count)
    matrix = read_matrix(word)
    if matrix is None:
        raise ValueError(
            f"problem is {word!r}, but must be {', '.join(NAMES)}, or a file .npy or .csv of a matrix with NaN (in "
            ".csv also nothing, * or N/A) where it is not observed."
        )
    return problems.MatrixCompletion.from_dense(matrix)


def _drawn(make: Callable[..., Any], *arguments: object) -> Any:
    *sizes, key = arguments
    return make(*sizes, key=key)
