"""The closed form of the depth-1 flow: against an integrator, and both ways of making it against each other."""

import numpy as np
import pytest
import scipy.linalg

from rankfall.dynamics.linear_path import LinearPath

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("rows", "columns", "rank"), [(4, 9, 4), (9, 4, 4), (5, 6, 2)])
def test_flow_is_the_exponential_of_its_matrix(rows, columns, rank):
    a = RNG.normal(size=(rows, rank)) @ RNG.normal(size=(rank, columns))
    b, start = RNG.normal(size=rows), RNG.normal(size=columns)
    path = LinearPath.of(a, b - a @ start, start)
    assert len(path.values) == rank
    limit = np.linalg.pinv(a) @ b + start - np.linalg.pinv(a) @ (a @ start)
    for time in (0.0, 1e-3, 0.3):
        expected = limit + scipy.linalg.expm(-time * a.T @ a) @ (start - limit)
        np.testing.assert_allclose(path.flow(time), expected, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(path.squares(time), np.sum((a @ expected - b) ** 2), rtol=1e-9)
    np.testing.assert_allclose(path.flow(np.inf), limit, rtol=1e-9, atol=1e-11)


def test_entries_are_rows_of_the_identity():
    start, b, at = RNG.normal(size=(2, 3)), RNG.normal(size=4), np.array([5, 0, 2, 3])
    residual = b - start.ravel()[at]
    paths = LinearPath.of_entries(at, residual, start), LinearPath.of(np.eye(6)[at], residual, start)
    for time in (0.0, 0.7, np.inf):
        first, second = (path.flow(time) for path in paths)
        assert first.shape == (2, 3)
        np.testing.assert_allclose(first, second, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(*(path.squares(time) for path in paths), rtol=1e-13, atol=1e-15)
    free = np.setdiff1d(np.arange(6), at)
    assert (paths[0].flow(np.inf).ravel()[free] == start.ravel()[free]).all()


def test_columns_move_by_themselves():
    a, b, start = RNG.normal(size=(3, 5)), RNG.normal(size=(3, 2)), RNG.normal(size=(5, 2))
    whole = LinearPath.of(a, b - a @ start, start)
    parts = [LinearPath.of(a, b[:, n] - a @ start[:, n], start[:, n]) for n in (0, 1)]
    for time in (0.0, 0.4, np.inf):
        np.testing.assert_allclose(whole.flow(time), np.stack([path.flow(time) for path in parts], 1), rtol=1e-13)
        total = sum(path.squares(time) for path in parts)
        np.testing.assert_allclose(whole.squares(time), total, rtol=1e-13, atol=1e-25)
