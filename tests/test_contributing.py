"""What CONTRIBUTING.md tells people to write works, word by word, in a package outside of this one.

Each block of code there begins with the name of its file. The blocks become a package ``mine`` in a temporary folder,
and its things are trained with, recorded and claimed; the tests among the blocks are called.
"""

import importlib
import re
import runpy
import sys
from pathlib import Path

import diffrax
import jax
import numpy as np
import pytest

import rankfall as rf

PAGE = Path(__file__).parents[1].joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?:python|toml)\n# ([\w/.]+)(?:, continued)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILES = {}
for _name, _code in BLOCK.findall(PAGE):
    FILES[_name] = FILES.get(_name, "") + _code
TESTS = [name for name in FILES if name.startswith("tests/")]


@pytest.fixture(scope="module", autouse=True)
def written(tmp_path_factory):
    """Write the files of the page, and make the package importable while this file is tested."""
    home = tmp_path_factory.mktemp("contributed")
    for name, code in FILES.items():
        home.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        home.joinpath(name).write_text(code, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(home))
        yield home
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def of(module, name):
    """What the page has under a name."""
    return getattr(importlib.import_module(f"mine.{module}"), name)


def test_every_block_of_code_says_which_file_it_is_and_every_section_has_one():
    assert len(BLOCK.findall(PAGE)) == PAGE.count("```") // 2
    for section in PAGE.split("\n## ")[1:]:
        assert BLOCK.search(section) and "\n# tests/" in section, section.partition("\n")[0]


@pytest.mark.parametrize("name", TESTS)
def test_the_tests_of_the_page_pass(name, written):
    names = runpy.run_path(str(written / name))
    if name.startswith("tests/talk/"):  # of every room, with fixtures of the talk: see below
        return
    found = [value for key, value in names.items() if key.startswith("test_")]
    assert found
    for test in found:
        test()


def test_a_problem_with_a_loss_trains_a_model_by_a_rule_and_records_a_measure():
    """All things of the page in one run: 120 measurements of a matrix of two entries, six of them wrong."""
    rng = np.random.default_rng(0)
    truth = np.zeros((4, 5))
    truth[0, 1], truth[2, 3] = 2.0, -1.5
    x, z = rng.normal(size=(120, 4)), rng.normal(size=(120, 5))
    values = np.einsum("ni,ij,nj->n", x, truth, z)
    values[:6] += 20 * np.array([1, -1, 1, -1, 1, -1])
    loss = of("problems.losses", "PseudoHuber")()
    problem = of("problems.bilinear", "BilinearSensing")(x, z, values, loss=loss, truth=truth)
    start = of("factorizations.hadamard", "HadamardFactorization").init(problem.shape, alpha=[1e-3, 1e-2])
    rule = of("dynamics.sharpness", "SharpnessAwareDescent")([2e-3, 2e-3], radius=1e-3)
    record = rf.Record(every=500, measures=[of("measures.sparsity", "numerical_sparsity")])
    run = rf.train(problem, start, rule, stop=rf.Stop(steps=1000), record=record, progress=False)
    seen = run.trajectory
    assert (seen.attrs["loss"], seen.attrs["dynamics"]) == ("pseudo_huber", "SharpnessAwareDescent")
    assert (seen.attrs["problem"], seen.attrs["factorization"]) == ("BilinearSensing", "HadamardFactorization")
    # With squared residuals the wrong values would be fitted, to an error of 0.80 and 8 entries; here none weighs more
    # than 1 in the gradient.
    assert seen["reconstruction_error"].values[0, -1] < 0.1
    assert 1.9 < seen["numerical_sparsity"].values[0, -1] < 2.5
    np.testing.assert_allclose(seen["largest_entry"][:, -1], abs(run.final.full()).max(axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(seen["time"][:, -1], 2.0)


def test_a_model_is_watched_by_the_flow_and_a_problem_is_taken_apart():
    problem = rf.MatrixCompletion.from_dense([[np.nan, 1.0], [2.0, 0.5]])
    start = of("factorizations.hadamard", "HadamardFactorization").init((2, 2), alpha=0.1)
    flow = rf.train(problem, start, rf.GradientFlow(solver=diffrax.Tsit5()), stop=rf.Stop(loss=1e-8), progress=False)
    assert flow.stop_reason == "loss" and flow.trajectory["balance_drift"].values.max() < 1e-6
    np.testing.assert_allclose(flow.final.full()[[0, 1], [1, 0]], [1.0, 2.0], atol=1e-3)
    rng = np.random.default_rng(0)
    x, z, w = rng.normal(size=(60, 3)), rng.normal(size=(60, 2)), rng.normal(size=(3, 2))
    sensing = of("problems.bilinear", "BilinearSensing")(x, z, np.einsum("ni,ij,nj->n", x, w, z))
    whole = rf.MatrixFactorization([np.zeros((3, 2))])
    rule = rf.StochasticDescent(5e-3, 6, key=jax.random.key(0))
    run = rf.train(sensing, whole, rule, stop=rf.Stop(loss=1e-6), hold_out=0.1, progress=False)
    assert run.stop_reason == "loss" and run.trajectory["held_out_error"].values[0, -1] < 1e-2


def test_a_loss_of_margins_is_followed_beyond_underflow():
    problem = rf.LinearClassification([[1.0, 2.0], [-2.0, -1.0]], [1, -1], loss=of("problems.losses", "Sigmoid")())
    start = rf.MatrixFactorization([np.zeros((2, 1))])
    rule = rf.NormalizedDescent(1.0, by="loss")
    run = rf.train(problem, start, rule, stop=rf.Stop(steps=1000), progress=False)
    assert run.trajectory["loss"].values[0, -1] == 0 and run.trajectory["log_loss"].values[0, -1] < -1000
    with pytest.raises(ValueError, match="must hold the labels -1 and \\+1 for 'sigmoid'"):
        rf.LinearRegression([[1.0]], [2.0], loss=of("problems.losses", "Sigmoid")())


def test_an_experiment_is_found_computed_claimed_and_drawn(written):
    rooms = of("talk", "EXPERIMENTS")
    assert list(rooms) == ["small-starts"]
    settings = rooms.settings("small-starts")
    assert settings != rooms.settings("small-starts", full=True)
    stored = rooms["small-starts"].compute(settings, False)
    (claim,) = rooms["small-starts"].claims(stored)
    assert claim.ok and claim.control["fails"]
    own = runpy.run_path(str(written / "tests/talk/test_small_starts.py"))
    for dataset in (stored, own["made"]()):
        assert len(rooms.draw("small-starts", dataset).axes) == own["PANELS"]
    assert set(own["made"]().variables) == set(stored.variables)
