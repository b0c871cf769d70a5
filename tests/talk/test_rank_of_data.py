import numpy as np
import pytest
import xarray as xr

import rankfall as rf
from every_room import *
from rankfall._execution import double_precision
from rankfall.datasets.images import images
from rankfall.talk import EXPERIMENTS
from rankfall.talk.rank_of_data.experiment import one_against_all, predict

PANELS = 3
LOSS = "mse"


def made():
    ranks, over = np.array([1, 2, 4]), ("rank", "variant", "class")
    level = np.stack([[0.044, 0.088, 0.087], [0.041, 0.087, 0.083], [0.039, 0.085, 0.072]])
    error = level[..., None] + 1e-3 * np.arange(-5, 5)
    return xr.Dataset(
        {"train_error": (over, error), "test_error": (over, 1.1 * error), "variance": ("class", np.full(10, 0.09))},
        coords={"rank": ranks, "variant": ["original", "random labels", "random images"], "class": np.arange(10)},
        attrs={"order": 64, "images": 4000, "test_images": 2000, "compared": 4},
    )


def test_claims_about_data_fall_when_variants_are_exchanged(experiment, stored):
    def fallen(broken):
        broken.attrs = stored.attrs
        return {c.name for c in experiment.claims(broken) if not c.holds}

    exchanged = stored.assign_coords(variant=["random images", "random labels", "original"])
    assert fallen(exchanged) >= {
        "low-rank-fits-the-original", "so-for-every-class", "random-data-need-more", "carries-over",
    }  # fmt: skip
    assert fallen(stored.assign_coords(rank=stored["rank"].values[::-1])) >= {"errors-fall-with-the-rank"}
    one = stored.copy(deep=True)
    one["train_error"][0, 0, 6] = one["train_error"][0, 1, 6]
    assert fallen(one) == {"so-for-every-class"}
    assert fallen(stored * np.nan) == {c.name for c in experiment.claims(stored)}


@pytest.fixture
def factors():
    rng = np.random.default_rng(0)
    return 1 + 0.6 * rng.normal(size=(2, 64, 3))


def test_predictions_are_entries_of_a_cp_factorization(factors):
    """Of either sign, and without the tensor of 2^64 entries."""
    x = images("train", 20)
    with double_precision():
        values = np.asarray(predict(tuple(factors), x))
    expected = rf.CPFactorization(list(factors.transpose(1, 0, 2))).entries(x.astype(int))
    assert (expected < 0).any() and (expected > 0).any()
    np.testing.assert_allclose(values, expected, rtol=1e-10, atol=1e-12 * abs(expected).max())


def test_predictions_are_a_circuit_on_one_hot_pixels(factors):
    pixels = images("test", 1)[3].astype(int)
    circuit = rf.networks.ShallowCircuit(list(factors.transpose(1, 0, 2)))
    with double_precision():
        value = float(predict(tuple(factors), pixels[None].astype(float))[0])
    np.testing.assert_allclose(value, float(circuit(rf.networks.one_hot(pixels, 2))), rtol=1e-10)


def test_products_of_many_factors_keep_to_the_range_of_numbers():
    """No partial product is formed: 1e200 sixteen times, then 1e-200 as often, is one."""
    one = np.repeat([1e200, 1e-200], 32)[:, None]
    with double_precision():
        assert np.asarray(predict((one, -one), np.zeros((1, 64)))) == pytest.approx(1, rel=1e-10)
        assert np.asarray(predict((one, -one), np.eye(1, 64))) == pytest.approx(-1, rel=1e-10)


def test_the_settings_ask_for_no_more_images_than_there_are():
    full = EXPERIMENTS.settings("rank-of-data", full=True)
    assert len(images("train", full.train_images)) == 10 * full.train_images


def test_labels_follow_the_classes():
    labels = one_against_all(30)
    np.testing.assert_array_equal(labels.argmax(axis=0), np.arange(30) // 3)
    assert labels.sum() == 2 * 30
