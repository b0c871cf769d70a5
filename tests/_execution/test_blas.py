"""Limits of BLAS, which are those of the whole process, overlap and end as they should."""

import threading

import pytest
import threadpoolctl

import rankfall as rf
from rankfall._execution import blas, blas_threads, side_by_side, threads_for


class Library:
    """A BLAS of eight threads."""

    def __init__(self):
        self.num_threads = 8
        self.calls = 0

    def set_num_threads(self, count):
        self.num_threads = count
        self.calls += 1


@pytest.fixture
def library(monkeypatch):
    one = Library()
    monkeypatch.setattr(blas, "_limits", blas._Limits())
    monkeypatch.setattr(blas._Limits, "_look", lambda self: [one])
    return one


def test_the_least_limit_holds_and_what_was_there_comes_back(library):
    with blas_threads(4):
        assert library.num_threads == 4
        with blas_threads(6):
            assert library.num_threads == 4
        with blas_threads(1):
            assert library.num_threads == 1
        assert library.num_threads == 4
    assert library.num_threads == 8
    with blas_threads(100):
        assert library.num_threads == 8


def test_scopes_of_two_threads_that_end_in_the_order_they_began(library):
    """Each restoring what it had found, the second would leave the limit of the first behind for ever."""
    begun, ended = threading.Event(), threading.Event()

    def other():
        with blas_threads(1):
            begun.set()
            ended.wait(10)

    with blas_threads(1):
        thread = threading.Thread(target=other)
        thread.start()
        assert begun.wait(10)
    assert library.num_threads == 1
    ended.set()
    thread.join(10)
    assert library.num_threads == 8


def test_ends_after_an_exception(library):
    with pytest.raises(KeyError), blas_threads(1):
        raise KeyError
    assert library.num_threads == 8


def test_small_matrices_take_one_thread_and_large_ones_what_we_may_have(library, monkeypatch):
    monkeypatch.setattr(blas, "cores", lambda: 3)
    with threads_for(399):
        assert library.num_threads == 1
    with threads_for(400):
        assert library.num_threads == 3


def test_threads_side_by_side_share_out_the_cores(library, monkeypatch):
    from rankfall._execution import threads

    monkeypatch.setattr(threads, "cores", lambda: 4)
    assert side_by_side([lambda: library.num_threads] * 2) == [2, 2]
    assert side_by_side([lambda: library.num_threads] * 9) == [1] * 9
    assert side_by_side([lambda: library.num_threads]) == [4]
    assert library.num_threads == 8


def test_the_libraries_of_this_process_come_back():
    found = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
    rf.references.NuclearNorm().solve(rf.two_by_two())
    with blas_threads(1):
        inside = threadpoolctl.ThreadpoolController().select(user_api="blas").info()
    assert found and all(one["num_threads"] == 1 for one in inside)
    assert threadpoolctl.ThreadpoolController().select(user_api="blas").info() == found
