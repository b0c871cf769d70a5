import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf


def test_entries_of_batches_in_the_order_given():
    w = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(rf.measures.entries(w, [[2, 3], [0, 1]]), [[11.0, 1.0], [23.0, 13.0]])
    found = rf.measures.entries(jnp.asarray(w, jnp.float32), [[1, 1]])
    assert isinstance(found, jnp.ndarray) and found.tolist() == [[5.0], [17.0]]


def test_unobserved_entries_of_a_problem():
    problem = rf.MatrixCompletion.from_dense([[np.nan, 1.0, 2.0], [3.0, np.nan, np.nan]])
    w = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(rf.measures.entries(w, problem.unobserved_indices), [0.0, 4.0, 5.0])


@pytest.mark.parametrize("indices", [[0, 1], [[0.0, 1.0]], [[0], [0, 1]], [[True, False]]])
def test_refuses_what_is_no_index(indices):
    with pytest.raises(ValueError, match=r"^indices (has shape|is) .*integers of shape \(n, 2\)"):
        rf.measures.entries(np.eye(2), indices)


def test_refuses_places_outside():
    for place in ([2, 0], [0, -1]):
        with pytest.raises(ValueError, match=r"^indices\[1\] is"):
            rf.measures.entries(np.eye(2), [[0, 0], place])
