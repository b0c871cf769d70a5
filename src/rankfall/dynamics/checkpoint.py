"""Training that can be killed: the state of all batches in a file, written now and then, and read by the next call.

A batch says its state as arrays and numbers (`State`) and takes it up again; what is done with that, when, and whether
a file belongs to a training is decided here. Batches are independent, so that each may be written where it has come to:
the file is whole, but of no single moment.
"""

import dataclasses
import hashlib
import json
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import numpy as np

from .. import _checks
from .._execution import clear_away, set_aside, write_whole
from .._version import __version__
from .identity import Identity
from .plain import Plain, unplain

FORMAT = 1
_HEAD, _DIGITS = b"rankfall checkpoint ", 64
# A checkpoint is written so seldom that it takes a fiftieth of the time at most.
_SHARE = 50.0


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """Where, and how often, `rankfall.train` writes down how far it has come.

    Parameters
    ----------
    path : str or path
        The file. It is there while a training is under way, and removed when it has ended.
    every : float
        Seconds from one writing to the next; more where a writing takes more than a fiftieth of that. 0 writes after
        every chunk of compiled steps (about a quarter second), whatever it costs.
    keep : bool
        Leave the file when the training has ended too, for who stores the result first and removes it then.

    Raises
    ------
    ValueError
        If ``path`` is no path of a file in a folder that is there, ``every`` is negative, or ``keep`` is no bool.

    Notes
    -----
    The same call of `rankfall.train` goes on where the file ends, and comes to the same result as one that was never
    interrupted, to the last bit, on the same kind of processor and version of JAX. Whether it is the same call is told
    by problem, start, dynamics, stop, record and held-out share; functions and classes of your own count by their code,
    not by what they call in turn. The checkpoint of another call is refused. One of another version, or damaged, is
    renamed (``NAME.other-1``, ``NAME.damaged-1``) with a warning, and training begins anew.

    Examples
    --------
    >>> import jax, pathlib, rankfall as rf, tempfile
    >>> start = rf.MatrixFactorization.init((2, 2), 2, kind="balanced", scale=0.3, det_sign=1, key=jax.random.key(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     checkpoint = rf.Checkpoint(pathlib.Path(folder) / "run.checkpoint", every=60.0)
    ...     run = rf.train(rf.two_by_two(), start, rf.AdaptiveDescent(), stop=rf.Stop(loss=0.1), checkpoint=checkpoint)
    >>> run.stop_reason
    'loss'
    """

    path: str | Path
    every: float = 30.0
    keep: bool = False

    def __post_init__(self) -> None:
        _place("path", self.path)
        _checks.not_negative_number("every", self.every)
        _checks.flag("keep", self.keep)


class Unusable(ValueError):
    """A file of another training, or a training that cannot be taken up again."""


class State(NamedTuple):
    """State of a batch between two chunks.

    Attributes
    ----------
    tree : pytree of arrays and numbers, lists and dictionaries
        What it goes on from; nothing in it changes any more.
    pieces : list of dict of arrays
        Its records so far.
    """

    tree: Any
    pieces: list[dict[str, np.ndarray]]


@runtime_checkable
class Resumable(Protocol):
    """What a batch has to offer so that its training can go on in another process."""

    def state(self) -> State | None:
        """Return the state between two chunks, ``None`` where there is nothing to go on from but the start."""
        ...

    def restore(self, state: State) -> None:
        """Go on from a state when run; called before."""
        ...


class Keeper:
    """Keeps the states of the batches of a training in a file."""

    def __init__(self, checkpoint: Checkpoint | None, parts: Mapping[str, object], began: float) -> None:
        self.checkpoint, self.lock, self.writing, self.told = checkpoint, threading.Lock(), False, False
        self.states: dict[int, State] = {}
        self.groups: list[np.ndarray] | None = None
        self.numbers: dict[int, int] = {}
        self.began, self.written, self.cost = began, time.monotonic(), 0.0
        if checkpoint is not None:
            self.path = Path(checkpoint.path)
            self.identity = {name: Identity().digest(part) for name, part in parts.items()}
            clear_away(self.path)
            self._find()

    def _find(self) -> None:
        """Read the file of this training, if there is one."""
        try:
            found = _read(self.path)
        except _Damaged:
            return _tell(self.path, "is damaged", set_aside(self.path, "damaged"))
        if found is None:
            return
        if found["made_by"] != (here := _made_by()):
            place = set_aside(self.path, "other")
            versions = [f"{found['made_by'].get(name)} for {name} {value}" for name, value in here.items()]
            return _tell(self.path, f"is of another version ({', '.join(versions)})", place)
        if others := [name for name, word in self.identity.items() if found["identity"].get(name) != word]:
            raise Unusable(
                f"checkpoint is {str(self.path)!r}, but the training there has another {' and '.join(others)}; take "
                "another path, or delete the file to begin anew."
            )
        self.groups = found["groups"]
        self.states = {number: State(*state) for number, state in found["states"]}
        self.began -= found["seconds"]

    def take_up(self, parts: list[Any], groups: list[np.ndarray]) -> None:
        """Let the batches of a training go on where the file has them."""
        if self.checkpoint is None:
            return
        self.groups, self.numbers = groups, {id(part): number for number, part in enumerate(parts)}
        for number, part in enumerate(parts):
            if not isinstance(part, Resumable):
                raise Unusable(
                    f"checkpoint is {str(self.path)!r}, but batches of {type(part).__name__} have no state() and "
                    "restore(), which going on later needs; leave checkpoint out."
                )
            if number in self.states:
                part.restore(self.states[number])

    def offer(self, part: Any) -> None:
        """Note the state of a batch, and write all of them if it is time."""
        if self.checkpoint is None:
            return
        with self.lock:
            self._note(part)
            pause = max(self.checkpoint.every, _SHARE * self.cost) if self.checkpoint.every else 0.0
            if self.writing or time.monotonic() < self.written + pause:
                return
            self.writing = True
        self.write()

    def note(self, part: Any) -> None:
        """Note the state of a batch that is cut short, for the last writing."""
        if self.checkpoint is not None:
            with self.lock:
                self._note(part)

    def _note(self, part: Resumable) -> None:
        state = part.state()
        if state is not None:
            self.states[self.numbers[id(part)]] = state

    def write(self) -> None:
        """Write all states; training goes on where the disk does not take them."""
        with self.lock:
            states = sorted(self.states.items())
        began = time.monotonic()
        content = {
            "made_by": _made_by(),
            "identity": self.identity,
            "seconds": began - self.began,
            "groups": self.groups,
            "states": [[number, [_plain(state.tree), _joined(state.pieces)]] for number, state in states],
        }
        try:
            write_whole(self.path, _parts(content), what="checkpoint")
        except ValueError as error:
            if not self.told:
                self.told = True
                warnings.warn(f"{error} Training goes on without.", RuntimeWarning, stacklevel=2)
        finally:
            self.written = time.monotonic()
            self.cost, self.writing = self.written - began, False

    def end(self, interrupted: bool) -> None:
        """Write once more after an interruption; after any other end the file is needed by who asked to keep it."""
        if self.checkpoint is None:
            return
        if interrupted:
            self.write()
        elif not self.checkpoint.keep:
            self.path.unlink(missing_ok=True)


def checkpoint_of(given: Checkpoint | str | Path | None) -> Checkpoint | None:
    """Return a checkpoint of what may be a path only."""
    return given if given is None or isinstance(given, Checkpoint) else Checkpoint(_place("checkpoint", given))


def _place(name: str, value: object) -> Path:
    place = _checks.file(name, value, "run.checkpoint")
    if not place.absolute().parent.is_dir():
        raise ValueError(f"{name} is {str(place)!r}, but must be in a folder that is there; make it first.")
    return place


def restored(like: Any, leaves: list[Any]) -> Any:
    """Return a pytree of the form of one that is given, of other arrays; refuse those of another kind."""
    own, form = jax.tree.flatten(like)
    kinds = [(a.dtype, a.ndim) for a in own], [(a.dtype, a.ndim) for a in leaves]
    if kinds[0] != kinds[1]:
        raise ValueError(
            "checkpoint has a state of other arrays than this training, but must have the same; delete the file to "
            "begin anew."
        )
    return jax.tree.unflatten(form, leaves)


class _Damaged(Exception):
    """A file that is not what was written."""


def _made_by() -> dict[str, Any]:
    return {"format": FORMAT, "rankfall": __version__, "JAX": jax.__version__, "device": jax.devices()[0].platform}


def _plain(tree: Any) -> Any:
    """Return arrays as those of NumPy; keys of JAX as they are."""

    def kept(leaf: Any) -> Any:
        numbers = isinstance(leaf, jax.Array) and not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(leaf) if numbers else leaf

    return jax.tree.map(kept, tree)


def _joined(pieces: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    return [{name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}] if pieces else []


def _parts(content: dict[str, Any]) -> Iterator[bytes | memoryview]:
    """Yield a line that says what follows, the arrays one after the other, and the checksum of all."""
    plain = Plain()
    words = plain.of(content, "")
    listed = [[name, array.dtype.str, array.shape] for name, array in plain.arrays.items()]
    head = _HEAD + json.dumps([words, listed]).encode() + b"\n"
    found = hashlib.sha256(head)
    yield head
    for array in plain.arrays.values():
        if array.size:
            data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
            found.update(data)
            yield data
    yield found.hexdigest().encode()


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a file says, ``None`` if there is none."""
    try:
        content = memoryview(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ValueError(f"checkpoint is {str(path)!r}, but it cannot be read ({why}); choose another place.") from None
    if content[: len(_HEAD)] != _HEAD[: len(content)]:
        raise ValueError(f"checkpoint is {str(path)!r}, but that is a file of something else; choose another place.")
    if hashlib.sha256(content[:-_DIGITS]).hexdigest().encode() != content[-_DIGITS:]:
        raise _Damaged
    end = bytes(content).index(b"\n")
    words, listed = json.loads(bytes(content[len(_HEAD) : end]))
    arrays, at = {}, end + 1
    for name, kind, shape in listed:
        size = int(np.prod(shape, dtype=int)) * np.dtype(kind).itemsize
        # A copy begins where processors like arrays to begin.
        arrays[name] = np.frombuffer(content[at : at + size], kind).reshape(shape).copy()
        at += size
    found: dict[str, Any] = unplain(words, arrays)
    return found


def _tell(path: Path, what: str, place: Path) -> None:
    warnings.warn(
        f"checkpoint is {str(path)!r}, but it {what}; it is now {place.name!r}, and training begins anew.",
        RuntimeWarning,
        stacklevel=5,
    )
