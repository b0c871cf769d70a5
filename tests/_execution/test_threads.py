"""Tasks side by side."""

import threading

import pytest

from rankfall._execution import side_by_side


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
