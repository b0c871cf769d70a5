"""Target tensors that a user brings in a file, each with the order in which its entries are observed."""

import io
import zipfile
import zlib
from pathlib import Path

import numpy as np


def targets(
    file: str | Path, content: bytes, ranks: list[int], shape: tuple[int, ...], fewest: int
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Return tensors of one shape and orders of observation by rank, checked, of the content of a file.

    The first ``fewest`` observations must reach every slice.
    """
    start = {rank: f"rank_{rank}_order_{len(shape)}" for rank in ranks}
    names = {rank: (f"{known}_target", f"{known}_observation_order") for rank, known in start.items()}
    arrays = _arrays(file, content, [name for pair in names.values() for name in pair])
    tensors, orders = {}, {}
    for rank, (tensor, places) in names.items():
        tensors[rank] = _tensor(file, tensor, arrays[tensor], shape)
        orders[rank] = _order(file, places, arrays[places], shape, fewest)
    return tensors, orders


def _arrays(file: str | Path, content: bytes, names: list[str]) -> dict[str, np.ndarray]:
    remedy = f"write one by np.savez with numbers as {', '.join(names)}"
    # np.load would read a bare array too, and takes anything else for a pickle.
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise _bad(file, f"it is no .npz file; {remedy}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            arrays = {name: np.asarray(stored[name]) for name in names if name in stored.files}
    # Damaged archives, encrypted ones, arrays of objects, and sizes that are none.
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error):
        raise _bad(file, f"the arrays in it cannot be read; {remedy}") from None
    missing = [name for name in names if name not in arrays]
    if missing:
        raise _bad(file, f"{', '.join(missing)} cannot be found in it; {remedy}")
    return arrays


def _tensor(file: str | Path, name: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the tensor, scaled to norm one as the sizes of the starts ask for."""
    if array.shape != shape or array.dtype.kind not in "iuf":
        found = f"shape {array.shape} and dtype {array.dtype}"
        raise _bad(file, f"its {name} has {found}; it must hold real numbers in the shape {shape}")
    tensor = array.astype(np.float64)
    with np.errstate(over="ignore"):
        norm = np.linalg.norm(tensor)
    if not (np.isfinite(norm) and norm > 0):
        raise _bad(file, f"its {name} has the norm {norm:g}; it must be finite and not zero")
    return np.asarray(tensor / norm)


def _order(file: str | Path, name: str, array: np.ndarray, shape: tuple[int, ...], fewest: int) -> np.ndarray:
    count = int(np.prod(shape))
    if array.shape != (count,) or array.dtype.kind not in "iu":
        raise _bad(file, f"its {name} has shape {array.shape} and dtype {array.dtype}; it must hold {count} integers")
    if not np.array_equal(np.sort(array), np.arange(count)):
        raise _bad(file, f"its {name} does not hold each of 0 to {count - 1} once; they are flat indices in C order")
    for mode, seen in enumerate(np.unravel_index(array[:fewest].astype(np.int64), shape)):
        unseen = np.setdiff1d(np.arange(shape[mode]), seen)
        if unseen.size:
            raise _bad(
                file,
                f"the first {fewest} of its {name} have none of index {unseen[0]} in mode {mode}; every slice needs an "
                "observed entry, so put one earlier",
            )
    return array.astype(np.int64)


def _bad(file: str | Path, what: str) -> ValueError:
    return ValueError(f"targets is {str(file)!r}, but {what}.")
