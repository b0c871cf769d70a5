"""A run leaves its host as it was: settings of JAX, NumPy, warnings, and streams that may be missing."""

import sys
import threading
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision, is_terminal, is_tracing, without_warning


def _start(**options):
    return rf.MatrixFactorization.init((2, 2), 2, scale=1e-2, key=jax.random.key(0), **options)


def _train(dynamics=None, **options):
    given = {"stop": rf.Stop(steps=3), **options}
    return rf.train(rf.two_by_two(), _start(), dynamics or rf.GradientDescent(1e-2), **given)


def _state():
    return dict(jax.config.values), np.geterr(), list(warnings.filters), jnp.ones(1).dtype


def _failing(matrix):
    raise ZeroDivisionError


@pytest.mark.parametrize("x64", [False, True])
def test_settings_are_as_before_after_an_exception_too(x64):
    with jax.enable_x64(x64), np.errstate(over="raise"):
        before = _state()
        _train()
        assert _state() == before
        with pytest.raises(ZeroDivisionError):
            _train(record=rf.Record(every=1, measures=[lambda w: _failing(w)]))
        assert _state() == before


def test_settings_of_other_threads_stay_meanwhile():
    inside, seen = threading.Event(), []

    def other():
        assert inside.wait(60)
        seen.append(_state())

    before = _state()
    thread = threading.Thread(target=other)
    thread.start()

    def measure(matrix):
        if isinstance(matrix, np.ndarray):  # between the chunks of the compiled loop
            inside.set()
            thread.join(60)
        return float(np.asarray(matrix).sum())

    _train(record=rf.Record(every=1, measures=[measure]))
    thread.join(60)
    assert seen == [before]


@pytest.mark.parametrize(
    "scope",
    [
        lambda: jax.numpy_rank_promotion("raise"),
        lambda: jax.numpy_dtype_promotion("strict"),
        lambda: jax.debug_nans(True),
        lambda: jax.transfer_guard("disallow"),
        lambda: jax.check_tracer_leaks(True),
    ],
    ids=["rank promotion", "dtype promotion", "debug nans", "transfer guard", "tracer leaks"],
)
def test_trains_under_settings_of_the_hosts_own_code(scope):
    start = _start()
    for dynamics in (rf.GradientDescent(1e-2), rf.ExponentialDescent(), rf.GradientFlow()):
        with scope():
            run = rf.train(rf.two_by_two(), start, dynamics, stop=rf.Stop(steps=3), progress=False)
        assert run.stop_reason == "steps"


def test_inside_a_scope_of_ours_numbers_are_double_and_outside_they_are_not():
    with double_precision():
        assert jnp.ones(1).dtype == jnp.float64
    assert jnp.ones(1).dtype == jnp.float32


def test_refuses_to_be_compiled_or_mapped_in_one_sentence():
    run = rf.two_by_two(), _start(), rf.GradientDescent(1e-2)
    with pytest.raises(ValueError, match="^train was called in a function that JAX compiles, .* outside of jit"):
        jax.jit(lambda x: x * rf.train(*run, stop=rf.Stop(steps=1)).final.full().sum())(1.0)
    with pytest.raises(ValueError, match="^rule is traced by JAX .inside jit, vmap or grad., but must be a step size"):
        jax.vmap(lambda size: rf.train(*run[:2], rf.GradientDescent(size)).final.full())(jnp.array([1e-2, 1e-3]))
    with pytest.raises(ValueError, match="^key is traced by JAX .* call this outside; an array of keys gives"):
        jax.vmap(lambda key: rf.MatrixFactorization.init((2, 2), 2, scale=1.0, key=key).full())(
            jax.random.split(jax.random.key(0))
        )
    assert not is_tracing() and jax.jit(lambda x: jnp.full((), is_tracing()))(0)


class Logger:
    """What some consoles and notebooks put in the place of a stream."""

    def write(self, text):
        raise AssertionError("nothing is drawn on what is no terminal")


class Terminal(Logger):
    def isatty(self):
        return True

    def write(self, text):
        self.text = getattr(self, "text", "") + text

    def flush(self):
        pass


def _closed(tmp_path):
    stream = open(tmp_path / "closed", "w")
    stream.close()
    return stream


def test_progress_where_there_is_no_terminal(monkeypatch, tmp_path):
    for stream in (None, Logger(), _closed(tmp_path)):
        monkeypatch.setattr(sys, "stderr", stream)
        reason = _train().stop_reason
        monkeypatch.undo()
        assert reason == "steps"
    terminal = Terminal()
    assert is_terminal(terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    _train()
    monkeypatch.undo()
    assert "lane-steps/s" in terminal.text


def test_one_warning_is_left_out_and_others_are_not():
    before = list(warnings.filters)
    with without_warning("Solution may", UserWarning):
        warnings.warn("Solution may be inaccurate", UserWarning, stacklevel=1)
        with pytest.warns(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)
    assert warnings.filters == before


def test_filters_are_as_before_after_two_threads_at_once():
    before, gate = list(warnings.filters), threading.Barrier(2)

    def task():
        gate.wait(10)
        for _ in range(50):
            with without_warning("none", UserWarning):
                pass

    threads = [threading.Thread(target=task) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert warnings.filters == before
