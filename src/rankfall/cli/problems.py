"""What problem a word of the command line means."""

import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks

DRAWN = {"completion": "low_rank_completion", "sensing": "low_rank_sensing", "commuting": "commuting_sensing"}
NAMES = ("two-by-two", *DRAWN)
UNOBSERVED = ("", "*", "nan", "na")


def problem_of(word: str, extent: int, rank: int, observed: int | None) -> Any:
    """Return the problem, or a function of a key that draws it: a family by name, or the matrix in a file."""
    from .. import datasets, problems

    if word == "two-by-two":
        return problems.two_by_two()
    if word in DRAWN:
        count = observed or (extent // 2 if word == "commuting" else extent**2 // 2)
        shape: Any = extent if word == "commuting" else (extent, extent)
        return partial(_drawn, getattr(datasets, DRAWN[word]), shape, rank, count)
    kind = Path(word).suffix.lower()
    if kind not in (".npy", ".csv"):
        raise ValueError(
            f"problem is {word!r}, but must be {', '.join(NAMES)}, or a file .npy or .csv of a matrix with NaN (in "
            ".csv also nothing, or *) where it is not observed."
        )
    _checks.content("problem", word, "a file .npy or .csv of a matrix")
    return problems.MatrixCompletion.from_dense(_npy(word) if kind == ".npy" else _csv(word))


def _drawn(make: Callable[..., Any], *arguments: object) -> Any:
    *sizes, key = arguments
    return make(*sizes, key=key)


def _npy(path: str) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError):
        raise ValueError(f"problem is {path!r}, but must be a file that numpy.save wrote, of numbers.") from None


def _csv(path: str) -> np.ndarray:
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise ValueError(f"problem is {path!r}, but must have rows of one length; it has {sorted(lengths)[:5]}.")
    return np.array([[_cell(path, n, word) for word in row] for n, row in enumerate(rows, 1)])


def _cell(path: str, row: int, word: str) -> float:
    if word.strip().lower() in UNOBSERVED:
        return np.nan
    try:
        return float(word)
    except ValueError:
        raise ValueError(
            f"problem is {path!r}, but row {row} holds {_checks.shortened(word)}, which is no number; leave it empty "
            "if it is not observed, and leave names of columns out."
        ) from None
