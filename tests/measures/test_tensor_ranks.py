import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf

matricization, multilinear_rank, hierarchical_rank = (
    rf.measures.matricization,
    rf.measures.multilinear_rank,
    rf.measures.hierarchical_rank,
)
T = np.random.default_rng(0).normal(size=(2, 3, 4, 5))


def test_multilinear_ranks():
    assert multilinear_rank(T) == multilinear_rank(jnp.asarray(T, jnp.float32)) == (2, 3, 4, 5)
    assert multilinear_rank(np.zeros((2, 3, 4))) == (0, 0, 0)
    g = np.random.default_rng(1)
    core, bases = g.normal(size=(2, 3, 2)), [g.normal(size=(6, r)) for r in (2, 3, 2)]
    tucker = np.einsum("abc,ia,jb,kc->ijk", core, *bases)
    assert multilinear_rank(tucker) == (2, 3, 2)
    # noise is seen by the default tolerance, and not by a coarser one
    noisy = tucker + 1e-9 * g.normal(size=tucker.shape)
    assert multilinear_rank(noisy) == (6, 6, 6) and multilinear_rank(noisy, rtol=1e-6) == (2, 3, 2)


def test_hierarchical_ranks_depend_on_the_tree():
    pair = np.eye(3)
    t = np.einsum("ij,kl->ijkl", pair, pair)
    good = hierarchical_rank(t)
    assert good == hierarchical_rank(t, ((0, 1), (2, 3))) == hierarchical_rank(t, [[0, 1], [2, 3]])
    assert good == {(0, 1): 1, (0,): 3, (1,): 3, (2, 3): 1, (2,): 3, (3,): 3}
    assert hierarchical_rank(t, ((2, 0), (1, 3)))[0, 2] == 9
    assert hierarchical_rank(t, (0, (1, (2, 3)))) == {(0,): 3, (1, 2, 3): 3, (1,): 3, (2, 3): 1, (2,): 3, (3,): 3}
    assert hierarchical_rank(np.ones((2, 2, 2)), (0, 1, 2)) == {(0,): 1, (1,): 1, (2,): 1}


def test_default_tree_is_balanced_and_in_order():
    assert list(hierarchical_rank(np.ones((2,) * 5))) == [
        (0, 1, 2), (0, 1), (0,), (1,), (2,), (3, 4), (3,), (4,)
    ]  # fmt: skip
    assert list(hierarchical_rank(np.ones((2, 2)))) == [(0,), (1,)]


def test_coarser_tolerance_of_a_tree():
    t = np.einsum("ij,kl->ijkl", np.diag([1.0, 1e-4]), np.eye(2))
    assert hierarchical_rank(t)[(0,)] == 2 and hierarchical_rank(t, rtol=1e-3)[(0,)] == 1


@pytest.mark.parametrize(
    "tree", [((0, 1), 2), ((0, 1), (2, 2)), ((0, 1), (2, 4)), (0, 1, 2, 3, 3), ((0, 1, 2, 3),), (((0,), 1), (2, 3))]
)
def test_refuses_trees_that_do_not_hold_each_mode_once(tree):
    with pytest.raises(ValueError, match=r"^tree is .*, but "):
        hierarchical_rank(T, tree)


@pytest.mark.parametrize("function", [multilinear_rank, hierarchical_rank, lambda t: matricization(t, 0)])
@pytest.mark.parametrize("tensor", [[1.0, 2.0], 3.0, np.zeros((2, 0, 2))])
def test_refuses_what_is_no_tensor(function, tensor):
    with pytest.raises(ValueError, match=r"^tensor has shape .*, but must be a tensor of two modes or more"):
        function(tensor)
