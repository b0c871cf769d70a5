import math

import jax
import numpy as np
import pytest

import rankfall as rf

KEY = jax.random.key(3)


def cp(**options):
    options = {"shape": (5, 4, 6), "rank": 2, "observed": 80, "key": KEY} | options
    return rf.low_cp_rank_completion(**options)


def hierarchical(**options):
    options = {"shape": (4, 5, 4, 3), "rank": 2, "observed": 150, "key": KEY} | options
    return rf.low_hierarchical_rank_completion(**options)


BOTH = pytest.mark.parametrize("make", [cp, hierarchical])


@pytest.mark.parametrize("shape", [(7, 6), (5, 4, 6), (3, 4, 3, 4), (3, 2, 3, 2, 3)])
@pytest.mark.parametrize("rank", [1, 3])
def test_cp_rank_of_the_truth(shape, rank):
    truth = cp(shape=shape, rank=rank, observed=math.prod(shape)).truth
    found = rf.measures.cp_rank_bracket(truth, 1e-9, key=KEY)
    assert truth.shape == shape and (found.lower, found.upper) == (rank, rank)


def test_a_cp_rank_beyond_the_extents():
    truth = cp(shape=(3, 3, 3), rank=4, observed=27).truth
    assert rf.measures.multilinear_rank(truth) == (3, 3, 3)
    assert rf.measures.cp_rank_bracket(truth, 1e-6, key=KEY).upper == 4


@pytest.mark.parametrize(
    "shape, tree",
    [
        ((4, 5), None),
        ((4, 5, 6), None),
        ((4, 5, 4, 5), None),
        ((4, 5, 4, 5), ((0, 2), (3, 1))),
        ((4, 3, 4, 5), [[0, [2, 3]], 1]),
        ((3, 4, 5, 6), (3, 1, (2, 0))),
        ((3,) * 6, None),
    ],
)
@pytest.mark.parametrize("rank", [1, 3])
def test_hierarchical_rank_of_the_truth(shape, tree, rank):
    truth = hierarchical(shape=shape, tree=tree, rank=rank, observed=math.prod(shape)).truth
    found = rf.measures.hierarchical_rank(truth, tree, rtol=1e-9)
    assert truth.shape == shape and set(found.values()) == {rank}


def test_hierarchical_rank_where_the_extents_allow_less():
    truth = hierarchical(shape=(2, 3, 8, 8), rank=4, observed=300).truth
    expected = {(0, 1): 4, (0,): 2, (1,): 3, (2, 3): 4, (2,): 4, (3,): 4}
    assert rf.measures.hierarchical_rank(truth, rtol=1e-9) == expected


def test_rank_by_level():
    truth = hierarchical(shape=(5, 5, 5, 5), rank=(2, 4), observed=500).truth
    expected = {(0, 1): 2, (0,): 4, (1,): 4, (2, 3): 2, (2,): 4, (3,): 4}
    assert rf.measures.hierarchical_rank(truth, rtol=1e-9) == expected


def test_the_truth_is_a_hierarchical_factorization_of_that_width():
    """What the generator forms node by node is what the factorization forms of the same matrices."""
    from rankfall.datasets.synthetic_tensors import _formed, _normal, _shapes

    tree, shape = ((0, (1, 2)), 3), (3, 4, 2, 5)
    weights = _normal(KEY, list(_shapes(tree, shape, [1, 2, 3, 4])))
    leaf_0, leaf_1, leaf_2, inner, above, leaf_3, root = weights
    expected = rf.HierarchicalFactorization([leaf_0, leaf_1, leaf_2, leaf_3, inner, above, root], tree).full()
    np.testing.assert_allclose(_formed(tree, iter(weights)).reshape(shape), expected, rtol=1e-12, atol=1e-13)


@BOTH
def test_norm_and_loss(make):
    problem = make()
    np.testing.assert_allclose(np.linalg.norm(problem.truth), 1.0, rtol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(make(frobenius=64.0).truth), 64.0, rtol=1e-14)
    assert problem.loss_kind == "mse" and problem.loss(problem.truth) < 1e-30
    assert make(loss="half_sse").loss_kind == "half_sse"


@BOTH
def test_the_key_decides_everything(make):
    first, again, other = make(), make(), make(key=jax.random.key(4))
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first.truth != other.truth).all() and not np.array_equal(first.indices, other.indices)
    single = make(dtype="float32")
    np.testing.assert_array_equal(single.values, first.values.astype(np.float32))


@BOTH
def test_observed_entries(make):
    problem = make()
    everything = problem.truth.size
    assert problem.observed == len(np.unique(problem.indices, axis=0)) == (80 if make is cp else 150)
    np.testing.assert_array_equal(problem.values, problem.truth[tuple(problem.indices.T)])
    assert make(observed=everything).unobserved_indices.size == 0
    with pytest.raises(ValueError, match=f"observed is {everything + 1}, but the tensor has only {everything}"):
        make(observed=everything + 1)


@BOTH
def test_noise(make):
    clean, noisy = make(), make(noise=0.1)
    np.testing.assert_array_equal(clean.truth, noisy.truth)
    difference = noisy.values - clean.values
    np.testing.assert_allclose(difference.std(), 0.1, rtol=4 / np.sqrt(2 * clean.observed))
    np.testing.assert_allclose(make(noise=0.2).values - clean.values, 2 * difference, atol=1e-14)


@BOTH
def test_a_slice_that_nobody_observed_is_refused(make):
    with pytest.raises(ValueError, match="mode 0"):
        make(observed=1)


BAD = {
    "rank zero": ({"rank": 0}, "rank is 0"),
    "rank beyond memory": ({"rank": 2**40}, "rank is 1099511627776, but no memory"),
    "order": ({"shape": (5,)}, "shape is"),
    "extent": ({"shape": (5, 0, 5, 5)}, r"shape\[1\] is 0"),
    "shape beyond memory": ({"shape": (2**20,) * 4}, "shape is .* no memory"),
    "observed": ({"observed": 0}, "observed is 0"),
    "noise": ({"noise": -0.1}, "noise is -0.1"),
    "frobenius": ({"frobenius": 0.0}, "frobenius is 0.0"),
    "loss": ({"loss": "l2"}, "loss is 'l2'"),
    "dtype": ({"dtype": "complex64"}, "dtype is 'complex64'"),
}


@BOTH
@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_argument(make, case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        make(**options)


def test_refusals_of_trees_and_ranks_by_level():
    for tree in (((0, 1), 2), (0, 1, 2, 2), "0123", ((0, 1), (2, 3), ())):
        with pytest.raises(ValueError, match="^tree is .* (modes 0 to 3 once|every node needs two children)"):
            hierarchical(tree=tree)
    for rank in ((2,), (3, 2), (2, 3, 4)):
        with pytest.raises(ValueError, match="one for each of the 2 levels"):
            hierarchical(rank=rank)
    with pytest.raises(ValueError, match=r"rank\[1\] is 0"):
        hierarchical(rank=(1, 0))
