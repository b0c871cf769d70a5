"""The commands for sweeps: run, new, schema, table."""

import json

import pytest

import rankfall as rf
from rankfall.cli import main

DECLARATION = """
name = "small"
seeds = 2

[problem]
name = "two-by-two"

[factorization]
name = "matrix"
depth = 2
kind = "balanced"
det_sign = 1

[dynamics]
name = "gradient-descent"
step_size = 0.05

[stop]
loss = 0.1

[record]
at_losses = [0.4, 0.2]

[sweep]
factorization.scale = [0.1, 0.2]

[[figure]]
x = "factorization.scale"
y = "effective_rank"

[[claim]]
name = "low"
measure = "loss"
comparison = "at_most"
value = 0.1

[claim.control]
what = "the start"
at = "start"
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "small.toml"
    path.write_text(DECLARATION)
    return path


@pytest.fixture(scope="module")
def out(file):
    out = file.parent / "out"
    assert main(["run", str(file), "--out", str(out), "--quiet"]) == 0
    return out


def test_run_stores_draws_and_checks(out):
    assert sorted(path.name for path in out.iterdir()) == [
        ".lock", "claims.json", "figure-1.png", "log.jsonl", "runs", "sweep.json",
    ]  # fmt: skip
    assert json.loads((out / "claims.json").read_text())[0]["holds"]
    events = [json.loads(line)["event"] for line in (out / "log.jsonl").read_text().splitlines()]
    assert events == ["start", "batch", "end"]


def test_run_again_has_nothing_to_do(file, out, capsys):
    assert main(["run", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "4 runs, 4 of them stored; 0 to train" in said.err
    assert "1 of 1 claims hold." in said.out and said.out.endswith(f"{out}\n")
    assert "small" in said.out and f"{out / 'figure-1.png'}\n" in said.out


def test_status_is_one_when_a_claim_does_not_hold(file, out, capsys):
    more = file.parent / "more.toml"
    more.write_text('[[claim]]\nname = "low"\nmeasure = "loss"\ncomparison = "at_most"\nvalue = 0.01\n')
    assert main(["run", str(file), str(more), "--out", str(out), "--quiet"]) == 1
    assert "DOES NOT HOLD" in capsys.readouterr().out
    assert not json.loads((out / "claims.json").read_text())[0]["holds"]


def test_plan_says_how_much_there_is_and_trains_nothing(file, tmp_path, capsys):
    assert main(["run", str(file), "--plan", "--out", str(tmp_path / "new"), "--set", "seeds=3"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("6 runs; 6 to train in 1 batch of 1 kind, about ")
    assert second.startswith("about ") and second.endswith(" s")
    assert not (tmp_path / "new").exists()


def test_plan_of_what_is_stored(file, out, capsys):
    assert main(["run", str(file), "--plan", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("4 runs, 4 of them stored; 0 to train in 0 batches")


def test_print_config_is_a_file_that_declares_the_same(file, tmp_path, capsys):
    assert main(["run", str(file), "--print-config", "--set", "factorization.depth=3"]) == 0
    path = tmp_path / "resolved.toml"
    path.write_text(capsys.readouterr().out)
    resolved = rf.Sweep.from_toml(path)
    wanted = rf.Sweep.from_toml(file, settings=["factorization.depth=3"])
    assert [cell.name for cell in resolved.cells()] == [cell.name for cell in wanted.cells()]
    assert resolved.cells()[0].settings["factorization"]["depth"] == 3


@pytest.mark.parametrize(("words", "sentence"), [
    (["run", "none.toml"], "file is 'none.toml', but it cannot be read (No such file or directory)"),
    (["run", "FILE", "--set", "stop.los=1"], "--set stop.los=1: [stop] los is no key that is known here"),
    (["run", "FILE", "--set", "seeds=900000", "--plan"], "sweep has 1,800,000 runs"),
    (["run", "FILE", "--out", ""], "out is '', but must be the path of a folder"),
    (["table", "none"], "path is 'none', but no sweep is stored there"),
    (["table", "OUT", "--by", "depth"], "by is 'depth', but must be one of"),
    (["table", "OUT", "--select", "p"], "select is 'p', but must be DIM=VALUE, such as p=0.5."),
    (["table", "OUT", "--sort", "size"], "sort is 'size', but must be one of"),
    (["table", "OUT", "--csv", ""], "csv is '', but must be the path of a file"),
    (["new", "deep", "x.toml"], "name is 'deep', but must be one of 'scales', 'depth', 'perturbation', 'tensor'"),
    (["new", "depth", "FILE"], "but it is there already; choose another name."),
])  # fmt: skip
def test_mistakes_are_one_sentence(words, sentence, file, out, capsys):
    given = [{"FILE": str(file), "OUT": str(out)}.get(word, word) for word in words]
    assert main(given) == 2
    said = capsys.readouterr()
    assert said.err.startswith("rankfall: ") and sentence in said.err and said.err.count("\n") == 1 and said.out == ""


def test_table_prints_sorts_and_writes(out, tmp_path, capsys):
    csv = tmp_path / "table.csv"
    words = ["table", str(out), "--by", "factorization.scale", "--measure", "schatten_norm", "--select", "p=2.0"]
    assert main([*words, "--at", "start", "--sort", "schatten_norm max", "--csv", str(csv)]) == 0
    assert "schatten_norm" in capsys.readouterr().out
    head, *rows = csv.read_text().splitlines()
    assert head == "factorization.scale,runs,schatten_norm median,schatten_norm min,schatten_norm max"
    assert [row.split(",")[:2] for row in rows] == [["0.1", "2"], ["0.2", "2"]]
    assert float(rows[0].split(",")[4]) == rf.open_results(out)["schatten_norm"].sel(
        p=2.0, record=0, **{"factorization.scale": 0.1}
    ).max()  # fmt: skip


def test_new_copies_a_declaration_that_runs(tmp_path, capsys):
    assert main(["new", "depth", str(tmp_path / "mine.toml")]) == 0
    assert capsys.readouterr().out == f"rankfall run {tmp_path / 'mine.toml'}\n"
    assert rf.Sweep.from_toml(tmp_path / "mine.toml").shape == (4, 5)


def test_schema_is_json(capsys):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["problem", "factorization", "dynamics"]


@pytest.mark.parametrize("command", ["run", "new", "schema", "table"])
def test_help_has_an_example(capsys, command):
    assert main([command, "--help"]) == 0
    assert f"Example: rankfall {command}" in capsys.readouterr().out
