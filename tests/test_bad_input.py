"""Whatever a user hands over by mistake: one sentence that names the argument, what came and what was expected.

The cases run as scripts of their own, since the run-time type checks of the test run would catch many of them first.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rankfall


@pytest.mark.parametrize(("name", "least"), [("bad_input.py", 300), ("wrong_kinds.py", 1500)])
def test_one_sentence_names_the_argument_what_came_and_what_was_expected(name, least):
    path = os.pathsep.join(filter(None, [str(Path(rankfall.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    script = Path(__file__).with_name(name)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert len(rows) > least
    assert [row for row in rows if not _good(*row)] == []


def _good(argument, number, kind, sentence):
    del number
    named = sentence.startswith(argument) and " but " in sentence
    return kind == "ValueError" and named and sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500


def test_poor_sentences_are_found():
    assert _good("p", 0, "ValueError", "p is 0, but must be positive.")
    assert not _good("p", 0, "ValueError", "could not convert string to float: 'a'")
    assert not _good("p", 0, "TypeError", "p is 0, but must be positive.")
