"""Sweeps on workers: same numbers, a worker that is killed, other versions, a scheduler that is not there."""

import dataclasses
import os
import platform
import signal
import sys
import threading
import time

import pytest

import rankfall as rf
from rankfall._execution import VARIABLE, cores
from rankfall.cli import main
from rankfall.experiments import cluster, parts, plan, worker
from small_sweeps import declared, long, scales


@pytest.fixture(scope="module")
def client():
    """Two workers of this machine."""
    with cluster.connected(2, None) as client:
        yield client


@pytest.fixture
def address(client):
    return client.cluster.scheduler_address


def begun(out):
    """Wait for the first checkpoint."""
    end = time.monotonic() + 60
    while not list(out.glob(".checkpoints/*.checkpoint")) and time.monotonic() < end:
        time.sleep(0.01)


def test_numbers_are_those_of_one_process(tmp_path, address, client, monkeypatch):
    assert set(client.run(os.getenv, VARIABLE).values()) == {str(max(1, cores() // 2))}
    monkeypatch.setattr(plan, "MOST_LANES", 32)  # two tasks, of one batch each
    # Products of 4 x 4 round otherwise in other company, which the number of cores decides.
    sweep = rf.Sweep(**declared(problem={"name": "completion", "shape": [4, 4], "rank": 1, "observed": 9}, record={},
                                factorization={"name": "matrix", "depth": 2, "scale": 0.1}, stop={"steps": 50},
                                seeds=64))  # fmt: skip
    spread = sweep.run(tmp_path / "spread", progress=False, cluster=address).load()
    assert spread.identical(sweep.run(tmp_path / "alone", progress=False).load())
    folders = [sorted(path.name for path in (tmp_path / name / "runs").iterdir()) for name in ("spread", "alone")]
    assert folders[0] == folders[1] and len(folders[0]) == 2 and not (tmp_path / "spread" / ".checkpoints").exists()


def test_a_killed_worker_is_replaced_and_its_training_goes_on(tmp_path, address, client, monkeypatch):
    monkeypatch.setattr(parts, "EVERY", 0.0)
    before, killed = client.run(os.getpid), []

    def kill():
        begun(tmp_path / "out")
        killed.extend(before[where] for where, tasks in client.processing().items() if tasks)
        for number in killed:
            os.kill(number, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    results = long().run(tmp_path / "out", progress=False, cluster=address).load()
    thread.join()
    assert len(killed) == 1 and results.identical(long().run(tmp_path / "whole", progress=False).load())
    client.wait_for_workers(2, timeout=60)
    after = client.run(os.getpid).values()
    assert len(after) == 2 and killed[0] not in after


def test_ctrl_c_has_the_workers_write_down_where_they_are(tmp_path, address, monkeypatch):
    monkeypatch.setattr(parts, "EVERY", 0.0)
    thread = threading.Thread(target=lambda: (begun(tmp_path / "out"), os.kill(os.getpid(), signal.SIGINT)))
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        long().run(tmp_path / "out", progress=False, cluster=address)
    thread.join()
    assert len(list(tmp_path.glob("out/.checkpoints/*.checkpoint"))) == 1
    # A later call on the same workers is not ended by that.
    again = long().run(tmp_path / "out", progress=False, cluster=address)
    assert again["stop_reason"].values.tolist() == ["steps"] and not list(tmp_path.glob("out/.checkpoints"))


def test_a_training_that_fails_is_named_and_the_others_are_stored(tmp_path, address, monkeypatch):
    def harmed(cell):
        bad = cell.settings["factorization"]["scale"] == 0.2
        return dataclasses.replace(cell, settings=cell.settings | {"problem": {"name": "none"}}) if bad else cell

    monkeypatch.setattr(cluster, "_placed", harmed)
    monkeypatch.setattr(plan, "MOST_LANES", 2)
    with pytest.raises(
        ValueError, match="A training failed, and its runs are missing: ValueError: name is 'none', but"
    ):
        scales(0.1, 0.2).run(tmp_path, progress=False, cluster=address)
    assert (rf.open_results(tmp_path)["stop_reason"] == "loss").values.tolist() == [[True, True], [False, False]]


def test_workers_of_other_versions_are_refused(tmp_path, address, monkeypatch):
    monkeypatch.setattr(worker, "__version__", "99")
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("2", "7", "18"))
    with pytest.raises(
        ValueError, match=r"a worker at tcp.* has rankfall .* \(here 99\) and python 3.* \(here 2.7\); "
    ):
        scales(0.1).run(tmp_path / "early", progress=False, cluster=address)
    # So are those that come later.
    monkeypatch.setattr(cluster, "refuse_other_versions", lambda client: 0)
    with pytest.raises(ValueError, match=r"cluster has a worker on .*rankfall .* \(here 99\)"):
        scales(0.1).run(tmp_path / "late", progress=False, cluster=address)


def test_a_scheduler_that_is_not_there_is_a_sentence(tmp_path, capsys, monkeypatch):
    file = tmp_path / "sweep.toml"
    file.write_text(scales(0.1).to_toml())
    monkeypatch.setattr(cluster, "_PATIENCE", 1.0)
    began = time.monotonic()
    for given, word in (
        (["--cluster", "tcp://127.0.0.1:9"], "no scheduler answers there"),
        (["--cluster", "here"], "must be the address of a scheduler, such as 'tcp"),
        (["--cluster", "no://where:1"], "no scheduler answers there"),
        (["--workers", "0"], "workers is 0, but must be"),
        (["--workers", "1", "--cluster", "tcp://127.0.0.1:9"], "leave one of them out"),
    ):
        assert main(["run", str(file), "--out", str(tmp_path / "out"), *given]) == 2
        assert word in capsys.readouterr().err
    assert time.monotonic() - began < 20


def test_without_dask_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match="install rankfall with the extra 'cluster'"):
        scales(0.1).run(tmp_path / "out", workers=2)
