"""Files that are whole or not there: written beside their place, brought to the disk, and renamed."""

import contextlib
import os
import socket
from collections.abc import Iterable
from pathlib import Path


def write_whole(path: Path, parts: Iterable[bytes | bytearray | memoryview], *, what: str) -> None:
    """Write a file that replaces another one, or nothing at all.

    Parameters
    ----------
    path : Path
    parts : iterable of bytes
        What it is to hold, one after the other.
    what : str
        Name of the argument, for the error.

    Raises
    ------
    ValueError
        If the file system refuses; what was there before stays.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(pathlib.Path(folder) / "some", [b"one ", b"file"], what="path")
    ...     (pathlib.Path(folder) / "some").read_bytes()
    b'one file'
    """
    beside = path.with_name(f"{_mark(path)}{os.getpid()}")
    try:
        try:
            with beside.open("wb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                # A name that outlives a failing machine must not lead to a file that does not.
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        _settle(path.parent)
    except OSError as error:
        raise ValueError(
            f"{what} is {str(path)!r}, but it cannot be written ({error.strerror or type(error).__name__}); choose "
            "another place."
        ) from None


def clear_away(path: Path) -> None:
    """Remove what processes of this machine that were killed while they wrote a file have left beside it."""
    mark = _mark(path)
    with contextlib.suppress(OSError):
        for left in path.parent.glob(f"{_literal(mark)}*"):
            number = left.name.removeprefix(mark)
            if number.isdigit() and not _alive(int(number)):
                left.unlink(missing_ok=True)


def set_aside(path: Path, why: str) -> Path:
    """Rename a file to ``NAME.WHY-N``, with the first number that is free; return its new place."""
    number = 1
    while (place := path.with_name(f"{path.name}.{why}-{number}")).exists():
        number += 1
    path.rename(place)
    return place


def _mark(path: Path) -> str:
    return f".{path.name}.partial-{socket.gethostname()}-"


def _literal(text: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in text)


def _alive(number: int) -> bool:
    # Nothing of this process is under way: it would have removed it.
    if number == os.getpid():
        return False
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _settle(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
