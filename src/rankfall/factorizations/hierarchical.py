"""Hierarchical factorization: a tensor put together along a tree over its modes."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._declared import declared
from .._types import Array, ArrayLike, DTypeLike, Key, Probe, Self, TreeLike
from ..measures import mode_tree
from ..measures._namespace import namespace
from ..measures.khatri_rao import khatri_rao
from .base import AbstractFactorization
from .cp import CPFactorization, check_size
from .hierarchical_start import draw
from .tree_weights import check_fit, from_levels, matrix, mixed


@declared("factorization", "hierarchical", lanes=("scale", "factor_std"), widths=int | list[int], tree=list | None)
class HierarchicalFactorization(AbstractFactorization):
    """Hierarchical Tucker tensor over a tree of modes, the tensor of a deep convolutional arithmetic circuit.

    Made of arrays that you have, as here, node by node; level by level, `from_levels`; of a CP factorization,
    `from_cp`; or drawn: `init`.

    Each node has a weight matrix. A leaf, mode ``n``, gives the columns of its own, one vector for each component. An
    inner node multiplies the tensors of its children component by component (outer products), and its matrix mixes
    the products into the components that it gives its parent; the root mixes them into the one tensor.

    Parameters
    ----------
    factors : sequence of arrays, shapes (extent_n, parent's width), then (width, parent's width), last (width, 1)
        The matrices of the leaves, mode by mode; then those of the inner nodes in the order of `inner_nodes`, each
        right after all that is below it: of eight modes (0, 1), (2, 3), ((0, 1), (2, 3)), (4, 5), (6, 7), and so on;
        the root's last. Weights listed level by level, where (4, 5) is the third, are for `from_levels`: here they
        are another tensor, and nothing shows it if their shapes fit. The width of a node is the number of products
        that it forms. All have a leading axis of lanes when many starts are held together.
    tree : nested tuples of int, optional
        A leaf is the number of its mode, an inner node the tuple of its children, two or more: ``((0, 1), (2, 3))``.
        By default the balanced binary tree in the order of the modes.

    Raises
    ------
    ValueError
        If the tree does not hold every mode exactly once, or the factors are not as many or of other shapes than it
        asks for.

    Notes
    -----
    With one inner node, ``(0, 1, ..., N - 1)``, it is the CP factorization with a weight for each component.

    References
    ----------
    Razin, Maman and Cohen (2022), section 3.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> leaves, inner, root = [np.eye(2)] * 4, [np.eye(2)] * 2, np.ones((2, 1))
    >>> tensor = rf.HierarchicalFactorization([*leaves, *inner, root], ((0, 1), (2, 3))).full()
    >>> tensor.shape, np.argwhere(tensor).tolist()
    ((2, 2, 2, 2), [[0, 0, 0, 0], [1, 1, 1, 1]])
    """

    factors: tuple[Array, ...]
    tree: mode_tree.Tree = eqx.field(static=True)

    def __init__(self, factors: Sequence[ArrayLike], tree: TreeLike | None = None) -> None:
        listed = _checks.sequence("factors", factors, "a list of one matrix for each node")
        order = (len(listed) + 1) // 2 if tree is None else None
        if tree is None and (len(listed) < 3 or len(listed) % 2 == 0):
            raise ValueError(
                f"factors has {len(listed)} matrices, but a binary tree of N modes, the default, has 2 N - 1 nodes and "
                "two modes or more; pass tree."
            )
        self.tree = mode_tree.checked("tree", tree, order)
        self.factors = tuple(matrix(f"factors[{j}]", w) for j, w in enumerate(listed))
        check_fit(self.factors, self.tree)

    @classmethod
    def init(
        cls,
        shape: Sequence[int],
        widths: int | Sequence[int] | np.ndarray,
        tree: TreeLike | None = None,
        *,
        key: Key,
        kind: str = "gaussian",
        factor_std: ArrayLike | None = None,
        scale: ArrayLike | None = None,
        dtype: DTypeLike = "float64",
    ) -> Self:
        """Draw a start, or one for each key of an array of keys.

        Parameters
        ----------
        shape : sequence of int
            Extents of the tensor.
        widths : int, or sequence of int
            Width of every inner node, or of each in the order of `inner_nodes` (the root last).
        tree : nested tuples of int, optional
            As in the class; by default the balanced binary tree in the order of the modes.
        key : jax.random key, or array of keys, shape (lanes,)
            An array of keys makes lanes.
        kind : {"gaussian", "balanced"}
            Balanced: the rows and columns of Gaussian matrices are rescaled until the vectors of each local component
            have the same norm.
        factor_std : float, or array_like, shape (lanes,), optional
            Standard deviation of an entry of the (Gaussian) matrices.
        scale : float, or array_like, shape (lanes,), optional
            Standard deviation of an END-TO-END entry instead.
        dtype : {"float64", "float32"}

        Returns
        -------
        HierarchicalFactorization
            Factors as NumPy arrays, with a leading lane axis if ``key`` or the size has one.

        Raises
        ------
        ValueError
            If a number is out of range, the tree does not hold every mode exactly once, ``widths`` is not one for each
            inner node, or the factors do not fit in memory.

        References
        ----------
        Razin, Maman and Cohen (2022), section 4 and appendix (Gaussian factors of deviation 1e-2).

        Examples
        --------
        >>> import jax, rankfall as rf
        >>> start = rf.HierarchicalFactorization.init((8, 8, 8, 8), 5, factor_std=1e-2, key=jax.random.key(0))
        >>> start.tree, start.widths
        (((0, 1), (2, 3)), (5, 5, 5))
        """
        order = len(_checks.tensor_shape("shape", shape))
        checked = mode_tree.checked("tree", tree, order)
        drawn = draw(shape, widths, checked, key=key, kind=kind, factor_std=factor_std, scale=scale, dtype=dtype)
        return cls(drawn, checked)

    @classmethod
    def from_levels(cls, levels: Sequence[Sequence[ArrayLike]], size: int = 2) -> Self:
        """Factorization of weights listed level by level, as the released code of Razin, Maman and Cohen holds them.

        Parameters
        ----------
        levels : sequence of lists of arrays, shapes (extent_n, parent's width), then (width, parent's width)
            ``levels[0]`` has the matrices of the modes, ``levels[1]`` those of the groups that these are pooled to, in
            their order, and so on from the leaves up; the last list has one matrix, of the root, ``(width, 1)``. With a
            model of the released code: its ``per_hidden_layer_parameter_lists``, then
            ``[output_layer_parameters]``, all as NumPy arrays. Each may have a leading axis of lanes.
        size : int
            How many neighbours are pooled to a group, on every level; the last group of a level may be smaller.

        Returns
        -------
        HierarchicalFactorization
            Over the tree `rankfall.factorizations.pooled_tree`, of the same tensor. A group of one has a matrix in
            the released code and no node here: a product over one child is the child itself, so its matrix ``C`` and
            that of the group ``V`` are kept as the one matrix ``C V``.

        Raises
        ------
        ValueError
            If a level does not have a matrix for each group, widths of neighbouring levels differ, or there are too
            few or too many levels.

        Notes
        -----
        The factors of the class itself are in another order wherever a level has more than one inner node above
        others: see there. Training with ``C V`` for two matrices is training with one layer fewer at this place.

        References
        ----------
        Razin, Maman and Cohen (2022), section 3 and the released code (pooling of adjacent modes, "checkerboard").

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> leaves, pairs, root = [np.ones((2, 3))] * 6, [np.ones((3, 3))] * 3, np.ones((3, 1))
        >>> deep = rf.HierarchicalFactorization.from_levels([leaves, pairs, [np.ones((3, 3))] * 2, [root]])
        >>> deep.tree, deep.widths
        ((((0, 1), (2, 3)), (4, 5)), (3, 3, 3, 3, 3))
        """
        return cls(*from_levels(levels, size))

    @classmethod
    def from_cp(cls, cp: CPFactorization, tree: TreeLike | None = None) -> Self:
        """Write a CP factorization along a tree: its vectors at the leaves, identities above, ones at the root.

        Parameters
        ----------
        cp : CPFactorization
            Single, or lanes.
        tree : nested tuples of int, optional
            As in the class; by default the balanced binary tree in the order of the modes.

        Returns
        -------
        HierarchicalFactorization
            Of the same tensor; all widths are the number of components.

        Raises
        ------
        ValueError
            If ``cp`` is no CP factorization, or the tree does not hold its modes exactly once.

        References
        ----------
        Cohen, Sharir and Shashua (2016), section 4.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> cp = rf.CPFactorization([np.eye(2)] * 3)
        >>> deep = rf.HierarchicalFactorization.from_cp(cp)
        >>> deep.tree, bool((deep.full() == cp.full()).all())
        (((0, 1), 2), True)
        """
        if not isinstance(cp, CPFactorization):
            raise ValueError(f"cp is {_checks.shortened(cp)}, but must be a CPFactorization.")
        checked = mode_tree.checked("tree", tree, len(cp.shape))
        xp, width, first = namespace(*cp.factors), cp.components, cp.factors[0]
        above = [np.eye(width)] * (len(mode_tree.inner_nodes(checked)) - 1) + [np.ones((width, 1))]
        weights = [xp.broadcast_to(xp.asarray(w, first.dtype), (*first.shape[:-2], *w.shape)) for w in above]
        return cls([*cp.factors, *weights], checked)

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents of the tensor."""
        return tuple(int(w.shape[-2]) for w in self.factors[: len(mode_tree.leaves(self.tree))])

    @property
    def inner_nodes(self) -> tuple[mode_tree.Tree, ...]:
        """Inner nodes of the tree, each right after all that is below it (depth first), the root last."""
        return mode_tree.inner_nodes(self.tree)

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of products that each of the `inner_nodes` forms."""
        return tuple(int(self._weights()[node].shape[-2]) for node in self.inner_nodes)

    @property
    def lanes(self) -> int | None:
        """Number of lanes, ``None`` for a single start."""
        return int(self.factors[0].shape[0]) if self.factors[0].ndim == 3 else None

    def full(self) -> Array:
        """Form the tensor; NumPy for NumPy factors.

        Returns
        -------
        array, shape (..., *shape)

        Raises
        ------
        ValueError
            If the tensor, or what a node forms on the way to it, would not fit in memory; `entries` needs no more than
            the entries asked for.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.HierarchicalFactorization([np.full((2, 1), 2.0), np.full((2, 1), 3.0), np.ones((1, 1))]).full()
        array([[6., 6.],
               [6., 6.]])
        """
        shape, lanes, leaf = self.shape, self.lanes, self.factors[0]
        check_size(shape, leaf, lanes)
        for node, width in zip(self.inner_nodes[:-1], self.widths[:-1], strict=True):
            check_size((*(shape[n] for n in mode_tree.leaves(node)), width), leaf, lanes)
        weights = self._weights()

        def formed(node: mode_tree.Node) -> Array:
            """Tensors that a node gives its parent, shape (..., product of extents below, width of the parent)."""
            if not isinstance(node, tuple):
                return weights[node]
            return khatri_rao([formed(child) for child in node]) @ weights[node]

        # At the root one matrix product of two halves, so that nothing larger than the tensor is formed.
        children = [formed(child) for child in self.tree]
        half = len(children) // 2
        left = khatri_rao(children[:half]) * weights[self.tree].swapaxes(-1, -2)
        product = left @ khatri_rao(children[half:]).swapaxes(-1, -2)
        modes = mode_tree.leaves(self.tree)
        lead = self.factors[0].ndim - 2
        ordered = product.reshape(*product.shape[:lead], *(shape[n] for n in modes))
        return ordered.transpose(*range(lead), *(lead + modes.index(n) for n in range(len(modes))))

    def entries_at(self, indices: Array) -> Array:
        """Entries, for indices that were checked or are traced."""
        weights = self._weights()
        rows = [weights[n][..., indices[:, n], :] for n in range(len(self.shape))]
        return mixed(self.tree, rows, weights)[..., 0]

    def local_component_norms(self) -> tuple[Array, ...]:
        """Norm of each local component: of row ``r`` of the node's matrix times those of its children's columns ``r``.

        Returns
        -------
        tuple of arrays, shapes (..., width)
            One for each of the `inner_nodes`, the root's last.

        References
        ----------
        Razin, Maman and Cohen (2022), definition 2.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> cp = rf.CPFactorization([np.eye(2), 2 * np.eye(2), 3 * np.eye(2)])
        >>> rf.HierarchicalFactorization.from_cp(cp).local_component_norms()
        (array([2., 2.]), array([3., 3.]))
        """
        xp = namespace(*self.factors)
        return tuple(math.prod((xp.sqrt(s) for s in rest), start=xp.sqrt(row)) for row, *rest in self._squares())

    def local_component(self, node: mode_tree.Tree, component: int) -> Array:
        """Direction of a local component: the tensor without the node's other ones, divided by the component's norm.

        Parameters
        ----------
        node : tuple
            One of the `inner_nodes`.
        component : int
            0-based number of the local component, below the node's width.

        Returns
        -------
        array, shape (..., *shape)
            Zero where the norm is.

        Raises
        ------
        ValueError
            If there is no such node or component, or the tensor would not fit in memory.

        Notes
        -----
        Balanced gradient flow moves the norm by ``s' = L s^(2 - 2/L) <-gradient, direction>``, ``L`` being one more
        than the number of children.

        References
        ----------
        Razin, Maman and Cohen (2022), theorem 1.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> deep = rf.HierarchicalFactorization.from_cp(rf.CPFactorization([np.eye(2), 2 * np.eye(2)]))
        >>> deep.local_component((0, 1), 1)
        array([[0., 0.],
               [0., 1.]])
        """
        known = self.inner_nodes
        if not isinstance(node, tuple) or node not in known:
            raise ValueError(
                f"node is {_checks.shortened(node)}, but must be one of the inner nodes {_checks.shortened(known)}."
            )
        at = known.index(node)
        width = self.widths[at]
        if _checks.integer("component", component, 0) >= width:
            raise ValueError(f"component is {component}, but node {node} has {width}; the first is component 0.")
        place = len(self.shape) + at
        xp = namespace(*self.factors)
        norm = self.local_component_norms()[at][..., component]
        # A row of zeros stays one: the tensor is then divided by 1.
        size = xp.where(norm > 0, norm, xp.ones_like(norm))[..., None, None]
        only = (np.arange(width) == component)[:, None]
        alone = xp.where(only, self.factors[place] / size, xp.zeros_like(self.factors[place]))
        return self.like([*self.factors[:place], alone, *self.factors[place + 1 :]]).full()

    def unbalancedness(self) -> Array:
        """Largest difference of squared norms in one local component, which gradient flow conserves.

        Returns
        -------
        array, shape (...)

        References
        ----------
        Razin, Maman and Cohen (2022), definition 3.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> float(rf.HierarchicalFactorization([np.eye(2), 2 * np.eye(2), np.ones((2, 1))]).unbalancedness())
        3.0
        """
        xp = namespace(*self.factors)
        stacks = [xp.stack(squares) for squares in self._squares()]
        return xp.stack([(s.max(axis=0) - s.min(axis=0)).max(axis=-1) for s in stacks]).max(axis=0)

    def conserved(self) -> tuple[Array, ...]:
        """Differences of the squared norms of a local component's vectors, of every inner node."""
        stacks = [namespace(*self.factors).stack(squares) for squares in self._squares()]
        return tuple(s[1:] - s[:-1] for s in stacks)

    def probes(self) -> list[Probe]:
        """Norms of the local components, node after node, and unbalancedness, with what every matrix has."""
        norms = Probe("local_component_norms", _local_component_norms, ("local_component",))
        return [*super().probes(), norms, Probe("unbalancedness", _unbalancedness)]

    @property
    def maker(self) -> "_Maker":
        """Function that makes a factorization over the same tree of other factors; equal where the trees are."""
        return _Maker(self.tree)

    def describe(self) -> dict[str, Any]:
        """Facts about the factorization that are written into every result."""
        return {"factorization": type(self).__name__, "tree": str(self.tree), "widths": list(self.widths)}

    def _weights(self) -> dict[mode_tree.Node, Array]:
        return dict(zip(mode_tree.nodes(self.tree), self.factors, strict=True))

    def _squares(self) -> tuple[list[Array], ...]:
        """Squared norms of the vectors of every local component, by node: the row, then the children's columns."""
        weights = self._weights()
        return tuple(
            [(weights[node] ** 2).sum(axis=-1), *((weights[child] ** 2).sum(axis=-2) for child in node)]
            for node in self.inner_nodes
        )


def _local_component_norms(model: HierarchicalFactorization, end_to_end: Array) -> Array:
    return namespace(*model.factors).concatenate(model.local_component_norms(), axis=-1)


def _unbalancedness(model: HierarchicalFactorization, end_to_end: Array) -> Array:
    return model.unbalancedness()


@dataclasses.dataclass(frozen=True)
class _Maker:
    tree: mode_tree.Tree

    def __call__(self, factors: Sequence[ArrayLike]) -> HierarchicalFactorization:
        return HierarchicalFactorization(factors, self.tree)
