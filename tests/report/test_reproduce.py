import errno
import io
import json
from pathlib import Path

import pytest
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

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
    with xr.open_dataset(tmp_path / "tiny-one" / "data.nc", engine="h5netcdf") as data:
        attrs = data.attrs
    assert json.loads(attrs["settings"]) == {"seed": 7, "steps": steps}
    assert (attrs["form"], attrs["note"], attrs["experiment"]) == (form, "kept", "tiny-one")
    assert attrs["created"].endswith("+00:00")
    assert attrs["seconds"] >= 0
    for key in ("rankfall_version", "jax_version", "numpy_version", "python_version", "device"):
        assert attrs[key]
    assert [(s.steps, progress) for s, progress in tiny["tiny-one"].calls] == [(steps, True)]


def test_replaces_an_earlier_result(tiny, tmp_path):
    reproduce(["tiny-one"], tmp_path)
    tiny["tiny-one"].value = 5.0
    reproduce(["tiny-one"], tmp_path)
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
        reproduce(["tiny-one"], tmp_path)
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
