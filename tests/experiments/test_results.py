"""What is read off stored runs: one dataset, read where it is looked at, tables, pictures and claims."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import rankfall as rf
from rankfall.experiments import figures, gather, reading, shown, verdicts
from small_sweeps import declared, scales


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Runs of two depths, of several lengths, and keys that vary together."""
    out = tmp_path_factory.mktemp("mixed")
    sweep = rf.Sweep(**declared(
        factorization={"name": "matrix", "kind": "balanced", "scale": 0.1, "det_sign": 1}, stop={}, record={},
        sweep={"factorization.depth": [2, 3], "far": {"stop.loss": [0.2, 0.05], "problem.eps": [0.0, 0.1]}},
    ))  # fmt: skip
    return sweep.run(out, progress=False)


def test_values_are_those_of_the_cells(mixed):
    flat = mixed.stack(cell=("factorization.depth", "far", "seed"), create_index=False)
    cells = rf.Sweep(**declared(
        factorization={"name": "matrix", "kind": "balanced", "scale": 0.1, "det_sign": 1}, stop={}, record={},
        sweep={"factorization.depth": [2, 3], "far": {"stop.loss": [0.2, 0.05], "problem.eps": [0.0, 0.1]}},
    )).cells()  # fmt: skip
    assert flat["run"].values.tolist() == [cell.name for cell in cells]
    for number in (0, 3, 6):
        alone = cells[number].train(progress=False).trajectory.isel(lane=0)
        one = flat.isel(cell=number)
        count = alone.sizes["record"]
        for name in ("loss", "step", "effective_rank", "unobserved", "schatten_norm"):
            stored = one[name].transpose(*alone[name].dims).values
            assert np.array_equal(stored[:count], alone[name].values), name
            assert (stored[count:] == -1).all() if name == "step" else np.isnan(stored[count:]).all()


def test_keys_that_vary_together_are_columns_of_one_dimension(mixed):
    assert mixed["far"].values.tolist() == [0, 1]
    assert mixed["stop.loss"].dims == ("far",) and mixed["stop.loss"].values.tolist() == [0.2, 0.05]
    assert mixed["problem.eps"].values.tolist() == [0.0, 0.1]
    assert mixed["p"].values.tolist() == [0.5, 1.0, 2.0, np.inf]
    assert {name: mixed[name].attrs["units"][:5] for name in ("step", "time")} == {"step": "steps", "time": "flow "}


def test_a_dataset_reads_what_it_is_asked_for(stored, monkeypatch):
    opened, real = [], h5py.File
    monkeypatch.setattr(gather.h5py, "File", lambda path, *more: opened.append(Path(path)) or real(path, *more))
    results = rf.open_results(stored)
    assert opened == []
    values = results["loss"]
    whole = values.values
    assert len(opened) == 1
    fresh = rf.open_results(stored)["loss"]
    for key in [(0,), (slice(None), 1), (0, 1, 2), (slice(0, 2), [1, 0], slice(0, 2)), ([1], slice(None), -1)]:
        assert np.array_equal(fresh[key].values, values.copy(data=whole)[key].values)
    one = fresh.sel({"factorization.scale": 0.2, "seed": 1})
    assert np.array_equal(one.values, whole[1, 1])


def test_a_data_frame_has_a_row_for_each_run_and_record(stored):
    frame = rf.open_results(stored)[["loss", "step"]].to_dataframe()
    assert frame.index.names == ["factorization.scale", "seed", "record"] and len(frame) == 4 * 4
    assert frame.loc[(0.1, 0, 0), "step"] == 0


def test_runs_that_are_not_there_yet_are_empty(stored, tmp_path):
    import shutil

    shutil.copytree(stored, tmp_path / "out")
    told = json.loads((tmp_path / "out" / "sweep.json").read_text())
    told["axes"][0]["columns"]["factorization.scale"].append(0.4)
    told["runs"] += ["none", "none"]
    (tmp_path / "out" / "sweep.json").write_text(json.dumps(told))
    results = rf.open_results(tmp_path / "out")
    assert results["stop_reason"].values.tolist() == [["loss", "loss"], ["loss", "loss"], ["", ""]]
    assert results["loss"].isel({"factorization.scale": 2}).isnull().all()
    assert (results["step"].isel({"factorization.scale": 2}) == -1).all()
    _, rows = reading.table(results, ["factorization.scale"], ["loss"])
    assert [row[1] for row in rows] == [2, 2, 0] and np.isnan(rows[2][2])


def test_table_by_a_key_by_columns_and_by_seed(mixed):
    heads, rows = reading.table(mixed, ["factorization.depth"], ["effective_rank", "loss"])
    assert heads == ["factorization.depth", "runs", *(f"{m} {w}" for m in ("effective_rank", "loss")
                                                     for w in ("median", "min", "max"))]  # fmt: skip
    ends = mixed["loss"].values[..., ::-1]
    last = np.take_along_axis(ends, np.isfinite(ends).argmax(-1)[..., None], -1)[..., 0]
    assert [row[:2] for row in rows] == [[2, 4], [3, 4]]
    assert rows[1][5:] == [np.median(last[1]), last[1].min(), last[1].max()]
    _, rows = reading.table(mixed, ["stop.loss", "seed"], ["step"], at="start")
    assert rows == [[loss, seed, 2, 0.0, 0.0, 0.0] for loss in (0.2, 0.05) for seed in (0, 1)]
    _, rows = reading.table(mixed, [], ["schatten_norm"], at="max", select={"p": 2.0})
    assert rows[0][0] == 8 and rows[0][3] == mixed["schatten_norm"].sel(p=2.0).max()


@pytest.mark.parametrize(("arguments", "words"), [
    ((["factorization.dept"], ["loss"]), "by is 'factorization.dept', but .*; 'factorization.depth' is the nearest"),
    (([], ["los"]), "measure is 'los', but must be one of .*'loss' is the nearest"),
    (([], ["stop_reason"]), "measure is 'stop_reason', which holds words"),
    (([], ["schatten_norm"]), r"4 values along p, but one is needed; select one, such as p = 0.5"),
    (([], ["loss"], "middle"), "at is 'middle', but must be one of 'end', 'start', 'min', 'max'"),
    (([], ["schatten_norm"], "end", False, {"p": 3.0}), "select has p = 3.0, which schatten_norm does not have"),
    (([], ["schatten_norm"], "end", False, {"q": 3.0}), "select is 'q', but must be one of 'p'"),
])  # fmt: skip
def test_mistakes_at_a_table_are_one_sentence(mixed, arguments, words):
    with pytest.raises(ValueError, match=words):
        reading.table(mixed, *arguments)


def claimed(results, **more):
    table = {"name": "c", "measure": "loss", "comparison": "at_most", "value": 0.2} | more
    sweep = rf.Sweep(**declared(claim=[table]))
    return verdicts.checked(results, sweep.claims)[0]


def test_a_claim_is_about_the_worst_run_and_its_control_about_the_best(mixed):
    ends = reading.measured(mixed, "loss").values
    claim = claimed(mixed, control={"what": "the start", "at": "start"})
    starts = reading.measured(mixed, "loss", "start").values
    assert claim.ok and claim.measured == ends.max() and claim.control["measured"] == starts.min() > 0.2
    assert not claimed(mixed, value=0.1).holds
    assert claimed(mixed, value=0.1, over="min").holds
    assert claimed(mixed, value=0.05, where={"stop.loss": 0.05}).holds
    assert claimed(mixed, value=0.05, where={"stop": {"loss": 0.05}}).holds  # as TOML reads a bare stop.loss
    assert claimed(mixed, comparison="at_least", value=0.0).measured == ends.min()
    near = claimed(mixed, comparison="close_to", value=0.1, tolerance=0.5)
    assert not near.holds and near.measured == ends.ravel()[abs(ends - 0.1).argmax()]
    # A control that holds is none.
    assert not claimed(mixed, control={"what": "the same", "over": "max"}).ok
    with pytest.raises(
        ValueError, match=r"\[\[claim\]\] 1 is 'c', but where has stop.loss = 3.0, but the runs have 0.2"
    ):
        claimed(mixed, where={"stop.loss": 3.0})


def test_a_claim_about_runs_that_are_missing_does_not_hold(mixed):
    assert not claimed(mixed.where(mixed["seed"] > 0)).holds


@pytest.mark.parametrize("table", [
    {"x": "loss", "y": "unobserved", "absolute": True, "hue": "factorization.depth", "facets": "stop.loss",
     "y_log": True, "bound": "unobserved_lower_bound"},
    {"x": "step", "y": "loss", "x_log": True, "band": "quartiles",
     "where": {"factorization.depth": 3, "stop.loss": 0.05}},
    {"x": "time", "y": "schatten_norm", "select": {"p": 2.0}, "hue": "seed", "band": "none"},
    {"x": "factorization.depth", "y": "loss", "hue": "stop.loss", "at": "min"},
    {"x": "loss", "y": "effective_rank",
     "bound": {"name": "perturbed_effective_rank_bound", "z": 1.0, "z_prime": 1.0, "eps": 0.1}},
])  # fmt: skip
def test_pictures_show_what_the_runs_have(mixed, table):
    given = declared(sweep={"factorization.depth": [2, 3],
                            "far": {"stop.loss": [0.2, 0.05], "problem.eps": [0.0, 0.1]}}, stop={},
                     factorization={"name": "matrix", "scale": 0.1}, figure=[table])  # fmt: skip
    drawn = figures.draw(mixed, rf.Sweep(**given).figures[0])
    axes = drawn.axes
    assert len(axes) == (2 if "facets" in table else 1)
    hues = 2 if "hue" in table else 1
    assert all(len(ax.lines) == hues + ("bound" in table) for ax in axes)
    drawn.canvas.draw()
    if table["x"] == "factorization.depth":
        low = reading.measured(mixed, "loss", "min").sel(far=1).median("seed").values
        assert np.array_equal(axes[0].lines[1].get_ydata(), low)
    if table["x"] == "step":
        steps, line = axes[0].lines[0].get_data()
        both = steps < np.nanmin(reading.measured(mixed, "step").sel({"factorization.depth": 3, "far": 1}))
        assert both.sum() > 100 and (np.diff(line[both]) < 0).all()


def test_pictures_and_claims_are_stored_beside_the_runs(tmp_path):
    sweep = scales(0.1, 0.2, figure=[{"name": "end", "x": "factorization.scale", "y": "loss"}],
                   claim=[{"name": "low", "measure": "loss", "comparison": "at_most", "value": 0.1}])  # fmt: skip
    results, said = sweep.run(tmp_path, progress=False), []
    (claim,) = shown.show(sweep, results, tmp_path, said.append)
    assert claim.holds and json.loads((tmp_path / "claims.json").read_text())[0]["holds"]
    picture = tmp_path / "figure-end.png"
    assert said == [str(picture)] and picture.read_bytes()[:4] == b"\x89PNG"
    before = picture.stat().st_mtime_ns
    shown.show(sweep, results, tmp_path, said.append, changed=False)
    assert picture.stat().st_mtime_ns == before
