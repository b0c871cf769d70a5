"""Ctrl-C ends a run, and what a host has arranged for it is there again afterwards."""

import ctypes
import signal
import subprocess
import sys
import threading

import jax
import pytest

import rankfall as rf
from rankfall._execution import interrupts, raise_if_interrupted


@pytest.fixture(autouse=True)
def handler():
    """Let tests change the handler."""
    before = signal.getsignal(signal.SIGINT)
    yield before
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("failing", [False, True])
def test_puts_back_what_was_there(failing):
    def mine(number, frame):
        raise AssertionError("not called")

    for previous in (mine, signal.default_int_handler, signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(signal.SIGINT, previous)
        try:
            with interrupts() as event:
                assert not event.is_set()
                if failing:
                    raise KeyError
        except KeyError:
            pass
        assert signal.getsignal(signal.SIGINT) is previous


def test_the_first_is_an_event_and_the_second_goes_on():
    calls = []
    signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    with interrupts() as event:
        signal.raise_signal(signal.SIGINT)
        assert event.is_set() and calls == []
        with pytest.raises(KeyboardInterrupt):
            raise_if_interrupted()
        signal.raise_signal(signal.SIGINT)
        assert calls == [signal.SIGINT]
    raise_if_interrupted()


def test_the_second_ends_a_process_that_leaves_it_to_the_system():
    script = """
import signal
from rankfall._execution import interrupts
signal.signal(signal.SIGINT, signal.SIG_DFL)
with interrupts():
    signal.raise_signal(signal.SIGINT)
    print("first", flush=True)
    signal.raise_signal(signal.SIGINT)
    print("second", flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("first\n", -signal.SIGINT)


def test_who_ignores_it_goes_on_ignoring_it():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts() as event:
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
        assert not event.is_set()


def test_a_handler_installed_from_c_stays(handler):
    libc = ctypes.CDLL(None)
    libc.signal.restype = ctypes.c_void_p
    libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    script = """
import ctypes, signal
libc = ctypes.CDLL(None)
libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
calls = []
mine = ctypes.CFUNCTYPE(None, ctypes.c_int)(calls.append)
libc.signal(2, ctypes.cast(mine, ctypes.c_void_p))
print(signal.getsignal(signal.SIGINT))
from rankfall._execution import interrupts
with interrupts() as event:
    libc.raise_(2) if hasattr(libc, "raise_") else libc["raise"](2)
print(calls, event.is_set(), libc.signal(2, None) == ctypes.cast(mine, ctypes.c_void_p).value)
"""
    # Python knows None of a handler that was there before it began: a C program that embeds it.
    monkey = "import signal; signal.getsignal = lambda number: None\n"
    done = subprocess.run([sys.executable, "-c", monkey + script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["None", "[2] False True"]


def test_in_another_thread_nothing_is_replaced():
    seen = []
    before = signal.getsignal(signal.SIGINT)

    def other():
        with interrupts() as event:
            seen.append((signal.getsignal(signal.SIGINT) is before, event.is_set()))

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    assert seen == [(True, False)]


def test_a_thread_of_a_run_ends_with_it():
    with interrupts() as event:
        found = []
        thread = threading.Thread(target=lambda: found.append(interrupts().__enter__()))
        thread.start()
        thread.join(10)
        assert found == [event]
        with interrupts() as inner:
            assert inner is event


def test_a_handler_that_somebody_else_has_put_there_meanwhile_stays():
    def theirs(number, frame):
        pass

    with interrupts():
        signal.signal(signal.SIGINT, theirs)
    assert signal.getsignal(signal.SIGINT) is theirs


def test_training_in_a_thread_beside_a_host():
    start = rf.MatrixFactorization.init((2, 2), 2, scale=1e-2, key=jax.random.key(0))
    before, reasons = signal.getsignal(signal.SIGINT), []

    def host():
        run = rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=3))
        reasons.append(run.stop_reason)

    thread = threading.Thread(target=host)
    thread.start()
    thread.join(60)
    assert reasons == ["steps"] and signal.getsignal(signal.SIGINT) is before
