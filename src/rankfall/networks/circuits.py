"""Convolutional arithmetic circuits: linear maps and product pooling, so that the output is a tensor contracted.

On vectors ``x_1, ..., x_N`` a circuit computes ``<A, x_1 x ... x x_N>``: on one-hot vectors, the entry of ``A`` there.
With all products at once (shallow) ``A`` is a CP factorization of the weights; with products along a tree (deep), a
hierarchical one. Weights are not shared across positions.
"""

import math
from collections.abc import Callable, Sequence

import equinox as eqx
import jax

from .. import _checks
from .._types import Array, ArrayLike, TreeLike
from ..factorizations import AbstractModel, CPFactorization, HierarchicalFactorization
from ..factorizations.tree_weights import check_weights, mixed
from ..measures import mode_tree
from ..measures._namespace import floating, namespace

Representation = Callable[[Array], Array]
# One input: an array (positions, features), or a vector for each position.
Input = ArrayLike | Sequence[ArrayLike]


class ShallowCircuit(eqx.Module):
    """Circuit with one hidden layer and global product pooling: ``sum_r output_r prod_n <w_r^n, x_n>``.

    Parameters
    ----------
    weights : sequence of arrays, shapes (extent_n, components)
        One matrix of columns ``w_r^n`` for each position.
    output : array_like, shape (components,) or (components, outputs), optional
        Output weights, ones by default; with an axis of outputs the circuit gives a vector.
    representation : callable, optional
        Applied to each position's raw input (a patch) first, such as an `AffineRepresentation`.

    Raises
    ------
    ValueError
        If there are fewer than two matrices, or they and the output weights differ in components.

    References
    ----------
    Cohen, Sharir and Shashua (2016), section 3; Razin, Maman and Cohen (2021).

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> circuit = rf.networks.ShallowCircuit([np.eye(2)] * 3)
    >>> float(circuit(np.array([[1.0, 2.0]] * 3)))
    9.0
    """

    weights: tuple[Array, ...]
    output: Array
    representation: Representation | None

    def __init__(
        self,
        weights: Sequence[ArrayLike],
        output: ArrayLike | None = None,
        representation: Representation | None = None,
    ) -> None:
        self.weights = _matrices(weights, "a list of matrices, one for each position")
        if len(self.weights) < 2:
            raise ValueError(f"weights has {len(self.weights)} matrices, but a circuit has two positions at least.")
        width = self.weights[0].shape[1]
        for n, w in enumerate(self.weights):
            if w.shape[1] != width:
                raise ValueError(
                    f"weights[{n}] has {w.shape[1]} components, but weights[0] has {width}; all must be equal."
                )
        self.output = _output(output, width, self.weights)
        self.representation = _callable(representation)

    @classmethod
    def from_factorization(cls, cp: CPFactorization, representation: Representation | None = None) -> "ShallowCircuit":
        """Build the circuit whose tensor is that of a CP factorization, with output weights one.

        Parameters
        ----------
        cp : CPFactorization
            A single one.
        representation : callable, optional

        Returns
        -------
        ShallowCircuit
            With the arrays of the factorization, of NumPy or of JAX.

        Raises
        ------
        ValueError
            If ``cp`` is no CP factorization, or lanes of them.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> circuit = rf.networks.ShallowCircuit.from_factorization(rf.CPFactorization([np.eye(2)] * 2))
        >>> float(circuit(rf.networks.one_hot([1, 1], 2)))
        1.0
        """
        _single("cp", cp, CPFactorization)
        return cls(cp.factors, representation=representation)

    def to_factorization(self, output: int | None = None) -> CPFactorization:
        """CP factorization of the circuit's tensor, the output weights multiplied into the first mode.

        Parameters
        ----------
        output : int, optional
            0-based number of the output whose tensor is meant; needed where there are several.

        Returns
        -------
        CPFactorization
            Without the representation, which is no part of the tensor.

        Raises
        ------
        ValueError
            If there are several outputs and none is named, or none of that number.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.networks.ShallowCircuit([np.eye(2)] * 2, output=[3.0, 4.0]).to_factorization().full()
        array([[3., 0.],
               [0., 4.]])
        """
        first, *rest = self.weights
        return CPFactorization([first * _chosen(self.output, output), *rest])

    def __call__(self, inputs: Input) -> Array:
        """Output on one input (`jax.vmap` for many).

        Parameters
        ----------
        inputs : array, shape (positions, features), or sequence of arrays, shapes (extent_n,)
            Raw patches where there is a representation.

        Returns
        -------
        array, shape () or (outputs,)

        Raises
        ------
        ValueError
            If there is another number of positions or of features.
        """
        hidden = _hidden(self.weights, inputs, self.representation)
        return math.prod(hidden[1:], start=hidden[0]) @ self.output


class DeepCircuit(eqx.Module):
    """Circuit whose products are taken along a tree over the positions, with a linear map between any two.

    Parameters
    ----------
    weights : sequence of arrays, shapes (extent_n, parent's width), then (width, parent's width)
        The matrices of all nodes but the root, as in `HierarchicalFactorization`: of the positions, then of the inner
        nodes in the order of its ``inner_nodes``, each right after all that is below it.
    output : array_like, shape (width,) or (width, outputs)
        Output weights, at the root; with an axis of outputs the circuit gives a vector.
    tree : nested tuples of int, optional
        By default the balanced binary tree in the order of the positions.
    representation : callable, optional
        Applied to each position's raw input (a patch) first, such as an `AffineRepresentation`.

    Raises
    ------
    ValueError
        If the tree does not hold every position exactly once, or the weights are not as many or of other shapes than
        it asks for.

    References
    ----------
    Cohen, Sharir and Shashua (2016), section 4; Razin, Maman and Cohen (2022), section 3.

    Examples
    --------
    >>> import numpy as np, rankfall as rf
    >>> circuit = rf.networks.DeepCircuit([np.eye(2)] * 6, output=[1.0, 1.0])
    >>> float(circuit(np.array([[1.0, 2.0]] * 4)))
    17.0
    """

    weights: tuple[Array, ...]
    output: Array
    representation: Representation | None
    tree: mode_tree.Tree = eqx.field(static=True)

    def __init__(
        self,
        weights: Sequence[ArrayLike],
        output: ArrayLike,
        tree: TreeLike | None = None,
        representation: Representation | None = None,
    ) -> None:
        self.weights = _matrices(weights, "a list of one matrix for each node but the root")
        count = len(self.weights)
        if tree is None and (count < 2 or count % 2):
            raise ValueError(
                f"weights has {count} matrices, but a binary tree of N positions, the default, has 2 N - 2 nodes below "
                "its root and two positions or more; pass tree."
            )
        self.tree = mode_tree.checked("tree", tree, count // 2 + 1 if tree is None else None)
        expected = len(mode_tree.nodes(self.tree)) - 1
        if count != expected:
            raise ValueError(
                f"weights has {count} matrices, but the tree {_checks.shortened(self.tree)} has {expected} nodes below "
                "its root."
            )
        width = self.weights[self._below_root()[0]].shape[1]
        self.output = _output(output, width, self.weights)
        names = [*(f"weights[{j}]" for j in range(count)), "output"]
        matrix = self.output if self.output.ndim == 2 else self.output[:, None]
        check_weights(names, (*self.weights, matrix), self.tree)
        self.representation = _callable(representation)

    @classmethod
    def from_factorization(
        cls, hierarchical: HierarchicalFactorization, representation: Representation | None = None
    ) -> "DeepCircuit":
        """Build the circuit whose tensor is that of a hierarchical factorization.

        Parameters
        ----------
        hierarchical : HierarchicalFactorization
            A single one.
        representation : callable, optional

        Returns
        -------
        DeepCircuit
            With the arrays of the factorization, of NumPy or of JAX; the root's are the output weights.

        Raises
        ------
        ValueError
            If ``hierarchical`` is no hierarchical factorization, or lanes of them.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> deep = rf.HierarchicalFactorization.from_cp(rf.CPFactorization([np.eye(2)] * 3))
        >>> float(rf.networks.DeepCircuit.from_factorization(deep)(rf.networks.one_hot([1, 1, 1], 2)))
        1.0
        """
        _single("hierarchical", hierarchical, HierarchicalFactorization)
        *weights, root = hierarchical.factors
        return cls(weights, root[:, 0], hierarchical.tree, representation)

    def to_factorization(self, output: int | None = None) -> HierarchicalFactorization:
        """Hierarchical factorization of the circuit's tensor, the output weights at its root.

        Parameters
        ----------
        output : int, optional
            0-based number of the output whose tensor is meant; needed where there are several.

        Returns
        -------
        HierarchicalFactorization
            Without the representation, which is no part of the tensor.

        Raises
        ------
        ValueError
            If there are several outputs and none is named, or none of that number.

        Examples
        --------
        >>> import numpy as np, rankfall as rf
        >>> rf.networks.DeepCircuit([np.eye(2)] * 2, output=[3.0, 4.0]).to_factorization().full()
        array([[3., 0.],
               [0., 4.]])
        """
        return HierarchicalFactorization([*self.weights, _chosen(self.output, output)[:, None]], self.tree)

    def __call__(self, inputs: Input) -> Array:
        """Output on one input (`jax.vmap` for many).

        Parameters
        ----------
        inputs : array, shape (positions, features), or sequence of arrays, shapes (extent_n,)
            Raw patches where there is a representation.

        Returns
        -------
        array, shape () or (outputs,)

        Raises
        ------
        ValueError
            If there is another number of positions or of features.
        """
        hidden = _hidden(self.weights[: len(mode_tree.leaves(self.tree))], inputs, self.representation)
        weights = dict(zip(mode_tree.nodes(self.tree), (*self.weights, self.output), strict=True))
        return mixed(self.tree, hidden, weights)

    def _below_root(self) -> list[int]:
        nodes = mode_tree.nodes(self.tree)
        return [nodes.index(child) for child in self.tree]


def _matrices(weights: Sequence[ArrayLike], expected: str) -> tuple[Array, ...]:
    listed = _checks.sequence("weights", weights, expected)
    matrices = tuple(floating(f"weights[{j}]", w) for j, w in enumerate(listed))
    for j, w in enumerate(matrices):
        if w.ndim != 2 or 0 in w.shape:
            raise ValueError(f"weights[{j}] has shape {tuple(w.shape)}, but must be a matrix.")
    return matrices


def _output(output: ArrayLike | None, width: int, weights: Sequence[Array]) -> Array:
    xp, dtype = namespace(*weights), weights[0].dtype
    array = xp.ones(width, dtype) if output is None else floating("output", output)
    if array.ndim not in (1, 2) or 0 in array.shape or array.shape[0] != width:
        raise ValueError(
            f"output has shape {tuple(array.shape)}, but must be ({width},) or ({width}, outputs), a weight for each "
            "component."
        )
    return array


def _callable(representation: Representation | None) -> Representation | None:
    if representation is not None and not callable(representation):
        raise ValueError(
            f"representation is {_checks.shortened(representation)}, but must be a function of one position's input."
        )
    return representation


def _single(name: str, value: AbstractModel, kind: type[AbstractModel]) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{name} is {_checks.shortened(value)}, but must be a {kind.__name__}.")
    if value.lanes is not None:
        raise ValueError(f"{name} has {value.lanes} lanes, but a circuit is one network; take {name}.lane(0).")


def _chosen(weights: Array, output: int | None) -> Array:
    """Output weights of one output, shape (width,)."""
    count = 1 if weights.ndim == 1 else weights.shape[1]
    if output is None and count > 1:
        raise ValueError(f"output is None, but the circuit has {count} outputs, each with a tensor; name one.")
    index = 0 if output is None else _checks.integer("output", output, 0)
    if index >= count:
        raise ValueError(f"output is {index}, but the circuit has {count}; the first is output 0.")
    return weights if weights.ndim == 1 else weights[:, index]


def _hidden(weights: Sequence[Array], inputs: Input, representation: Representation | None) -> list[Array]:
    """Components of every position, ``<w_r^n, x_n>``, each of shape (components,)."""
    if isinstance(inputs, tuple | list):
        vectors = [floating(f"inputs[{n}]", x) for n, x in enumerate(inputs)]
    else:
        array = floating("inputs", inputs)
        if array.ndim != 2:
            raise ValueError(
                f"inputs has shape {tuple(array.shape)}, but must be (positions, features); many inputs go through "
                "jax.vmap."
            )
        if representation is not None:
            array = jax.vmap(representation)(array)
        vectors = list(array)
    if representation is not None and isinstance(inputs, tuple | list):
        vectors = [representation(x) for x in vectors]
    if len(vectors) != len(weights):
        raise ValueError(f"inputs has {len(vectors)} positions, but the circuit has {len(weights)}.")
    for n, (x, w) in enumerate(zip(vectors, weights, strict=True)):
        if tuple(x.shape) != (w.shape[0],):
            raise ValueError(
                f"inputs[{n}] has {tuple(x.shape)} features, but the weights of position {n} take {w.shape[0]}."
            )
    return [x @ w for x, w in zip(vectors, weights, strict=True)]
