import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.datasets.images import images
from rankfall.experiments import load_settings
from rankfall.experiments.rank_of_data import one_against_all, predict


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
    full = load_settings("rank-of-data", full=True)
    assert len(images("train", full.train_images)) == 10 * full.train_images


def test_labels_follow_the_classes():
    labels = one_against_all(30)
    np.testing.assert_array_equal(labels.argmax(axis=0), np.arange(30) // 3)
    assert labels.sum() == 2 * 30
