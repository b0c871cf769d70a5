"""A comparison on disk."""

import dataclasses
import math
from pathlib import Path

from ..experiments import folders
from ..statements import Comparison

NAME = "comparison"


def store_comparison(comparison: Comparison, out: Path) -> Path:
    """Store data, picture and verdicts in ``out/comparison``, whole or not at all; return that folder.

    A picture that cannot be drawn is missing, with a warning.

    Parameters
    ----------
    comparison : Comparison
    out : path
        Folder of the results, made if it is missing.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If ``out`` cannot be written, or ``out/comparison`` holds something else than a result.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import rankfall as rf
    >>> found = rf.compare(rf.two_by_two(), ["nuclear"], [2], scales=[1e-2, 1e-3], draws=1, progress=False)
    >>> with tempfile.TemporaryDirectory() as out:
    ...     folder = store_comparison(found, Path(out))
    ...     sorted(path.name for path in folder.iterdir())
    ['data.nc', 'figure.png', 'figure.svg', 'verdicts.json']
    """
    folders.writable(out, [NAME])
    with folders.whole(out, NAME) as folder:
        folders.write_data(comparison.data, folder)
        rows = [{k: _plain(v) for k, v in dataclasses.asdict(one).items()} for one in comparison.verdicts]
        folders.write_list(rows, folder / folders.VERDICTS)
        trouble = folders.write_figure(comparison.figure, folder)
    folders.tell(NAME, trouble)
    return out / NAME


def _plain(value: object) -> object:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
