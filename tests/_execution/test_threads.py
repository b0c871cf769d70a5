import threading

import jax
import pytest

import rankfall as rf
from rankfall._execution import cores, side_by_side


def test_results_come_in_the_order_of_the_tasks():
    gate = threading.Event()

    def first():
        assert gate.wait(10)
        return 1

    def second():
        gate.set()
        return 2

    assert side_by_side([first, second], threads=2) == [1, 2]
    assert side_by_side([lambda: 3], threads=2) == [3] and side_by_side([]) == []
    assert cores() >= 1


def test_a_failure_is_raised_at_once_and_no_further_task_begins():
    begun, gate = [], threading.Event()

    def waiting():
        gate.wait(0.5)
        begun.append("waiting")

    def failing():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        side_by_side([waiting, failing, *[lambda: begun.append("late")] * 5], threads=2)
    assert begun.count("late") < 5 and "waiting" in begun


def test_lanes_of_large_matrices_go_one_by_one():
    """Two of 64 x 64 at depth 3, moved together, never return (jaxlib 0.10.2)."""
    problem = rf.low_rank_completion((64, 64), 2, 1000, key=jax.random.key(0))
    start = rf.MatrixFactorization.init((64, 64), 3, scale=1e-3, key=jax.random.split(jax.random.key(1), 2))
    rule = rf.GradientDescent(1e-4)
    assert [len(group) for group in rule.groups(start)] == [1, 1]
    assert rf.train(problem, start, rule, stop=rf.Stop(steps=5), progress=False).final.lanes == 2
    small = rf.MatrixFactorization.init((8, 8), 3, scale=1e-3, key=jax.random.split(jax.random.key(1), 2))
    assert [len(group) for group in rule.groups(small)] == [2]
