"""Compiled code is forgotten before a process runs out of memory maps, and not earlier."""

import itertools

import jax
import numpy as np

from rankfall import _compiled


def test_forgets_compiled_code_only_when_there_is_much(monkeypatch, tmp_path):
    cleared = []
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append(True))
    maps = tmp_path / "maps"
    monkeypatch.setattr(_compiled, "_MAPS", maps)
    monkeypatch.setattr(_compiled, "_others", 0)
    clock = itertools.count(0.0, _compiled._SECONDS)
    monkeypatch.setattr(_compiled, "_looked", -np.inf)
    monkeypatch.setattr(_compiled.time, "monotonic", lambda: next(clock))
    _compiled.make_room()  # no such file, as elsewhere than on Linux
    maps.write_text("x\n" * _compiled._MOST)
    _compiled.make_room()
    assert cleared == []
    maps.write_text("x\n" * (_compiled._MOST + 1))
    _compiled.make_room()
    assert cleared == [True]
    _compiled.make_room()  # clearing has not helped: they are not JAX's
    assert cleared == [True]
    maps.write_text("x\n" * 10 * _compiled._MOST)
    monkeypatch.setattr(_compiled.time, "monotonic", lambda: _compiled._looked)
    _compiled.make_room()  # it was looked a moment ago
    assert cleared == [True]
    monkeypatch.setattr(_compiled.time, "monotonic", lambda: np.inf)
    _compiled.make_room()
    assert cleared == [True, True]


def test_forgotten_code_is_compiled_anew():
    double = jax.jit(lambda x: 2 * x)
    assert double(1.0) == 2.0
    jax.clear_caches()
    np.testing.assert_array_equal(double(np.arange(3.0)), [0, 2, 4])
