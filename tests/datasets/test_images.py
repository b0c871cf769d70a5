import numpy as np
import pytest

from rankfall.datasets.images import images


def test_data_are_there():
    """Ten classes of equal size, sorted, and no blank image among them."""
    train, test = images("train", 2000), images("test", 400)
    assert train.shape == (20_000, 64) and test.shape == (4_000, 64)
    assert set(np.unique(train)) == {0.0, 1.0} and train.any(axis=1).mean() > 0.99
    # Trousers (class 1) are narrow, pullovers (2) and coats (4) are wide.
    for x in (train, test):
        filled = x.reshape(10, -1).mean(axis=1)
        assert filled[1] < 0.3 < 0.4 < min(filled[2], filled[4])
    with pytest.raises(ValueError, match="train_images is 2001.* 2000"):
        images("train", 2001)
