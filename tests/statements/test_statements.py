"""Every statement holds, its control fails, and a fault in the training is found out."""

import json

import jax
import numpy as np
import pytest

from rankfall.cli import main
from rankfall.dynamics.flow import factors
from rankfall.statements import STATEMENTS, verify
from rankfall.talk import EXPERIMENTS

EVERY = STATEMENTS | EXPERIMENTS.statements()


@pytest.mark.parametrize("name", EVERY)
def test_holds_and_its_control_fails(name):
    claims = EVERY[name]()
    assert claims
    for claim in claims:
        assert claim.holds, claim
        assert claim.control is not None and claim.control["fails"], claim


@pytest.fixture
def fresh():
    """Compiled code knows nothing of a fault, nor may later tests know of it."""
    jax.clear_caches()
    yield
    jax.clear_caches()


@pytest.mark.parametrize("layer", [0, 1])
def test_half_the_gradient_of_a_layer_is_found_out(layer, fresh, monkeypatch, capsys):
    whole = factors.layer_gradients

    def halved(chain, slope):
        return [g / 2 if j == layer else g for j, g in enumerate(whole(chain, slope))]

    monkeypatch.setattr(factors, "layer_gradients", halved)
    assert main(["verify", "balancedness", "flows-agree", "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "balancedness: DOES NOT HOLD" in said and "flows-agree: DOES NOT HOLD" in said
    assert said.splitlines()[-1].startswith("0 of 3") or said.splitlines()[-1].startswith("1 of 3")


def test_command(tmp_path, capsys):
    file = tmp_path / "claims.json"
    assert main(["verify", "rank-of-solutions", "schatten-minimiser", "--json", str(file)]) == 0
    captured = capsys.readouterr()
    assert "checking rank-of-solutions" in captured.err
    assert captured.out.splitlines()[-1] == "3 of 3 statements hold where they must and fail where they must."
    stored = json.loads(file.read_text())
    assert [claim["statement_of"] for claim in stored] == ["rank-of-solutions", *["schatten-minimiser"] * 2]
    assert {"name", "statement", "source", "expected", "measured", "tolerance", "holds", "control"} < set(stored[0])


def test_statements_of_experiments_come_last(monkeypatch):
    assert list(EVERY)[-2:] == ["nuclear-norm", "hypothesis"] and len(EVERY) == 22
    monkeypatch.setattr("rankfall.statements.STATEMENTS", {"mine": list})
    asked = []
    assert verify(say=asked.append, also={"other": list}) == [] and asked == ["mine", "other"]


def test_a_statement_that_crashes_is_a_claim_that_fails(monkeypatch, capsys):
    def crash():
        raise np.linalg.LinAlgError("Eigenvalues did not\nconverge")

    monkeypatch.setitem(STATEMENTS, "theorem-1", crash)
    assert main(["verify", "theorem-1", "rank-of-solutions", "--quiet"]) == 1
    said = capsys.readouterr().out
    assert "theorem-1: DOES NOT HOLD" in said and "measured LinAlgError: Eigenvalues did not converge" in said
    assert said.splitlines()[-1].startswith("1 of 2")

    def lacking():
        raise ModuleNotFoundError("CVXPY is not installed")

    monkeypatch.setitem(STATEMENTS, "theorem-1", lacking)
    assert main(["verify", "theorem-1", "--quiet"]) == 2 and "CVXPY" in capsys.readouterr().err


def test_mistakes(tmp_path, capsys):
    assert main(["verify", "theorem-3"]) == 2
    assert "is the nearest" in capsys.readouterr().err
    assert main(["verify", "rank-of-solutions", "--quiet", "--json", str(tmp_path / "no" / "such.json")]) == 2
    assert "such.json" in capsys.readouterr().err
    with pytest.raises(ValueError, match="names is 'theorem-1'"):
        verify("theorem-1")
