"""Cores: those the process is bound to, its share of them, and what the user allows."""

import math
import os
import subprocess
import sys

import pytest

from rankfall._execution import bound, bounded, cores, cpus, threads


def _limits(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/", {"cpu.max": "250000 100000\n"}, 3),
        ("0::/", {"cpu.max": "max 100000\n"}, math.inf),
        ("0::/a/b", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "150000 100000\n"}, 2),
        ("0::/a", {"a/cpu.max": "10000 100000\n"}, 1),
        ("4:cpu,cpuacct:/a", {"cpu/a/cpu.cfs_quota_us": "200000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}, 2),
        ("4:cpu:/gone", {"cpu/cpu.cfs_quota_us": "300000", "cpu/cpu.cfs_period_us": "100000"}, 3),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ("0::/", {"cpu.max": "nonsense\n"}, math.inf),
        ("0::/", {}, math.inf),
    ],
)
def test_share_of_the_control_group(monkeypatch, tmp_path, own, files, expected):
    _limits(tmp_path / "fs", files)
    (tmp_path / "own").write_text(own + "\n")
    monkeypatch.setattr(cpus, "_GROUPS", tmp_path / "fs")
    monkeypatch.setattr(cpus, "_OWN_GROUP", tmp_path / "own")
    assert cpus._quota() == expected


def test_without_control_groups(monkeypatch, tmp_path):
    monkeypatch.setattr(cpus, "_OWN_GROUP", tmp_path / "none")
    assert cpus._quota() == math.inf


def test_the_least_of_all_counts(monkeypatch):
    monkeypatch.delenv("RANKFALL_THREADS", raising=False)
    monkeypatch.setattr(cpus, "bound", lambda: 8)
    monkeypatch.setattr(cpus, "_quota", lambda: math.inf)
    assert cores() == 8
    monkeypatch.setattr(cpus, "_quota", lambda: 4)
    assert cores() == 4
    monkeypatch.setenv("RANKFALL_THREADS", " 3 ")
    assert cores() == 3
    monkeypatch.setenv("RANKFALL_THREADS", "16")
    assert cores() == 4
    monkeypatch.setenv("RANKFALL_THREADS", "")
    assert cores() == 4


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "١"])
def test_refuses_anything_but_a_number(monkeypatch, given):
    monkeypatch.setenv("RANKFALL_THREADS", given)
    with pytest.raises(ValueError, match=r"RANKFALL_THREADS is .*, but must be a whole number of at least 1; unset it"):
        cores()


def test_the_cores_that_a_process_is_bound_to():
    script = "from rankfall._execution import bound; print(bound())"
    code = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {script}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1"]
    assert bound() == len(os.sched_getaffinity(0))


def test_a_process_of_ours_is_bounded_and_its_environment_stays(monkeypatch):
    """In a process of its own: JAX's pool of threads is made once."""
    script = """
import os, threadpoolctl
from rankfall._execution import bounded
before = dict(os.environ)
with bounded():
    inside = [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "blas"]
names = [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
print(set(inside), names.count("tf_XLAEigen"), before == dict(os.environ))
"""
    environment = os.environ | {"RANKFALL_THREADS": "1"}
    environment.pop("NPROC", None)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == ["{1}", "1", "True"]


def test_nothing_is_bounded_where_all_is_ours(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(threads, "bound", lambda: 2)
    monkeypatch.setattr(threads, "blas_threads", lambda most: pytest.fail("no limit is asked for"))
    with bounded():
        pass


def test_one_thread_where_one_is_allowed(monkeypatch):
    import threading

    from rankfall._execution import side_by_side

    monkeypatch.setenv("RANKFALL_THREADS", "1")
    assert set(side_by_side([threading.get_ident] * 4)) == {threading.get_ident()}
