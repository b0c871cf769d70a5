"""Grid tensors of functions, and their ranks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall.measures import (
    bipartitions,
    grid_tensor,
    mapping_rank,
    matricization_effective_ranks,
    matricization_ranks,
)

POINTS = np.array([[-1.0], [0.0], [0.5], [2.0]])


def test_values_at_all_combinations_however_the_function_is_written():
    right = np.exp(POINTS[:, None, None, 0] - 2 * POINTS[None, :, None, 0]) * POINTS[None, None, :, 0]
    forms = {
        "JAX": (lambda x: jnp.exp(x[0, 0] - 2 * x[1, 0]) * x[2, 0], False),
        "NumPy alone": (lambda x: float(np.exp(float(x[0, 0]) - 2 * float(x[1, 0])) * float(x[2, 0])), False),
        "many at once": (lambda x: np.exp(x[:, 0, 0] - 2 * x[:, 1, 0]) * x[:, 2, 0], True),
    }
    for function, batched in forms.values():
        found = grid_tensor(function, POINTS, 3, batched=batched)
        assert isinstance(found, np.ndarray) and found.dtype == np.float64
        np.testing.assert_allclose(found, right, rtol=1e-14)


def test_positions_may_have_points_of_their_own():
    tensor = grid_tensor(lambda x: x[0] @ jnp.array([1.0, 10.0]) + x[1][0], [np.eye(2), [[0.5], [0.25], [0.0]]])
    np.testing.assert_array_equal(tensor, [[1.5, 1.25, 1.0], [10.5, 10.25, 10.0]])


def test_more_points_than_a_block_holds():
    points = np.arange(17.0)[:, None]  # 17^3 = 4913 points, 4096 a block
    tensor = grid_tensor(lambda x: x[0, 0] + 20 * x[1, 0] + 400 * x[2, 0], points, 3)
    x = np.arange(17.0)
    np.testing.assert_array_equal(tensor, np.add.outer(x, np.add.outer(20 * x, 400 * x)))


def test_one_hot_points_give_the_factorization_of_a_circuit_back():
    cp = rf.CPFactorization.init((3, 3, 3), 2, factor_std=1.0, key=jax.random.key(0))
    circuit = rf.networks.ShallowCircuit.from_factorization(cp)
    np.testing.assert_allclose(grid_tensor(circuit, np.eye(3), 3), cp.full(), atol=1e-14)


def test_ranks_of_mappings_known_by_hand():
    """Sums of functions of one input each have rank 2 along every cut, products rank 1, x1 x2 + x3 x4 rank 2."""
    key = jax.random.key(0)
    for function, ranks, cp in (
        (lambda x: x[0, 0] + x[1, 0] + x[2, 0] + x[3, 0], [2] * 7, (2, 4)),  # rank 4, but a limit of rank 2
        (lambda x: jnp.prod(1 + x), [1] * 7, (1, 1)),
        (lambda x: x[0, 0] * x[1, 0] + x[2, 0] * x[3, 0], [2] * 7, (2, 2)),
        (lambda x: (1 + x[0, 0] * x[1, 0]) * (1 + x[2, 0] * x[3, 0]), [2, 1, 4, 4, 2, 2, 2], (4, 4)),
    ):
        found = mapping_rank(function, POINTS, 4, key=key, rtol=1e-6)
        assert found.bipartitions == bipartitions(4)
        np.testing.assert_array_equal(found.ranks, ranks)
        assert (found.effective_ranks <= found.ranks * (1 + 1e-12)).all() and (found.effective_ranks >= 1).all()
        assert found.cp.lower >= max(ranks) and found.cp.lower <= cp[1] <= 4 and found.cp.upper >= cp[0]


def test_bipartitions_and_their_ranks():
    assert bipartitions(2) == ((0,),)
    assert len(bipartitions(5)) == 15 and len(set(bipartitions(5))) == 15
    tensor = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_array_equal(matricization_ranks(tensor), [2, 4, 3])
    by_hand = [rf.measures.effective_rank(rf.measures.matricization(tensor, cut)) for cut in bipartitions(3)]
    np.testing.assert_allclose(matricization_effective_ranks(tensor), by_hand)
    with jax.enable_x64(True):
        traced = jax.jit(matricization_effective_ranks)(jnp.asarray(tensor))
        np.testing.assert_allclose(traced, by_hand, rtol=1e-12)
    graded = np.diag([1.0, 1e-3, 1e-9])[:, :, None] * np.ones(2)
    np.testing.assert_array_equal(matricization_ranks(graded, 1e-6), [2, 1, 2])


def test_refusals():
    for make, words in (
        (lambda: grid_tensor(lambda x: 0.0, POINTS), "points is .* list of two arrays"),
        (lambda: grid_tensor(lambda x: 0.0, [POINTS]), "points is .* list of two arrays"),
        (lambda: grid_tensor(lambda x: 0.0, POINTS[:, 0], 3), r"shape \(4,\).*points\[:, None\]"),
        (lambda: grid_tensor(lambda x: 0.0, [POINTS, POINTS[:0]]), r"points\[1\] has shape \(0, 1\)"),
        (lambda: grid_tensor(lambda x: 0.0, POINTS * np.nan, 3), "points holds nan"),
        (lambda: grid_tensor(lambda x: 0.0, POINTS, 1), "positions is 1"),
        (lambda: grid_tensor(lambda x: 0.0, np.zeros((1000, 1)), 4), "GB.*fewer template points"),
        (lambda: grid_tensor(lambda x: x[:, 0], POINTS, 3), "one number for each; choose an output"),
        (lambda: grid_tensor(lambda x: x[:1, 0, 0], POINTS, 3, batched=True), "one number for each"),
        (lambda: grid_tensor(lambda x: "word", POINTS, 3), "values of function"),
        (lambda: bipartitions(1), "order is 1"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
