"""Networks as parameterisations of their grid tensors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision
from rankfall.networks import DeepCircuit, GridNetwork

POINTS = np.linspace(-1, 1, 3)[:, None]


class Net(eqx.Module):
    layers: eqx.nn.MLP
    shift: jax.Array

    def __init__(self, seed, out="scalar"):
        self.layers = eqx.nn.MLP(3, out, 4, 1, activation=jnp.tanh, key=jax.random.key(seed))
        self.shift = jnp.array([1, 2])  # integers are not trained

    def __call__(self, inputs):
        return self.layers(inputs.reshape(-1)) + self.shift[0]


@pytest.fixture(scope="module")
def circuits():
    """A hierarchical factorization and the circuit that is equal to it, on a problem."""
    deep = rf.HierarchicalFactorization.init((3, 3, 3), 4, factor_std=0.3, key=jax.random.key(0))
    network = GridNetwork(DeepCircuit.from_factorization(deep), np.eye(3), 3)
    truth = np.random.default_rng(0).normal(size=(3, 3, 3))
    seen = np.where(np.random.default_rng(1).random(truth.shape) < 0.7, truth, np.nan)
    return deep, network, rf.TensorCompletion.from_dense(seen, loss="mse", truth=truth)


def test_tensor_and_entries_are_the_network_outputs():
    net = Net(0)
    grid = GridNetwork(net, POINTS, 3)
    assert grid.shape == (3, 3, 3) and grid.lanes is None and len(grid.factors) == 4
    np.testing.assert_allclose(grid.full(), rf.measures.grid_tensor(net, POINTS, 3), atol=1e-6)
    where = [[0, 1, 2], [2, 2, 0]]
    np.testing.assert_allclose(grid.entries(where), grid.full()[tuple(np.transpose(where))], atol=1e-7)
    assert float(grid.network(POINTS[[0, 1, 2]])) == pytest.approx(float(grid.full()[0, 1, 2]), rel=1e-5)


@pytest.mark.parametrize("rule", [rf.GradientDescent(0.05), rf.AdaptiveDescent(), rf.GradientFlow(1e-9)])
def test_a_circuit_trains_as_the_factorization_does(circuits, rule):
    """The circuit's gradients come by JAX through the network: an independent way to the same trajectory."""
    deep, network, problem = circuits
    stop = rf.Stop(steps=60) if not isinstance(rule, rf.GradientFlow) else rf.Stop(flow_time=5.0)
    a, b = (rf.train(problem, start, rule, stop=stop, record=rf.Record(every=20)) for start in (deep, network))
    np.testing.assert_allclose(b.final.full(), a.final.full(), atol=1e-7)
    for name in ("loss", "reconstruction_error"):
        np.testing.assert_allclose(b.trajectory[name][0, -1], a.trajectory[name][0, -1], rtol=1e-6)
    assert b.trajectory.attrs["network"] == "DeepCircuit"


def test_training_looks_at_labelled_inputs_alone(circuits):
    """A network costs what its labels do: all 27 inputs appear where the whole is formed, and only there."""
    network, problem = circuits[1:]
    with double_precision():
        start = network.like([jnp.asarray(w) for w in network.factors])
        of_all = jax.make_jaxpr(jax.value_and_grad(lambda m: problem.loss(m.full())))(start)
        for given in (problem, problem.stripped(start)):
            of_labels = jax.make_jaxpr(lambda m, given=given: m.loss_and_gradient(given))(start)
            assert "[27" not in str(of_labels) and "[27" in str(of_all)
        loss, slope = start.loss_and_gradient(problem)
        expected, slopes = jax.value_and_grad(lambda m: problem.loss(m.full()))(start)
    np.testing.assert_allclose(loss, expected, rtol=1e-13)
    for one, other in zip(slope.factors, slopes.factors, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-14)


def test_lanes_are_networks_of_their_own(circuits):
    problem = circuits[2]
    singles = [GridNetwork(Net(seed), POINTS, 3) for seed in (0, 1)]
    both = GridNetwork.stack(singles)
    assert both.lanes == 2 and both.full().shape == (2, 3, 3, 3)
    np.testing.assert_allclose(both.full()[1], singles[1].full(), atol=1e-6)
    run = rf.train(problem, both, rf.GradientDescent(0.05), stop=rf.Stop(steps=20))
    alone = rf.train(problem, singles[1], rf.GradientDescent(0.05), stop=rf.Stop(steps=20))
    np.testing.assert_allclose(run.final.lane(1).full(), alone.final.full(), atol=1e-12)
    assert run.final.lane(1).factors[0].dtype == np.float64


def test_ranks_are_recorded_in_training_by_functions_of_jax_and_of_numpy(circuits):
    def bracket(tensor):
        found = rf.measures.cp_rank_bracket(np.asarray(tensor), 1e-2, key=jax.random.key(0), max_rank=5)
        return [found.lower, found.upper]

    record = rf.Record(every=10, measures=[rf.measures.matricization_effective_ranks, bracket])
    run = rf.train(circuits[2], circuits[1], rf.AdaptiveDescent(), stop=rf.Stop(steps=20), record=record)
    assert run.trajectory["matricization_effective_ranks"].shape == (1, 3, 3)
    values = run.trajectory["bracket"].values[0]
    assert values.shape == (3, 2) and (values[:, 0] >= 1).all() and (values[:, 0] <= values[:, 1]).all()
    last = rf.measures.matricization_effective_ranks(run.final.full())
    np.testing.assert_allclose(run.trajectory["matricization_effective_ranks"][0, -1], last, rtol=1e-10)


def test_large_grids_are_seen_entry_by_entry():
    """Where few of many entries are observed the grid is never formed."""
    net = GridNetwork(Net(0), np.linspace(-1, 1, 300)[:, None], 3)
    where = np.stack([np.random.default_rng(n).permutation(300) for n in range(3)], axis=1)
    problem = rf.TensorCompletion.from_coo(where, np.ones(300), net.shape)
    assert problem.mask is None
    record = rf.Record(every=50)
    run = rf.train(problem, net, rf.AdaptiveDescent(), stop=rf.Stop(steps=50), record=record)
    assert float(run.trajectory["loss"][0, -1]) < 0.1 * float(run.trajectory["loss"][0, 0])


def test_one_of_several_outputs():
    net = Net(0, out=2)
    grid = GridNetwork(net, POINTS, 3, output=1)
    np.testing.assert_allclose(grid.full(), rf.measures.grid_tensor(lambda x: net(x)[1], POINTS, 3), atol=1e-6)


def test_refusals():
    other = GridNetwork(Net(0), POINTS * 2, 3)
    for make, words in (
        (lambda: GridNetwork(lambda x: x[0, 0], POINTS, 3), "no array of floating-point numbers"),
        (lambda: GridNetwork(Net(0, out=2), POINTS, 3), r"shape \(2,\).*output=0"),
        (lambda: GridNetwork(Net(0), POINTS, 4), "cannot be called on an input"),
        (lambda: GridNetwork(Net(0), POINTS), "points is"),
        (lambda: GridNetwork.stack([]), "starts is"),
        (lambda: GridNetwork.stack([GridNetwork(Net(0), POINTS, 3), other]), r"starts\[1\] differs"),
        (lambda: rf.train(rf.two_by_two(), other, rf.AdaptiveDescent()), "shape"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
