"""Hierarchical factorization over any tree: against recursions by hand, its starts, and its local components."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.measures import mode_tree

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 3)
TREES = [
    ((4, 3), None),
    ((2, 3, 4), None),
    ((2, 3, 4), (0, 1, 2)),
    ((2, 3, 4), ((2, 0), 1)),
    ((2, 3, 2, 3), None),
    ((2, 3, 2, 3), ((0, 2), (1, 3))),
    ((2, 3, 2, 3, 2), ((4, (0, 2, 3)), 1)),
    ((2, 2, 3, 2, 2, 2, 1), ((0, 1, 2), (3, (6, 4), 5))),
]


def drawn(shape, tree=None, lanes=(), seed=0):
    """Gaussian factors with another width at every node."""
    tree = mode_tree.checked("tree", tree, len(shape))
    count = len(mode_tree.inner_nodes(tree))
    key = jax.random.split(jax.random.key(seed), lanes[0]) if lanes else jax.random.key(seed)
    widths = [2 + j % 3 for j in range(count)]
    return rf.HierarchicalFactorization.init(shape, widths, tree, factor_std=1.0, key=key)


def by_hand(start, place):
    """One entry, by the definition: a node's vector is the product of its children's, mixed."""
    weights = dict(zip(mode_tree.nodes(start.tree), start.factors, strict=True))

    def vector(node):
        if isinstance(node, int):
            return weights[node][place[node]]
        return np.prod([vector(child) for child in node], axis=0) @ weights[node]

    return vector(start.tree)[0]


@pytest.mark.parametrize(("shape", "tree"), TREES)
def test_full_and_entries(shape, tree):
    start = drawn(shape, tree)
    full = start.full()
    expected = np.array([by_hand(start, place) for place in np.ndindex(shape)]).reshape(shape)
    np.testing.assert_allclose(full, expected, rtol=1e-12, atol=1e-12)
    where = np.random.default_rng(0).integers(0, shape, (7, len(shape)))
    np.testing.assert_allclose(start.entries(where), expected[tuple(where.T)], rtol=1e-12, atol=1e-12)
    lanes = drawn(shape, tree, (3,))
    assert (lanes.lanes, lanes.shape, lanes.full().shape) == (3, shape, (3, *shape))
    np.testing.assert_allclose(lanes.full()[2], lanes.lane(2).full(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(lanes.entries(where)[1], lanes.lane(1).entries(where), rtol=1e-12, atol=1e-12)
    assert lanes.lane(1).tree == start.tree and start.as_lanes().lanes == 1
    on_jax = start.like([jnp.asarray(w, jnp.float32) for w in start.factors])
    both = jax.jit(lambda f: (f.full(), f.entries_at(where)))(on_jax)
    np.testing.assert_allclose(both[0], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(both[1], expected[tuple(where.T)], rtol=1e-4, atol=1e-4)


def test_describe_and_widths():
    start = rf.HierarchicalFactorization.init((2, 3, 4, 5), [2, 3, 4], factor_std=1.0, key=KEY)
    assert start.inner_nodes == ((0, 1), (2, 3), ((0, 1), (2, 3))) and start.widths == (2, 3, 4)
    assert [w.shape for w in start.factors] == [(2, 2), (3, 2), (4, 3), (5, 3), (2, 4), (3, 4), (4, 1)]
    assert start.describe() == {
        "factorization": "HierarchicalFactorization",
        "tree": "((0, 1), (2, 3))",
        "widths": [2, 3, 4],
    }
    assert start.maker == drawn((2, 2, 2, 2)).maker
    assert hash(start.maker) == hash(drawn((2, 2, 2, 2)).maker)


@pytest.mark.parametrize(("shape", "tree"), TREES)
def test_cp_along_a_tree_is_the_same(shape, tree):
    for key in (KEY, KEYS):
        cp = rf.CPFactorization.init(shape, 3, factor_std=1.0, key=key)
        deep = rf.HierarchicalFactorization.from_cp(cp, tree)
        assert deep.lanes == cp.lanes and set(deep.widths) == {3}
        np.testing.assert_allclose(deep.full(), cp.full(), rtol=1e-13, atol=1e-13)


def levels_of(order, size, lanes=(), seed=0):
    """Weights listed level by level, all of other widths, as the released code of the paper has them."""
    rng = np.random.default_rng(seed)
    below = [int(n) for n in rng.integers(2, 4, order)]
    levels = []
    while True:
        groups = -(-len(below) // size)
        widths = [int(n) for n in rng.integers(1, 4, groups)]
        levels.append([rng.normal(size=(*lanes, n, widths[i // size])) for i, n in enumerate(below)])
        below = widths
        if groups == 1:
            return [*levels, [rng.normal(size=(*lanes, below[0], 1))]]


def entry_by_levels(levels, size, place):
    """One entry, by a loop over levels: a linear map of every node, then products of neighbours."""
    vectors = [np.eye(len(w))[i] for w, i in zip(levels[0], place, strict=True)]
    for level in levels[:-1]:
        mixed = [v @ w for v, w in zip(vectors, level, strict=True)]
        vectors = [np.prod(mixed[i : i + size], axis=0) for i in range(0, len(mixed), size)]
    ((total,),) = [v @ w for v, w in zip(vectors, levels[-1], strict=True)]
    return total


@pytest.mark.parametrize(("order", "size"), [(2, 2), (3, 2), (4, 2), (5, 2), (6, 2), (8, 2), (9, 2), (5, 3), (7, 3)])
def test_weights_listed_level_by_level(order, size):
    levels = levels_of(order, size)
    deep = rf.HierarchicalFactorization.from_levels(levels, size)
    assert deep.tree == mode_tree.pooled_tree(order, size) and deep.shape == tuple(len(w) for w in levels[0])
    where = np.random.default_rng(0).integers(0, deep.shape, (20, order))
    expected = [entry_by_levels(levels, size, place) for place in where]
    np.testing.assert_allclose(deep.entries(where), expected, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(deep.full()[tuple(where.T)], expected, rtol=1e-11, atol=1e-12)


def test_weights_of_lanes_listed_level_by_level():
    levels = levels_of(6, 2, lanes=(3,))
    deep = rf.HierarchicalFactorization.from_levels(levels)
    one = rf.HierarchicalFactorization.from_levels([[w[1] for w in level] for level in levels])
    np.testing.assert_allclose(deep.lane(1).full(), one.full(), rtol=1e-12)


def test_the_order_of_the_factors_is_not_level_by_level():
    """Of eight modes the two orders differ, and equal widths fit both: the tensors are not the same."""
    rng = np.random.default_rng(0)
    levels = [[rng.normal(size=(2, 2)) for _ in range(n)] for n in (8, 4, 2)] + [[rng.normal(size=(2, 1))]]
    deep = rf.HierarchicalFactorization.from_levels(levels)
    leaves, pairs, fours, root = levels
    in_order = [*leaves, *pairs[:2], fours[0], *pairs[2:], fours[1], *root]
    np.testing.assert_array_equal(rf.HierarchicalFactorization(in_order).full(), deep.full())
    flat = rf.HierarchicalFactorization([w for level in levels for w in level])
    assert abs(flat.full() - deep.full()).max() > 0.1 * abs(deep.full()).max()


def test_ranks_across_the_tree():
    # across an edge of the tree the rank is the width there, across the tree it is not
    start = rf.HierarchicalFactorization.init((3, 3, 3, 3), [3, 3, 2], scale=1.0, key=KEY)
    tensor = start.full()
    rank = np.linalg.matrix_rank
    assert rank(tensor.reshape(9, 9)) == 2
    assert rank(tensor.transpose(0, 2, 1, 3).reshape(9, 9)) == 9
    one = rf.HierarchicalFactorization.init((3, 3, 3, 3), 1, scale=1.0, key=KEY).full()
    assert rank(one.transpose(0, 2, 1, 3).reshape(9, 9)) == 1


def along_the_flow(start, truth):
    """Squared norms and local component norms, their change in time, and <-grad, C> of each local component."""

    def sizes(f):
        return f._squares(), f.local_component_norms()

    @jax.jit
    def moved(model):
        slope = jax.grad(lambda f: ((f.full() - truth) ** 2).sum() / 2)(model)
        return jax.jvp(sizes, (model,), (jax.tree.map(jnp.negative, slope),))

    with double_precision():
        now, change = jax.tree.map(np.asarray, moved(start.like([jnp.asarray(w) for w in start.factors])))
    down = truth - start.full()
    nodes = zip(start.inner_nodes, start.widths, strict=True)
    pulls = [np.array([(down * start.local_component(node, r)).sum() for r in range(width)]) for node, width in nodes]
    return zip(start.inner_nodes, *now, *change, pulls, strict=True)


@pytest.mark.parametrize(("shape", "tree"), TREES)
def test_local_component_norms_move_as_the_theorem_says(shape, tree):
    widths = drawn(shape, tree).widths
    start = rf.HierarchicalFactorization.init(shape, widths, tree, kind="balanced", scale=0.5, key=KEY)
    assert start.unbalancedness() < 1e-13
    truth = np.random.default_rng(1).normal(size=shape)
    for node, _, norms, _, changes, pull in along_the_flow(start, truth):
        length = len(node) + 1
        np.testing.assert_allclose(changes, length * norms ** (2 - 2 / length) * pull, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("shape", "tree"), TREES)
def test_any_start_moves_by_the_sum_over_its_vectors_and_conserves(shape, tree):
    truth = np.random.default_rng(1).normal(size=shape)
    for _, squares, norms, lengths, changes, pull in along_the_flow(drawn(shape, tree), truth):
        for change in lengths:
            np.testing.assert_allclose(change, 2 * norms * pull, rtol=1e-9, atol=1e-11 * abs(change).max())
        expected = sum(norms**2 / square for square in squares) * pull
        np.testing.assert_allclose(changes, expected, rtol=1e-9, atol=1e-11 * abs(changes).max())


def test_local_components_add_up_to_the_tensor():
    start = drawn((2, 3, 2, 3), lanes=(3,))
    norms = start.local_component_norms()
    for at, (node, width) in enumerate(zip(start.inner_nodes, start.widths, strict=True)):
        parts = [norms[at][:, r, None, None, None, None] * start.local_component(node, r) for r in range(width)]
        np.testing.assert_allclose(sum(parts), start.full(), rtol=1e-11, atol=1e-11)
    dead = start.lane(0)
    zeroed = dead.like([*dead.factors[:-1], np.zeros_like(dead.factors[-1])])
    assert not zeroed.local_component(dead.tree, 0).any()


def test_balanced_starts():
    for shape, tree in TREES:
        count = len(drawn(shape, tree).inner_nodes)
        for widths in (1, 3, [1 + j for j in range(count)]):
            start = rf.HierarchicalFactorization.init(
                shape, widths, tree, kind="balanced", factor_std=[1e-3, 1e-2, 1.0], key=KEYS
            )
            frobenius = (start.factors[0] ** 2).sum(axis=(-2, -1))
            assert (start.unbalancedness() < 1e-13 * frobenius).all()
            assert np.isfinite(start.full()).all()


@pytest.mark.parametrize("kind", ["gaussian", "balanced"])
def test_scale_is_the_deviation_of_an_entry(kind):
    options = {"kind": kind, "scale": 0.5, "key": jax.random.split(KEY, 2000)}
    many = rf.HierarchicalFactorization.init((3, 2, 3, 4), [3, 2, 4], **options)
    assert abs(many.full().std() / 0.5 - 1) < 0.06


def test_starts_of_lanes():
    lanes = rf.HierarchicalFactorization.init((3, 3, 4), 2, kind="balanced", scale=[0.1, 0.2, 0.3], key=KEYS)
    one = rf.HierarchicalFactorization.init((3, 3, 4), 2, kind="balanced", scale=0.2, key=KEYS[1])
    for a, b in zip(lanes.lane(1).factors, one.factors, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13)
    small = rf.HierarchicalFactorization.init((3, 3), 2, scale=1e-2, key=KEY, dtype="float32")
    assert all(w.dtype == np.float32 for w in small.factors)


def test_entries_of_a_tensor_that_no_memory_holds():
    start = rf.HierarchicalFactorization.init((100,) * 16, 3, scale=1.0, key=KEY)
    assert np.isfinite(start.entries(np.arange(32).reshape(2, 16))).all()
    with pytest.raises(ValueError, match=r"the full tensor of shape .* takes .* GB, but .* ask for entries"):
        start.full()
    wide = rf.HierarchicalFactorization.init((1000, 1000, 2, 2), [2000, 2, 2], scale=1.0, key=KEY)
    with pytest.raises(ValueError, match=r"the full tensor of shape \(1000, 1000, 2000\)"):
        wide.full()


# Just as wide as the truth is: with more, the loss falls by a power of time, and 1e-10 is far away.
@pytest.mark.parametrize(("shape", "tree", "widths"), [((3,) * 4, None, [2, 2, 1]), ((4,) * 3, ((2, 0), 1), [2, 1])])
def test_training(shape, tree, widths):
    truth = rf.HierarchicalFactorization.init(shape, widths, tree, scale=0.5, key=KEY).full()
    truth *= 4 / np.linalg.norm(truth)
    where = np.argwhere(np.random.default_rng(0).random(shape) < 0.9)
    problem = rf.TensorCompletion.from_coo(where, truth[tuple(where.T)], shape, truth=truth)
    start = rf.HierarchicalFactorization.init(shape, widths, tree, kind="balanced", scale=0.1, key=KEYS[:2])
    run = rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-10, steps=20_000), progress=False)
    assert list(run.stop_reason) == ["loss", "loss"]
    assert run.final.tree == start.tree and (problem.loss_of(run.final) <= 1e-10).all()


def test_training_by_an_optax_rule():
    # such a rule compiles with the form of the factors as a part of its own name, which has to be hashable
    problem = rf.TensorCompletion.from_dense(np.ones((2, 2, 2)))
    start = rf.HierarchicalFactorization.init((2, 2, 2), 2, scale=0.1, key=KEY)
    run = rf.train(problem, start, rf.GradientDescent(optax.adam(1e-2)), stop=rf.Stop(steps=500), progress=False)
    assert run.final.lanes is None and run.final.tree == start.tree and problem.loss_of(run.final) < 1e-2


def test_order_two_is_the_matrix_factorization():
    # a weight for each component between two modes: depth 3 with a diagonal in the middle
    start = drawn((3, 4))
    a, b, root = start.factors
    np.testing.assert_allclose(start.full(), a * root[:, 0] @ b.T, rtol=1e-13)
    assert math.isclose(start.unbalancedness(), drawn((3, 4), (0, 1)).unbalancedness())


def start(shape=(3, 3, 3, 3), widths=2, tree=None, **options):
    return rf.HierarchicalFactorization.init(shape, widths, tree, **({"scale": 1.0, "key": KEY} | options))


EYES, ROOT = [np.eye(2)] * 6, np.ones((2, 1))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rf.HierarchicalFactorization([*EYES[:5], ROOT]), "factors has 6 matrices, but a binary tree"),
        (lambda: rf.HierarchicalFactorization([*EYES, ROOT], (0, 1)), r"factors has 7 matrices, but the tree \(0, 1\)"),
        (lambda: rf.HierarchicalFactorization([*EYES, ROOT], ((0, 1), 1)), "repeats mode 1"),
        (lambda: rf.HierarchicalFactorization([*EYES, np.eye(2)]), r"factors\[6\] has 2 columns, but the root"),
        (
            lambda: rf.HierarchicalFactorization([np.eye(3), *EYES[1:], ROOT]),
            r"factors\[0\] has 3 columns, but factors\[4\], of the node \(0, 1\) above, has 2 rows",
        ),
        (
            lambda: rf.HierarchicalFactorization([*EYES, np.ones((3, 2, 1))]),
            r"factors\[6\] has lanes \(3,\), but factors\[0\] has \(\)",
        ),
        (lambda: rf.HierarchicalFactorization([*EYES, np.ones(2)]), r"factors\[6\] has shape \(2,\), but"),
        (lambda: start(tree=((0, 1), 2)), "lacks mode 3"),
        (lambda: start(widths=[2, 2]), "widths has 2 entries, but the tree has 3 inner nodes"),
        (lambda: start(widths=0), "widths is 0, but"),
        (lambda: start(widths=[2, 2, 0]), r"widths\[2\] is 0, but"),
        (lambda: start(widths=2**30), "widths is .*, but no memory"),
        (lambda: start(kind="identity"), "kind is 'identity', but"),
        (lambda: start(scale=None), "factor_std is None and scale is None, but"),
        (lambda: start(shape=(3,)), r"shape is \(3,\), but"),
        (lambda: start().local_component((0, 2), 0), r"node is \(0, 2\), but must be one of the inner nodes"),
        (lambda: start().local_component((0, 1), 2), r"component is 2, but node \(0, 1\) has 2"),
    ],
)
def test_refusals(call, said):
    with pytest.raises(ValueError, match=said):
        call()
