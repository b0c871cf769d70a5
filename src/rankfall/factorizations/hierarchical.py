"""Hierarchical factorization: a tensor put together along a tree over its modes."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import numpy as np

from .. import _checks
from .._types import Array
from ..measures import mode_tree
from ..measures._namespace import namespace
from ..measures.khatri_rao import khatri_rao
from .base import AbstractFactorization
from .cp import CPFactorization, check_size
from .hierarchical_start import draw
from .tree_weights import check_fit, matrix, mixed


class HierarchicalFactorization(AbstractFactorization):
    """Hierarchical Tucker tensor over a tree of modes, the tensor of a deep convolutional arithmetic circuit.

    Each node has a weight matrix. A leaf, mode ``n``, gives the columns of its own, one vector for each component. An
    inner node multiplies the tensors of its children component by component (outer products), and its matrix mixes
    the products into the components that it gives its parent; the root mixes them into the one tensor.

    Parameters
    ----------
    factors : sequence of arrays, shapes (extent_n, parent's width), then (width, parent's width), last (width, 1)
        The matrices of the leaves, mode by mode; then those of the inner nodes from the bottom up, as in
        `inner_nodes`; the root's last. The width of a node is the number of products that it forms. All have a
        leading axis of lanes when many starts are held together.
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

    def __init__(self, factors: Sequence[Any], tree: Any = None) -> None:
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
        cls, shape: Sequence[int], widths: Any, tree: Any = None, *, key: Any, **options: Any
    ) -> "HierarchicalFactorization":
        """Draw a start, or one for each key of an array of keys.

        Parameters
        ----------
        shape : sequence of int
            Extents of the tensor.
        widths : int, or sequence of int
            Width of every inner node, or of each in the order of `inner_nodes` (from the bottom up, the root last).
        tree : nested tuples of int, optional
            As in the class; by default the balanced binary tree in the order of the modes.
        key : jax.random key, or array of keys, shape (lanes,)
            An array of keys makes lanes.
        **options
            ``kind`` : {"gaussian", "balanced"}, "gaussian" by default. Balanced: the rows and columns of Gaussian
            matrices are rescaled until the vectors of each local component have the same norm.
            ``factor_std`` : standard deviation of an entry of the (Gaussian) matrices.
            ``scale`` : standard deviation of an END-TO-END entry instead.
            ``dtype`` : "float64" or "float32".

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
        return cls(draw(shape, widths, checked, key=key, **options), checked)

    @classmethod
    def from_cp(cls, cp: CPFactorization, tree: Any = None) -> "HierarchicalFactorization":
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
        """Inner nodes of the tree from the bottom up, children before their parent, the root last."""
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
        shape, lanes, itemsize = self.shape, self.lanes or 1, self.factors[0].dtype.itemsize
        check_size(shape, itemsize, lanes)
        for node, width in zip(self.inner_nodes[:-1], self.widths[:-1], strict=True):
            check_size((*(shape[n] for n in mode_tree.leaves(node)), width), itemsize, lanes)
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

    def entries(self, indices: Any) -> Array:
        """Entries of the tensor, without forming it.

        Parameters
        ----------
        indices : array_like of int, shape (n, order)
            0-based places.

        Returns
        -------
        array, shape (..., n)

        Raises
        ------
        ValueError
            If ``indices`` has another shape or a place outside of the tensor.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.HierarchicalFactorization([np.arange(2.0)[:, None]] * 2 + [np.ones((1, 1))]).entries([[1, 1], [0, 1]])
        array([1., 0.])
        """
        return self._entries(_checks.indices("indices", indices, self.shape))

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

    def local_component(self, node: Any, component: int) -> Array:
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

    @property
    def like(self) -> Any:
        """Function that returns other factors in this form, over the same tree.

        It compares equal where the trees do, so that compiled code is shared.
        """
        return _Like(self.tree)

    def _maker(self) -> Any:
        return self.like

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

    def _entries(self, indices: Any) -> Array:
        """As `entries`, for indices that were checked (or are traced)."""
        weights = self._weights()
        rows = [weights[n][..., indices[:, n], :] for n in range(len(self.shape))]
        return mixed(self.tree, rows, weights)[..., 0]


@dataclasses.dataclass(frozen=True)
class _Like:
    tree: mode_tree.Tree

    def __call__(self, factors: Sequence[Any]) -> HierarchicalFactorization:
        return HierarchicalFactorization(factors, self.tree)
