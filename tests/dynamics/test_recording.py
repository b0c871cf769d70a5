"""What is recorded of which model on which problem; and matrices on problems of tensors."""

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
