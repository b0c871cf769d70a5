"""What problem a word of the command line means."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from .tables import matrix_in

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
    kind = Path(word).suffix.lower()
    if kind not in (".npy", ".csv"):
        raise ValueError(
            f"problem is {word!r}, but must be {', '.join(NAMES)}, or a file .npy or .csv of a matrix with NaN (in "
            ".csv also nothing, * or N/A) where it is not observed."
        )
    _checks.content("problem", word, "a file .npy or .csv of a matrix")
    return problems.MatrixCompletion.from_dense(_npy(word) if kind == ".npy" else matrix_in(word))


def key_of(seed: int) -> Any:
    """Return the key of a seed of any size; ``jax.random.key`` sees only the last 32 bits of it."""
    import jax

    if seed < 0:
        raise ValueError(f"seed is {seed}, but must be an integer of at least 0.")
    found, rest = jax.random.key(seed % 2**32), seed >> 32
    while rest:
        found, rest = jax.random.fold_in(found, np.uint32(rest % 2**32)), rest >> 32
    return found


def _drawn(make: Callable[..., Any], *arguments: object) -> Any:
    *sizes, key = arguments
    return make(*sizes, key=key)


def _npy(path: str) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError):
        raise ValueError(f"problem is {path!r}, but must be a file that numpy.save wrote, of numbers.") from None
