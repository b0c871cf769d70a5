"""One variable of all runs as an array of the grid, gathered from the files of the batches where it is looked at."""

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
from xarray.backends import BackendArray
from xarray.core import indexing

from .store import RESULT, Place


class Gathered(BackendArray):
    """Array over the dimensions of a sweep and those of a variable.

    Parameters
    ----------
    name : str
        Of the variable.
    places : list of Place or None
        Where each run of the grid is, in its order; ``None`` for one that is not stored.
    grid : tuple of int
        Extents of the grid.
    shape : tuple of int
        Extents of the whole array; runs that have less are padded.
    dtype : str
        Of the variable in the files, ``"str"`` for words.
    """

    def __init__(
        self, name: str, places: Sequence[Place | None], grid: tuple[int, ...], shape: tuple[int, ...], dtype: str
    ) -> None:
        self.name, self.places, self.grid, self.shape = name, np.empty(len(places), dtype=object), grid, shape
        self.places[:] = places
        self.dtype = np.dtype(object if dtype == "str" else dtype)
        kind = self.dtype.kind
        self.fill: Any = "" if kind == "O" else -1 if kind in "iu" else False if kind == "b" else np.nan

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        """Read what is asked for."""
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._read)

    def _read(self, key: tuple[Any, ...]) -> np.ndarray:
        outer = [np.atleast_1d(np.arange(size)[one]) for one, size in zip(key, self.shape, strict=True)]
        dropped = tuple(n for n, one in enumerate(key) if isinstance(one, int | np.integer))
        chosen, inner = outer[: len(self.grid)], outer[len(self.grid) :]
        flat = np.ravel_multi_index(np.ix_(*chosen), self.grid).ravel() if chosen else np.zeros(1, int)
        found = np.full((len(flat), *map(len, inner)), self.fill, self.dtype)
        wanted: dict[Any, list[tuple[int, int]]] = {}
        for row, place in enumerate(self.places[flat]):
            if place is not None:
                wanted.setdefault(place.folder, []).append((row, place.lane))
        for folder, pairs in wanted.items():
            rows, lanes = map(list, zip(*pairs, strict=True))
            # Not through xarray, which looks at every variable of a file before it reads one.
            with h5py.File(folder / RESULT, "r") as file:
                held = file[self.name]
                values = np.asarray((held.asstr() if self.dtype.kind == "O" else held)[...])[lanes]
            # What lies beyond the batch's own extents stays filled.
            there = [np.flatnonzero(index < size) for index, size in zip(inner, values.shape[1:], strict=True)]
            picked = values[np.ix_(np.arange(len(lanes)), *(i[t] for i, t in zip(inner, there, strict=True)))]
            found[np.ix_(rows, *there)] = picked
        shaped = found.reshape(*map(len, chosen), *found.shape[1:])
        return shaped.squeeze(axis=dropped) if dropped else shaped
