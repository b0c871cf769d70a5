"""Compiled code of ours is forgotten before a process runs out of memory maps, and nobody else's."""

import contextlib
import gc
import itertools
import subprocess
import sys
import warnings
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import compiled, compiling, double_precision, side_by_side


@pytest.fixture
def room(monkeypatch, tmp_path):
    """A process with few maps, whose clock goes on by enough from look to look."""
    maps, limit = tmp_path / "maps", tmp_path / "limit"
    maps.write_text("x\n")
    limit.write_text("1000\n")
    monkeypatch.setattr(compiling, "_MAPS", maps)
    monkeypatch.setattr(compiling, "_LIMIT", limit)
    monkeypatch.setattr(compiling, "_room", compiling.Room())
    clock = itertools.count(0.0, compiling._SECONDS)
    monkeypatch.setattr(compiling.time, "monotonic", lambda: next(clock))
    return maps


@pytest.fixture
def forgotten(monkeypatch):
    calls = []
    monkeypatch.setattr(compiling.Compiled, "forget", lambda self: calls.append(self))
    return calls


def test_forgets_only_when_there_is_much(room, forgotten):
    compiling.make_room()
    room.write_text("x\n" * 450)
    compiling.make_room()
    assert forgotten == []
    room.write_text("x\n" * 451)
    compiling.make_room()
    assert len(forgotten) == len(list(compiling._ours)) > 0
    forgotten.clear()
    compiling.make_room()  # forgetting has not helped: they are not ours
    assert forgotten == []


def test_does_not_look_twice_in_a_moment(room, forgotten, monkeypatch):
    room.write_text("x\n" * 500)
    monkeypatch.setattr(compiling.time, "monotonic", lambda: compiling._room.looked)
    compiling.make_room()
    assert forgotten == []


def test_no_such_files_as_elsewhere_than_on_linux(room, forgotten, monkeypatch, tmp_path):
    room.unlink()
    compiling.make_room()
    assert forgotten == []
    monkeypatch.setattr(compiling, "_LIMIT", tmp_path / "none")
    assert compiling._limit() == 65_530


def test_says_once_that_the_rest_is_the_hosts(room, forgotten):
    room.write_text("x\n" * 900)
    with pytest.warns(RuntimeWarning, match="900 of the 1,000 memory maps .* jax.clear_caches"):
        compiling.make_room()
    room.write_text("x\n" * 1800)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiling.make_room()


def test_forgetting_gives_maps_back_and_keeps_the_hosts():
    """In a process of its own: the maps of this one come and go with other tests."""
    script = """
import jax, numpy as np
from rankfall._execution import compiled, compiling
traced = []
host = jax.jit(lambda x: (traced.append(1), x + 1)[1])
host(np.ones(3))
mine = [compiled(lambda x, i=i: jax.lax.fori_loop(0, 9, lambda k, y: i * y @ x @ y.T, x)) for i in range(40)]
before = compiling._count()
for function in mine:
    function(np.ones((5, 5)))
full = compiling._count()
for function in compiling._ours:
    function.forget()
after = compiling._count()
host(np.ones(3))
assert len(traced) == 1, traced
print(before, full, after)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, full, after = map(int, done.stdout.split())
    assert full - before >= 40 and after - before <= (full - before) / 4, done.stdout


def test_training_forgets_ours_and_not_the_hosts(monkeypatch):
    monkeypatch.setattr(compiling, "_room", compiling.Room())
    monkeypatch.setattr(compiling, "_MUCH", 0.0)
    traced = []
    host = jax.jit(lambda x: (traced.append(1), x + 1)[1])
    host(1.0)
    start = rf.MatrixFactorization.init((2, 2), 2, scale=1e-2, key=jax.random.key(0))
    rf.train(rf.two_by_two(), start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=2), progress=False)
    host(2.0)
    assert traced == [1]
    assert compiling._room.looked > 0


def test_forgotten_code_is_compiled_anew_and_nothing_is_kept_alive():
    double = compiled(lambda x: 2 * x)
    assert double(1.0) == 2.0
    double.forget()
    np.testing.assert_array_equal(double(np.arange(3.0)), [0, 2, 4])
    gone = weakref.ref(double)
    del double
    gc.collect()
    assert gone() is None


def test_inside_compiled_code_it_is_a_part_of_that():
    double = compiled(lambda x: 2 * x)
    assert jax.jit(lambda x: double(x) + 1)(3.0) == 7.0
    np.testing.assert_array_equal(jax.vmap(double)(np.arange(3)), [0, 2, 4])
    assert jax.grad(lambda x: double(x) ** 2)(1.0) == 8.0


def test_static_arguments_stay_what_they_are():
    power = compiled(lambda x, n: x ** (n if isinstance(n, int) else None), static_argnums=1)
    named = compiled(lambda x, *, form: x if form == "plain" else None, static_argnames="form")
    for jit_is_off in (False, True):
        with jax.disable_jit(jit_is_off):
            assert power(np.float32(3), 2) == 9
            assert named(np.float32(3), form="plain") == 3


def test_step_by_step_numpy_arrays_take_traced_indices():
    pick = compiled(lambda table, rows: jax.vmap(lambda row: table[row])(rows))
    with jax.disable_jit():
        np.testing.assert_array_equal(pick(np.arange(5), np.array([3, 1])), [3, 1])


@pytest.mark.parametrize(
    "dynamics", [rf.GradientDescent(1e-2), rf.AdaptiveDescent(), rf.ExponentialDescent(krylov=2), rf.GradientFlow()]
)
def test_trains_step_by_step(dynamics):
    start = rf.MatrixFactorization.init((2, 2), 2, kind="balanced", scale=0.1, det_sign=1, key=jax.random.key(0))
    record, stop = rf.Record(every=1, measures=["end_to_end"]), rf.Stop(steps=2)
    usual = rf.train(rf.two_by_two(), start, dynamics, stop=stop, record=record, progress=False)
    with jax.disable_jit():
        slow = rf.train(rf.two_by_two(), start, dynamics, stop=stop, record=record, progress=False)
    for name in ("loss", "end_to_end"):
        np.testing.assert_allclose(slow.trajectory[name], usual.trajectory[name], rtol=1e-10, atol=1e-14)


def test_compiles_nothing_for_other_compilers_with_options_they_may_not_know(monkeypatch):
    given = []
    monkeypatch.setattr(compiling, "known_compiler", lambda: False)
    monkeypatch.setattr(jax, "jit", lambda function, **options: given.append(options))
    compiled(len, static_argnums=0)
    assert given == [{"static_argnums": 0}]


def test_precision_is_that_of_the_scope():
    with double_precision():
        assert compiled(lambda x: x / 3)(1.0).dtype == jnp.float64
    assert compiled(lambda x: x / 3)(1.0).dtype == jnp.float32


@pytest.mark.skipif(not compiling.known_compiler(), reason="options are given to a compiler that is known")
def test_for_few_calls_another_program_is_compiled_in_threads_too():
    square = compiled(lambda x: x @ x)
    matrix, counts = np.arange(9.0).reshape(3, 3), []

    def call():
        np.testing.assert_allclose(square(matrix), matrix @ matrix, rtol=1e-6)

    for few in (False, True, False):
        with compiling.for_few_calls() if few else contextlib.nullcontext():
            side_by_side([call, call], threads=2)
        counts.append((square._outer._cache_size(), square._brief._cache_size()))
    assert counts == [(1, 0), (1, 1), (1, 1)]
    square.forget()
    assert square._brief._cache_size() == 0
