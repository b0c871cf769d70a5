"""Every statement holds, its control fails, and a fault in the training is found out."""

import json

import jax
import numpy as np
import pytest

from rankfall.cli import main
from rankfall.dynamics.flow import factors
from rankfall.statements import STATEMENTS, solutions, theorems, verify
from rankfall.talk import EXPERIMENTS

EVERY = STATEMENTS | EXPERIMENTS.statements()


@pytest.mark.parametrize("name", EVERY)
def test_holds_and_its_control_fails(name):
    claims = EVERY[name]()
    assert claims
    for claim in claims:
        assert claim.holds, claim
        assert claim.control is not None and claim.control["fails"], claim


def held(statement):
    """Names of the claims of a statement that hold and whose control fails."""
    return {claim.name for claim in statement() if claim.ok}


@pytest.mark.parametrize(
    ("factor", "kept"), [(1.0, {"bounded-minimisers", "bounded-minimisers-sharply"}), (2.0, set()), (0.5, set())]
)
def test_the_bound_on_minimisers_can_be_neither_less_nor_more(factor, kept, monkeypatch):
    """Twice the bound holds too, but is not sharp, and leaves its control within."""
    right = solutions.minimiser_radius
    monkeypatch.setattr(solutions, "minimiser_radius", lambda *values: factor * right(*values))
    assert held(solutions.bounded_minimisers) == kept


def test_shares_of_the_bound_are_said_one_by_one():
    """Those that are least at 0 say nothing of it, and are seen to."""
    claim = next(c for c in solutions.bounded_minimisers() if c.name == "bounded-minimisers")
    assert "0.607, 0.000, 0.000, 0.000, 0.000, 0.912" in claim.statement and claim.measured > 0.9


def test_rank_suboptimality_is_claimed_by_value(monkeypatch):
    """Half of it is largest at the same place."""
    right = solutions.measures.rank_suboptimality
    monkeypatch.setattr(solutions.measures, "rank_suboptimality", lambda *a, **k: 0.5 * right(*a, **k))
    assert "rank-suboptimality-largest" not in held(solutions.rank_suboptimality)


def test_starts_that_stall_are_counted_in_the_words():
    """Of 24 starts three choose the wrong side, where the loss cannot fall below e^2 / 2."""
    claim = next(c for c in theorems.theorem_2() if c.name == "theorem-2-limit")
    assert "the 21 of 24 starts that reach the loss" in claim.statement and claim.ok


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
    assert said.splitlines()[-1].startswith(("0 of 4", "1 of 4"))


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
    assert list(EVERY)[-2:] == ["nuclear-norm", "hypothesis"] and len(EVERY) == len(STATEMENTS) + 2
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
