import pickle
import tracemalloc

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

import rankfall as rf

NAN = np.nan


def random_problem(shape, observed, seed=0, **options):
    rng = np.random.default_rng(seed)
    mask = np.zeros(shape[0] * shape[1], bool)
    mask[rng.permutation(mask.size)[:observed]] = True
    mask, full = mask.reshape(shape), rng.normal(size=shape)
    return rf.MatrixCompletion.from_mask(full, mask, **options), full, mask


@pytest.mark.parametrize("shape, observed", [((2, 2), 3), ((3, 5), 7), ((1, 4), 4), ((6, 5), 11)])
def test_constructors_agree(shape, observed):
    from_mask, full, mask = random_problem(shape, observed)
    from_dense = rf.MatrixCompletion.from_dense(np.where(mask, full, NAN))
    order = np.random.default_rng(1).permutation(observed)
    indices = np.argwhere(mask)[order]
    from_coo = rf.MatrixCompletion.from_coo(indices.tolist(), full[mask][order], shape)
    for problem in (from_mask, from_dense, from_coo):
        np.testing.assert_array_equal(problem.indices, np.argwhere(mask))
        np.testing.assert_array_equal(problem.values, full[mask])
        np.testing.assert_array_equal(problem.unobserved_indices, np.argwhere(~mask))
        assert problem.shape == shape and problem.observed == observed and problem.truth is None
    trees = [jax.tree.structure(p) for p in (from_mask, from_dense, from_coo)]
    assert trees[0] == trees[1] == trees[2]


# written out entry by entry, dense with mask, gathered
FORMS = [((2, 2), 3), ((4, 4), 6), ((5, 4), 9), ((30, 20), 400), ((30, 20), 5), ((101, 1), 2)]


@pytest.mark.parametrize("loss", ["half_sse", "mse"])
@pytest.mark.parametrize("shape, observed", FORMS)
def test_every_form_of_the_loss_is_the_naive_one(shape, observed, loss):
    problem, full, mask = random_problem(shape, observed, loss=loss)
    small, sparse = mask.size <= 16, 50 * observed < mask.size
    assert (problem.pattern is not None) == small and (problem.mask is None) == (small or sparse)
    batch = np.random.default_rng(2).normal(size=(3, 2, *shape))
    residuals = np.array([[(w - full)[mask] for w in row] for row in batch])
    np.testing.assert_array_equal(problem.residuals(batch), residuals)
    square = (residuals**2).sum(axis=-1)
    np.testing.assert_allclose(problem.loss(batch), square / 2 if loss == "half_sse" else square / observed, rtol=1e-13)
    np.testing.assert_allclose(problem.half_sse(problem.loss(batch)), square / 2, rtol=1e-13)
    assert problem.loss(full) == 0
    assert type(problem.loss(batch)) is np.ndarray


@pytest.mark.parametrize("shape, observed", [((2, 2), 3), ((5, 4), 9), ((30, 20), 5)])
def test_loss_and_gradient_compile(shape, observed):
    problem, full, mask = random_problem(shape, observed, dtype="float32")
    w = np.random.default_rng(3).normal(size=shape)
    # the problem itself is a pytree that may be traced
    value, gradient = jax.jit(lambda p, m: jax.value_and_grad(p.loss)(m))(problem, jnp.asarray(w, jnp.float32))
    assert value.dtype == gradient.dtype == jnp.float32
    np.testing.assert_allclose(value, problem.loss(w), rtol=1e-5)
    np.testing.assert_allclose(gradient, np.where(mask, w - full, 0.0), atol=1e-5)


def test_options_are_kept():
    truth = [[5.0, 1.0], [1.0, 0.0]]
    problem = rf.MatrixCompletion.from_dense(
        [[NAN, 1], [1, 0]], loss="mse", dtype=np.float32, truth=truth, infimal_rank=1, infimal_erank=1.0
    )
    assert problem.values.dtype == problem.truth.dtype == np.float32
    assert problem.truth.tolist() == truth and (problem.infimal_rank, problem.infimal_erank) == (1, 1.0)
    assert problem.required_det_sign is None
    assert problem.describe() == {
        "problem": "MatrixCompletion",
        "shape": [2, 2],
        "observed": 3,
        "loss": "mse",
        "dtype": "float32",
    }
    assert rf.MatrixCompletion.from_dense([[1, 2]]).unobserved_indices.shape == (0, 2)


def test_none_is_unobserved():
    problem = rf.MatrixCompletion.from_dense([[None, 1], [1, 0]])
    assert problem.unobserved_indices.tolist() == [[0, 0]] and problem.values.tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize("shape, observed", [((2, 2), 3), ((5, 4), 9), ((30, 20), 5)])
def test_a_matrix_of_another_shape_is_refused(shape, observed):
    # entries are picked, or a dense form broadcast: neither would notice by itself
    problem, _, _ = random_problem(shape, observed)
    sentence = rf"^full has shape .*, but must have the problem's, \(\.\.\., {shape[0]}, {shape[1]}\)\.$"
    for wrong in ((*shape, 1), (shape[0] + 1, shape[1]), (1, 1)):
        for call in (problem.loss, problem.residuals):
            with pytest.raises(ValueError, match=sentence):
                call(jnp.ones(wrong))


from_dense, from_mask, from_coo = (
    rf.MatrixCompletion.from_dense,
    rf.MatrixCompletion.from_mask,
    rf.MatrixCompletion.from_coo,
)
ONE = ([[0, 0]], [1.0], (2, 2))
BAD = {
    "dense vector": (lambda: from_dense([1.0, 2.0]), "array has shape"),
    "dense cube": (lambda: from_dense(np.zeros((2, 2, 2))), "array has shape"),
    "dense infinite": (lambda: from_dense([[NAN, np.inf], [1.0, 0.0]]), r"array holds inf at index \(0, 1\)"),
    "dense empty": (lambda: from_dense(np.zeros((0, 2))), r"array has shape \(0, 2\)"),
    "dense unobserved": (lambda: from_dense([[NAN, NAN]]), "^array has no observed entry"),
    "dense ragged": (lambda: from_dense([[1.0], [1.0, 2.0]]), "^array is .*rows of one length"),
    "dense objects": (lambda: from_dense(np.array([["1", 2.0]], dtype=object)), "^array is"),
    "values beyond": (lambda: from_dense([[1e39, 1.0]], dtype="float32"), r"^values holds 1e\+39, .* range of float32"),
    "values masked": (lambda: from_coo([[0, 0]], np.ma.masked_array([1.0], [True]), (1, 1)), "^values holds nan"),
    "mask vector": (lambda: from_mask([1.0], [True]), "array has shape"),
    "mask shape": (lambda: from_mask(np.eye(2), [[True]]), "mask has shape"),
    "mask dtype": (lambda: from_mask(np.eye(2), np.ones((2, 2), int)), "mask has dtype int64"),
    "mask nan": (lambda: from_mask([[1.0, NAN]], [[True, True]]), r"array holds nan at index \(0, 1\)"),
    "mask empty": (lambda: from_mask(np.eye(2), np.zeros((2, 2), bool)), "^mask has no observed entry"),
    "coo empty": (lambda: from_coo([], [], (2, 2)), "^indices has no observed entry"),
    "coo empty array": (lambda: from_coo(np.zeros((0, 2), int), [], (2, 2)), "^indices has no observed entry"),
    "coo columns": (lambda: from_coo([[0, 0, 0]], [1.0], (2, 2)), "indices has shape"),
    "coo floats": (lambda: from_coo([[0.0, 1.0]], [1.0], (2, 2)), "indices has shape .* dtype float64"),
    "coo outside": (lambda: from_coo([[0, 0], [2, 1]], [1.0, 1.0], (2, 2)), r"indices\[1\] is \(2, 1\)"),
    "coo negative": (lambda: from_coo([[0, -1]], [1.0], (2, 2)), r"indices\[0\] is \(0, -1\)"),
    "coo twice": (lambda: from_coo([[0, 1], [1, 0], [0, 1]], [1.0] * 3, (2, 2)), r"indices holds \(0, 1\) more"),
    "coo values": (lambda: from_coo([[0, 0]], [1.0, 2.0], (2, 2)), "values has shape"),
    "coo nan": (lambda: from_coo([[0, 0]], [NAN], (2, 2)), "values holds nan"),
    "shape length": (lambda: from_coo([[0, 0]], [1.0], (2, 2, 2)), "shape is"),
    "shape zero": (lambda: from_coo([[0, 0]], [1.0], (0, 2)), "shape's number of rows is 0"),
    "shape huge": (lambda: from_coo([[0, 0]], [1.0], (2**40, 2**40)), r"^shape is .* no memory holds the 1.2e\+24"),
    "loss": (lambda: from_coo(*ONE, loss="sse"), "loss is 'sse'"),
    "loss misspelt": (lambda: from_coo(*ONE, loss="hals_sse"), "; 'half_sse' is the nearest"),
    "sign": (lambda: from_coo(*ONE, required_det_sign=True), "required_det_sign is True"),
    "dtype unknown": (lambda: from_coo(*ONE, dtype="float17"), "dtype is 'float17'"),
    "dtype integer": (lambda: from_coo(*ONE, dtype=int), "dtype is 'int64'"),
    "truth shape": (lambda: from_coo(*ONE, truth=np.eye(3)), "truth has shape"),
    "truth nan": (lambda: from_coo(*ONE, truth=[[1.0, NAN], [0.0, 0.0]]), "truth holds nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_argument(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_masked_entries_are_not_observed():
    masked = np.ma.masked_array([[9.0, 1.0], [1.0, 0.0]], mask=[[True, False], [False, False]])
    problem = from_dense(masked)
    assert problem.indices.tolist() == [[0, 1], [1, 0], [1, 1]]
    np.testing.assert_array_equal(problem.values, [1.0, 1.0, 0.0])


def test_a_large_matrix_takes_memory_by_its_observations():
    rows, columns = 30_000, 20_000
    tracemalloc.start()
    problem = rf.MatrixCompletion.from_coo([[0, 0], [29_999, 19_999]], [1.0, 2.0], (rows, columns))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6 and problem.unobserved_indices is None and problem.mask is None
    assert rf.theory.family.family(rf.MatrixCompletion.from_coo([[0, 0]], [1.0], (2000, 2000))) is None


class Tensor:
    """As PyTorch's: with the operations between it and NumPy, and its refusals."""

    def __init__(self, array, grad=True, device="cuda"):
        self.array, self.grad, self.device = np.asarray(array), grad, device

    def detach(self):
        return Tensor(self.array, False, self.device)

    def cpu(self):
        return Tensor(self.array, self.grad, "cpu")

    def double(self):
        return Tensor(self.array.astype(float), self.grad, self.device)

    def numpy(self):
        if self.grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        if self.device != "cpu" or self.array.dtype.kind == "V":
            raise TypeError("can't convert cuda:0 device type tensor to numpy, or Got unsupported ScalarType BFloat16")
        return self.array

    def __array__(self, dtype=None, copy=None):
        return self.numpy()


DENSE = np.array([[NAN, 1.5], [1.0, 0.0]])
CONTAINERS = {
    "tensor": Tensor(DENSE),
    "half tensor": Tensor(DENSE.astype(ml_dtypes.bfloat16)),
    "bfloat16": DENSE.astype(ml_dtypes.bfloat16),
    "bfloat16 of JAX": jnp.asarray(DENSE, dtype=jnp.bfloat16),
    "float16": DENSE.astype(np.float16),
    "longdouble": DENSE.astype(np.longdouble),
    "other byte order": DENSE.astype(">f8"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_containers_of_numbers_are_taken(name):
    problem = rf.MatrixCompletion.from_dense(CONTAINERS[name])
    np.testing.assert_array_equal(problem.values, [1.5, 1.0, 0.0])
    assert problem.values.dtype == np.float64


def test_measures_take_tensors():
    assert float(rf.measures.frobenius_norm(Tensor([[3.0, 0.0], [0.0, 4.0]]))) == 5


def test_numbers_beyond_float64_are_named_and_not_called_infinite():
    with np.errstate(all="raise"), pytest.raises(ValueError, match=r"array holds 1e\+4000, .* range of float64"):
        rf.MatrixCompletion.from_dense(np.array([[np.longdouble("1e4000"), 1], [1, 0]]))


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad], ids=["jit", "vmap", "grad"])
def test_methods_are_taken_by_transformations(transform):
    problem = rf.two_by_two()
    w = jnp.array([[7.0, 1.5], [1.0, 0.0]])
    with jax.enable_x64(True):
        found = transform(problem.loss)(w[None] if transform is jax.vmap else w)
    expected = problem.gradient(np.asarray(w)) if transform is jax.grad else 0.125
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-6)


def test_methods_compare_and_hash_by_their_problem():
    one, other = rf.two_by_two(), rf.two_by_two()
    assert one.loss == one.loss != one.gradient and hash(one.loss) == hash(one.loss)
    assert one.loss != other.loss
    assert float(pickle.loads(pickle.dumps(one.loss))(np.eye(2))) == float(one.loss(np.eye(2)))
