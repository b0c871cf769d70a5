"""Compiled code is forgotten before a process runs out of memory maps, and not earlier."""

import itertools

import jax
import numpy as np

from rankfall._execution import compiling


def test_forgets_compiled_code_only_when_there_is_much(monkeypatch, tmp_path):
    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    maps = tmp_path / "maps"
    monkeypatch.setattr(compiling, "_MAPS", maps)
    monkeypatch.setattr(compiling, "_others", 0)
    clock = itertools.count(0.0, compiling._SECONDS)
    monkeypatch.setattr(compiling, "_looked", -np.inf)
    monkeypatch.setattr(compiling.time, "monotonic", lambda: next(clock))
    compiling.make_room()  # no such file, as elsewhere than on Linux
    maps.write_text("x\n" * compiling._MOST)
    compiling.make_room()
    assert cleared == []
    maps.write_text("x\n" * (compiling._MOST + 1))
    compiling.make_room()
    assert cleared == [True]
    compiling.make_room()  # clearing has not helped: they are not JAX's
    assert cleared == [True]
    maps.write_text("x\n" * 10 * compiling._MOST)
    monkeypatch.setattr(compiling.time, "monotonic", lambda: compiling._looked)
    compiling.make_room()  # it was looked a moment ago
    assert cleared == [True]
    monkeypatch.setattr(compiling.time, "monotonic", lambda: np.inf)
    compiling.make_room()
    assert cleared == [True, True]


def test_forgotten_code_is_compiled_anew():
    double = jax.jit(lambda x: 2 * x)
    assert double(1.0) == 2.0
    jax.clear_caches()
    np.testing.assert_array_equal(double(np.arange(3.0)), [0, 2, 4])
