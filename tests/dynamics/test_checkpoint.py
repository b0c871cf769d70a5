"""Training that is killed and goes on: to the last bit what it would have been, or a sentence that says why not."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

import rankfall as rf
from rankfall.dynamics import batch
from rankfall.dynamics.checkpoint import Keeper

KEY = jax.random.key(0)
PROBLEM = rf.two_by_two()
START = rf.MatrixFactorization.init((2, 2), 2, kind="balanced", scale=0.3, det_sign=1, key=KEY)
LANES = rf.MatrixFactorization.init((2, 2), 2, scale=0.3, key=jax.random.split(KEY, 3))
TENSOR = rf.TensorCompletion.from_coo([[0, 0, 0], [1, 1, 1], [0, 1, 1]], [1.0, 2.0, 0.5], (2, 2, 2))
CP = rf.CPFactorization.init((2, 2, 2), 2, factor_std=0.3, key=KEY)
CLASSES = rf.LinearClassification([[1.0, 2.0], [-2.0, -1.0]], [1, -1], loss="exponential")
LARGE = rf.MatrixCompletion.from_dense(1e30 * np.array([[np.nan, 1.0], [1.0, 0.0]]))
SIZES = np.geomspace(0.01, 0.3, 3)
EVERY = rf.Record(every=7)


def determinant(w):
    """A function of NumPy arrays, which runs between chunks."""
    return np.array([np.linalg.det(np.array(w, dtype=float)), 1.0])


# A problem, a start, a rule, when to end, and what to record.
FAMILIES = {
    "fixed step": (PROBLEM, LANES, rf.GradientDescent(SIZES), rf.Stop(loss=1e-2, steps=600), EVERY),
    "fixed step, functions between chunks": (
        PROBLEM,
        LANES,
        rf.GradientDescent(SIZES),
        rf.Stop(steps=300),
        rf.Record(every=90, at_losses=[0.3, 0.1], measures=[determinant]),
    ),
    "adam": (PROBLEM, LANES, rf.GradientDescent(optax.adam(3e-3)), rf.Stop(loss=1e-1, steps=300), EVERY),
    "noise of a key": (PROBLEM, START, rf.GradientDescent(optax.noisy_sgd(0.01, key=0)), rf.Stop(steps=300), EVERY),
    "stochastic": (PROBLEM, LANES, rf.StochasticDescent(SIZES, 2, key=KEY), rf.Stop(steps=200), EVERY),
    "mirror": (
        PROBLEM,
        LANES,
        rf.MirrorDescent(rf.potentials.Hypentropy(0.1), 0.03),
        rf.Stop(loss=1e-2, steps=300),
        EVERY,
    ),
    "normalized": (
        CLASSES,
        rf.MatrixFactorization([np.zeros((2, 1))]),
        rf.NormalizedDescent(0.1, by="loss"),
        rf.Stop(steps=300),
        EVERY,
    ),
    "adaptive, single precision": (
        rf.two_by_two(dtype="float32"),
        LANES,
        rf.AdaptiveDescent(),
        rf.Stop(steps=99),
        None,
    ),
    "other units": (LARGE, LANES, rf.AdaptiveDescent(), rf.Stop(steps=100), rf.Record(every=1)),
    "exponential": (TENSOR, CP, rf.ExponentialDescent(krylov=6), rf.Stop(loss=1e-10, steps=60), None),
    "gradient flow": (
        PROBLEM,
        LANES,
        rf.GradientFlow(clock="log_time"),
        rf.Stop(loss=1e-3),
        rf.Record(every=1, at_losses=[0.1, 0.02]),
    ),
    "explicit flow": (PROBLEM, START, rf.EndToEndFlow(), rf.Stop(loss=0.2), None),
    "spectral flow": (PROBLEM, START, rf.SpectralFlow(), rf.Stop(loss=1e-8), None),
    "closed form": (PROBLEM, rf.MatrixFactorization([np.eye(2)]), rf.LinearFlow(), rf.Stop(loss=1e-3), None),
}


class Killed(BaseException):
    """The end of a process, as far as a test can have one without ending itself."""


def shorten(monkeypatch):
    """Have chunks of few steps, so that many fit into a short run; the compiled code is that of all others."""
    monkeypatch.setattr(batch.SteadyBatch, "_size", lambda self, done: (4, 11))
    monkeypatch.setattr(batch.AdaptiveBatch, "_size", lambda self, done: (6, 9))


def killed(monkeypatch, after):
    """Have training end like a process after so many writings of its checkpoint."""
    plain, counter = Keeper.write, itertools.count(1)

    def write(self):
        plain(self)
        if next(counter) == after:
            raise Killed

    monkeypatch.setattr(Keeper, "write", write)


def trained(name, checkpoint=None):
    problem, start, dynamics, stop, record = FAMILIES[name]
    return rf.train(problem, start, dynamics, stop=stop, record=record, progress=False, checkpoint=checkpoint)


def same(one, other):
    """Whether two runs are equal to the last bit, but for the time they took."""
    left, right = (jax.tree.leaves(run.final) for run in (one, other))
    assert all(a.tobytes() == b.tobytes() and a.dtype == b.dtype for a, b in zip(left, right, strict=True))
    assert one.trajectory.identical(other.trajectory)
    for name, variable in one.trajectory.variables.items():
        assert variable.values.tobytes() == other.trajectory[name].values.tobytes(), name
    return True


@pytest.fixture
def short_chunks(monkeypatch):
    shorten(monkeypatch)


def sittings(train, monkeypatch, place, each=1):
    """Train in as many sittings as it takes, each killed after some writings; return the run and their number."""
    for number in itertools.count(1):
        assert number < 200
        try:
            with monkeypatch.context() as patched:
                killed(patched, each)
                return train(rf.Checkpoint(place, every=0.0)), number
        except Killed:
            assert place.exists()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_that_is_killed_after_every_chunk_ends_like_one_that_never_was(name, tmp_path, monkeypatch):
    whole = trained(name)  # in chunks of the usual length
    shorten(monkeypatch)
    run, number = sittings(lambda checkpoint: trained(name, checkpoint), monkeypatch, tmp_path / "run.checkpoint")
    assert same(run, whole)
    assert number == 1 if name == "closed form" else number > 4
    assert os.listdir(tmp_path) == []


def test_lanes_that_have_left_and_those_in_other_threads_come_back(tmp_path, monkeypatch):
    starts = rf.MatrixFactorization.init((2, 2), 2, scale=0.3, key=jax.random.split(KEY, 84))
    rule, stop = rf.GradientDescent(np.geomspace(0.003, 0.3, 84)), rf.Stop(loss=0.05, steps=500)
    shapes = []

    def leave(self, lanes, code, seconds, plain=batch.SteadyBatch._leave):
        self.spent = np.inf  # to compile for fewer lanes always pays
        lanes = plain(self, lanes, code, seconds)
        shapes.append((len(self.group), len(self.lane_ids)))
        return lanes

    def train(checkpoint=None):
        monkeypatch.setattr(
            "rankfall.dynamics.base.shares", lambda: 2 if checkpoint is None or not place.exists() else 1
        )
        return rf.train(PROBLEM, starts, rule, stop=stop, record=EVERY, progress=False, checkpoint=checkpoint)

    place = tmp_path / "run.checkpoint"
    whole = train()
    shorten(monkeypatch)
    monkeypatch.setattr(batch.SteadyBatch, "_leave", leave)
    run, number = sittings(train, monkeypatch, place, each=3)
    assert same(run, whole) and number > 3 and len(set(whole.stop_reason)) == 2
    # Shared out as at first, although the cores are fewer; and many a lane has left on the way.
    assert {group for group, _ in shapes} == {42} and {16, 32} & {size for _, size in shapes}


def test_ctrl_c_leaves_a_checkpoint_and_the_next_call_goes_on(tmp_path, monkeypatch, short_chunks):
    place, name = tmp_path / "run.checkpoint", "fixed step"
    whole = trained(name)
    with monkeypatch.context() as pressed:
        plain, counter = batch.SteadyBatch._chunk, itertools.count(1)

        def chunk(self, *arguments):
            if next(counter) == 5:
                os.kill(os.getpid(), signal.SIGINT)
            return plain(self, *arguments)

        pressed.setattr(batch.SteadyBatch, "_chunk", chunk)
        first = trained(name, rf.Checkpoint(place, every=3600.0))
    assert "interrupted" in first.stop_reason and place.exists()
    assert 0 < first.trajectory.sizes["record"] < whole.trajectory.sizes["record"]
    again = trained(name, str(place))
    assert same(again, whole) and not place.exists()
    assert again.seconds > first.seconds


def test_the_seconds_of_earlier_sittings_count(tmp_path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now.__setitem__(0, now[0] + 1.0) or now[0])
    train = dict(stop=rf.Stop(seconds=60.0), record=rf.Record(log_steps=20), progress=False)
    place = tmp_path / "run.checkpoint"
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed(patched, 1)
        rf.train(PROBLEM, START, rf.GradientDescent(1e-4), checkpoint=rf.Checkpoint(place, every=10.0), **train)
    begun, now[0] = now[0], 5000.0
    run = rf.train(PROBLEM, START, rf.GradientDescent(1e-4), checkpoint=place, **train)
    assert run.stop_reason == "seconds" and not place.exists()
    assert 10 < begun - 1000 < 50 and now[0] - 5000 < 56 and 59 < run.seconds < 75


def test_how_often_it_is_written(tmp_path, monkeypatch):
    now, written, cost = [0.0], [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def write(path, parts, *, what):
        written.append(now[0])
        now[0] += cost[0]

    monkeypatch.setattr("rankfall.dynamics.checkpoint.write_whole", write)

    class Part:
        def state(self):
            return batch.State({}, [])

        def restore(self, state):
            pass

    for cost[0], every, expected in ((0.1, 30.0, [30, 60, 90]), (2.0, 30.0, [30, 132]), (2.0, 0.0, [0, 2, 4])):
        now[0] = 0.0
        written.clear()
        keeper = Keeper(rf.Checkpoint(tmp_path / "x", every=every), {}, 0.0)
        part = Part()
        keeper.take_up([part], [np.arange(1)])
        while now[0] < 150 and len(written) < 3:
            keeper.offer(part)
            now[0] += 1.0 if every else 0.0
        np.testing.assert_allclose(written, expected, atol=1.0)


def interrupted(place, name="fixed step", each=2):
    """Leave a checkpoint behind."""
    patch = pytest.MonkeyPatch()
    with patch.context() as patched, pytest.raises(Killed):
        killed(patched, each)
        trained(name, rf.Checkpoint(place, every=0.0))


def test_a_damaged_checkpoint_is_set_aside_and_training_begins_anew(tmp_path, short_chunks):
    place, whole = tmp_path / "run.checkpoint", trained("fixed step")
    interrupted(place)
    content = place.read_bytes()
    flipped = [content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] for at in (25, 400, len(content) // 2)]
    damaged = [*flipped, content[:-1], content[:100], content[:7], b"", content + b"\0"]
    for number, found in enumerate(damaged, 1):
        place.write_bytes(found)
        with pytest.warns(RuntimeWarning, match=rf"checkpoint is .*, but it is damaged; .*damaged-{number}', "):
            assert same(trained("fixed step", place), whole)
        assert (tmp_path / f"run.checkpoint.damaged-{number}").read_bytes() == found and not place.exists()


def test_the_checkpoint_of_another_training_is_refused_by_what_is_other(tmp_path, short_chunks):
    place = tmp_path / "run.checkpoint"
    interrupted(place)
    before = place.read_bytes()
    problem, start, dynamics, stop, record = FAMILIES["fixed step"]
    others = {
        "problem": (rf.two_by_two(loss="mse"), start, dynamics, stop, record),
        "start": (problem, rf.MatrixFactorization([w + 1e-9 for w in start.factors]), dynamics, stop, record),
        "dynamics": (problem, start, rf.GradientDescent(SIZES * (1 + 1e-15)), stop, record),
        "stop": (problem, start, dynamics, dataclasses.replace(stop, steps=601), record),
        "record": (problem, start, dynamics, stop, rf.Record(every=7, measures=[lambda w: w.sum()])),
        "dynamics and record": (problem, start, rf.AdaptiveDescent(), stop, rf.Record(every=1)),
    }
    for name, (p, s, d, until, r) in others.items():
        with pytest.raises(ValueError, match=rf"but the training there has another {name}; take another path, or del"):
            rf.train(p, s, d, stop=until, record=r, progress=False, checkpoint=place)
    with pytest.raises(ValueError, match="has another hold_out"):
        Keeper(rf.Checkpoint(place), {"hold_out": 0.4}, 0.0)
    assert place.read_bytes() == before
    place.write_bytes(b"something of the user's own")
    with pytest.raises(ValueError, match="but that is a file of something else; choose another place"):
        trained("fixed step", place)


def test_the_checkpoint_of_another_version_is_set_aside(tmp_path, monkeypatch, short_chunks):
    place, whole = tmp_path / "run.checkpoint", trained("fixed step")
    with monkeypatch.context() as older:
        older.setattr("rankfall.dynamics.checkpoint.__version__", "0.0.9")
        interrupted(place)
    with pytest.warns(RuntimeWarning, match=r"another version \(.*0\.0\.9 for rankfall .*; it is now .*\.other-1', "):
        assert same(trained("fixed step", place), whole)
    assert os.listdir(tmp_path) == ["run.checkpoint.other-1"]


def test_a_disk_that_takes_no_more_ends_no_training(tmp_path, monkeypatch, short_chunks):
    def refuse(path, parts, *, what):
        raise ValueError(f"{what} is {str(path)!r}, but it cannot be written (No space left on device); choose.")

    whole = trained("fixed step")
    monkeypatch.setattr("rankfall.dynamics.checkpoint.write_whole", refuse)
    with pytest.warns(RuntimeWarning, match="No space left on device.* Training goes on without") as said:
        assert same(trained("fixed step", rf.Checkpoint(tmp_path / "x", every=0.0)), whole)
    assert len(said) == 1


def test_what_cannot_say_its_state_is_refused(tmp_path):
    class Deaf(rf.GradientDescent):
        def batch(self, task, group):
            return object()

    with pytest.raises(ValueError, match=r"batches of object have no state\(\) and restore\(\), .* leave check"):
        rf.train(PROBLEM, START, Deaf(0.1), checkpoint=tmp_path / "x")


def test_what_a_killed_process_left_beside_it_is_cleared_away(tmp_path):
    place, host = tmp_path / "run[1].checkpoint", os.uname().nodename
    gone = subprocess.Popen(["true"])
    gone.wait()
    for name in (f".{place.name}.partial-{host}-{gone.pid}", f".{place.name}.partial-{host}-1", ".other.partial-x-9"):
        (tmp_path / name).write_bytes(b"half")
    trained("closed form", place)
    assert sorted(os.listdir(tmp_path)) == [".other.partial-x-9", f".{place.name}.partial-{host}-1"]


def test_kill_9_at_random_moments_costs_nothing_but_time():
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    command = [sys.executable, script, "--kills", "2", "--longest", "0.3", "--steps", "40000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kills" in done.stdout and "bit for bit the same" in done.stdout
