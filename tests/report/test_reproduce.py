import errno
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from rankfall.experiments import folders
from rankfall.plots import NotDrawn
from rankfall.report import reproduce, stored_names, write_page


def test_stores_data_figures_and_claims(tiny, tmp_path):
    results = reproduce(["tiny-one"], tmp_path / "deep" / "out", progress=False)
    folder = tmp_path / "deep" / "out" / "tiny-one"
    assert sorted(p.name for p in folder.iterdir()) == ["claims.json", "data.nc", "figure.png", "figure.svg"]
    assert [p.name for p in folder.parent.iterdir()] == ["tiny-one"]
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "figure.svg").read_text()
    assert [(name, claim.name, claim.measured) for name, claim in results] == [
        ("tiny-one", "two", 2.0),
        ("tiny-one", "finite", 2.0),
    ]
    stored = json.loads((folder / "claims.json").read_text())
    assert stored == [claim.to_dict() for _, claim in results]
    assert stored[1]["expected"] == "inf"


@pytest.mark.parametrize(("full", "form", "steps"), [(False, "reduced", 3), (True, "full", 300)])
def test_data_say_how_they_were_made(tiny, tmp_path, full, form, steps):
    reproduce(["tiny-one"], tmp_path, full=full, progress=True)
    place = tmp_path / ("tiny-one@full" if full else "tiny-one")
    with xr.open_dataset(place / "data.nc", engine="h5netcdf") as data:
        attrs = data.attrs
    assert json.loads(attrs["settings"]) == {"seed": 7, "steps": steps, "sizes": [1.0]}
    assert (attrs["form"], attrs["note"], attrs["experiment"]) == (form, "kept", "tiny-one")
    assert attrs["created"].endswith("+00:00")
    assert attrs["seconds"] >= 0
    for key in ("rankfall_version", "jax_version", "numpy_version", "python_version", "device"):
        assert attrs[key]
    assert [(s.steps, progress) for s, progress in tiny["tiny-one"].calls] == [(steps, True)]


def test_replaces_an_earlier_result(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    tiny["tiny-one"].value = 5.0
    reproduce(["tiny-one"], tmp_path, force=True)
    assert json.loads((tmp_path / "tiny-one" / "claims.json").read_text())[0]["measured"] == 5.0
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-one"]


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()])
@pytest.mark.parametrize("earlier", [False, True])
def test_failure_leaves_nothing_half_written(tiny, tmp_path, error, earlier):
    if earlier:
        reproduce(["tiny-one"], tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    tiny["tiny-one"].error = error  # after data.nc was written
    with pytest.raises(type(error)):
        reproduce(["tiny-one"], tmp_path, force=True)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-one"] * earlier


@pytest.mark.parametrize("method", [(Path, "write_bytes"), (Path, "write_text"), (Figure, "savefig")])
def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(tiny, tmp_path, monkeypatch, method):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*method, full)
    with pytest.raises(ValueError, match=r"^out is .* cannot be written \(No space left on device\); choose another"):
        reproduce(["tiny-one"], tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["draw", "savefig"])
def test_a_picture_that_cannot_be_drawn_costs_no_data(tiny, tmp_path, monkeypatch, where):
    def failing(*arguments, **options):
        raise RuntimeError("Failed to process string with tex because latex could not be found")

    monkeypatch.setattr(type(tiny) if where == "draw" else Figure, where, failing)
    with pytest.warns(NotDrawn, match=r"tiny-one is stored without a picture, .*RuntimeError: .*latex could not"):
        claims = reproduce(["tiny-one"], tmp_path)
    assert len(claims) == 2
    assert sorted(p.name for p in (tmp_path / "tiny-one").iterdir()) == ["claims.json", "data.nc"]
    assert stored_names(tmp_path) == ["tiny-one"]
    assert "could not be drawn" in write_page(tmp_path, ["tiny-one"]).read_text()


def test_a_console_that_is_closed_ends_nothing(tiny, tmp_path):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    reproduce(["tiny-one", "tiny-two"], tmp_path, console=Console(file=Closed()))
    assert stored_names(tmp_path) == ["tiny-one", "tiny-two"]


def test_result_before_a_failure_stays(tiny, tmp_path):
    tiny["tiny-two"].error = RuntimeError("no")
    with pytest.raises(RuntimeError):
        reproduce(["tiny-one", "tiny-two"], tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["tiny-one"]


def test_a_name_given_twice_runs_once(tiny, tmp_path):
    assert len(reproduce(["tiny-two", "tiny-two"], tmp_path)) == 2
    assert len(tiny["tiny-two"].calls) == 1


def test_says_what_runs_and_how_long_it_took(tiny, tmp_path):
    console = Console(record=True, quiet=False, file=open(tmp_path / "said", "w"))
    reproduce(["tiny-one"], tmp_path / "out", console=console)
    console.file.close()
    text = (tmp_path / "said").read_text()
    assert "tiny-one: running" in text
    assert " s\n" in text


def test_unknown_name_is_told_the_nearest_one_before_anything_runs(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"'tiny-oen'; did you mean 'tiny-one'\? All names: tiny-one, tiny-two\."):
        reproduce(["tiny-two", "tiny-oen"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not tiny["tiny-two"].calls


@pytest.mark.parametrize("inside", ["", "deeper"])
def test_out_that_cannot_be_written(tiny, tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match=r"out is .*file.*cannot be written \(.+\); choose another .* --out\."):
        reproduce(["tiny-one"], tmp_path / "file" / inside)
    assert (tmp_path / "file").read_text() == "mine"
    assert not tiny["tiny-one"].calls


@pytest.mark.parametrize("out", ["", "a\0b"])
def test_out_that_is_no_path(tiny, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="^out is .*, but must be the path of a folder, such as 'out'"):
        reproduce(["tiny-one"], out)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("out", ["x" * 300, "x" * 300 + "/y", "/proc/x", "/dev/null/x"])
def test_out_that_the_system_refuses(tiny, tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"^out is '.*', but it cannot be written \(.+\); choose another folder"):
        reproduce(["tiny-one"], out)
    assert list(tmp_path.iterdir()) == [] and not tiny["tiny-one"].calls


@pytest.mark.parametrize("as_folder", [True, False])
def test_never_deletes_what_it_did_not_write(tiny, tmp_path, as_folder):
    mine = tmp_path / "tiny-one" / "thesis.tex" if as_folder else tmp_path / "tiny-one"
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(ValueError, match="did not write"):
        reproduce(["tiny-one"], tmp_path)
    assert mine.read_text() == "mine"
    assert not tiny["tiny-one"].calls


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_stored_is_not_computed_again(tiny, tmp_path):
    first = reproduce(["tiny-one"], tmp_path)
    said = Console(file=io.StringIO(), width=500)
    assert reproduce(["tiny-one"], tmp_path, console=said) == first
    assert len(tiny["tiny-one"].calls) == 1
    assert said.file.getvalue() == f"tiny-one: stored already in {tmp_path / 'tiny-one'}\n"
    reproduce(["tiny-one"], tmp_path, force=True)
    assert len(tiny["tiny-one"].calls) == 2


def _changed_attrs(place, **attrs):
    with xr.open_dataset(place / "data.nc", engine="h5netcdf") as file:
        data = file.load()
    data.assign_attrs(attrs).to_netcdf(place / "data.nc", engine="h5netcdf")


@pytest.mark.parametrize("harm", ["version", "source", "torn", "half"])
def test_a_result_of_another_version_or_a_damaged_one_is_computed_again(tiny, tmp_path, harm):
    reproduce(["tiny-one"], tmp_path)
    place = tmp_path / "tiny-one"
    if harm in ("version", "source"):
        _changed_attrs(place, **{f"rankfall_{harm}": "0.0.1"})
    elif harm == "torn":
        (place / "data.nc").write_bytes((place / "data.nc").read_bytes()[:1000])
    else:
        (place / "claims.json").unlink()
    reproduce(["tiny-one"], tmp_path)
    assert len(tiny["tiny-one"].calls) == 2 and _names(tmp_path) == ["tiny-one"]
    assert stored_names(tmp_path) == ["tiny-one"]


def test_a_picture_that_could_not_be_drawn_is_tried_again(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    (tmp_path / "tiny-one" / "figure.png").unlink()
    reproduce(["tiny-one"], tmp_path)
    assert len(tiny["tiny-one"].calls) == 1 and (tmp_path / "tiny-one" / "figure.png").is_file()


def test_forms_stand_side_by_side(tiny, tmp_path):
    words = [["steps=5"], ["steps=5"], ["tiny-one.steps = 5", "sizes=1,2.5"], ["steps=300"]]
    reproduce(["tiny-one"], tmp_path)
    reproduce(["tiny-one"], tmp_path, full=True)
    for settings in words:
        reproduce(["tiny-one"], tmp_path, settings=settings)
    asked = [(one.steps, one.sizes) for one, _ in tiny["tiny-one"].calls]
    # Twice the same; and at last the settings of the full form by name.
    assert asked == [(3, [1.0]), (300, [1.0]), (5, [1.0]), (5, [1.0, 2.5])]
    found = stored_names(tmp_path)
    assert len(found) == 4 and found[:1] == ["tiny-one"] and "tiny-one@full" in found
    assert all(re.fullmatch("tiny-one(@full|@[0-9a-f]{8})?", name) for name in found)


@pytest.mark.parametrize("both", [False, True])
def test_a_full_result_where_the_reduced_one_belongs_is_moved_and_never_replaced(tiny, tmp_path, both):
    """Earlier versions stored all forms in one place."""
    reproduce(["tiny-one"], tmp_path, full=True)
    (tmp_path / "tiny-one@full").rename(tmp_path / "tiny-one")
    if both:
        reproduce(["tiny-one"], tmp_path, full=True)
        with pytest.raises(
            ValueError, match=r"^out/NAME is .*tiny-one', but .*'tiny-one@full' is there, too; .*--force"
        ):
            reproduce(["tiny-one"], tmp_path)
        assert _names(tmp_path) == ["tiny-one", "tiny-one@full"]
        reproduce(["tiny-one"], tmp_path, force=True)
    else:
        reproduce(["tiny-one"], tmp_path)
        reproduce(["tiny-one"], tmp_path, full=True)
        assert len(tiny["tiny-one"].calls) == 2
    assert _names(tmp_path) == ["tiny-one", "tiny-one@full"]


def test_claims_of_published_settings_do_not_apply_to_others(tiny, tmp_path):
    tiny["tiny-one"].holds = False
    results = dict(zip(["two", "finite"], reproduce(["tiny-one"], tmp_path, settings=["steps=5"]), strict=True))
    assert [claim.applies for _, claim in results.values()] == [True, False]
    assert not any(claim.ok for _, claim in results.values())
    (place,) = tmp_path.iterdir()
    stored = json.loads((place / "claims.json").read_text())
    assert [claim["holds"] for claim in stored] == [False, None] and set(stored[0]) == set(stored[1])
    assert all(claim.applies for _, claim in reproduce(["tiny-one"], tmp_path, settings=["sizes=3"]))
    assert all(claim.applies for _, claim in reproduce(["tiny-one"], tmp_path, settings=["steps=300"]))


def test_claims_that_find_nothing_to_measure_at_other_settings(tiny, tmp_path):
    tiny["tiny-one"].value = float("nan")
    assert [claim.applies for _, claim in reproduce(["tiny-one"], tmp_path)] == [True, True]
    assert [claim.applies for _, claim in reproduce(["tiny-one"], tmp_path, settings=["sizes=3"])] == [False, False]
    tiny["tiny-one"].error = KeyError("depth 3")
    ((_, claim),) = reproduce(["tiny-one"], tmp_path, settings=["sizes=4"])
    assert not claim.applies and "KeyError: 'depth 3'" in claim.statement and claim.measured == "sizes = [4.0]"
    with pytest.raises(KeyError):
        reproduce(["tiny-one"], tmp_path, force=True)


def test_done_is_called_once_a_result_is_in_its_place(tiny, tmp_path):
    seen = []
    reproduce(["tiny-one", "tiny-two"], tmp_path, done=lambda name: seen.append((name, stored_names(tmp_path))))
    assert seen == [("tiny-one", ["tiny-one"]), ("tiny-two", ["tiny-one", "tiny-two"])]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["stepz=3"], r"^set names 'stepz', but must name a setting of tiny-one; .*'steps' is the nearest\.$"),
        (["tiny-tw.steps=3"], r"^set names 'tiny-tw', but must name a setting of tiny-one"),
        (["steps"], r"^set is 'steps', but must be KEY=VALUE, such as depth=4\.$"),
        (["=3"], r"^set is '=3', but must be KEY=VALUE"),
        (["steps=many"], r"^steps of tiny-one is 'many', but must be an integer\.$"),
        (["steps=2.5"], r"^steps of tiny-one is 2.5, but must be an integer\.$"),
        (["sizes=1,x"], r"^sizes.1 of tiny-one is 'x', but sizes must be a list of numbers"),
        (["steps.deep=1"], r"^set names 'steps.deep', but tiny-one has no table there; name 'steps' alone\.$"),
    ],
)
def test_settings_that_are_wrong_are_one_sentence_before_anything_runs(tiny, tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        reproduce(["tiny-one", "tiny-two"], tmp_path / "out", settings=settings)
    assert not (tmp_path / "out").exists() and not tiny["tiny-one"].calls


def test_settings_that_an_experiment_cannot_run_at_are_named(tiny, tmp_path, monkeypatch):
    def fails(self, settings, progress):
        raise IndexError("no record")

    monkeypatch.setattr(type(tiny["tiny-one"]), "_compute", fails)
    known = type(tiny["tiny-one"])("tiny-one")
    tiny["tiny-one"] = known
    with pytest.raises(ValueError, match=r"^tiny-one cannot be run with steps = 0 \(IndexError: no record\); choose"):
        reproduce(["tiny-one"], tmp_path, settings=["steps=0"])
    with pytest.raises(IndexError):
        reproduce(["tiny-one"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def _left_by_one_that_is_gone(tmp_path, name):
    """Begin a result and end as by kill -9."""
    code = f"""
import os, pathlib
from rankfall.experiments import folders
with folders.whole(pathlib.Path({str(tmp_path)!r}), {name!r}) as folder:
    (folder / "data.nc").write_text("half")
    os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9


def test_what_processes_that_are_gone_have_left_is_cleared_away(tiny, tmp_path):
    _left_by_one_that_is_gone(tmp_path, "tiny-one")
    (left,) = tmp_path.iterdir()
    assert re.fullmatch(r"\.tiny-one\.unfinished-[0-9]+", left.name)
    gone = left.name.rpartition("-")[2]
    reproduce(["tiny-two"], tmp_path)
    # As earlier versions called them; between the two renames of a replacement; a page; what is not rankfall's.
    (tmp_path / f".tiny-one.partial-{gone}").mkdir()
    (tmp_path / "tiny-two").rename(tmp_path / f".tiny-two.old-{gone}")
    (tmp_path / f".report.partial-{gone}").write_text("half")
    (tmp_path / f".mine.partial-{gone}").mkdir()
    (tmp_path / f".mine.partial-{gone}" / "thesis.tex").write_text("mine")
    (tmp_path / f".notes.old-{gone}").write_text("mine")
    with folders.whole(tmp_path, "tiny-one"):  # this process lives
        folders.clear(tmp_path)
        assert len(list(tmp_path.glob(".tiny-one.unfinished-*"))) == 1
    folders.clear(tmp_path)
    assert _names(tmp_path) == sorted([f".mine.partial-{gone}", f".notes.old-{gone}", "tiny-one", "tiny-two"])
    assert stored_names(tmp_path) == ["tiny-two"]
