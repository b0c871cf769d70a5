import json
import sys

import pytest
import xarray as xr

import rankfall as rf
from rankfall.talk import EXPERIMENTS


@pytest.fixture(scope="module")
def outcome():
    return rf.talk("solution-set").run(points=40)


def test_the_package_can_be_called_and_is_one_still():
    assert rf.talk is sys.modules["rankfall.talk"] and rf.talk.EXPERIMENTS is EXPERIMENTS
    assert rf.talk() == list(EXPERIMENTS)
    room = rf.talk("perturbation")
    assert (room.experiment, room.settings(), room.settings(full=True)) == (
        EXPERIMENTS["perturbation"], EXPERIMENTS.settings("perturbation"), EXPERIMENTS.settings("perturbation", True),
    )  # fmt: skip
    with pytest.raises(ValueError, match="^name is 'pertubation', but .*'perturbation' is the nearest"):
        rf.talk("pertubation")


def test_a_run_at_other_settings(outcome):
    assert outcome.settings == EXPERIMENTS.settings("solution-set").model_copy(update={"points": 40})
    assert json.loads(outcome.data.attrs["settings"])["points"] == 40
    assert (outcome.data.attrs["changed"], outcome.data.attrs["form"]) == ("points = 40", "reduced")
    assert [claim.name for claim in outcome.claims if not claim.applies] == ["suboptimality-falls"]
    assert all(claim.ok for claim in outcome.claims if claim.applies)
    assert outcome.figure().get_suptitle()


def test_what_is_saved_is_what_was_measured(outcome, tmp_path):
    place = outcome.save(tmp_path / "deep" / "mine")
    assert sorted(p.name for p in place.iterdir()) == ["claims.json", "data.nc", "figure.png", "figure.svg"]
    with xr.open_dataset(place / "data.nc", engine="h5netcdf") as data:
        xr.testing.assert_identical(data.load(), outcome.data)
    assert json.loads((place / "claims.json").read_text()) == [claim.to_dict() for claim in outcome.claims]
    assert outcome.save(place) == place
    (place / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="'thesis.tex' is there that rankfall did not write"):
        outcome.save(place)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"pointz": 3}, "^set names 'pointz', but must name a setting of solution-set; .*'points' is the nearest"),
        ({"points": "many"}, "^points of solution-set is 'many', but must be an integer"),
        ({"points": -3}, r"^solution-set cannot be run with points = -3 \(ValueError: .*\); choose other values\.$"),
    ],
)
def test_wrong_settings_are_one_sentence(given, said):
    with pytest.raises(ValueError, match=said):
        rf.talk("solution-set").run(**given)


def test_files_of_the_user_are_read(tmp_path):
    with pytest.raises(ValueError, match="^movielens is .*no.data', but it cannot be read"):
        rf.talk("spectrum-dynamics").run(movielens=tmp_path / "no.data")
