"""What an experiment is: declared settings, a computation, and claims read off its stored result."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

import pydantic
import xarray as xr

from .. import _checks
from .._types import Self
from ..claims import Claim


class UserFile(pydantic.BaseModel):
    """A file that a user brings to an experiment: what is stored of it is its name and its hash."""

    model_config = pydantic.ConfigDict(frozen=True, arbitrary_types_allowed=True)

    file: str
    sha256: str

    @classmethod
    def of(cls, path: str | Path, content: bytes, **read: object) -> Self:
        """Describe a file by its path and content.

        Parameters
        ----------
        path : path
            Where it was; its name is kept.
        content : bytes
            What is hashed.
        **read
            What was read out of it, the fields of the class.

        Returns
        -------
        UserFile
            Of the class it is called on.

        Examples
        --------
        >>> UserFile.of("folder/mine.txt", b"").file
        'mine.txt'
        """
        return cls(file=Path(path).name, sha256=hashlib.sha256(content).hexdigest(), **read)


class Settings(pydantic.BaseModel):
    """Base of every experiment's settings: unknown names are refused, values cannot change."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    seed: int = 0

    def completed(self, table: dict[str, Any], changed: Set[str]) -> dict[str, Any]:
        """Fit settings that go with others to those that were changed; as they are, unless a class says more.

        Parameters
        ----------
        table : dict
            All settings, those that were changed with their new values.
        changed : set of str
            Names of these.

        Returns
        -------
        dict
            What is validated.

        Examples
        --------
        >>> Settings(seed=3).completed({"seed": 4}, {"seed"})
        {'seed': 4}
        """
        del changed
        return table

    def files(self) -> dict[str, str]:
        """Names and hashes of the user's files, as attributes of what is stored."""
        given = {name: file for name, file in self if isinstance(file, UserFile)}
        names = {name: file.file for name, file in given.items()}
        return names | {f"{name}_sha256": file.sha256 for name, file in given.items()}


@dataclasses.dataclass(frozen=True)
class FileOption:
    """A file that an experiment can take from a user.

    ``name`` is that of the option and of the field of the settings that holds what was read, a `UserFile` or ``None``.
    ``wanted`` stands in the refusal of a file that cannot be read, ``help`` and ``example`` on the help page.
    ``read(settings, path, content)`` checks the content and returns a `UserFile`.
    """

    name: str
    wanted: str
    help: str
    example: str
    read: Callable[[Any, Any, bytes], UserFile]

    def put_into(self, settings: Settings, path: str | Path) -> Settings:
        r"""Read a file into the settings.

        Parameters
        ----------
        settings : Settings
            Those of an experiment that takes the file.
        path : path
            The file.

        Returns
        -------
        Settings
            The same with what was read.

        Raises
        ------
        ValueError
            If the file cannot be read, or ``read`` refuses its content.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> from rankfall.talk import EXPERIMENTS
        >>> option = EXPERIMENTS.files()["movielens"]["spectrum-dynamics"]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "u.data")
        ...     _ = path.write_text("1\t2\t5\t881250949\n3\t1\t4\t881250950\n")
        ...     settings = option.put_into(EXPERIMENTS.settings("spectrum-dynamics"), path)
        >>> settings.movielens.file, settings.movielens.problem.shape
        ('u.data', (2, 3))
        """
        content = _checks.content(self.name, path, self.wanted)
        return settings.model_copy(update={self.name: self.read(settings, path, content)})


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A declared set of runs with its question and its claims.

    ``compute(settings, progress)`` returns the dataset that is stored; ``claims(dataset)`` sees nothing else.
    ``takes`` lists the files that a user can bring. ``statement`` is the name under which ``verify`` checks the claims
    anew, at the size of the table ``[verify]`` of the settings; without one it does not. ``published`` says which
    claims speak of published settings only: by name or pattern (``rank-*``), the settings at whose other values they do
    not apply.
    """

    name: str
    title: str
    question: str
    settings: type[Settings]
    compute: Callable[[Any, bool], xr.Dataset]
    claims: Callable[[xr.Dataset], list[Claim]]
    takes: tuple[FileOption, ...] = ()
    statement: str | None = None
    published: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
