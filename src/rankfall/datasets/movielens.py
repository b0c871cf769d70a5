"""MovieLens 100K: ratings of films by users, a matrix of which 6 % are known, from the user's own copy of the file."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import _checks
from ..problems import MatrixCompletion

# What the words of a refusal say is wanted, and where it is to be had.
WANTED = "the file u.data of MovieLens 100K, which is on GroupLens' page of that data set"
_LINES = (
    "must hold lines of user, item, rating (1 to 5) and timestamp with tabs between, as u.data of MovieLens 100K does "
    "(100,000 ratings of 1,682 items by 943 users, on GroupLens' page of that data set)"
)
_USER, _ITEM, _RATING, _TIMESTAMP = range(4)
_LINE = re.compile(r"-?\d{1,18}(\t-?\d{1,18}){3} *")


def read_movielens(path: str | Path, *, shape: Sequence[int] | None = None, **options: Any) -> MatrixCompletion:
    r"""Read the ratings of MovieLens 100K, or of a part of it: completion with a row an item and a column a user.

    Parameters
    ----------
    path : str or path
        Your copy of ``u.data`` of MovieLens 100K, from GroupLens' page of that data set: lines of user, item, rating
        and timestamp with tabs between, users and items numbered from 1. 100,000 ratings of 1,682 items by 943 users in
        the published file.
    shape : tuple of int, optional
        Rows (items) and columns (users) of the matrix; the largest numbers in the file by default. For a part of the
        ratings, give ``(1682, 943)``.
    **options
        As in `from_coo`: ``loss``, ``dtype``, ``truth``, ``infimal_rank``, ``infimal_erank``, ``required_det_sign``.

    Returns
    -------
    MatrixCompletion

    Raises
    ------
    ValueError
        If the file cannot be read, has another form, a rating beyond 1 to 5 or one item rated twice by a user, or does
        not fit the shape.

    References
    ----------
    Harper and Konstan (2015), The MovieLens datasets: history and context; Arora, Cohen, Hu and Luo (2019), section 3.

    Examples
    --------
    >>> import pathlib, tempfile, rankfall as rf
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "u.data")
    ...     _ = path.write_text("1\t2\t5\t881250949\n3\t1\t4\t881250950\n")
    ...     problem = rf.read_movielens(path)
    >>> problem.shape, problem.indices.tolist(), problem.values.tolist()
    ((2, 3), [[0, 2], [1, 0]], [4.0, 5.0])
    """
    return ratings("path", path, _checks.content("path", path, WANTED), shape, **options)


def ratings(
    name: str, path: str | Path, content: bytes, shape: Sequence[int] | None = None, **options: Any
) -> MatrixCompletion:
    """Make a problem of the content of a file that was given as the argument ``name``."""
    table = _table(name, path, content)
    indices, values = table[:, [_ITEM, _USER]] - 1, table[:, _RATING]
    most = indices.max(axis=0) + 1
    size = _checks.matrix_shape("shape", most if shape is None else shape)
    if (most > size).any():
        raise ValueError(
            f"shape is {_checks.shortened(shape)}, but must have room for item {most[0]} and user {most[1]} of the "
            f"file; take ({max(size[0], most[0])}, {max(size[1], most[1])}) or more."
        )
    _checks.room(name, path, size[0] * size[1])
    _, first, count = np.unique(indices[:, 0] * size[1] + indices[:, 1], return_index=True, return_counts=True)
    if (count > 1).any():
        user, item = table[first[np.argmax(count > 1)], :2]
        raise _bad(name, path, f"user {user} rates item {item} in it more than once")
    return MatrixCompletion.from_coo(indices, values, size, **options)


def _table(name: str, path: str | Path, content: bytes) -> np.ndarray:
    """Return the four columns as integers, checked."""
    # Bytes outside of ASCII are no numbers, and are found with the lines that hold them.
    lines = [line for line in content.decode("ascii", errors="replace").splitlines() if line.strip()]
    if not lines:
        raise _bad(name, path, "there is nothing in it")
    try:
        table = np.loadtxt(lines, dtype=np.int64, delimiter="\t", comments=None, ndmin=2)
    except (ValueError, OverflowError):
        table = np.zeros((0, 0), np.int64)
    if table.shape[1] != _TIMESTAMP + 1:
        # What loadtxt says is of rows and columns of its own; a reader is helped by the line.
        line = next((line for line in lines if not _LINE.fullmatch(line)), lines[0])
        raise _bad(name, path, f"a line of it is {_checks.shortened(line)}")
    beyond = (table[:, [_USER, _ITEM]] < 1).any(axis=1) | (table[:, _RATING] < 1) | (table[:, _RATING] > 5)
    if beyond.any():
        user, item, rating, _ = table[np.argmax(beyond)]
        raise _bad(name, path, f"it says that user {user} rates item {item} by {rating}")
    return table


def _bad(name: str, path: str | Path, what: str) -> ValueError:
    return ValueError(f"{name} is {str(path)!r}, but {what}; it {_LINES}.")
