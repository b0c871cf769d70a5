"""What the README tells people to type works."""

import re
from pathlib import Path

import numpy as np
import pytest

import rankfall as rf

ROOT = Path(__file__).parents[1]
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")


def blocks(text):
    """Pieces of Python of a page."""
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_ten_lines_of_python_run_and_say_what_they_promise(capsys):
    code = blocks(README)[0]
    names = {}
    exec(code, names)
    printed = capsys.readouterr().out
    assert printed.startswith("loss ")
    assert abs(abs(names["run"].final.full()[0, 0]) - 22) < 1
    assert names["run"].trajectory["effective_rank"].values[0, -1] < 1.001
    assert f"{rf.theory.unobserved_lower_bound(1e-3):.3f}" in printed


def test_the_flow_of_the_readme_reaches_what_it_says(capsys):
    code = blocks(README)[1]
    names = {}
    exec(code, names)
    assert names["run"].stop_reason == "loss" and abs(abs(names["run"].final.full()[0, 0]) - 707_107) < 1
    assert all(certificate.certified for certificate in rf.theory.check(names["run"]))
    assert "driven above its minimum" in capsys.readouterr().out


def test_the_tensor_of_the_readme_has_the_rank_it_says(capsys):
    code = blocks(README)[2]
    names = {}
    exec(code, names)
    assert capsys.readouterr().out == "2 2\n"
    assert np.linalg.norm(names["found"] - names["truth"]) < 1e-3
    # One start ends elsewhere; the page says so.
    errors = np.linalg.norm((names["run"].final.full() - names["truth"]).reshape(4, -1), axis=1)
    assert (errors > 0.4).sum() == 1 and errors.max() < 0.7


def test_the_network_of_the_page_on_tensors_has_the_rank_it_says(capsys):
    code = blocks(ROOT.joinpath("docs/tensors.md").read_text(encoding="utf-8"))[-1]
    names = {}
    exec(code, names)
    assert capsys.readouterr().out.splitlines()[-1] == "2 2"
    ranks = names["found"].effective_ranks
    assert len(ranks) == 7 and 2.0 < ranks.min() and ranks.max() < 2.1
    assert float(names["run"].trajectory["reconstruction_error"][0, -1]) < 0.01
    assert Path(__file__).parents[1].joinpath("docs/images/mapping-rank.png").is_file()


def test_the_norm_of_the_readme_is_certified_and_left(capsys):
    exec(blocks(README)[3], names := {})
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("Reference(optimal: objective 4, ") and float(said[1]) > 1000
    assert names["least"].gap <= 1e-6 and names["least"].solution[0, 0] == 0


def test_the_direction_of_the_readme_is_that_of_the_largest_margin(capsys):
    exec(blocks(README)[4], names := {})
    direction = names["w"] / np.linalg.norm(names["w"])
    np.testing.assert_allclose(direction, np.array([2.0, 1.0]) / np.sqrt(5), atol=2e-3)
    assert f"{direction[1]:.3f}" == "0.449" and float(names["run"].trajectory["loss"][0, -1]) == 0
    assert -5100 < float(capsys.readouterr().out.splitlines()[-1]) < -4900


@pytest.mark.parametrize("page", ["problems", "dynamics", "sweeps"])
def test_the_code_of_the_pages_on_problems_and_dynamics_says_what_it_prints(page, capsys):
    """Each line that is printed is what the comment beside the call says."""
    code = blocks(ROOT.joinpath(f"docs/{page}.md").read_text(encoding="utf-8"))
    assert code
    for block in code:
        exec(block, {})
        assert capsys.readouterr().out.splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", block, re.MULTILINE)


def test_the_nuclear_norm_of_the_page_on_references_is_not_what_training_finds(capsys):
    exec(blocks(ROOT.joinpath("docs/references.md").read_text(encoding="utf-8"))[0], names := {})
    assert names["least"].status == "optimal" and names["least"].gap <= 1e-7
    _, ratio, ranks = capsys.readouterr().out.splitlines()
    assert abs(float(ratio) - 1.016) < 1e-3
    assert [round(float(rank), 1) for rank in ranks.split()] == [5.0, 7.7]


def test_the_commands_of_the_readme_exist():
    makefile = Path(__file__).parents[1].joinpath("Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^    make (\w+)", README, re.MULTILINE):
        assert f"\n{target}:" in makefile
    assert Path(__file__).parents[1].joinpath("docs/images/unobserved-entry.png").is_file()


def test_the_sweeps_of_the_readme_and_its_page_are_read(tmp_path):
    path = tmp_path / "sweep.toml"
    for page in ("README.md", "docs/sweeps.md"):
        (text,) = re.findall(r"```toml\n(.*?)```", ROOT.joinpath(page).read_text(encoding="utf-8"), re.DOTALL)
        path.write_text(text)
        assert rf.Sweep.from_toml(path).shape == (50, 20)
