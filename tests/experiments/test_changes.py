import json

import pytest

from rankfall.experiments.changes import changed, differences, digest, in_words, parse
from rankfall.talk import EXPERIMENTS

SETTINGS = {name: EXPERIMENTS.settings(name) for name in ("perturbation", "gradient-flow", "solution-set")}


def _after(name, *words):
    return changed(name, SETTINGS[name], parse(words, {name: SETTINGS[name]})[name])


@pytest.mark.parametrize(
    ("name", "word", "key", "value"),
    [
        ("perturbation", "depth=5", "depth", 5),
        ("perturbation", "eps=0,0.2", "eps", [0.0, 0.2]),
        ("perturbation", "eps=[0, 0.2]", "eps", [0.0, 0.2]),
        ("perturbation", "eps = 0.2", "eps", [0.2]),
        ("gradient-flow", "depths=2", "depths", [2]),
        ("gradient-flow", "gradient-flow.seed = 3", "seed", 3),
        ("gradient-flow", "descent_rates.2=3e-3", "descent_rates", {"2": 3e-3}),
        ("gradient-flow", "descent_rates.3=3e-3", "descent_rates", {"2": 1e-3, "3": 3e-3}),
        ("gradient-flow", "descent_rates={2 = 1e-4}", "descent_rates", {"2": 1e-4}),
        ("solution-set", "schatten_p=1,inf", "schatten_p", [1.0, float("inf")]),
    ],
)
def test_values_are_of_the_kind_of_their_setting(name, word, key, value):
    found = getattr(_after(name, word), key)
    assert ({str(k): v for k, v in found.items()} if isinstance(found, dict) else found) == value


def test_a_setting_of_one_experiment_leaves_the_others():
    found = parse(["seed=2", "perturbation.depth=4"], SETTINGS)
    assert found == {"perturbation": {"seed": 2, "depth": 4}, "gradient-flow": {"seed": 2}, "solution-set": {"seed": 2}}
    with pytest.raises(
        ValueError, match=r"^set names 'depth', but .* setting of gradient-flow; .*'depths' is the near"
    ):
        parse(["depth=4"], SETTINGS)


def test_other_eps_bring_the_loss_that_is_right_for_them():
    """A small eps is on its way for long; one that is not published goes as far as the next smaller one."""
    assert _after("perturbation", "eps=0,0.2,0.02,-7").losses == [1e-4, 1e-7, 1e-4, 1e-7]
    assert _after("perturbation", "eps=0.2", "losses=1e-5").losses == [1e-5]
    with pytest.raises(
        ValueError, match=r"^set gives perturbation settings that .*losses has 1 values, but eps has 5;"
    ):
        _after("perturbation", "losses=1e-5")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("eps=0,true-ish", r"^eps.1 of perturbation is 'true-ish', but eps must be a list of numbers"),
        ("depth=3,4", r"^depth of perturbation is \[3, 4\], but must be an integer\.$"),
        ("descent_rates=3", r"^set names 'descent_rates', but must name a setting of perturbation"),
        ("depth", r"^set is 'depth', but must be KEY=VALUE"),
        ("a..b=1", r"^set is 'a..b=1', but must be KEY=VALUE"),
    ],
)
def test_wrong_settings_are_one_sentence(word, said):
    with pytest.raises(ValueError, match=said):
        _after("perturbation", word)


def test_differences_are_from_every_form():
    form, full = SETTINGS["perturbation"], EXPERIMENTS.settings("perturbation", full=True)
    assert differences(form, form) == {} and differences(full, form, full) == {}
    found = differences(_after("perturbation", "depth=5", "seeds=5"), form, full)
    assert found == {"depth": 5} and in_words({**found, "eps": [0.0, 0.2]}) == "depth = 5, eps = [0.0, 0.2]"


def test_of_a_file_the_content_counts():
    given = [{"mine": {"file": file, "sha256": content}} for file, content in (("a", "b"), ("c", "b"), ("a", "d"))]
    one, same, other = map(digest, map(json.dumps, given))
    assert one == same != other
