import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf

matricization = rf.measures.matricization
T = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


@pytest.mark.parametrize("modes", [(0,), (2,), (1, 3), (3, 1), (0, 1, 2), (0, 1, 2, 3)])
def test_entries_stand_where_they_should(modes):
    found = matricization(T, modes)
    rest = [n for n in range(4) if n not in modes]
    assert found.size == T.size
    for index in itertools.product(*map(range, T.shape)):
        row = np.ravel_multi_index([index[n] for n in modes], [T.shape[n] for n in modes])
        column = np.ravel_multi_index([index[n] for n in rest], [T.shape[n] for n in rest]) if rest else 0
        assert found[row, column] == T[index]


def test_of_numpy_and_of_jax():
    assert matricization(T, 1).shape == (3, 40) and matricization(T, np.int64(1)).shape == (3, 40)
    assert isinstance(matricization(T, [0, 1]), np.ndarray)
    found = matricization(jnp.asarray(T, jnp.float32), (0, 1))
    assert isinstance(found, jnp.ndarray) and found.dtype == jnp.float32
    np.testing.assert_allclose(found, T.reshape(6, 20), rtol=1e-6)
    assert matricization([[1, 2], [3, 4]], 1).tolist() == [[1.0, 3.0], [2.0, 4.0]]


def test_effective_rank_of_a_matricization():
    pair = np.eye(2)
    t = np.einsum("ij,kl->ijkl", pair, pair)
    np.testing.assert_allclose(rf.measures.effective_rank(matricization(t, (0, 1))), 1.0, rtol=1e-12)
    np.testing.assert_allclose(rf.measures.effective_rank(matricization(t, (0, 2))), 4.0, rtol=1e-12)


@pytest.mark.parametrize("modes", [(), (0, 0), (4,), (-1,)])
def test_refuses_what_are_no_modes(modes):
    with pytest.raises(ValueError, match=r"^modes is .*, but must be one or more different modes out of 0 to 3"):
        matricization(T, modes)
