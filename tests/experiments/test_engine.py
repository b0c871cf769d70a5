"""What is stored and what is computed again: identity, interruption, damage, two processes, and lanes that fail."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import rankfall as rf
from rankfall._declared import MAKERS
from rankfall.dynamics.checkpoint import Keeper
from rankfall.experiments import engine, lanes, parts, plan
from rankfall.experiments.disk import locked
from small_sweeps import long, scales


@pytest.fixture
def out(stored, tmp_path):
    """A copy of stored results that a test may change."""
    shutil.copytree(stored, tmp_path / "out")
    return tmp_path / "out"


@pytest.fixture
def trained(monkeypatch):
    """Names of the runs that are trained, in their order."""
    seen, real = [], lanes.trained

    def counting(cells, **options):
        seen.extend((cell.settings["factorization"].get("scale"), cell.seed) for cell in cells)
        return real(cells, **options)

    monkeypatch.setattr(lanes, "trained", counting)
    return seen


def run(sweep, out, **options):
    return sweep.run(out, progress=False, **options)


def batches(out):
    return sorted(path.name for path in (out / "runs").iterdir())


def test_nothing_is_computed_twice(out, trained):
    before = batches(out)
    run(scales(0.1, 0.2), out)
    assert trained == [] and batches(out) == before


def test_a_value_more_computes_only_what_is_new(out, trained):
    results = run(scales(0.2, 0.4, 0.1), out)
    assert sorted(trained) == [(0.4, 0), (0.4, 1)]
    assert results["factorization.scale"].values.tolist() == [0.2, 0.4, 0.1]
    trained.clear()
    run(scales(0.1, seeds=[1, 7]), out)
    assert trained == [(0.1, 7)]
    trained.clear()
    assert rf.open_results(out)["stop_reason"].values.tolist() == [["loss", "loss"]]
    run(scales(0.4, 0.2, 0.1, seeds=1), out)
    assert trained == []


def test_force_computes_again_and_keeps_one_of_each(out, trained):
    first = rf.open_results(out).load()
    results = run(scales(0.1, 0.2), out, force=True)
    assert len(trained) == 4 and results.load().identical(first)
    run(scales(0.1, 0.2, 0.4), out, force=True)
    told = [json.loads((out / "runs" / name / "declaration.json").read_text()) for name in batches(out)]
    names = [one["name"] for batch in told for one in batch["runs"]]
    assert len(names) == len(set(names)) == 6


@pytest.mark.parametrize("harm", ["truncated", "changed", "no result", "no declaration", "torn declaration", "empty"])
def test_damage_is_found_set_aside_and_computed_again(out, trained, harm):
    first = rf.open_results(out).load()
    (name,) = batches(out)
    folder = out / "runs" / name
    result, declaration = folder / "result.nc", folder / "declaration.json"
    content = result.read_bytes()
    {
        "truncated": lambda: result.write_bytes(content[:-100]),
        "changed": lambda: result.write_bytes(content[:-1] + bytes([content[-1] ^ 1])),
        "no result": result.unlink,
        "no declaration": declaration.unlink,
        "torn declaration": lambda: declaration.write_text(declaration.read_text()[:50]),
        "empty": lambda: declaration.write_text("{}"),
    }[harm]()
    assert run(scales(0.1, 0.2), out).load().identical(first)
    assert len(trained) == 4 and batches(out) == [name, f"{name}.damaged-1"]
    assert any(json.loads(line)["event"] == "damaged" for line in (out / "log.jsonl").read_text().splitlines())


def test_results_with_a_file_that_is_gone_open_without_its_runs(out):
    (out / "runs" / batches(out)[0] / "result.nc").unlink()
    results = rf.open_results(out)
    assert results.sizes["seed"] == 2 and "loss" not in results


def test_what_dead_processes_left_is_cleared(out):
    (out / "runs" / ".abc.partial-1").mkdir()
    (out / "runs" / ".abc.partial-1" / "result.nc").write_text("half")
    (out / ".sweep.json.partial-1").write_text("half")
    run(scales(0.1, 0.2), out)
    assert len(batches(out)) == 1 and not list(out.glob(".*partial*"))


def test_a_second_process_is_refused(out):
    other = "import sys, time; from pathlib import Path; from rankfall.experiments.disk import locked\n" \
            "with locked(Path(sys.argv[1]), Path('.')): print('held', flush=True); time.sleep(60)"  # fmt: skip
    path = os.pathsep.join([str(Path(rf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen([sys.executable, "-c", other, out / ".lock"], stdout=subprocess.PIPE,
                          env=os.environ | {"PYTHONPATH": path}) as process:  # fmt: skip
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=f"but process {process.pid} is writing there; wait for it"):
            run(scales(0.1, 0.2), out)
        process.kill()
    # The system takes the lock back from one that is killed.
    run(scales(0.1, 0.2), out)
    with locked(out / ".lock", out):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_runs_are_trained_by_the_next_call(tmp_path, monkeypatch, number):
    monkeypatch.setattr(plan, "MOST_LANES", 2)
    monkeypatch.setattr(engine, "side_by_side", lambda tasks: [task() for task in tasks])
    sweep = scales(0.1, 0.2, dynamics={"name": "gradient-descent", "step_size": 1e-4})  # many chunks
    real, calls = lanes.trained, []

    def pressed(cells, **options):
        calls.append(len(cells))
        if len(calls) == 2:
            os.kill(os.getpid(), number)
        return real(cells, **options)

    monkeypatch.setattr(lanes, "trained", pressed)
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        run(sweep, tmp_path / "out")
    assert signal.getsignal(number) == before and calls == [2, 2]
    # Of a training that was cut short nothing is kept: its lanes share their last digits.
    kept = (rf.open_results(tmp_path / "out")["stop_reason"] == "loss").values.tolist()
    assert kept == [[True, True], [False, False]]
    again = run(sweep, tmp_path / "out").load()
    assert calls == [2, 2, 2]
    assert again.identical(run(sweep, tmp_path / "whole").load())


def test_an_interrupted_plan_keeps_its_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "MOST_LANES", 2)
    sweep = scales(*np.linspace(0.1, 0.5, 5), seeds=1)
    parts = [[cell.name for cell in part] for batch in sweep.plan().batches for part in batch.parts]
    assert [len(part) for part in parts] == [2, 1, 2]
    stored = parts[0]
    again = plan.plan_of(sweep, stored, parts)
    assert [[cell.name for cell in part] for batch in again.batches for part in batch.parts] == parts[1:]
    # What an earlier plan does not know, or has in part, is planned anew.
    more = plan.plan_of(sweep, parts[2][:1], parts[1:])
    assert sorted(len(part) for batch in more.batches for part in batch.parts) == [1, 1, 2]
    assert (more.runs, more.stored) == (5, 1)


def test_killed_at_any_moment_the_same_call_goes_on(stored, tmp_path):
    script = ("import sys; sys.path[:0] = [sys.argv[2]]; from small_sweeps import scales\n"
              "from rankfall.experiments import plan; plan.MOST_LANES = 1\n"
              "scales(0.1, 0.2).run(sys.argv[1], progress=False)")  # fmt: skip
    path = os.pathsep.join([str(Path(rf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "out", Path(__file__).parent],
                          env=os.environ | {"PYTHONPATH": path}) as process:  # fmt: skip
        end = time.monotonic() + 100
        while process.poll() is None and time.monotonic() < end and not list(tmp_path.glob("out/runs/[0-9a-f]*")):
            time.sleep(0.002)
        process.kill()
    results = run(scales(0.1, 0.2), tmp_path / "out").load()
    assert results.equals(rf.open_results(stored).load())
    assert not list(tmp_path.glob("out/runs/.*"))


def test_a_long_training_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    script = ("import sys; sys.path[:0] = [sys.argv[2]]; from small_sweeps import long\n"
              "from rankfall.experiments import parts; parts.EVERY = 0.0\n"
              "long().run(sys.argv[1], progress=False)")  # fmt: skip
    path = os.pathsep.join([str(Path(rf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    out, killed = tmp_path / "out", 0
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", script, out, Path(__file__).parent],
                              env=os.environ | {"PYTHONPATH": path}) as process:  # fmt: skip
            end, before = time.monotonic() + 100, set(changes(out))
            while process.poll() is None and time.monotonic() < end and not set(changes(out)) - before:
                time.sleep(0.002)
            process.kill()
        killed += process.returncode == -signal.SIGKILL
    assert killed == 2 and not list(out.glob("runs/[0-9a-f]*"))
    (out / ".checkpoints" / "stale.checkpoint").write_text("of another sweep")
    taken_up, real = [], Keeper.take_up
    monkeypatch.setattr(Keeper, "take_up", lambda keeper, *more: (taken_up.append(len(keeper.states)),
                                                                  real(keeper, *more)))  # fmt: skip
    again = run(long(), out).load()
    assert taken_up == [1] and not (out / ".checkpoints").exists()
    assert again.identical(run(long(), tmp_path / "whole").load())


def changes(out):
    """Checkpoints as they are now."""
    return [(path.name, path.stat().st_mtime_ns) for path in out.glob(".checkpoints/*.checkpoint")]


def test_a_checkpoint_of_other_code_is_no_longer_used(tmp_path, monkeypatch):
    cells = scales(0.2).cells()
    real = lanes.trained
    # What the runs are called is the same, what is computed under the name is not.
    with monkeypatch.context() as patch:
        patch.setattr(lanes, "trained", lambda cells, **more: real(cells, **more | {"stop": rf.Stop(loss=0.5)}))
        parts.trained(cells, tmp_path, 0.0)
    assert parts.place(tmp_path, cells).exists()
    outcome = parts.trained(cells, tmp_path, 0.0)
    assert outcome.failure == "" and outcome.trajectory.identical(real(cells, progress=False).trajectory)


def test_a_training_that_fails_is_named_and_the_others_go_on(tmp_path):
    def raising(matrix):
        if float(matrix[0, 0]) > 1e6 or bad:
            raise ZeroDivisionError("no such thing")
        return 1.0

    MAKERS["measure"]["raising"] = rf._declared.Maker("raising", raising, {}, frozenset())
    try:
        bad = True
        sweep = scales(0.1, record={"measures": ["raising"]}, stop={"steps": 3})
        with pytest.raises(ValueError, match="A training failed, .* ZeroDivisionError: no such thing"):
            run(sweep, tmp_path)
        assert (rf.open_results(tmp_path)["run"].sizes) == {"factorization.scale": 1, "seed": 2}
        bad = False
        assert run(sweep, tmp_path)["raising"].max() == 1
    finally:
        del MAKERS["measure"]["raising"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("file", "file/inside"):
        with pytest.raises(ValueError, match="cannot be written .* choose another folder with --out"):
            run(scales(0.1), tmp_path / place)


def test_a_full_disk_costs_nothing_that_was_stored(out):
    script = ("import sys, resource; sys.path[:0] = [sys.argv[2]]; from small_sweeps import scales\n"
              "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, resource.RLIM_INFINITY))\n"
              "scales(0.1, 0.2, 0.3).run(sys.argv[1], progress=False)")  # fmt: skip
    path = os.pathsep.join([str(Path(rf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    before = rf.open_results(out).load()
    done = subprocess.run([sys.executable, "-c", script, out, Path(__file__).parent], capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": path}, timeout=100)  # fmt: skip
    assert "cannot be written (File too large); choose another folder" in done.stderr
    assert run(scales(0.1, 0.2), out).load().equals(before)


def test_results_of_another_format_are_refused_by_name(out):
    file = out / "runs" / batches(out)[0] / "declaration.json"
    file.write_text(file.read_text().replace('"format": 1', '"format": 0'))
    with pytest.raises(ValueError, match="is of format 0, and this version reads format 1"):
        rf.open_results(out)
    with pytest.raises(ValueError, match="no sweep is stored there"):
        rf.open_results(out / "none")


def test_a_batch_is_plain_netcdf(stored):
    (name,) = batches(stored)
    with xr.open_dataset(stored / "runs" / name / "result.nc") as dataset:
        assert dataset.sizes["lane"] == 4 and dataset["stop_reason"].values.tolist() == ["loss"] * 4
        assert dataset["run"].values.tolist() == [cell.name for cell in scales(0.1, 0.2).cells()]


def test_measures_may_be_functions_of_jax(tmp_path):
    MAKERS["measure"]["corner"] = rf._declared.Maker("corner", corner, {}, frozenset())
    try:
        results = run(scales(0.1, record={"measures": ["corner", "nuclear"]}, stop={"steps": 3}), tmp_path)
    finally:
        del MAKERS["measure"]["corner"]
    assert np.array_equal(results["corner"], results["unobserved"].isel(entry=0))


def corner(matrix):
    return jnp.asarray(matrix)[0, 0]
