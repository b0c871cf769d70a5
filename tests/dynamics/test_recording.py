"""What is recorded of which model on which problem; and matrices on problems of tensors."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 2)


class Bilinear(eqx.Module):
    left: jax.Array
    right: jax.Array

    def __call__(self, inputs):
        return (inputs[0] @ self.left) @ (inputs[1] @ self.right)


def network(shape):
    rng = np.random.default_rng(0)
    net = Bilinear(*(rng.normal(size=(n, 3)) / 3 for n in shape))
    return rf.networks.GridNetwork(net, [np.eye(n) for n in shape])


SHAPE = (4, 4)
# Of each form: a start of two modes, and the names that it records beside loss, step, time and those of every matrix.
FORMS = {
    "matrix": (rf.MatrixFactorization.init(SHAPE, 3, scale=0.3, key=KEYS), {"unbalancedness", "det_sign",
                                                                            "log_abs_det"}),
    "cp": (rf.CPFactorization.init(SHAPE, 4, scale=0.3, key=KEYS), {"unbalancedness", "component_norms"}),
    "tucker": (rf.TuckerFactorization.init(SHAPE, scale=0.3, key=KEYS), {"unbalancedness"}),
    "tree": (rf.HierarchicalFactorization.init(SHAPE, 4, scale=0.3, key=KEYS), {"unbalancedness",
                                                                               "local_component_norms"}),
    "network": (network(SHAPE), set()),
}  # fmt: skip
# Of every matrix on a problem whose truth is known and few of whose entries are not observed.
COMMON = {"loss", "step", "time", "stop_reason", "singular_values", "log_singular_values", "effective_rank",
          "schatten_norm", "unobserved", "test_error", "reconstruction_error"}  # fmt: skip


def low_rank(kind):
    problem = rf.low_rank_completion(SHAPE, rank=1, observed=12, key=KEY)
    if kind is rf.MatrixCompletion:
        return problem
    return rf.TensorCompletion.from_coo(problem.indices, problem.values, SHAPE, truth=problem.truth)


@pytest.mark.parametrize("kind", [rf.MatrixCompletion, rf.TensorCompletion])
@pytest.mark.parametrize("name", FORMS)
def test_every_matrix_has_its_spectrum_recorded(name, kind):
    start, own = FORMS[name]
    problem = low_rank(kind)
    run = rf.train(problem, start, rf.GradientDescent(1e-2), stop=rf.Stop(steps=20), record=rf.Record(every=10))
    path = run.trajectory
    assert set(path) - {"distance_to_infimal_rank", "rank_suboptimality"} == COMMON | own
    full = np.asarray(run.final.full()).reshape(-1, *SHAPE)
    end = path.isel(record=-1)
    np.testing.assert_allclose(end["singular_values"], np.linalg.svd(full, compute_uv=False), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(end["effective_rank"], rf.measures.effective_rank(full), rtol=1e-7)
    np.testing.assert_allclose(end["unobserved"], full[:, *problem.unobserved_indices.T], rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(end["test_error"], ((full - problem.truth) ** 2).mean(axis=(1, 2)), rtol=1e-9)
    error = np.sqrt(end["test_error"].values * full[0].size) / np.linalg.norm(problem.truth)
    np.testing.assert_allclose(end["reconstruction_error"], error, rtol=1e-9)
    dims = {"singular_values": "singular_value", "log_singular_values": "singular_value", "unobserved": "entry",
            "component_norms": "component", "local_component_norms": "local_component"}  # fmt: skip
    for variable in set(path) - {"schatten_norm", "stop_reason"}:
        expected = ("lane", "record", *([dims[variable]] if variable in dims else []))
        assert path[variable].dims == expected


def test_measures_of_users_have_numbered_dimensions():
    def corner(w):
        return w[:2, :3]

    record = rf.Record(every=5, measures=["end_to_end", corner])
    run = rf.train(low_rank(rf.MatrixCompletion), FORMS["cp"][0], rf.AdaptiveDescent(), stop=rf.Stop(steps=5),
                   record=record)  # fmt: skip
    assert run.trajectory["end_to_end"].dims == ("lane", "record", "row", "col")
    assert run.trajectory["corner"].dims == ("lane", "record", "corner_0", "corner_1")
    np.testing.assert_array_equal(run.trajectory["corner"], run.trajectory["end_to_end"].values[..., :2, :3])
    cube = rf.TensorCompletion.from_dense(np.ones((2, 2, 2)))
    start = rf.CPFactorization.init((2, 2, 2), 2, factor_std=0.1, key=KEY)
    run = rf.train(cube, start, rf.AdaptiveDescent(), stop=rf.Stop(steps=2), record=record)
    assert run.trajectory["end_to_end"].dims == ("lane", "record", "mode_0", "mode_1", "mode_2")
    assert "singular_values" not in run.trajectory and "effective_rank" not in run.trajectory


def by_numpy(w):
    return float(np.linalg.norm(w))


TWO = rf.two_by_two()
BALANCED = rf.MatrixFactorization.init((2, 2), 2, kind="balanced", scale=1e-2, det_sign=1, key=KEY)


def trained(*measures, dynamics=None):
    dynamics = rf.GradientDescent(1e-2) if dynamics is None else dynamics
    record = rf.Record(every=10, measures=measures)
    return rf.train(TWO, BALANCED, dynamics, stop=rf.Stop(steps=20), record=record, progress=False)


def test_measures_of_one_name_are_all_stored():
    quasi = [functools.partial(rf.measures.schatten_norm, p=p) for p in (0.7, 0.3)]
    mixed = [lambda w: w.sum(), lambda w: float(np.asarray(w).max()), lambda w: w.min()]
    run = trained(*mixed, *quasi, by_numpy, by_numpy, "end_to_end")
    end = run.trajectory.isel(lane=0, record=-1)
    w = run.final.full()
    expected = {"<lambda>": w.sum(), "<lambda>_2": w.max(), "<lambda>_3": w.min(), "by_numpy": np.linalg.norm(w)}
    expected |= {"measure": rf.measures.schatten_norm(w, 0.7), "measure_2": rf.measures.schatten_norm(w, 0.3)}
    for name, value in expected.items():
        np.testing.assert_allclose(end[name], value, rtol=1e-9)
    np.testing.assert_allclose(end["by_numpy_2"], end["by_numpy"], rtol=0)


def called(name, function=None):
    def measure(w):
        return w.sum() if function is None else function(w)

    measure.__name__ = name
    return measure


@pytest.mark.parametrize("function", [None, by_numpy], ids=["compiled", "by hand"])
def test_no_measure_takes_the_name_of_what_is_recorded_anyway(function):
    taken = set(trained().trajectory.variables) | set(trained(dynamics=rf.AdaptiveDescent()).trajectory.variables)
    for name in {*taken, "lane", "record", "end_to_end", "log_singular_values", "energy_error", "held_out_error"}:
        with pytest.raises(ValueError, match=f"measures holds a function called {name}, .* my_{name}"):
            trained(called(name, function))


class Watching(rf.AdaptiveDescent):
    """A rule of a user's own, which records more than the package knows of."""

    def rule(self, problem, start):
        inner = super().rule(problem, start)

        class Rule(type(inner)):
            def observe(self, problem, model, state):
                model, own = super().observe(problem, model, state)
                return model, own | {"half_loss": own["loss"] / 2}

        return Rule(**vars(inner))


@pytest.mark.parametrize("function", [None, by_numpy], ids=["compiled", "by hand"])
def test_no_measure_takes_the_name_of_what_a_rule_records(function):
    assert "half_loss" in trained(dynamics=Watching()).trajectory
    with pytest.raises(ValueError, match="measures holds a function called half_loss"):
        trained(called("half_loss", function), dynamics=Watching())


def test_functions_of_the_package_are_taken_under_their_names():
    run = trained(rf.measures.effective_rank, rf.measures.stable_rank)
    w = run.final.full()
    np.testing.assert_allclose(run.trajectory["effective_rank"][0, -1], rf.measures.effective_rank(w), rtol=1e-9)
    np.testing.assert_allclose(run.trajectory["stable_rank"][0, -1], rf.measures.stable_rank(w), rtol=1e-9)


@pytest.mark.parametrize(
    "measure",
    [lambda w: jnp.linalg.eigvals(w), lambda w: np.linalg.eigvals(np.asarray(w) + [[0, -9], [9, 0]]),
     lambda w: complex(float(np.asarray(w).sum()), 1.0)],
    ids=["compiled", "arrays of NumPy", "numbers"],
)  # fmt: skip
def test_complex_values_are_refused_and_not_cut(measure):
    with pytest.raises(ValueError, match="measures holds <lambda>, which g.*real number"):
        trained(measure)


def test_strict_errors_of_the_caller_end_at_train():
    """Underflow is no fault: the loss of data of 1e-200 is zero."""
    problem = rf.MatrixCompletion.from_dense(np.array([[np.nan, 1e-200], [1e-200, 0.0]]))
    record = rf.Record(every=10, measures=[by_numpy])
    with np.errstate(all="raise"):
        run = rf.train(problem, BALANCED, rf.GradientDescent(1e-2), stop=rf.Stop(steps=20), record=record)
    assert run.stop_reason == "steps" and np.isfinite(run.trajectory["by_numpy"]).all()


def sparse(extent=300, share=0.015):
    """A matrix of rank 1, its diagonal and 1.5 % observed, as a tensor of order two and as a matrix."""
    rng = np.random.default_rng(0)
    u, v = rng.normal(size=(2, extent))
    seen = (rng.random((extent, extent)) < share) | np.eye(extent, dtype=bool)
    where = np.argwhere(seen)
    values = np.outer(u, v)[seen] / extent**0.5
    return rf.TensorCompletion.from_coo(where, values, seen.shape), rf.MatrixCompletion.from_coo(
        where, values, seen.shape
    )


@pytest.mark.parametrize(
    ("dynamics", "steps"),
    [(rf.GradientDescent(0.05), 30), (rf.AdaptiveDescent(), 20), (rf.ExponentialDescent(krylov=6), 4),
     (rf.GradientFlow(rtol=1e-6), 4)],
    ids=["descent", "adaptive", "exponential", "flow"],
)  # fmt: skip
def test_a_deep_matrix_trains_on_a_sparse_tensor_of_order_two(dynamics, steps):
    tensor, matrix = sparse()
    assert tensor.mask is None  # by its entries, which never forms the whole
    start = rf.MatrixFactorization.init((300, 300), 3, widths=[2, 2], scale=0.05, key=KEY)
    runs = [
        rf.train(problem, start, dynamics, stop=rf.Stop(steps=steps), record=rf.Record(every=steps), progress=False)
        for problem in (tensor, matrix)
    ]
    for run in runs:
        assert run.stop_reason == "steps" and run.trajectory["loss"][0, -1] < 0.999 * run.trajectory["loss"][0, 0]
    for ours, reference in zip(runs[0].final.factors, runs[1].final.factors, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=1e-6, atol=1e-8)
    ranks = [run.trajectory["effective_rank"].values for run in runs]
    np.testing.assert_allclose(ranks[0], ranks[1], rtol=1e-6)
    where = tensor.indices[:5]
    np.testing.assert_allclose(runs[0].final.entries(where), jnp.asarray(runs[0].final.full())[*where.T], rtol=1e-5)


@pytest.mark.parametrize(
    "start",
    [
        rf.TuckerFactorization.init((3, 3, 3), (2, 2, 2), scale=0.3, key=KEYS),
        rf.HierarchicalFactorization.init((3, 3, 3), [2, 2], scale=0.3, key=KEYS),
        rf.CPFactorization.init((3, 3, 3), 2, scale=0.3, key=KEYS),
    ],
    ids=["tucker", "tree", "cp"],
)
def test_a_flow_watches_what_its_model_conserves(start):
    problem = rf.low_cp_rank_completion((3, 3, 3), 1, 24, key=KEY)
    run = rf.train(problem, start, rf.GradientFlow(rtol=1e-9), stop=rf.Stop(flow_time=3.0), progress=False)
    assert list(run.stop_reason) == ["flow_time"] * 2
    drift = run.trajectory["balance_drift"].values
    assert 0 < np.nanmax(drift) < 1e-6


@pytest.mark.parametrize(
    "start",
    [
        rf.CPFactorization.init((2000,) * 3, 2, scale=0.1, key=KEY),
        rf.TuckerFactorization.init((2000,) * 3, (2, 2, 2), scale=0.1, key=KEY),
        rf.HierarchicalFactorization.init((2000,) * 3, 2, scale=0.1, key=KEY),
    ],
    ids=["cp", "tucker", "tree"],
)
def test_tensors_that_no_memory_holds_are_trained_by_their_entries(start):
    where = np.stack([np.random.default_rng(n).permutation(2000) for n in range(3)], axis=1)
    problem = rf.TensorCompletion.from_coo(where, np.ones(2000), start.shape)
    run = rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(steps=3), progress=False)
    assert run.stop_reason == "steps" and run.trajectory["loss"][0, -1] < run.trajectory["loss"][0, 0]
    with pytest.raises(ValueError, match="64 GB"):
        run.final.full()
