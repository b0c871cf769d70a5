"""Small declarations drawn at random: what is planned, stored and opened is what each run gives by itself."""

import tempfile

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import rankfall as rf

NUMBERS = {
    "problem.z": st.floats(0.5, 2.0),
    "problem.eps": st.floats(-0.2, 0.2),
    "factorization.scale": st.floats(1e-3, 0.5),
    "dynamics.step_size": st.floats(1e-3, 5e-2),
}


@st.composite
def declarations(draw):
    keys = draw(st.lists(st.sampled_from(sorted(NUMBERS)), min_size=1, max_size=2, unique=True))
    grid = {key: draw(st.lists(NUMBERS[key], min_size=1, max_size=3, unique=True)) for key in keys}
    if draw(st.booleans()):
        grid["factorization.depth"] = [2, 3]
    fixed = {"problem": {}, "factorization": {"depth": 2, "scale": 0.1}, "dynamics": {"step_size": 0.02}}
    for key in grid:
        fixed[key.split(".")[0]].pop(key.split(".")[1], None)
    return dict(
        problem={"name": "two-by-two", **fixed["problem"]},
        factorization={"name": "matrix", "kind": "balanced", "det_sign": 1, **fixed["factorization"]},
        dynamics={"name": "gradient-descent", **fixed["dynamics"]},
        stop={"steps": draw(st.integers(1, 60))},
        record={"every": draw(st.integers(1, 20))},
        sweep=grid,
        seeds=draw(st.lists(st.integers(0, 9), min_size=1, max_size=2, unique=True)),
    )


@settings(max_examples=5, deadline=None, derandomize=True)
@given(declarations())
def test_what_is_opened_is_what_each_run_gives(declaration):
    sweep = rf.Sweep(**declaration)
    plan, cells = sweep.plan(), sweep.cells()
    assert plan.runs == len(cells) == sum(len(part) for batch in plan.batches for part in batch.parts)
    with tempfile.TemporaryDirectory() as out:
        sweep.run(out, progress=False)
        opened = rf.open_results(out).load()
        opened.close()
    axes = list(opened["stop_reason"].dims)
    together = opened.stack(cell=axes).transpose("cell", ...)
    for number, cell in enumerate(cells):
        alone, stored = cell.train(progress=False), together.isel(cell=number)
        assert stored["stop_reason"].item() == alone.stop_reason
        path = alone.trajectory.isel(lane=0)
        for name in ("step", "loss", "singular_values", "unobserved"):
            same = stored[name].values[: path.sizes["record"]]
            np.testing.assert_array_equal(same, path[name].values)
            beyond = stored[name].values[path.sizes["record"] :]
            assert np.all(beyond == -1 if name == "step" else np.isnan(beyond))
