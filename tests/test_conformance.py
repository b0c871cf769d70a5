"""Every loss x every model x every rule that the contracts allow, a few steps each, against plain JAX.

The other side is written down here once more, from formulae: losses as functions of predictions, models as functions of
arrays, rules as a few lines. What the contracts do not allow is refused by name.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import rankfall as rf
from rankfall._execution import compiled, double_precision
from rankfall.dynamics.rules import Limits, choose
from rankfall.problems import losses

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
LABELS, COUNTS, REALS = RNG.choice([-1.0, 1.0], 64), RNG.integers(0, 4, 64).astype(float), RNG.normal(size=64)

# Each loss of predictions p and targets y, and targets that it is for.
LOSSES = {
    "half_sse": (lambda p, y: jnp.sum((p - y) ** 2) / 2, REALS),
    "mse": (lambda p, y: jnp.mean((p - y) ** 2), REALS),
    "huber": (lambda p, y: jnp.sum(jnp.where(abs(p - y) < 1, (p - y) ** 2 / 2, abs(p - y) - 0.5)), REALS),
    "logistic": (lambda p, y: jnp.sum(jnp.log1p(jnp.exp(-y * p))), LABELS),
    "exponential": (lambda p, y: jnp.sum(jnp.exp(-y * p)), LABELS),
    "poisson": (lambda p, y: jnp.sum(jnp.exp(p) - y * p - y + y * jnp.log(jnp.maximum(y, 1.0))), COUNTS),
}


def _mlp():
    return eqx.nn.MLP(2, 1, width_size=3, depth=1, activation=jax.nn.tanh, key=KEY)


def _tree(factors):
    """Hierarchical tensor over ((0, 1), 2): leaves, the node (0, 1), the root."""
    a, b, c, node, root = factors
    return jnp.einsum("ir,jr,rs,ks,st->ijk", a, b, node, c, root)


def _grid(factors):
    """Shallow circuit at all combinations of two points at three positions: the CP tensor of points times weights."""
    points = np.array([[1.0, 0.0], [1.0, 1.0]])
    *weights, out = factors
    a, b, c = (points @ w for w in weights)
    return jnp.einsum("ir,jr,kr,r->ijk", a, b, c, out)


# Each model: a start, and the end-to-end object as a function of its factors.
MODELS = {
    "linear": (lambda: rf.MatrixFactorization.init((3, 1), 1, scale=0.5, key=KEY), lambda w: w[0]),
    "deep matrix": (lambda: rf.MatrixFactorization.init((4, 3), 3, scale=0.5, key=KEY), lambda w: w[2] @ w[1] @ w[0]),
    "tiny matrix": (lambda: rf.MatrixFactorization.init((2, 2), 2, scale=0.5, key=KEY), lambda w: w[1] @ w[0]),
    "cp": (
        lambda: rf.CPFactorization.init((3, 3, 3), 4, scale=0.5, key=KEY),
        lambda w: jnp.einsum("ir,jr,kr->ijk", *w),
    ),
    "tucker": (
        lambda: rf.TuckerFactorization.init((3, 3, 3), (2, 2, 2), scale=0.5, key=KEY),
        lambda w: jnp.einsum("ia,jb,kc,abc->ijk", *w),
    ),
    "hierarchical": (
        lambda: rf.HierarchicalFactorization.init((3, 3, 3), 2, ((0, 1), 2), scale=0.5, key=KEY),
        _tree,
    ),
    "grid": (
        lambda: rf.networks.GridNetwork(
            rf.networks.ShallowCircuit([RNG.normal(size=(2, 2)) for _ in range(3)]), [[1.0, 0.0], [1.0, 1.0]], 3
        ),
        _grid,
    ),
    "network": (lambda: rf.networks.Network(_mlp()), None),
}
INPUTS = RNG.normal(size=(6, 2))


def _problem(model, loss):
    """A problem for a model with a loss, and the predictions as a function of the end-to-end object."""
    targets = LOSSES[loss][1]
    if model == "network":
        return rf.Supervised(INPUTS, targets[:6], loss=loss), None
    if model == "linear":
        x = RNG.normal(size=(5, 3))
        if LOSSES[loss][1] is LABELS:
            return rf.LinearClassification(x, targets[:5], loss=loss), lambda w: (x @ w)[:, 0]
        return rf.LinearRegression(x, targets[:5], loss=loss), lambda w: (x @ w)[:, 0]
    shape = MODELS[model][0]().shape
    seen = np.argwhere(np.arange(np.prod(shape)).reshape(shape) % 5 != 1)
    kind = rf.MatrixCompletion if len(shape) == 2 else rf.TensorCompletion
    problem = kind.from_coo(seen, targets[: len(seen)], shape, loss=loss)
    return problem, lambda full: full[tuple(seen.T)]


def _plain(model, loss):
    """Start, problem, and the loss as a function of a list of arrays in plain JAX."""
    make, full = MODELS[model]
    start = make()
    problem, predictions = _problem(model, loss)
    cost, targets = LOSSES[loss][0], np.asarray(problem.values)
    if model == "network":

        def of_factors(factors):
            network = start.form.network(factors)
            return cost(jax.vmap(network)(jnp.asarray(INPUTS))[:, 0], targets)

        return start, problem, of_factors
    return start, problem, lambda factors: cost(predictions(full(factors)), targets)


@pytest.fixture(params=[(m, loss) for m in MODELS for loss in LOSSES], ids=lambda p: " ".join(p), scope="module")
def case(request):
    with double_precision():
        start, problem, cost = _plain(*request.param)
        factors = [jnp.asarray(w, jnp.float64) for w in start.factors]
        return start.like(factors), problem, compiled(jax.value_and_grad(cost)), factors


def _near(found, wanted, rtol=1e-9):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=rtol)


def test_loss_and_gradient(case):
    model, problem, cost, factors = case
    with double_precision():
        value, slope = cost(factors)

        def asked(problem, model):
            whole = problem.end_to_end(model)
            both = problem.gradient(whole), jax.grad(problem.loss)(whole)
            seen = problem.observe(model), problem.predict(whole)
            return model.loss_and_gradient(problem), problem.loss_of(model), both, seen

        (found, gradient), again, both, seen = compiled(asked)(problem, model)
        np.testing.assert_allclose([found, again], [value, value], rtol=1e-12)
        _near(gradient.factors, slope, 1e-11)
        np.testing.assert_allclose(*both, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(*seen, rtol=1e-12, atol=1e-14)
        # The same of NumPy arrays, where they are taken.
        whole = np.asarray(problem.end_to_end(model))
        np.testing.assert_allclose(problem.loss(whole), value, rtol=1e-12)
        np.testing.assert_allclose(problem.gradient(whole), both[1], rtol=1e-10, atol=1e-12)


def _descend(cost, factors, change, steps=2):
    for _ in range(steps):
        value, slope = cost(factors)
        factors = change(factors, slope, value)
    return factors


def _steps(rule, model, problem, given, count=2):
    """Take steps of a rule by its contract alone."""
    far = jnp.asarray(jnp.inf, jnp.float64)
    limits = Limits(jnp.asarray(-1.0, jnp.float64), jnp.asarray(True), far, far)

    @compiled
    def step(problem, model, state):
        step = rule.step(problem, model, state, given, limits)
        return choose(step.taken, step.model, model), step.state

    state = compiled(rule.init)(problem, model, given)
    for _ in range(count):
        model, state = step(problem, model, state)
    return model, compiled(rule.observe)(problem, model, state)[1]


SIZE = 1e-2


def _of(dynamics, problem, model):
    """What `_steps` takes: a rule and what its one lane is given."""
    given = jax.tree.map(lambda a: jnp.asarray(a)[0], dynamics.given(1))
    return dynamics.rule(problem, model), model, problem, given


def test_fixed_steps(case):
    model, problem, cost, factors = case
    with double_precision():
        wanted = _descend(cost, factors, lambda w, g, _: [a - SIZE * b for a, b in zip(w, g, strict=True)])
        moved, _ = _steps(*_of(rf.GradientDescent(SIZE), problem, model))
        _near(moved.factors, wanted)


def test_optax(case):
    model, problem, cost, factors = case
    with double_precision():
        adam = optax.adam(SIZE)
        state = adam.init(factors)
        wanted = factors
        for _ in range(2):
            updates, state = adam.update(cost(wanted)[1], state)
            wanted = optax.apply_updates(wanted, updates)
        moved, _ = _steps(*_of(rf.GradientDescent(adam), problem, model))
        _near(moved.factors, wanted)


def test_normalized(case):
    model, problem, cost, factors = case
    with double_precision():

        def unit(w, g, _):
            length = jnp.sqrt(sum(jnp.sum(b * b) for b in g))
            return [a - SIZE * b / length for a, b in zip(w, g, strict=True)]

        moved, own = _steps(*_of(rf.NormalizedDescent(SIZE), problem, model))
        _near(moved.factors, _descend(cost, factors, unit))
        if isinstance(problem.loss_function, losses.AbstractMarginLoss):
            by_loss = rf.NormalizedDescent(SIZE, by="loss")
            moved, own = _steps(*_of(by_loss, problem, model))
            wanted = _descend(cost, factors, lambda w, g, v: [a - SIZE * b / v for a, b in zip(w, g, strict=True)])
            _near(moved.factors, wanted)
            np.testing.assert_allclose(own["log_loss"], np.log(cost(wanted)[0]), rtol=1e-10)
        else:
            with pytest.raises(ValueError, match=f"by is 'loss', but must be 'gradient' .*{problem.loss_kind}"):
                rf.NormalizedDescent(SIZE, by="loss").rule(problem, model)


def test_mirror(case):
    model, problem, cost, factors = case
    with double_precision():
        beta = 0.3
        wanted = _descend(
            cost, factors,
            lambda w, g, _: [beta * jnp.sinh(jnp.arcsinh(a / beta) - SIZE * b) for a, b in zip(w, g, strict=True)],
        )  # fmt: skip
        dynamics = rf.MirrorDescent(rf.potentials.Hypentropy(beta), SIZE)
        moved, _ = _steps(*_of(dynamics, problem, model))
        _near(moved.factors, wanted)


def test_batches(case):
    """A batch of all is plain descent, in whatever order; the mean of the gradients of all parts is the gradient."""
    model, problem, cost, factors = case
    with double_precision():
        slope = cost(factors)[1]
        whole = rf.StochasticDescent(SIZE, problem.samples, key=KEY)
        moved, _ = _steps(*_of(whole, problem, model), count=1)
        _near(moved.factors, [a - SIZE * b for a, b in zip(factors, slope, strict=True)])
        share = 1.0 if problem.loss_function.mean else problem.samples

        def slope_of(problem, model, n):
            return problem.part(n[None]).loss_and_gradient(model)[1].factors

        if model.by_entries or len(problem.shape) == 2:  # elsewhere parts are read as entries too
            each = compiled(jax.vmap(slope_of, in_axes=(None, None, 0)))(problem, model, jnp.arange(problem.samples))
            _near([share * layer.mean(axis=0) for layer in each], slope)


@pytest.mark.parametrize("dynamics", [rf.AdaptiveDescent(), rf.ExponentialDescent(krylov=2)], ids=repr)
def test_tried_steps(case, dynamics):
    """What is taken lowers the loss, and the loss that the rule reports is that of the factors it returns."""
    model, problem, cost, factors = case
    with double_precision():
        moved, own = _steps(*_of(dynamics, problem, model))
        np.testing.assert_allclose(own["loss"], cost(list(moved.factors))[0], rtol=1e-9)
        assert own["loss"] < cost(factors)[0] and own["time"] > 0


LEAST_SQUARES = ("half_sse", "mse")
CLOSED = {
    "LinearFlow": (rf.LinearFlow(), lambda: rf.MatrixFactorization([np.eye(2)])),
    "AlignedFlow": (rf.AlignedFlow(), lambda: rf.SpectralFactorization.from_end_to_end(np.eye(2), 2)),
}


@pytest.mark.parametrize("loss", [name for name in LOSSES if name not in LEAST_SQUARES])
@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_refuse_other_losses_by_name(name, loss):
    values = {"logistic": 1.0, "exponential": 1.0}.get(loss, 2.0)
    problem = rf.MatrixCompletion.from_dense(np.full((2, 2), values), loss=loss)
    dynamics, start = CLOSED[name]
    with pytest.raises(ValueError, match=f"problem has the loss '{loss}', but {name} is for squared residuals"):
        rf.train(problem, start(), dynamics, progress=False)
    with pytest.raises(ValueError, match=f"'{loss}', but half_sse"):
        problem.half_sse(1.0)
    for reference in (rf.references.NuclearNorm(), rf.references.MinimalL2(), rf.references.MeanBaseline()):
        with pytest.raises(ValueError, match=f"'{loss}', but {type(reference).__name__} is for squared residuals"):
            reference.solve(problem)


def test_combinations_that_no_contract_allows_are_refused_by_name():
    network, supervised = rf.networks.Network(_mlp()), rf.Supervised(INPUTS, REALS[:6])
    matrix = rf.MatrixFactorization([np.eye(2)])
    with pytest.raises(ValueError, match="MatrixFactorization, but labelled inputs need a network"):
        rf.train(supervised, matrix, rf.GradientDescent(0.1))
    with pytest.raises(ValueError, match="start's end-to-end matrix has shape"):
        rf.train(rf.two_by_two(), network, rf.GradientDescent(0.1))
    with pytest.raises(ValueError, match="must give"):
        rf.train(supervised, eqx.nn.MLP(2, 3, 2, 1, key=KEY), rf.GradientDescent(0.1))
    for flow in (rf.SpectralFlow(), rf.EndToEndFlow()):
        with pytest.raises(ValueError, match=f"{type(flow).__name__} is of matrix factorizations"):
            rf.train(supervised, network, flow)


@pytest.mark.parametrize(
    "dynamics",
    [rf.GradientDescent(0.05), rf.AdaptiveDescent(), rf.GradientFlow(solver="auto")],
    ids=lambda d: type(d).__name__,
)
@pytest.mark.parametrize("model", ["linear", "network", "tiny matrix"])
def test_trains_to_a_level(dynamics, model):
    """The whole way, with lanes, records and a loss of labels: to a level that a few steps reach."""
    start, problem, cost = _plain(model, "logistic")
    first = float(problem.loss_of(start))
    run = rf.train(problem, start, dynamics, stop=rf.Stop(loss=0.9 * first, steps=5000), progress=False)
    assert run.stop_reason == "loss"
    with double_precision():
        at_end = float(cost([jnp.asarray(w) for w in run.final.factors]))
    assert abs(at_end / float(run.trajectory["loss"][0, -1]) - 1) < 1e-9 and at_end <= 0.9 * first * (1 + 1e-12)
