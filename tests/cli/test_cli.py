import os
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

import rankfall
import rankfall.report
from rankfall.cli import main
from rankfall.theory.claim import Claim

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


@pytest.fixture
def results(monkeypatch, tmp_path):
    """What ``reproduce`` shall return, or the error that it shall raise; nothing is computed."""
    outcome = []

    def fake(names, out, **options):
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome

    experiments = types.ModuleType("rankfall.experiments")
    experiments.EXPERIMENTS = {"solution-set": None}
    monkeypatch.setitem(sys.modules, "rankfall.experiments", experiments)
    monkeypatch.setattr(rankfall, "experiments", experiments, raising=False)
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
    ],
)
def test_status_says_whether_every_claim_holds(results, tmp_path, capsys, claims, status, words):
    results += claims
    assert main(["reproduce", "--out", str(tmp_path)]) == status
    said = capsys.readouterr().out
    assert words in said
    assert "[[*,1],[1,0]]" in said
    assert said.endswith(f"claims hold.\n{tmp_path / 'report.html'}\n")


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
import rankfall.experiments, rankfall.plots, rankfall.report  # compiled now, not under the limit
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("file", ["data.nc", "figure.png", "../report.html"])
def test_writing_that_breaks_off(tmp_path, file):
    # A limit on the size of files breaks off the writing of real ones, as a disk does that fills up.
    assert _rankfall("reproduce", "solution-set", "--out", tmp_path / "first").returncode == 0
    limit = (tmp_path / "first" / "solution-set" / file).stat().st_size - 1
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
    assert [p.name for p in tmp_path.iterdir()] == ["solution-set"]


def test_info():
    done = _rankfall("info")
    assert done.returncode == 0, done.stderr
    for words in ("rankfall ", "jax ", "device 0: ", "settings come from ", "solution-set"):
        assert words in done.stdout
