"""Convolutional arithmetic circuits against the tensors that they compute with."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.networks import AffineRepresentation, DeepCircuit, ShallowCircuit, one_hot, patches

KEY = jax.random.key(0)
SHAPE = (3, 3, 3, 3)
CP = rf.CPFactorization.init(SHAPE, 5, factor_std=1.0, key=KEY)
TREES = [None, ((0, 2), (1, 3)), (0, 1, 2, 3), (((3, 1), 0), 2)]


def deep(tree=None, shape=SHAPE):
    return rf.HierarchicalFactorization.init(shape, 4, tree, factor_std=1.0, key=KEY)


def contraction(tensor, vectors):
    for x in vectors:
        tensor = np.tensordot(x, tensor, (0, 0))
    return tensor


MODELS = [(ShallowCircuit, CP), *((DeepCircuit, deep(tree)) for tree in TREES)]


@pytest.mark.parametrize(("kind", "model"), MODELS)
def test_outputs_are_entries_and_contractions(kind, model):
    circuit, tensor = kind.from_factorization(model), model.full()
    size = abs(tensor).max()
    places = np.array(list(np.ndindex(SHAPE)))
    with double_precision():
        entries = jax.jit(jax.vmap(circuit))(one_hot(places, 3))
        inputs = np.random.default_rng(0).normal(size=(10, 4, 3))
        outputs = jax.vmap(circuit)(inputs)
    np.testing.assert_allclose(entries.reshape(SHAPE), tensor, rtol=1e-12, atol=1e-12 * size)
    np.testing.assert_allclose(entries, model.entries(places), rtol=1e-12, atol=1e-12 * size)
    expected = [contraction(tensor, x) for x in inputs]
    np.testing.assert_allclose(outputs, expected, rtol=1e-12, atol=1e-12 * size)
    # in NumPy alone, too
    assert isinstance(circuit(inputs[0]), np.generic | np.ndarray)
    np.testing.assert_allclose(circuit(inputs[0]), expected[0], rtol=1e-12, atol=1e-12 * size)
    assert circuit.to_factorization().lanes is None
    for a, b in zip(circuit.to_factorization().factors, model.factors, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("kind", "model"), MODELS)
def test_gradients_in_the_weights_are_those_of_the_factors(kind, model):
    circuit, inputs = kind.from_factorization(model), np.random.default_rng(1).normal(size=(6, 4, 3))
    targets = np.random.default_rng(2).normal(size=6)
    cubes = np.stack([np.einsum("a,b,c,d->abcd", *x) for x in inputs])

    def loss_of_circuit(c):
        return ((jax.vmap(c)(inputs) - targets) ** 2).sum()

    def loss_of_tensor(f):
        return ((jnp.tensordot(cubes, f.full(), 4) - targets) ** 2).sum()

    with double_precision():
        ours, theirs = jax.jit(lambda c, f: (jax.grad(loss_of_circuit)(c), jax.grad(loss_of_tensor)(f)))(circuit, model)
        ours, theirs = jax.tree.map(np.asarray, ours), jax.tree.map(np.asarray, theirs).factors
    expected = theirs if kind is ShallowCircuit else theirs[:-1]
    for a, b in zip(ours.weights, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-11 * abs(b).max())
    if kind is DeepCircuit:
        np.testing.assert_allclose(ours.output, theirs[-1][:, 0], rtol=1e-11, atol=1e-11 * abs(ours.output).max())


def test_sensing_the_tensor_is_training_the_circuit():
    # squared error of a circuit on real inputs is tensor sensing with rank-one measurements
    inputs, values = np.random.default_rng(3).normal(size=(9, 3, 2)), np.arange(9.0)
    problem = rf.TensorSensing(np.stack([np.einsum("a,b,c->abc", *x) for x in inputs]), values)
    start = rf.CPFactorization.init((2, 2, 2), 3, factor_std=0.5, key=KEY)
    run = rf.train(problem, start, rf.GradientDescent(1e-4), stop=rf.Stop(steps=50), progress=False)
    with double_precision():
        circuit = ShallowCircuit.from_factorization(start)

        def loss(weights):
            moved = ShallowCircuit(weights, circuit.output)
            return ((jax.vmap(moved)(inputs) - values) ** 2).sum() / 2

        @jax.jit
        def step(weights):
            return jax.tree.map(lambda w, g: w - 1e-4 * g, weights, jax.grad(loss)(weights))

        weights = circuit.weights
        for _ in range(50):
            weights = step(weights)
    for a, b in zip(weights, run.final.factors, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_output_weights_and_several_outputs():
    rng = np.random.default_rng(4)
    inputs = rng.normal(size=(4, 3))
    mixed = rng.normal(size=(5, 2))
    shallow = ShallowCircuit(CP.factors, mixed)
    assert shallow(inputs).shape == (2,)
    for k in range(2):
        tensor = np.einsum("ar,br,cr,dr,r->abcd", *CP.factors, mixed[:, k])
        np.testing.assert_allclose(shallow.to_factorization(k).full(), tensor, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(shallow(inputs)[k], contraction(tensor, inputs), rtol=1e-11, atol=1e-12)
    tree = deep()
    circuit = DeepCircuit(tree.factors[:-1], rng.normal(size=(4, 3)))
    assert circuit(inputs).shape == (3,) and circuit.to_factorization(2).tree == ((0, 1), (2, 3))
    for k in range(3):
        tensor = circuit.to_factorization(k).full()
        np.testing.assert_allclose(circuit(inputs)[k], contraction(tensor, inputs), rtol=1e-11, atol=1e-12)
    with pytest.raises(ValueError, match="output is None, but the circuit has 3 outputs"):
        circuit.to_factorization()
    with pytest.raises(ValueError, match="output is 3, but the circuit has 3"):
        circuit.to_factorization(3)


def test_modes_of_other_extents_take_a_list_of_vectors():
    shape = (2, 3, 4)
    model = rf.CPFactorization.init(shape, 3, factor_std=1.0, key=KEY)
    hierarchical = rf.HierarchicalFactorization.from_cp(model)
    for circuit in (ShallowCircuit.from_factorization(model), DeepCircuit.from_factorization(hierarchical)):
        got = [float(circuit(one_hot(place, shape))) for place in np.ndindex(shape)]
        np.testing.assert_allclose(np.reshape(got, shape), model.full(), rtol=1e-12, atol=1e-13)
        with double_precision():
            places = np.array(list(np.ndindex(shape)))
            outputs = jax.vmap(circuit)(one_hot(places, shape))
        np.testing.assert_allclose(outputs.reshape(shape), model.full(), rtol=1e-12, atol=1e-13)


def test_one_hot():
    np.testing.assert_array_equal(one_hot([[0, 1], [2, 2]], 3), np.eye(3)[[[0, 1], [2, 2]]])
    traced = jax.jit(lambda i: one_hot(i, 3))(jnp.array([2, 0]))
    np.testing.assert_array_equal(traced, np.eye(3)[[2, 0]])
    assert [v.shape for v in one_hot([[0, 1]] * 5, (2, 3))] == [(5, 2), (5, 3)]


def test_patches_of_images_are_cut_in_order():
    images = np.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    cut = patches(images, (2, 3))
    assert cut.shape == (2, 4, 18)
    for n, (row, column) in enumerate([(0, 0), (0, 3), (2, 0), (2, 3)]):
        part = images[:, row : row + 2, column : column + 3]
        np.testing.assert_array_equal(cut[:, n], part.reshape(2, -1))
    assert isinstance(patches(jnp.asarray(images), 2), jax.Array)


@pytest.mark.parametrize("kind", [ShallowCircuit, DeepCircuit])
def test_images_through_a_representation(kind):
    images = np.random.default_rng(5).normal(size=(3, 4, 4, 1)).astype(np.float32)
    represent = AffineRepresentation(4, 3, jax.nn.softmax, key=KEY)
    model = CP if kind is ShallowCircuit else deep()
    circuit, plain = (kind.from_factorization(model, f) for f in (represent, None))
    cut = patches(images, 2)
    outputs = jax.jit(jax.vmap(circuit))(cut)
    features = jax.vmap(jax.vmap(represent))(cut)
    np.testing.assert_allclose(features.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(outputs, jax.vmap(plain)(features), rtol=1e-4, atol=1e-5)
    listed = circuit([jnp.asarray(x) for x in cut[0]])
    np.testing.assert_allclose(listed, outputs[0], rtol=1e-4, atol=1e-5)
    slope = eqx.filter_grad(lambda c: (jax.vmap(c)(cut) ** 2).sum())(circuit)
    assert slope.representation.weight.shape == (3, 4) and abs(slope.representation.weight).max() > 0


EYE, EYES = np.eye(2), [np.eye(2)] * 6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ShallowCircuit([EYE]), "weights has 1 matrices, but"),
        (lambda: ShallowCircuit([EYE, np.eye(3)]), r"weights\[1\] has 3 components, but weights\[0\] has 2"),
        (lambda: ShallowCircuit([EYE, np.ones(2)]), r"weights\[1\] has shape \(2,\), but"),
        (lambda: ShallowCircuit([EYE, EYE], [1.0]), r"output has shape \(1,\), but must be \(2,\)"),
        (lambda: ShallowCircuit.from_factorization(CP.as_lanes()), "cp has 1 lanes, but a circuit is one network"),
        (lambda: DeepCircuit.from_factorization(deep().as_lanes()), "hierarchical has 1 lanes, but"),
        (lambda: DeepCircuit(EYES[:5], [1.0, 1.0]), "weights has 5 matrices, but a binary tree"),
        (lambda: DeepCircuit(EYES, [1.0, 1.0], (0, 1)), r"weights has 6 matrices, but the tree \(0, 1\) has 2"),
        (lambda: DeepCircuit(EYES, [1.0]), r"output has shape \(1,\), but must be \(2,\)"),
        (lambda: DeepCircuit([np.eye(3), *EYES[1:]], [1.0, 1.0]), r"weights\[0\] has 3 columns, but weights\[4\], of"),
        (lambda: DeepCircuit([*EYES[:5], np.ones((2, 3))], [1.0, 1.0]), r"weights\[5\] has 3 columns, but output, of"),
        (lambda: ShallowCircuit([EYE, EYE])(np.ones((3, 2))), "inputs has 3 positions, but the circuit has 2"),
        (lambda: ShallowCircuit([EYE, EYE])(np.ones((2, 3))), r"inputs\[0\] has \(3,\) features, but"),
        (lambda: ShallowCircuit([EYE, EYE])(np.ones(2)), r"inputs has shape \(2,\), but .* jax.vmap"),
        (lambda: one_hot([0, 3], 3), r"indices\[0\] is \(0, 3\), but"),
        (lambda: one_hot([0.0], 3), "indices has shape .* float64, but"),
        (lambda: one_hot([0, 1], (3,)), "extent has 1 entries, but indices names 2 modes"),
        (lambda: one_hot([0, 1], 0), "extent is 0, but"),
        (lambda: patches(np.ones((4, 4)), 2), r"images has shape \(4, 4\), but .* gray"),
        (lambda: patches(np.ones((4, 4, 1)), 3), "size is 3, but must divide the images' height 4 and width 4"),
        (lambda: patches(np.ones((4, 4, 1)), (2, 2, 2)), r"size is \(2, 2, 2\), but"),
        (lambda: AffineRepresentation(0, 2, key=KEY), "patch_dim is 0, but"),
    ],
)
def test_refusals(call, said):
    with pytest.raises(ValueError, match=said):
        call()
