"""Results of the experiments of a room, for the test file of its name."""

import sys
from pathlib import Path

import pytest
import xarray as xr

from rankfall.talk import EXPERIMENTS

pytest.register_assert_rewrite("every_room")


def pytest_generate_tests(metafunc):
    """Run what asks for the ``name`` of an experiment once for each in the room that the test file is about."""
    if "name" in metafunc.fixturenames:
        room = Path(metafunc.module.__file__).stem.removeprefix("test_")
        names = [name for name in EXPERIMENTS if EXPERIMENTS.folder(name) == room]
        metafunc.parametrize("name", names, scope="module")


@pytest.fixture(scope="module")
def experiment(name):
    return EXPERIMENTS[name]


@pytest.fixture(scope="module")
def stored(name, tmp_path_factory):
    """The result in its reduced form as it comes back from its file, computed without what is only in an extra."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cvxpy", None)
        dataset = EXPERIMENTS[name].compute(EXPERIMENTS.settings(name), False)
    path = tmp_path_factory.mktemp("stored") / "data.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as back:
        return back.load()


@pytest.fixture
def fallen(experiment, stored):
    """Names of the claims that do not hold once some of the stored variables are changed."""

    def names(**changed):
        broken = stored.assign(changed)
        broken.attrs = stored.attrs
        return {claim.name for claim in experiment.claims(broken) if not claim.holds}

    return names


@pytest.fixture
def dataset(request):
    """What the test file has made up."""
    return request.module.made()


@pytest.fixture
def draw(name):
    """The drawing of the experiment."""
    return lambda dataset: EXPERIMENTS.draw(name, dataset)
