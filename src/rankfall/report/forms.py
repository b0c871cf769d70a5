"""Where the forms of an experiment are stored, side by side, and whether one is there already."""

from pathlib import Path

from ..claims import Claim
from ..experiments import Settings, folders
from ..experiments.changes import digest
from ..experiments.outcome import package_version, source_digest, verdicts

FULL = "full"


def place_of(name: str, settings: Settings, full: bool) -> str:
    """Name of the folder for the result of an experiment at some settings.

    Parameters
    ----------
    name : str
        The experiment.
    settings : Settings
        Those it runs at.
    full : bool
        Whether they began as those of the paper's scale.

    Returns
    -------
    str
        ``NAME`` of the reduced form, ``NAME@full`` of the paper's scale, ``NAME@`` with eight digits of any other.

    Examples
    --------
    >>> from rankfall.talk import EXPERIMENTS
    >>> place_of("depth-law", EXPERIMENTS.settings("depth-law", full=True), True)
    'depth-law@full'
    """
    from .. import talk

    # Of experiments whose forms are the same, the one that was asked for.
    for form in (full, not full):
        if settings == talk.EXPERIMENTS.settings(name, form):
            return f"{name}@{FULL}" if form else name
    return f"{name}@{digest(settings.model_dump_json())[:8]}"


def experiment_of(place: str) -> str:
    """Name of the experiment whose result is in a folder of this name."""
    return place.partition("@")[0]


def stored_claims(name: str, place: Path, settings: Settings) -> list[Claim] | None:
    """Claims of a result that is stored already; None if it is not, or is of other settings or of other code.

    A picture that could not be drawn then is tried again.
    """
    from .. import talk

    if not folders.is_complete(place) or (dataset := folders.read_data(place)) is None:
        return None
    made_by = tuple(dataset.attrs.get(f"rankfall_{what}") for what in ("version", "source"))
    if made_by != (package_version("rankfall"), source_digest()) or _digest(dataset.attrs) != digest(
        settings.model_dump_json()
    ):
        return None
    if not (place / folders.PICTURE).is_file():
        folders.tell(name, folders.write_figure(lambda: talk.EXPERIMENTS.draw(name, dataset), place))
    return verdicts(talk.EXPERIMENTS, name, settings, dataset)


def make_room(name: str, place: Path, settings: Settings) -> None:
    """Move a result of other settings to a place of its own, as versions stored all forms in one.

    Raises
    ------
    ValueError
        If something is at that place, too.
    """
    dataset = folders.read_data(place) if folders.is_complete(place) else None
    if dataset is None:
        return
    found = _digest(dataset.attrs)
    if found is None or found == digest(settings.model_dump_json()):
        return
    form = FULL if dataset.attrs.get("form") == "full" and "changed" not in dataset.attrs else found[:8]
    aside = place.with_name(f"{name}@{form}")
    if aside.exists():
        raise ValueError(
            f"out/NAME is {str(place)!r}, but holds a result of other settings, and {aside.name!r} is there, too; move "
            "one of them away, or replace it with --force."
        )
    with folders.storing(place.parent):
        place.rename(aside)


def _digest(attrs: dict[str, object]) -> str | None:
    try:
        return digest(str(attrs["settings"]))
    except (KeyError, ValueError):
        return None
