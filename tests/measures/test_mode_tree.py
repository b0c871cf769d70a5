"""Trees of modes: what is one, and the order of its nodes."""

import numpy as np
import pytest

from rankfall.measures import mode_tree


def test_neighbours_are_pooled_level_by_level():
    pooled = mode_tree.pooled_tree
    assert pooled(2) == pooled(2, 3) == (0, 1) and pooled(4) == ((0, 1), (2, 3))
    assert pooled(8) == mode_tree.binary(8) and pooled(6) != mode_tree.binary(6)
    # the last group is smaller; of one it is the node itself, on as many levels as it stays alone
    assert pooled(3) == ((0, 1), 2)
    assert pooled(6) == (((0, 1), (2, 3)), (4, 5))
    assert pooled(9) == ((((0, 1), (2, 3)), ((4, 5), (6, 7))), 8)
    assert pooled(5, 3) == ((0, 1, 2), (3, 4)) and pooled(4, 3) == ((0, 1, 2), 3)
    for order in range(2, 30):
        for size in range(2, 6):
            assert mode_tree.checked("tree", pooled(order, size), order) == pooled(order, size)


def test_binary_trees_are_balanced_and_in_order():
    assert mode_tree.checked("tree", None, 4) == ((0, 1), (2, 3))
    assert mode_tree.checked("tree", None, 5) == (((0, 1), 2), (3, 4))
    assert mode_tree.checked("tree", None, 2) == (0, 1)
    for order in range(2, 20):
        assert mode_tree.leaves(mode_tree.binary(order)) == tuple(range(order))


def test_nodes_come_from_the_bottom_up():
    tree = mode_tree.checked("tree", [[3, [0, np.int64(2)]], 1], 4)
    assert tree == ((3, (0, 2)), 1)
    assert mode_tree.inner_nodes(tree) == ((0, 2), (3, (0, 2)), tree)
    assert mode_tree.nodes(tree) == (0, 1, 2, 3, *mode_tree.inner_nodes(tree))
    assert mode_tree.leaves(tree) == (3, 0, 2, 1)
    assert mode_tree.checked("tree", (0, 1, 2)) == (0, 1, 2)


def test_parents_come_before_children():
    tree = mode_tree.checked("tree", ((3, (0, 2)), 1), 4)
    assert mode_tree.parents_first(tree) == (tree, (3, (0, 2)), 3, (0, 2), 0, 2, 1)


def deep(levels):
    tree = 0
    for _ in range(levels):
        tree = (tree, 1)
    return tree


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (
            ((0, 1), 2),
            r"^tree is \(\(0, 1\), 2\), which lacks mode 3, but must be nested tuples that hold each of the modes 0 to "
            r"3 once, such as \(\(0, 1\), \(2, 3\)\)\.$",
        ),
        (((0, 1), (2, 2)), "lacks mode 3 and repeats mode 2"),
        (((0, 1), (2, 3), 4), "names mode 4"),
        (((0, 1), (2, 4)), "lacks mode 3 and names mode 4"),
        (((0, 1), ((2, 3),)), r"two children or more, and \(\(2, 3\),\) has 1"),
        ((), "two children or more"),
        (((0, 1), (2, -3)), "holds -3, but must be nested tuples"),
        (((0, 1), (2, True)), "holds True"),
        (((0, 1), (2, 3.0)), "holds 3.0"),
        ("0123", "tree is '0123', but must be nested tuples"),
        (3, "tree is 3, but"),
        (deep(5000), "tree is an object of type tuple, but must be nested tuples"),
    ],
)
def test_what_is_no_tree_is_refused(tree, said):
    with pytest.raises(ValueError, match=said):
        mode_tree.checked("tree", tree, 4)
