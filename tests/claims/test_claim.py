import dataclasses
import json

import numpy as np
import pytest

from rankfall.claims import Claim, at_least, at_most, close_to

WORDS = ("name", "statement", "source")
CONTROL = {"what": "det < 0", "measured": np.float64(0.2), "fails": np.bool_(True)}


@pytest.mark.parametrize(
    "make, measured, expected, tolerance, absolute, holds",
    [
        (at_least, 1.0, 1.0, 0.0, False, True),
        (at_least, 0.99, 1.0, 0.0, False, False),
        (at_least, 99.0, 100.0, 0.01, False, True),
        (at_least, 99.0, 100.0, 0.01, True, False),
        (at_least, -101.0, -100.0, 0.01, False, True),
        (at_least, -102.0, -100.0, 0.01, False, False),
        (at_least, np.inf, np.inf, 0.1, False, True),
        (at_least, 1e300, np.inf, 0.1, False, False),
        (at_least, 1.0, -np.inf, 0.0, False, True),
        (at_least, np.nan, -np.inf, 1.0, False, False),
        (at_least, 1.0, np.nan, 1.0, False, False),
        (at_most, 1.0, 1.0, 0.0, False, True),
        (at_most, 101.0, 100.0, 0.01, False, True),
        (at_most, 101.0, 100.0, 0.01, True, False),
        (at_most, -99.0, -100.0, 0.01, False, True),
        (at_most, 1e-3, 0.0, 0.1, False, False),
        (at_most, 1e-3, 0.0, 0.1, True, True),
        (at_most, np.nan, np.inf, 0.0, False, False),
        (close_to, 1.01, 1.0, 0.02, False, True),
        (close_to, 1.03, 1.0, 0.02, False, False),
        (close_to, 0.97, 1.0, 0.02, False, False),
        (close_to, 101.0, 100.0, 1.0, True, True),
        (close_to, np.inf, np.inf, 0.0, False, True),
        (close_to, np.inf, -np.inf, 0.0, False, False),
        (close_to, np.inf, 1.0, 0.5, False, False),
        (close_to, np.nan, np.nan, 1.0, False, False),
    ],
)
def test_verdicts(make, measured, expected, tolerance, absolute, holds):
    claim = make(*WORDS, measured=measured, expected=expected, tolerance=tolerance, absolute=absolute)
    assert claim.holds is holds and claim.ok is holds


def test_a_claim_is_not_ok_when_its_control_does_not_fail():
    good = at_least(*WORDS, measured=2.0, expected=1.0, control=("det < 0", 0.2))
    weak = at_least(*WORDS, measured=2.0, expected=1.0, control=("det < 0", 1.2))
    assert good.ok is True and good.control["fails"] is True
    assert weak.holds and weak.ok is False and weak.control["fails"] is False


@pytest.mark.parametrize(
    ("make", "control", "fails"),
    [
        (at_least, 0.89, True),
        (at_least, 0.91, False),
        (at_most, 1.11, True),
        (at_most, 1.09, False),
        (close_to, 0.89, True),
        (close_to, 1.11, True),
        (close_to, 0.91, False),
        (close_to, np.nan, False),
        (at_least, np.nan, False),
    ],
)
def test_the_control_is_put_to_the_same_comparison(make, control, fails):
    claim = make(*WORDS, measured=1.0, expected=1.0, tolerance=0.1, control=("elsewhere", control))
    assert claim.control["fails"] is fails and claim.holds


def test_serialisation():
    claim = Claim(*WORDS, np.float32(np.inf), np.array(1.0), 0.5, np.bool_(True), CONTROL)
    record = claim.to_dict()
    assert list(record) == ["name", "statement", "source", "expected", "measured", "tolerance", "holds", "control"]
    assert record["expected"] == "inf" and record["measured"] == 1.0 and type(record["measured"]) is float
    assert record["control"] == {"what": "det < 0", "measured": 0.2, "fails": True}
    assert type(record["control"]["fails"]) is bool
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_numpy_scalars_words_and_non_finite_numbers_become_plain():
    record = Claim(*WORDS, np.float64(-np.inf), np.int64(3), np.float64(0.0), np.bool_(False)).to_dict()
    assert record["expected"] == "-inf" and type(record["measured"]) is int and record["holds"] is False
    assert record["control"] is None
    words = Claim(*WORDS, "loss", float("nan"), 0.0, True).to_dict()
    assert words["expected"] == "loss" and words["measured"] == "nan"


def test_a_claim_may_not_apply():
    claim = dataclasses.replace(at_least(*WORDS, measured=2.0, expected=1.0), holds=None)
    assert not claim.applies and not claim.ok and claim.to_dict()["holds"] is None
    assert all(at_least(*WORDS, measured=value, expected=1.0).applies for value in (2.0, 0.0, np.nan))


def test_claims_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        at_least(*WORDS, measured=1.0, expected=1.0).holds = False


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"^tolerance .*; .*\.$"):
        at_least(*WORDS, measured=1.0, expected=1.0, tolerance=-1.0)
    with pytest.raises(ValueError, match=r"^tolerance .*; .*\.$"):
        close_to(*WORDS, measured=1.0, expected=1.0, tolerance=np.nan)
    with pytest.raises(ValueError, match=r"^control .*; .*\.$"):
        Claim(*WORDS, 1.0, 1.0, 0.0, True, {"what": "nothing"})
