"""Every workaround that is written down can be tried without, and the verdict is read off what came of it."""

import importlib.util
from pathlib import Path

import pytest

from rankfall import _execution

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("workarounds", ROOT / "benchmarks" / "workarounds.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_and_the_script_name_the_same(script):
    lines = (Path(_execution.__file__).parent / "README.md").read_text().splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| ")]
    names = [row[0] for row in rows if row[0] not in ("name", "---")]
    assert names == list(script.PROBES)
    assert all(len(row) == 4 and all(row) for row in rows)


def test_what_does_not_come_back_is_needed_and_what_does_is_not(script, monkeypatch):
    assert script.returns("print(1)") == (False, "returned")
    assert script.returns("import os; os.abort()")[0]
    monkeypatch.setattr(script, "SECONDS", 0.2)
    assert script.returns("import time; time.sleep(60)") == (True, "not back after 0.2 s")


def test_what_gains_nothing_is_not_needed(script):
    assert script.gains(*script.run("print('words', 1.5)")) == (True, "1.5 times the time without")
    assert not script.gains("returned", 1.1)[0]
    assert script.compared("print({x})", x="3|1")[0] and not script.compared("print({x})", x="1|1")[0]
    assert script.compared("print({x})", x="1|nonsense")[0]


def test_prints_a_line_for_each(script, monkeypatch, capsys):
    monkeypatch.setattr(script, "PROBES", {"one": lambda: (True, "why"), "two": lambda: (False, "not")})
    script.main([])
    first, one, two = capsys.readouterr().out.splitlines()
    assert first.startswith("jax ") and "python" in first
    assert one.split(None, 1)[1].startswith(script.NEEDED) and two.split(None, 1)[1].startswith(script.NOT_NEEDED)
