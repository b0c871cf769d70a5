"""Files that are written whole or not at all, and what the system refuses as a sentence."""

import contextlib
import importlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Unwritable(ValueError):
    """What the file system refuses, as a sentence."""


@contextmanager
def storing(out: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence about ``out``."""
    try:
        yield
    except OSError as error:
        place = str(error.filename2 or error.filename or out)
        # What was to be made there has a name that says nothing to the user.
        what = repr(place) if place != str(out) and os.path.lexists(place) else "it"
        raise Unwritable(
            f"out is {str(out)!r}, but {what} cannot be written ({error.strerror or type(error).__name__}); choose "
            "another folder with --out."
        ) from None


def write_synced(path: Path, content: bytes | memoryview) -> None:
    """Write a file, and wait until it is on the disk."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def replace_file(path: Path, content: bytes) -> None:
    """Put a file in its place at once: whoever reads sees the old one or the new one."""
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        write_synced(partial, content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can say so."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def remove(path: Path) -> None:
    """Remove a folder or a file that may be there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, out: Path) -> Iterator[None]:
    """Hold a lock, which the system takes back from a process that ends in any way; refuse to wait for another's."""
    with storing(out):
        file = open(path, "a+b")
    with file:
        if not _taken(file.fileno()):
            file.seek(0)
            owner = file.read().decode(errors="replace").strip() or "another process"
            raise ValueError(
                f"out is {str(out)!r}, but {owner} is writing there; wait for it to end, or choose another folder with "
                "--out."
            )
        file.truncate(0)
        file.write(f"process {os.getpid()}".encode())
        file.flush()
        yield
        file.truncate(0)


def _taken(number: int) -> bool:
    """Whether the lock on an open file could be taken."""
    try:
        try:
            fcntl: Any = importlib.import_module("fcntl")
        except ModuleNotFoundError:  # Windows
            msvcrt: Any = importlib.import_module("msvcrt")
            os.lseek(number, 1 << 30, os.SEEK_SET)  # far behind what is written, which others may read
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
            return True
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (11, 13, 36):
            return False
        raise
    return True
