"""What the README tells people to type works."""

import re
from pathlib import Path

import numpy as np

import rankfall as rf

README = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")


def test_the_ten_lines_of_python_run_and_say_what_they_promise(capsys):
    code, *_ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    printed = capsys.readouterr().out
    assert printed.startswith("loss ")
    assert abs(abs(names["run"].final.full()[0, 0]) - 22) < 1
    assert names["run"].trajectory["effective_rank"].values[0, -1] < 1.001
    assert f"{rf.theory.unobserved_lower_bound(1e-3):.3f}" in printed


def test_the_flow_of_the_readme_reaches_what_it_says(capsys):
    _, code, _ = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    assert names["run"].stop_reason == "loss" and abs(abs(names["run"].final.full()[0, 0]) - 707_107) < 1
    assert all(certificate.certified for certificate in rf.theory.check(names["run"]))
    assert "driven above its minimum" in capsys.readouterr().out


def test_the_tensor_of_the_readme_has_the_rank_it_says(capsys):
    *_, code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    assert capsys.readouterr().out == "3 3\n"
    error = np.linalg.norm(names["run"].final.full() - names["truth"] / np.linalg.norm(names["truth"]))
    assert names["run"].stop_reason == "loss" and error < 1e-5


def test_the_network_of_the_page_on_tensors_has_the_rank_it_says(capsys):
    page = Path(__file__).parents[1].joinpath("docs/tensors.md").read_text(encoding="utf-8")
    *_, code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(code, names)
    assert capsys.readouterr().out.splitlines()[-1] == "2 2"
    ranks = names["found"].effective_ranks
    assert len(ranks) == 7 and 2.0 < ranks.min() and ranks.max() < 2.1
    assert float(names["run"].trajectory["reconstruction_error"][0, -1]) < 0.01
    assert Path(__file__).parents[1].joinpath("docs/images/mapping-rank.png").is_file()


def test_the_commands_of_the_readme_exist():
    makefile = Path(__file__).parents[1].joinpath("Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile
    assert Path(__file__).parents[1].joinpath("docs/images/unobserved-entry.png").is_file()
