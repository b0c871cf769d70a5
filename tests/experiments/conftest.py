"""Results of a small sweep, for all tests that only look at them."""

import pytest

from small_sweeps import scales


@pytest.fixture(scope="session")
def stored(tmp_path_factory):
    """Folder of a sweep of two scales and two seeds, to be read only."""
    out = tmp_path_factory.mktemp("stored")
    scales(0.1, 0.2).run(out, progress=False)
    return out
