"""What every model promises: the same questions to all of them, against arithmetic by hand."""

import inspect
import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.factorizations import AbstractModel, Probe
from rankfall.factorizations.entrywise import EntrywiseFactorization

KEY, KEYS = jax.random.key(0), jax.random.split(jax.random.key(1), 3)


class Net(eqx.Module):
    weight: jax.Array
    out: jax.Array

    def __call__(self, inputs):
        return jnp.tanh(inputs.reshape(-1) @ self.weight) @ self.out


def net(lanes, positions):
    rng = np.random.default_rng(0)
    nets = [
        rf.networks.GridNetwork(Net(rng.normal(size=(positions, 3)), rng.normal(size=3)), [[-1.0], [0.5]], positions)
        for _ in range(3)
    ]
    return rf.networks.GridNetwork.stack(nets) if lanes else nets[0]


# Each of a matrix and of a tensor of order three where there is one.
MODELS = {
    "matrix": lambda key: rf.MatrixFactorization.init((3, 2), 3, scale=1.0, key=key),
    "square": lambda key: rf.MatrixFactorization.init((2, 2), 2, scale=1.0, key=key),
    "one factor": lambda key: rf.MatrixFactorization.init((2, 3), 1, scale=1.0, key=key),
    "cp": lambda key: rf.CPFactorization.init((3, 2, 4), 3, scale=1.0, key=key),
    "cp of two": lambda key: rf.CPFactorization.init((3, 2), 3, scale=1.0, key=key),
    "tucker": lambda key: rf.TuckerFactorization.init((3, 2, 4), (2, 2, 3), scale=1.0, key=key),
    "tucker of two": lambda key: rf.TuckerFactorization.init((3, 2), (2, 2), scale=1.0, key=key),
    "tree": lambda key: rf.HierarchicalFactorization.init((3, 2, 4), [2, 3], scale=1.0, key=key),
    "tree of two": lambda key: rf.HierarchicalFactorization.init((3, 2), 4, scale=1.0, key=key),
    "network": lambda key: net(key.ndim, 3),
    "network of two": lambda key: net(key.ndim, 2),
}
SPECTRAL = {
    "spectral": lambda key: rf.SpectralFactorization.from_factors(MODELS["square"](key).balance()),
    "spectral, not square": lambda key: rf.SpectralFactorization.from_factors(MODELS["matrix"](key).balance()),
}
ALL = MODELS | SPECTRAL


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_shape_lanes_and_entries_are_those_of_the_whole(name, lanes):
    model = ALL[name](KEYS if lanes else KEY)
    full = np.asarray(model.full())
    assert isinstance(model, AbstractModel)
    assert full.shape == ((3,) * lanes + model.shape) and model.lanes == (3 if lanes else None)
    where = np.random.default_rng(0).integers(0, model.shape, (5, len(model.shape)))
    expected = full[(..., *where.T)]
    np.testing.assert_allclose(model.entries(where.tolist()), expected, rtol=1e-12, atol=1e-14)
    with double_precision():
        traced = jax.jit(lambda m, w: m.entries_at(w))(jax.tree.map(jnp.asarray, model), where)
    np.testing.assert_allclose(traced, expected, rtol=1e-12, atol=1e-14)
    with pytest.raises(ValueError, match="indices"):
        model.entries([[9] * len(model.shape)])
    one = model.lane(2) if lanes else model.as_lanes().lane(0)
    assert type(one) is type(model) and one.lanes is None
    np.testing.assert_allclose(one.full(), full[2] if lanes else full, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("lanes", [False, True])
@pytest.mark.parametrize("name", ALL)
def test_pickle_and_tree_give_the_same_back(name, lanes):
    model = ALL[name](KEYS if lanes else KEY)
    leaves, structure = jax.tree.flatten(model)
    copies = [jax.tree.unflatten(structure, leaves), jax.tree.map(lambda a: a, model)]
    # a network is of a class of this file, which pickle finds by its module
    for copy in [*copies, pickle.loads(pickle.dumps(model))] if "network" not in name else copies:
        assert type(copy) is type(model) and jax.tree.structure(copy) == structure
        assert copy.describe() == model.describe()
        np.testing.assert_array_equal(copy.full(), model.full())


@pytest.mark.parametrize("name", MODELS)
def test_the_maker_makes_the_same_form_of_given_arrays(name):
    one, other = MODELS[name](KEY), MODELS[name](KEYS[0])
    assert one.maker == other.maker and hash(one.maker) == hash(other.maker)
    if "network" not in name:
        assert any((a != b).any() for a, b in zip(one.factors, other.factors, strict=True))
    for made in (other.maker(one.factors), other.like(one.factors)):
        np.testing.assert_array_equal(made.full(), one.full())
        assert made.describe() == one.describe()


@pytest.mark.parametrize("name", MODELS)
def test_what_is_conserved_does_not_move_under_gradient_flow(name):
    model = MODELS[name](KEY)
    if "network" in name:
        assert model.conserved() is None
        return
    target = np.random.default_rng(1).normal(size=model.shape)
    with double_precision():
        model = jax.tree.map(jnp.asarray, model)
        flow = jax.tree.map(jnp.negative, jax.grad(lambda m: ((m.full() - target) ** 2).sum())(model))
        conserved, change = jax.jvp(lambda m: m.conserved(), (model,), (flow,))
        _, moved = jax.jvp(lambda m: tuple((w * w).sum() for w in m.factors), (model,), (flow,))
        conserved, change, moved = jax.tree.map(np.asarray, (conserved, change, moved))
    # squared norms do move, and what is conserved is not zero
    assert max(abs(m) for m in moved) > 0.1
    assert (len(conserved) == 0) == (name == "one factor")
    for quantity, rate in zip(conserved, change, strict=True):
        assert abs(quantity).max() > 1e-2
        assert abs(rate).max() < 1e-12 * (1 + max(abs(m) for m in moved))


@pytest.mark.parametrize("name", ALL)
def test_probes_name_the_dimensions_of_their_values(name):
    model = ALL[name](KEY)
    probes = model.probes()
    assert all(isinstance(probe, Probe) for probe in probes) and len({p.name for p in probes}) == len(probes)
    # equal and hashable for another model of the form, so that compiled code is shared
    assert probes == ALL[name](KEYS[0]).probes() and len(set(probes)) == len(probes)
    shapes = jax.tree.map(lambda a: jax.ShapeDtypeStruct(np.shape(a), np.asarray(a).dtype), model)
    assert shapes.probes() == probes
    with double_precision():
        on_jax = jax.tree.map(jnp.asarray, model)
        values = {p.name: (np.asarray(p.function(on_jax, on_jax.full())), p.dims) for p in probes}
    for value, dims in values.values():
        assert value.ndim == len(dims) and np.isfinite(value).all()
    assert ("singular_values" in values) == (len(model.shape) == 2)
    if len(model.shape) == 2:
        expected = np.linalg.svd(np.asarray(model.full()), compute_uv=False)
        np.testing.assert_allclose(values["singular_values"][0], expected, rtol=1e-9, atol=1e-12)


def test_matrices_that_are_too_large_to_form_have_no_spectrum():
    large = rf.CPFactorization([np.ones((10**5, 1)), np.ones((10**5, 1))])
    assert "singular_values" not in [probe.name for probe in large.probes()]
    deep = rf.MatrixFactorization([np.ones((1, 10**5)), np.ones((10**5, 1))])
    assert "singular_values" not in [probe.name for probe in deep.probes()]


def test_a_chain_held_entry_by_entry_answers_as_its_matrices_do():
    start = MODELS["square"](KEYS)
    split = EntrywiseFactorization.split(start.factors)
    assert (split.shape, split.lanes, split.describe()) == (start.shape, 3, start.describe())
    np.testing.assert_allclose(split.entries([[1, 0]]), start.entries([[1, 0]]), rtol=1e-14)
    for ours, theirs in zip(split.conserved(), start.conserved(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-15)
    assert split.probes() == start.probes() and split.lane(1).lanes is None
    np.testing.assert_allclose(split.lane(1).full(), start.lane(1).full(), rtol=1e-14)


@pytest.mark.parametrize(
    "kind", [rf.MatrixFactorization, rf.CPFactorization, rf.TuckerFactorization, rf.HierarchicalFactorization]
)
def test_keywords_of_init_are_spelled_out(kind):
    parameters = inspect.signature(kind.init).parameters
    assert not [p for p in parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    assert {"key", "kind", "scale", "factor_std", "dtype"} <= parameters.keys()
    assert (parameters["kind"].default, parameters["dtype"].default) == ("gaussian", "float64")
    assert all(name in inspect.getdoc(kind.init) for name in parameters)
    assert "Made of arrays that you have" in "\n".join(inspect.getdoc(kind).splitlines()[:4])
