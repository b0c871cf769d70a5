"""Tasks side by side."""

import threading
import time

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
    # The failure has been seen when the other task ends: it waits until the failing one is gone from its thread.
    begun, failed = [], threading.Event()

    def waiting():
        begun.append("waiting")
        assert failed.wait(10)
        time.sleep(0.2)

    def failing():
        failed.set()
        raise KeyboardInterrupt

    def late():
        begun.append("late")
        time.sleep(0.2)

    with pytest.raises(KeyboardInterrupt):
        side_by_side([waiting, failing, *[late] * 50], threads=2)
    assert begun.count("late") < 50 and "waiting" in begun
