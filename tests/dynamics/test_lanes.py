"""Lanes of several batches in one dataset: padded, labelled, and picked out again."""

import dataclasses

import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.dynamics.lanes import join, lanes_of, last, not_interrupted, recorded, run_lanes, signed_starts


def batch(kind, rates, seeds=2):
    start = signed_starts((2, 2), 2, kind=kind, scale=1e-2, det_sign=1, seed=0, seeds=seeds)
    groups = [(start, rate, {"kind": kind, "number": float(n)}) for n, rate in enumerate(rates)]
    return run_lanes(rf.two_by_two(), groups, rf.Stop(loss=0.1, steps=2000), rf.Record(every=20), progress=False)


@pytest.fixture(scope="module")
def joined():
    return join([batch("balanced", [0.1, 0.05]), batch("gaussian", [0.02])])


def test_labels_and_shared_attributes_survive(joined):
    assert joined["kind"].values.tolist() == ["balanced"] * 4 + ["gaussian"] * 2
    assert joined["seed"].values.tolist() == [0, 1] * 3
    assert joined["learning_rate"].values.tolist() == [0.1] * 2 + [0.05] * 2 + [0.02] * 2
    assert joined.attrs == {"problem": "MatrixCompletion", "loss": "half_sse", "dtype": "float64"}


def test_short_lanes_are_padded_and_end_where_they_ended(joined):
    assert set(joined["stop_reason"].values) == {"loss"}
    count = recorded(joined).sum(axis=1)
    assert count.min() < count.max() == joined.sizes["record"]
    assert ((joined["step"].values >= 0).sum(axis=1) == count).all()
    ends = last(joined, "loss")
    assert (ends <= 0.1).all() and np.array_equal(ends, np.nanmin(joined["loss"].values, axis=1))
    assert not recorded(joined, below=0.0).any()


def test_lanes_are_picked_by_their_labels(joined):
    alone = batch("balanced", [0.05])
    found = lanes_of(joined, kind="balanced", number=1.0)
    np.testing.assert_array_equal(last(found, "loss"), last(alone, "loss"))
    assert lanes_of(joined, kind="identity").sizes["lane"] == 0


def test_an_interrupted_run_ends_the_experiment(joined):
    start = rf.MatrixFactorization.init((2, 2), 2, scale=1e-2, key=jax.random.key(0))
    run = rf.train(rf.two_by_two(), start, rf.GradientDescent(0.1), stop=rf.Stop(steps=1), progress=False)
    assert not_interrupted(run).tolist() == ["steps"]
    stopped = run.trajectory.assign(stop_reason=("lane", ["interrupted"]))
    with pytest.raises(KeyboardInterrupt):
        not_interrupted(dataclasses.replace(run, trajectory=stopped))
