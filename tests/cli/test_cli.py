import contextlib
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import rankfall
import rankfall.report
from rankfall import talk
from rankfall.claims import Claim
from rankfall.cli import main

SOURCE = str(Path(rankfall.__file__).parents[1])


def _rankfall(*words):
    path = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "rankfall", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"PYTHONPATH": path},
    )


class OnlyNames(dict):
    """Experiments of which nothing is asked but their names and files."""

    def files(self):
        return {}


@pytest.fixture
def results(monkeypatch, tmp_path):
    """What ``reproduce`` shall return, or the error that it shall raise; nothing is computed."""
    outcome = []

    def fake(names, out, **options):
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome

    monkeypatch.setattr(talk, "EXPERIMENTS", OnlyNames({"solution-set": None}))
    monkeypatch.setattr(rankfall.report, "reproduce", fake)
    monkeypatch.setattr(rankfall.report, "write_page", lambda out, names: Path(out) / "report.html")
    return outcome


def _claim(holds=True, control_fails=True):
    control = {"what": "elsewhere", "measured": 0.0, "fails": control_fails}
    return ("solution-set", Claim("[[*,1],[1,0]]", "s", "o", 1.0, float("inf"), 0.0, holds, control))


@pytest.mark.parametrize(
    ("claims", "status", "words"),
    [
        ([_claim()], 0, "holds"),
        ([_claim(), _claim(holds=False)], 1, "DOES NOT HOLD"),
        ([_claim(control_fails=False)], 1, "control did not fail"),
        ([_claim(), _claim(holds=None)], 0, "not applicable"),
    ],
)
def test_status_says_whether_every_claim_holds(results, tmp_path, capsys, claims, status, words):
    results += claims
    assert main(["reproduce", "--out", str(tmp_path)]) == status
    said = capsys.readouterr().out
    assert words in said
    assert "[[*,1],[1,0]]" in said
    tail = "; 1 more is not applicable" if words == "not applicable" else ""
    assert said.endswith(f"claims hold{tail}.\n{tmp_path / 'report.html'}\n")


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (ValueError("out is wrong."), 2, "rankfall: out is wrong.\n"),
        (KeyboardInterrupt(), 130, "Interrupted: what was complete is stored, nothing half-written stays behind.\n"),
    ],
)
def test_mistake_and_interrupt_are_one_sentence(results, tmp_path, capsys, error, status, sentence):
    results.append(error)
    assert main(["reproduce", "--out", str(tmp_path)]) == status
    assert capsys.readouterr().err == sentence


def test_a_fault_of_ours_keeps_its_traceback(results, tmp_path):
    results.append(ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        main(["reproduce", "--out", str(tmp_path)])


@pytest.mark.parametrize("words", [["reproduce", "--fulll"], ["repoduce"], ["report", "stray"]])
def test_usage_error_is_one_sentence(capsys, words):
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("rankfall: ")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_version_and_report_without_results(results, capsys, tmp_path):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("rankfall ")
    assert main(["report", "--out", str(tmp_path / "none")]) == 2
    assert "no result is stored" in capsys.readouterr().err


def test_without_a_command_shows_the_help(capsys):
    assert main([]) == 0
    assert "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["reproduce", "report", "info"])
def test_help_has_an_example(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"Example: rankfall {command}" in capsys.readouterr().out


def test_help_of_the_module():
    done = _rankfall("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for command in ("reproduce", "report", "info"):
        assert command in done.stdout


def test_unknown_name():
    done = _rankfall("reproduce", "solution-sett")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'solution-set'?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_file_in_the_way_of_the_folder(tmp_path):
    (tmp_path / "out").write_text("mine")
    done = _rankfall("reproduce", "solution-set", "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["reproduce", "solution-set"], ["report"]])
def test_empty_name_of_a_folder(tmp_path, monkeypatch, capsys, command):
    # as in --out "$DIR" without such a variable: the working directory is not meant
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--out", ""]) == 2
    assert capsys.readouterr().err == "rankfall: out is '', but must be the path of a folder, such as 'out'.\n"
    assert list(tmp_path.iterdir()) == []


def test_stored_result_that_cannot_be_read(tmp_path):
    folder = tmp_path / "solution-set"
    folder.mkdir()
    for file in ("data.nc", "claims.json", "figure.png"):
        (folder / file).write_text("no longer what it was")
    done = _rankfall("report", "--out", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "its claims.json is not as reproduce wrote it" in done.stderr and done.stderr.count("\n") == 1


LIMITED = """
import resource, sys
from rankfall.cli import main
import rankfall.report, rankfall.talk, rankfall.talk.solution_set.figure
list(rankfall.talk.EXPERIMENTS)  # compiled now, not under the limit
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("file", ["data.nc", "figure.png", "../report.html"])
def test_writing_that_breaks_off(tmp_path, file):
    # A limit on the size of files breaks off the writing of real ones, as a disk does that fills up.
    assert _rankfall("reproduce", "solution-set", "--out", tmp_path / "first").returncode == 0
    # The page has the seconds it took, which are not always written with as many digits.
    limit = (tmp_path / "first" / "solution-set" / file).stat().st_size - (50 if "report" in file else 1)
    path = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), "reproduce", "solution-set", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"rankfall: out is '{tmp_path / 'out'}', but it cannot be written (File too large); choose another folder "
        "with --out.\n"
    )
    whole = ["solution-set"] if "report" in file else []
    assert [p.name for p in (tmp_path / "out").iterdir()] == whole
    assert ("claims hold" in done.stdout) == bool(whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("words", [["info"], ["--help"], ["report", "--out", "x"], ["reproduce", "solution-set"]])
def test_output_that_cannot_be_written(tmp_path, words):
    path = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "rankfall", *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=110,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": path},
        )
    assert done.returncode == 2
    assert done.stderr.startswith("rankfall: ") and done.stderr.count("\n") == 1


class Closed(io.StringIO):
    """A standard output whose reader has gone."""

    def write(self, text):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


SMALL = ["compare", "two-by-two", "--draws", "1", "--depth", "2", "--scale", "1e-2", "--scale", "1e-3", "--quiet"]


@pytest.mark.parametrize("words, stored", [(SMALL, "out/comparison/data.nc"), (["verify", "rank-of-solutions", "--json",
                         "c.json"], "c.json"), (["reproduce", "solution-set"], "out/report.html")])  # fmt: skip
def test_results_are_stored_before_anything_is_printed(words, stored, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", Closed())
    # Rich gives such a stream's number to the null device, and leaves; a plain print is an error with a sentence.
    with contextlib.suppress(SystemExit):
        assert main(words) == 2
    assert (tmp_path / stored).stat().st_size > 0


def test_a_backend_that_is_not_installed_keeps_nothing_from_being_drawn(tmp_path):
    path = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "rankfall", "reproduce", "solution-set", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=110,
        env=os.environ | {"PYTHONPATH": path, "MPLBACKEND": "module://no_such_backend.anywhere"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "solution-set" / "figure.png").read_bytes()[:4] == b"\x89PNG"


def test_a_picture_that_cannot_be_drawn_is_told_in_a_sentence(tmp_path, monkeypatch, capsys):
    def failing(*arguments, **options):
        raise RuntimeError("no LaTeX")

    monkeypatch.setattr(Figure, "savefig", failing)
    assert main(["reproduce", "solution-set", "--quiet", "--out", str(tmp_path)]) == 0
    sentence = "solution-set is stored without a picture, which could not be drawn (RuntimeError: no LaTeX)."
    assert capsys.readouterr().err == f"rankfall: {sentence}\n"


def test_solution_set_alone(tmp_path):
    done = _rankfall("reproduce", "solution-set", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "solution-set"]
    files = sorted(p.name for p in (tmp_path / "solution-set").iterdir())
    assert files == ["claims.json", "data.nc", "figure.png", "figure.svg"]
    assert done.stdout.rstrip().endswith(str(tmp_path / "report.html"))
    again = _rankfall("report", "--out", tmp_path)
    assert (again.returncode, again.stdout) == (0, f"{tmp_path / 'report.html'}\n")


def test_interrupt_leaves_nothing_half_written(tmp_path):
    path = os.pathsep.join(filter(None, [SOURCE, os.environ.get("PYTHONPATH")]))
    words = ["reproduce", "solution-set", "determinant-sign", "--full", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "rankfall", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
    )
    while "determinant-sign: running" not in process.stdout.readline():
        assert process.poll() is None
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "Interrupted: what was complete is stored, nothing half-written stays behind.\n"
    # The page is written after each experiment.
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "solution-set@full"]


def test_other_settings_have_a_result_of_their_own(tmp_path, capsys):
    words = ["reproduce", "solution-set", "--out", str(tmp_path)]
    other = [*words, "--set", "points=40", "--set", "schatten_p=1,2"]
    assert main(words) == 0 and main(other) == 0
    said = capsys.readouterr().out
    assert "not applicable" in said and "6 of 6 claims hold; 1 more is not applicable." in said
    assert main(other) == 0
    (place,) = tmp_path.glob("solution-set@*")
    said = "".join(capsys.readouterr().out.split())  # lines are folded
    assert f"solution-set:storedalreadyin{place}" in said and "running" not in said
    assert main([*other, "--force", "--quiet"]) == 0 and main(["report", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="solution-set"' in page and f'id="{place.name}"' in page
    assert "At other settings: <code>schatten_p = [1.0, 2.0], points = 40</code>" in page
    assert "16 of 16 claims hold; 1 more is not applicable." in page


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("pointz=3", "set names 'pointz', but must name a setting of solution-set; it has seed, schatten_p, largest, "
         "points; 'points' is the nearest."),
        ("points=many", "points of solution-set is 'many', but must be an integer."),
        ("points", "set is 'points', but must be KEY=VALUE, such as depth=4."),
    ],
)  # fmt: skip
def test_other_settings_that_are_wrong(tmp_path, capsys, word, said):
    assert main(["reproduce", "solution-set", "--set", word, "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"rankfall: {said}\n" and not (tmp_path / "out").exists()


def test_info():
    done = _rankfall("info")
    assert done.returncode == 0, done.stderr
    for words in ("rankfall ", "jax ", "device 0: ", "settings come from ", "solution-set"):
        assert words in done.stdout


@pytest.fixture
def small_tensors(monkeypatch):
    """Experiments on tensors of 3 x 3 x 3 instead, a few steps each."""

    def settings(name, full=False):
        small = {"extent": 3, "components": 4, "observed": [20, 26], "enough": {"1": 20, "3": 20}, "repetitions": 1}
        return read(name, full).model_copy(update=small | {"steps": 3})

    read = talk.EXPERIMENTS.settings
    monkeypatch.setattr(talk.EXPERIMENTS, "settings", settings)


def _target_arrays():
    rng = np.random.default_rng(0)
    names = [f"rank_{rank}_order_3" for rank in (1, 3)]
    tensors = {f"{name}_target": rng.normal(size=(3, 3, 3)).astype("float32") for name in names}
    return tensors | {f"{name}_observation_order": rng.permutation(27).astype("int32") for name in names}


def _reproduce_with(targets, tmp_path, *names):
    words = ["--quiet", "--targets", str(targets), "--out", str(tmp_path / "out")]
    return main(["reproduce", *(names or ["tensor-order3"]), *words])


def test_targets_of_the_user_are_trained_on(small_tensors, tmp_path):
    arrays = _target_arrays()
    np.savez(tmp_path / "mine.npz", **arrays)
    assert _reproduce_with(tmp_path / "mine.npz", tmp_path) in (0, 1)
    (place,) = (tmp_path / "out").glob("tensor-order3@*")  # beside the result of random ones
    with xr.open_dataset(place / "data.nc", engine="h5netcdf") as stored:
        data = stored.load()
    digest = sha256((tmp_path / "mine.npz").read_bytes()).hexdigest()
    assert (data.attrs["targets"], data.attrs["targets_sha256"]) == ("mine.npz", digest)
    assert json.loads(data.attrs["settings"])["targets"] == {"file": "mine.npz", "sha256": digest}
    assert str(tmp_path) not in str(data.attrs)
    # With zeros at what is not among the first n, the error is the norm of the rest.
    for rank in (1, 3):
        flat = arrays[f"rank_{rank}_order_3_target"].ravel()[arrays[f"rank_{rank}_order_3_observation_order"]]
        rest = [np.linalg.norm(flat[n:]) / np.linalg.norm(flat) for n in (20, 26)]
        np.testing.assert_allclose(data["linear_error"].sel(target_rank=rank), rest, rtol=1e-6)


def test_without_a_file_nothing_is_said_of_one(small_tensors, tmp_path):
    main(["reproduce", "tensor-order3", "--quiet", "--out", str(tmp_path)])
    with xr.open_dataset(tmp_path / "tensor-order3" / "data.nc", engine="h5netcdf") as stored:
        assert "targets" not in stored.attrs and json.loads(stored.attrs["settings"])["targets"] is None


def _damaged(path):
    np.savez(path, **_target_arrays())
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)  # inside the first array
    path.write_bytes(content)


def _one_array(path):
    with path.open("wb") as file:  # a name would get another ending
        np.save(file, np.ones(3))


TENSOR, ORDER = "rank_3_order_3_target", "rank_1_order_3_observation_order"
BAD_TARGETS = {
    "no file": (None, "cannot be read (No such file or directory)"),
    "a folder": (lambda path: path.mkdir(), "cannot be read (Is a directory)"),
    "a text": (lambda path: path.write_text("1 2 3"), "is no .npz file"),
    "an empty file": (lambda path: path.touch(), "is no .npz file"),
    "one array": (_one_array, "is no .npz file"),
    "damaged": (_damaged, "cannot be read; write one by np.savez"),
    "objects": ({TENSOR: np.array([[None]])}, "cannot be read; write one by np.savez"),
    "no tensor": ({TENSOR: None}, f"{TENSOR} cannot be found in it"),
    "neither": ({TENSOR: None, ORDER: None}, f"{ORDER}, {TENSOR} cannot be found in it"),
    "another shape": ({TENSOR: np.ones((3, 3))}, f"its {TENSOR} has shape (3, 3) and dtype float64"),
    "complex": ({TENSOR: np.ones((3, 3, 3)) * 1j}, f"its {TENSOR} has shape (3, 3, 3) and dtype complex128"),
    "NaN": ({TENSOR: np.full((3, 3, 3), np.nan)}, f"its {TENSOR} has the norm nan"),
    "zero": ({TENSOR: np.zeros((3, 3, 3))}, f"its {TENSOR} has the norm 0"),
    "a short order": ({ORDER: np.arange(26)}, f"its {ORDER} has shape (26,)"),
    "real places": ({ORDER: np.arange(27.0)}, f"its {ORDER} has shape (27,) and dtype float64"),
    "a place twice": ({ORDER: np.r_[0, np.arange(26)]}, f"its {ORDER} does not hold each of 0 to 26 once"),
    "from one on": ({ORDER: np.arange(1, 28)}, f"its {ORDER} does not hold each of 0 to 26 once"),
    "a slice unseen": (
        {ORDER: np.argsort(np.arange(27) % 3 == 1, kind="stable")},
        f"the first 18 of its {ORDER} have none of index 1 in mode 2",
    ),
}


@pytest.mark.parametrize("case", list(BAD_TARGETS))
def test_targets_that_do_not_fit(small_tensors, tmp_path, capsys, monkeypatch, case):
    made, sentence = BAD_TARGETS[case]
    path = tmp_path / "mine.npz"
    if isinstance(made, dict):
        np.savez(path, **{name: array for name, array in (_target_arrays() | made).items() if array is not None})
    elif made is not None:
        made(path)
    if case == "a slice unseen":
        few = talk.EXPERIMENTS.settings("tensor-order3").model_copy(update={"observed": [18, 26]})
        monkeypatch.setattr(talk.EXPERIMENTS, "settings", lambda name, full: few)
    assert _reproduce_with(path, tmp_path) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"rankfall: targets is {str(path)!r}, but ") and sentence in said.err
    assert said.err.count("\n") == 1 and said.out == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [["solution-set", "tensor-order3"], ["component-norms"]])
def test_targets_for_an_experiment_that_takes_none(tmp_path, capsys, names):
    np.savez(tmp_path / "mine.npz", **_target_arrays())
    assert _reproduce_with(tmp_path / "mine.npz", tmp_path, *names) == 2
    sentence = f"but {names[0]} cannot take any; name only tensor-order3, tensor-order4 with it.\n"
    assert capsys.readouterr().err.endswith(sentence)
    assert not (tmp_path / "out").exists()


def test_help_shows_how_to_bring_targets(capsys):
    assert main(["reproduce", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Example: rankfall reproduce tensor-order3 tensor-order4 --targets my_targets.npz" in said


def _ratings(path):
    rng = np.random.default_rng(0)
    item, user = np.nonzero(rng.random((12, 9)) < 0.6)
    # Every last one is there, so that the shape is known.
    rows = {(int(u) + 1, int(i) + 1): int(rng.integers(1, 6)) for i, u in zip(item, user, strict=True)} | {(9, 12): 4}
    path.write_text("".join(f"{u}\t{i}\t{stars}\t881250949\n" for (u, i), stars in rows.items()))
    return path


def _reproduce_ratings(path, tmp_path, *names):
    words = ["--quiet", "--movielens", str(path), "--out", str(tmp_path / "out")]
    return main(["reproduce", *(names or ["spectrum-dynamics"]), *words])


def test_ratings_of_the_user_are_trained_on(tmp_path):
    path = _ratings(tmp_path / "u.data")
    assert _reproduce_ratings(path, tmp_path) in (0, 1)
    (place,) = (tmp_path / "out").glob("spectrum-dynamics@*")  # beside the result without them
    with xr.open_dataset(place / "data.nc", engine="h5netcdf") as stored:
        data = stored.load()
    digest = sha256(path.read_bytes()).hexdigest()
    assert (data.attrs["movielens"], data.attrs["movielens_sha256"]) == ("u.data", digest)
    assert json.loads(data.attrs["settings"])["movielens"] == {"file": "u.data", "sha256": digest}
    assert str(tmp_path) not in str(data.attrs)
    assert data["depth"].values.tolist() == [1, 2] and data["singular_values"].shape[-1] == 9
    # All unobserved entries start next to zero, and at depth 1 they stay there.
    stars = np.zeros((12, 9))
    for user, item, rating, _ in np.loadtxt(path, dtype=int):
        stars[item - 1, user - 1] = rating
    mean_square = (stars[stars > 0] ** 2).mean()
    np.testing.assert_allclose(data["loss"].values[:, 0], mean_square, rtol=1e-2)
    share = 1 - np.sqrt(data["loss"].values[0, 15] / mean_square)
    spectrum = share * np.linalg.svd(stars, compute_uv=False)
    np.testing.assert_allclose(data["singular_values"].values[0, 15], spectrum, atol=1e-2)
    assert data["loss"].values[0, 15] == pytest.approx(0.1) and np.nanmin(data["loss"].values[1]) <= 0.1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "it cannot be read (No such file or directory); give the file u.data of MovieLens 100K"),
        ("", "there is nothing in it; it must hold lines of user, item, rating"),
        ("1,2,3,4\n", "a line of it is '1,2,3,4'; it must hold lines of user, item, rating"),
        ("1\t2\t9\t4\n", "it says that user 1 rates item 2 by 9; it must hold lines of user, item, rating"),
        ("1\t1\t5\t4\n2\t1\t4\t4\n", "it has 1 items and 2 users; a second singular value needs two of each or more."),
    ],
)
def test_ratings_that_do_not_fit(tmp_path, capsys, content, sentence):
    path = tmp_path / "u.data"
    if content is not None:
        path.write_text(content)
    assert _reproduce_ratings(path, tmp_path) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"rankfall: movielens is {str(path)!r}, but ") and sentence in said.err
    assert said.err.count("\n") == 1 and said.out == ""
    assert not (tmp_path / "out").exists()


def test_every_file_goes_to_the_experiments_that_take_it(tmp_path, capsys):
    path = _ratings(tmp_path / "u.data")
    assert _reproduce_ratings(path, tmp_path, "spectrum-dynamics", "tensor-order3") == 2
    assert capsys.readouterr().err.endswith("but tensor-order3 cannot take any; name only spectrum-dynamics with it.\n")
    assert _reproduce_with(path, tmp_path, "spectrum-dynamics", "--movielens", str(path)) == 2
    said = capsys.readouterr().err
    assert said.startswith("rankfall: targets is ") and said.endswith(
        "name only tensor-order3, tensor-order4 with it.\n"
    )
    assert not (tmp_path / "out").exists()


def test_help_shows_how_to_bring_ratings(capsys):
    assert main(["reproduce", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Example: rankfall reproduce spectrum-dynamics --movielens u.data" in said and "GroupLens' page" in said


def test_compare_says_what_became_of_a_norm(tmp_path):
    """A matrix of the user's own, a family that is drawn, and what is no problem at all."""
    mine = tmp_path / "mine.csv"
    mine.write_text("1,,3\n2,4,*\n")
    few = ("--scale", "1e-2", "--scale", "1e-4", "--draws", "1", "--depth", "2")
    done = _rankfall("compare", mine, *few, "--norm", "frobenius", "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert "MatrixCompletion 2 x 3, 4 observed" in done.stdout and "frobenius, depth 2: not minimised" in done.stdout
    assert Path(done.stdout.splitlines()[-1]).read_bytes()[:4] == b"\x89PNG"
    rows = json.loads((tmp_path / "out" / "comparison" / "verdicts.json").read_text())
    assert [row["verdict"] for row in rows] == ["not minimised"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nothing-like-it"], "problem is 'nothing-like-it', but must be two-by-two, completion"),
        (["no.csv"], "it cannot be read"),
        (["words.csv"], "row 1 holds 'a'"),
        (["ragged.csv"], "rows of one length"),
        (["words.npy"], "numpy.save"),
        (["--norm", "x"], "norms holds 'x'"),
        (["--scale", "1e-2"], "scales is"),
        (["completion", "--observed", "500"], "observed is 500"),
        (["commuting", "--rank", "21"], "rank is 21"),
    ],
)
def test_compare_refuses_in_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("words.csv").write_text("a,b\n1,2\n")
    Path("ragged.csv").write_text("1,2\n3\n")
    Path("words.npy").write_text("hello")
    assert main(["compare", *words]) == 2
    told = capsys.readouterr()
    assert said in told.err and told.err.count("\n") == 1 and "Traceback" not in told.err
    assert not Path("out/comparison").exists()


def test_an_extra_that_is_not_installed_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "cvxpy", None)
    words = ["compare", "completion", "--extent", "4", "--rank", "1", "--observed", "12", "--norm", "spectral"]
    assert main([*words, "--out", str(tmp_path)]) == 2
    assert "the extra 'convex'" in capsys.readouterr().err
