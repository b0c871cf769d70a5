"""Single changes of the science, one at a time: each is noticed by the statement it is marked with.

Here the changes that statements without long compilation notice, and one of each form of the flow; ``rankfall verify
--self-test`` makes all of them.
"""

import pytest

from rankfall.cli import main
from rankfall.statements import STATEMENTS, self_test
from rankfall.statements.changes import CHANGES

SOON = {"sharp-bounds", "known-spectra", "known-losses", "rank-of-solutions", "regression", "circuits"}
OF_FLOWS = {"weight-off-the-diagonal", "identity-form"}
CHOSEN = [change for change in CHANGES if change.statements[0] in SOON or change.name in OF_FLOWS]


def test_there_are_forty_and_their_names_are_their_own():
    assert len({change.name for change in CHANGES}) == len(CHANGES) >= 40
    assert all(statement in STATEMENTS for change in CHANGES for statement in change.statements)


@pytest.mark.parametrize("change", CHOSEN, ids=[change.name for change in CHOSEN])
def test_a_change_is_noticed(change):
    before = change.found()[1]
    (found,) = self_test([change.name])
    assert found.statement == change.statements[0] and not found.claim.ok
    assert change.found()[1] is before


def test_a_change_that_ends_in_an_error_is_not_noticed(monkeypatch):
    def broken(original):
        return lambda *arguments: 1 / 0

    change = CHANGES[0]._replace(name="broken", make=broken)
    monkeypatch.setattr("rankfall.statements.noticing.CHANGES", [change])
    (found,) = self_test(["broken"])
    assert found.statement is None and "ZeroDivisionError" in found.claim.measured


def test_a_name_that_is_unknown_is_refused():
    with pytest.raises(ValueError, match="^names is 'no such change'"):
        self_test(["no such change"])


def test_command(capsys, monkeypatch):
    assert main(["verify", "--self-test", "effective-rank-in-base-two"]) == 0
    said = capsys.readouterr().out
    assert "noticed by known-spectra" in said and said.splitlines()[-1] == "1 of 1 changes are noticed."
    unseen = CHANGES[0]._replace(name="unseen", make=lambda original: original)
    monkeypatch.setattr("rankfall.statements.noticing.CHANGES", [unseen])
    assert main(["verify", "--self-test"]) == 1
    assert "NOT NOTICED" in capsys.readouterr().out
    assert main(["verify", "--self-test", "--json", "claims.json"]) == 2
    assert "leave one of them out" in capsys.readouterr().err
