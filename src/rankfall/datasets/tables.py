"""A matrix in a file: of text, as spreadsheets, pandas and NumPy write it, or of NumPy's own kind."""

import codecs
import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import _checks

UNOBSERVED = frozenset(["", *"* nan -nan na n/a #n/a #na null none <na> ? - -- .".split()])
_EXPECTED = "a file .csv of a matrix"
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+(e[+-]?\d+)?", re.IGNORECASE)
_FRACTION = re.compile(r".*[.,e].*", re.IGNORECASE)


def read_matrix(path: str) -> np.ndarray | None:
    """Return the matrix in a file .npy or .csv, NaN where it is not observed; nothing for a name of another kind."""
    kind = Path(path).suffix.lower()
    if kind not in (".npy", ".csv"):
        return None
    _checks.content("problem", path, "a file .npy or .csv of a matrix")
    return _npy(path) if kind == ".npy" else matrix_in(path)


def matrix_in(path: str) -> np.ndarray:
    """Return the matrix in a file, NaN where a cell is empty or holds a word for nothing.

    Cells are separated by tabs, semicolons, commas or blanks, the first of these that the file holds; where it is not
    the comma, numbers may be written with one. Lines that begin with ``#`` are comments, and empty ones count only in a
    matrix of one column, between others. What cannot be told from row numbers and names of columns is refused.
    """
    lines = _lines(path)
    delimiter = next((mark for mark in "\t;," if any(mark in line for line in lines)), " ")
    rows = _rows(path, lines, delimiter)
    lengths = {len(row) for row in rows}
    if len(lengths) != 1:
        raise _bad(path, f"must have rows of one length; it has {sorted(lengths)[:5]} (cells end at {delimiter!r})")
    _refuse_spare_column(path, rows, delimiter)
    _refuse_labels(path, rows)
    commas = delimiter != "," and any(_DECIMAL_COMMA.fullmatch(word) for row in rows for word in row)
    if commas and any("." in word and word not in UNOBSERVED for row in rows for word in row):
        raise _bad(path, "has numbers with a decimal comma and others with a point; write all of them with a point")
    return np.array([[_cell(path, n, word, delimiter, commas) for word in row] for n, row in enumerate(rows, 1)])


def _npy(path: str) -> np.ndarray:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (ValueError, EOFError):
        raise ValueError(f"problem is {path!r}, but must be a file that numpy.save wrote, of numbers.") from None


def _lines(path: str) -> list[str]:
    content = _checks.content("problem", path, _EXPECTED)
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), "utf-8")
    text = content.decode(encoding, errors="replace")
    if "\0" in text:
        raise _bad(path, "holds bytes of zero; save it as text in the encoding UTF-8")
    lines = (line if line.strip() else "" for line in text.splitlines())
    return [line for line in lines if not line.lstrip().startswith("#")]


def _rows(path: str, lines: Sequence[str], delimiter: str) -> list[list[str]]:
    lines = [line.strip() for line in lines] if delimiter == " " else lines
    try:
        cells = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
        rows = [[word.strip() for word in row] for row in cells]
    except csv.Error as error:
        raise _bad(path, f"cannot be read ({error}); it must be {_EXPECTED}") from None
    if {len(row) for row in rows} <= {0, 1}:
        # One column: an empty line is a row that was not observed, but for those at the end.
        while rows and not rows[-1]:
            rows.pop()
        return [row or [""] for row in rows]
    return [row for row in rows if row]


def _refuse_spare_column(path: str, rows: list[list[str]], delimiter: str) -> None:
    if len(rows[0]) > 1 and not any(row[-1] for row in rows):
        raise _bad(
            path,
            f"has {delimiter!r} at the end of every row, which may be a column of which nothing was observed, or "
            "nothing; write nan in that column, or take the marks away",
        )


def _refuse_labels(path: str, rows: list[list[str]]) -> None:
    """Refuse 0, 1, 2, ... along a side: pandas writes row numbers and numbers of columns unless told otherwise."""
    top, side = rows[0], [row[0] for row in rows]
    inside = [word for row in rows[1:] for word in row[1:] if word.lower() not in UNOBSERVED]
    # Numbers of columns are whole, and observations with fractions are not.
    fractions = bool(inside) and all(_FRACTION.fullmatch(word) for word in inside)
    fewest = 2 if fractions else 3
    corner = not top[0] and len(top) + len(side) > 4 and _counts(top[1:]) and _counts(side[1:])
    along = [name for name, words in (("row", top), ("column", side)) if len(words) >= fewest and _counts(words)]
    if corner or along:
        where = "first row and the first column" if corner else f"first {along[0]}"
        raise _bad(
            path,
            f"holds 0, 1, ... along the {where}, which may be numbers of rows and columns; leave them out (pandas: "
            "to_csv(path, index=False, header=False)), or write 0.0 if they were observed",
        )


def _counts(words: Sequence[str]) -> bool:
    return len(words) > 0 and list(words) == [str(n) for n in range(len(words))]


def _cell(path: str, row: int, word: str, delimiter: str, commas: bool) -> float:
    if word.lower() in UNOBSERVED:
        return np.nan
    try:
        return float(word.replace(",", ".") if commas and _DECIMAL_COMMA.fullmatch(word) else word)
    except ValueError:
        raise _bad(
            path,
            f"row {row} holds {_checks.shortened(word)}, which is no number; leave it empty if it is not observed, and "
            f"leave names of columns out (cells end at {delimiter!r})",
        ) from None


def _bad(path: str, what: str) -> ValueError:
    return ValueError(f"problem is {path!r}, but {what}.")
