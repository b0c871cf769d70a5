"""Runs as tables and files: what comes back is what was there, and what does not is refused in a sentence."""

import copy
import dataclasses
import importlib
import os
import pickle
import resource
import subprocess
import sys

import equinox as eqx
import jax
import numpy as np
import optax
import pytest
import xarray as xr

import rankfall as rf
from rankfall.dynamics.identity import Identity
from rankfall.problems.losses import AbstractLoss

KEY = jax.random.key(0)
PROBLEM = rf.two_by_two()
START = rf.MatrixFactorization.init((2, 2), 2, kind="balanced", scale=0.3, det_sign=1, key=KEY)
LANES = rf.MatrixFactorization.init((2, 2), 2, scale=0.3, key=jax.random.split(KEY, 3))
TENSOR = rf.TensorCompletion.from_coo([[0, 0, 0], [1, 1, 1]], [1.0, 2.0], (2, 2, 2))
MLP = eqx.nn.MLP(2, 1, 3, 1, key=KEY)
NET = rf.Supervised(np.ones((3, 2)), np.ones((3, 1)))


@dataclasses.dataclass(frozen=True)
class Quartic(AbstractLoss):
    """A loss of the user's own."""

    name = "quartic"

    def value(self, predictions, targets):
        return (predictions - targets) ** 4

    def slope(self, predictions, targets):
        return 4 * (predictions - targets) ** 3


RUNS = {
    "one": (PROBLEM, START, rf.GradientDescent(0.05)),
    "lanes of unequal length": (PROBLEM, LANES, rf.GradientDescent([0.02, 0.1, 0.3])),
    "single precision": (rf.two_by_two(dtype="float32"), START, rf.AdaptiveDescent()),
    "tree": (TENSOR, rf.HierarchicalFactorization.init((2, 2, 2), 2, scale=0.5, key=KEY), rf.AdaptiveDescent()),
    "keys": (PROBLEM, START, rf.StochasticDescent(0.05, 2, key=KEY)),
    "spectral": (PROBLEM, START, rf.SpectralFlow()),
    "network": (NET, MLP, rf.GradientDescent(0.05)),
}
RECORD = rf.Record(every=1, measures=["end_to_end", "nuclear"])


def trained(name, record=None):
    problem, start, dynamics = RUNS[name]
    return rf.train(problem, start, dynamics, stop=rf.Stop(loss=0.3, steps=12), record=record, progress=False)


def same(one, other):
    """Whether two runs are equal to the last bit."""
    left, right = (jax.tree.leaves(run.final) for run in (one, other))
    assert type(one.final) is type(other.final)
    assert [a.dtype for a in left] == [a.dtype for a in right]
    assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in zip(left, right, strict=True))
    assert one.trajectory.identical(other.trajectory)
    for name, variable in one.trajectory.variables.items():
        assert variable.dtype == other.trajectory[name].dtype, name
        assert variable.values.tobytes() == other.trajectory[name].values.tobytes(), name
    assert one.seconds == other.seconds and repr(one.dynamics) == repr(other.dynamics)
    assert jax.tree.structure(one.problem) == jax.tree.structure(other.problem)
    return True


@pytest.mark.parametrize("name", RUNS)
def test_a_run_comes_back_from_its_file_from_pickle_and_from_copies_and_trains_on(name, tmp_path):
    run = trained(name)
    run.save(tmp_path / "run.nc")
    found = [rf.load_run(tmp_path / "run.nc"), pickle.loads(pickle.dumps(run)), copy.deepcopy(run)]
    assert all(same(back, run) for back in found)
    stop = rf.Stop(steps=4)
    one, other = (rf.train(r.problem, r.final, r.dynamics, stop=stop, progress=False) for r in (found[0], run))
    assert same(dataclasses.replace(one, seconds=other.seconds), other)
    with xr.open_dataset(tmp_path / "run.nc") as plain:
        np.testing.assert_array_equal(plain["loss"], run.trajectory["loss"])
        assert plain.attrs["dynamics"] == run.trajectory.attrs["dynamics"]
    assert os.listdir(tmp_path) == ["run.nc"]


def test_copies_keep_the_transformation_where_pickle_cannot(monkeypatch):
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    rule = rf.GradientDescent(optax.adam(1e-2))
    assert copy.deepcopy(rule).transformation is copy.copy(rule).transformation is rule.transformation


def test_a_transformation_is_left_out_with_a_sentence(tmp_path):
    run = rf.train(PROBLEM, START, rf.GradientDescent(optax.adam(1e-2)), stop=rf.Stop(steps=2), progress=False)
    with pytest.warns(UserWarning, match=r"dynamics\.transformation is not in .* the run comes back without it"):
        run.save(tmp_path / "run.nc")
    back = rf.load_run(tmp_path / "run.nc")
    assert same(back, run)
    with pytest.raises(ValueError, match="rule is an optax transformation that .* could not keep"):
        rf.train(back.problem, back.final, back.dynamics)


def test_what_has_no_name_is_refused_and_the_file_that_was_there_stays(tmp_path):
    class Local(Quartic):
        pass

    place = tmp_path / "run.nc"
    place.write_bytes(b"before")
    problem = rf.MatrixCompletion.from_dense([[1.0, np.nan], [0.0, 1.0]], loss=Local())
    run = rf.train(problem, START, rf.AdaptiveDescent(), stop=rf.Stop(steps=1), progress=False)
    with pytest.raises(ValueError, match=r"problem\.loss_function is or holds the class .*Local, which no name leads"):
        run.save(place)
    assert place.read_bytes() == b"before" and os.listdir(tmp_path) == ["run.nc"]


OTHER = """
import sys, rankfall as rf
from rankfall.dynamics.identity import Identity
try:
    rf.load_run(sys.argv[1])
except ValueError as error:
    print(error)
sys.path.insert(0, sys.argv[2])
import own_losses
run = rf.load_run(sys.argv[1])
print(type(run.problem.loss_function).__name__, Identity().digest(run.problem))
"""
LOSS = """
from rankfall.problems.losses import AbstractLoss

class Cubic(AbstractLoss):
    name = 'cubic'

    def value(self, p, t):
        return abs(p - t) ** 3 if self.name in {'cubic', 'third', 'a', 'b'} else 0.0

    def slope(self, p, t):
        return 3 * (p - t) * abs(p - t)
"""


def test_classes_of_the_users_own_are_found_by_name_once_they_are_imported(tmp_path, monkeypatch):
    (tmp_path / "own_losses.py").write_text(LOSS)
    monkeypatch.syspath_prepend(tmp_path)
    own_losses = importlib.import_module("own_losses")
    problem = rf.MatrixCompletion.from_dense([[1.0, np.nan], [0.0, 1.0]], loss=own_losses.Cubic())
    run = rf.train(problem, START, rf.AdaptiveDescent(), stop=rf.Stop(steps=1), progress=False)
    run.save(tmp_path / "run.nc")
    command = [sys.executable, "-c", OTHER, tmp_path / "run.nc", tmp_path]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert "cannot be put together (the module own_losses is not imported; import it first)" in said[0]
    # What tells one training from another is the same in another process, where sets have another order.
    assert said[1] == f"Cubic {Identity().digest(problem)}"
    monkeypatch.delitem(sys.modules, "own_losses")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    place = tmp_path_factory.mktemp("stored") / "run.nc"
    trained("lanes of unequal length").save(place)
    return place.read_bytes()


def test_a_damaged_file_is_refused_wherever_the_damage_is(stored, tmp_path):
    place = tmp_path / "run.nc"
    for at in np.random.default_rng(0).integers(0, len(stored), 60):
        place.write_bytes(stored[:at] + bytes([stored[at] ^ 0x41]) + stored[at + 1 :])
        with pytest.raises(ValueError, match=r"path is .*run\.nc', but it is (damaged|no run, or not the whole)"):
            rf.load_run(place)
    for size in (0, 10, 600, len(stored) - 9):
        place.write_bytes(stored[:size])
        with pytest.raises(ValueError, match=r"path is .*run\.nc', but it is (empty|no run, or not the whole of one)"):
            rf.load_run(place)


def test_foreign_and_other_files_are_refused(tmp_path, monkeypatch):
    place = tmp_path / "run.nc"
    xr.Dataset({"a": 1.0}).to_netcdf(place, engine="h5netcdf")
    with pytest.raises(ValueError, match="is no run, or not the whole of one; pass a file that Run.save wrote"):
        rf.load_run(place)
    with pytest.raises(ValueError, match="cannot be read"):
        rf.load_run(tmp_path / "none.nc")
    with monkeypatch.context() as other:
        other.setattr(importlib.import_module("rankfall.dynamics.stored"), "FORMAT", 7)
        trained("one").save(place)
    with pytest.raises(ValueError, match=r"has format 7, of rankfall .* reads format 1; load it with"):
        rf.load_run(place)


def test_names_in_a_file_lead_to_no_code_of_pythons_own(stored, tmp_path):
    place = tmp_path / "run.nc"
    for name in ("os:system", "posix:system", "numpy:os", "builtins:eval", "rankfall.__main__:x"):
        with pytest.raises(LookupError):
            rf._execution.named(name)
    assert rf._execution.named("rankfall.dynamics.run:Run") is rf.Run
    assert not place.exists()


def test_a_full_disk_is_a_sentence_and_nothing_is_lost(tmp_path):
    run, place = trained("one"), tmp_path / "run.nc"
    run.save(place)
    before, limits = place.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(ValueError, match=r"path is .*, but it cannot be written \(File too large\); choose"):
            run.save(place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert place.read_bytes() == before and os.listdir(tmp_path) == ["run.nc"]
    with pytest.raises(ValueError, match="cannot be written"):
        run.save(tmp_path / "nowhere" / "run.nc")


def test_the_table_has_a_row_for_each_record_and_no_padding():
    run = trained("lanes of unequal length", RECORD)
    path, frame = run.trajectory, run.to_dataframe()
    assert len(frame) == (path["step"].values >= 0).sum() < path["step"].size
    assert not frame[["lane", "record", "step", "loss", "time"]].isna().any().any()
    for lane in range(3):
        rows, held = frame[frame["lane"] == lane], path["step"].values[lane] >= 0
        np.testing.assert_array_equal(rows["record"], np.arange(held.sum()))
        np.testing.assert_array_equal(rows["singular_values_1"], path["singular_values"].values[lane, held, 1])
        np.testing.assert_array_equal(rows["schatten_norm_0.5"], path["schatten_norm"].sel(p=0.5).values[lane, held])
        np.testing.assert_array_equal(rows["end_to_end_0_1"], path["end_to_end"].values[lane, held, 0, 1])
        assert set(rows["stop_reason"]) == {run.stop_reason[lane]}
    assert "schatten_norm_inf" in frame and "end_to_end_1_1" in frame
    assert "end_to_end_0_0" not in run.to_dataframe(largest=3) and "nuclear" in run.to_dataframe(largest=1)


def scaled(factor):
    def measure(w):
        return factor * w.sum()

    return measure


def test_an_identity_sees_code_and_what_it_closes_over():
    def digest(value):
        return Identity().digest(value)

    assert digest(scaled(1.0)) == digest(scaled(1.0)) != digest(scaled(2.0))
    assert digest(lambda w: w + 1) != digest(lambda w: w + 2)
    assert digest(optax.adam(1e-3)) == digest(optax.adam(1e-3)) != digest(optax.adam(2e-3))
    assert digest(optax.adam(optax.cosine_decay_schedule(0.1, 9))) != digest(optax.adam(1e-3))
    assert digest(START) != digest(LANES) and digest(PROBLEM) != digest(rf.two_by_two(loss="mse"))
    assert digest(jax.tree.map(jax.numpy.asarray, {"a": 1})) != digest({"a": 2})
