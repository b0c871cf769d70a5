"""Rooms are found in any package, not only in the talk; and the talk has a test file for each of its own."""

from pathlib import Path

import pytest
import xarray as xr

from rankfall.experiments import Rooms
from rankfall.talk import EXPERIMENTS, ORDER

ROOM = """
import xarray as xr

from rankfall.claims import at_least
from rankfall.experiments import Experiment, FileOption, Settings, UserFile


class Mine(UserFile):
    number: float


class Steps(Settings):
    steps: int
    mine: Mine | None = None


def read(settings, path, content):
    return Mine.of(path, content, number=float(content) * settings.steps)


def compute(settings, progress):
    return xr.Dataset({"value": ("x", [float(settings.steps)])})


def claims(dataset):
    return [at_least("large", "The value is large.", "here", dataset["value"][0], 5.0, control=("at zero", 0.0))]


def made(name, **more):
    return Experiment(name, "Title", "Question?", Steps, compute, claims, **more)


"""
SIMPLE = (
    ROOM
    + """
MINE = FileOption("mine", "a text", "A number", "mine.txt", read)
EXPERIMENT = made("simple", takes=(MINE,), statement="it-is-large")
"""
)
TWINS = (
    ROOM
    + """
EXPERIMENTS = made("twin-1"), made("twin-2")
"""
)
FIGURE = """
from matplotlib.figure import Figure


def draw(dataset):
    figure = Figure()
    figure.suptitle(__name__)
    return figure
"""
FILES = {
    "simple": (SIMPLE, "[reduced]\nsteps = 3\n[full]\nsteps = 9\n[verify]\nsteps = 6\n"),
    "twins": (TWINS, "[twin-1.reduced]\nsteps = 1\n[twin-2.reduced]\nsteps = 2\n[twin-2.full]\nseed = 5\n"),
}


@pytest.fixture
def package(request, tmp_path, monkeypatch):
    """A package of two rooms outside of rankfall, beside what is no room."""
    name = f"rooms_of_{request.node.name}".partition("[")[0]
    home = tmp_path / name
    (home / "no_room").mkdir(parents=True)
    (home / "__init__.py").touch()
    for room, (code, settings) in FILES.items():
        (home / room).mkdir()
        for file, text in (("__init__", ""), ("experiment", code), ("figure", FIGURE)):
            (home / room / f"{file}.py").write_text(text)
        (home / room / "settings.toml").write_text(settings)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


def test_experiments_stand_in_the_order_of_their_rooms(package):
    rooms = Rooms(package, ["twins", "simple"])
    assert list(rooms) == ["twin-1", "twin-2", "simple"] and len(rooms) == 3
    assert [rooms.folder(name) for name in rooms] == ["twins", "twins", "simple"]
    assert rooms["simple"].title == "Title" and "no_room" not in rooms


def test_every_form_of_the_settings_starts_from_the_reduced_one(package):
    rooms = Rooms(package, ["simple", "twins"])
    assert [rooms.settings("simple", full).steps for full in (False, True)] == [3, 9]
    twins = [rooms.settings(f"twin-{number}", full) for number in (1, 2) for full in (False, True)]
    assert [(one.steps, one.seed) for one in twins] == [(1, 0), (1, 0), (2, 0), (2, 5)]


def test_statements_are_checked_at_a_size_of_their_own(package):
    (name, check), *others = Rooms(package, ["simple", "twins"]).statements().items()
    assert (name, others) == ("it-is-large", [])
    (claim,) = check()
    assert claim.ok and claim.measured == 6.0


def test_files_go_into_the_settings_of_those_that_take_them(package, tmp_path):
    rooms = Rooms(package, ["simple", "twins"])
    (tmp_path / "mine.txt").write_text("0.5")
    ((option, takers),) = rooms.files().items()
    settings = takers["simple"].put_into(rooms.settings("simple"), tmp_path / "mine.txt")
    assert (option, list(takers), settings.mine.number) == ("mine", ["simple"], 1.5)
    assert settings.files()["mine"] == "mine.txt" and len(settings.files()["mine_sha256"]) == 64
    with pytest.raises(ValueError, match=r"^mine is '.*no.txt', but it cannot be read .*; give a text"):
        takers["simple"].put_into(rooms.settings("simple"), tmp_path / "no.txt")


def test_pictures_are_those_of_the_room(package):
    assert Rooms(package, ["simple", "twins"]).draw("twin-2", xr.Dataset()).get_suptitle() == f"{package}.twins.figure"


@pytest.mark.parametrize("order", [["simple"], ["simple", "twins", "no_room"], ["simple", "twins", "simple"], []])
def test_an_order_that_leaves_out_a_room_or_names_none_is_refused(package, order):
    with pytest.raises(ValueError, match=r"^order names .*, but must name once each folder .* are simple, twins\.$"):
        list(Rooms(package, order))


def test_unknown_names_are_told_the_nearest_one():
    for call in (EXPERIMENTS.settings, lambda name: EXPERIMENTS.draw(name, xr.Dataset())):
        with pytest.raises(ValueError, match="^name is 'solutions-set', but .*'solution-set' is the nearest"):
            call("solutions-set")
    with pytest.raises(KeyError):
        EXPERIMENTS["solutions-set"]


def test_every_room_of_the_talk_has_its_tests():
    files = {path.stem.removeprefix("test_") for path in Path(__file__).parents[1].joinpath("talk").glob("test_*.py")}
    assert files == set(ORDER) and len(EXPERIMENTS) == 23
