"""CP factorization: against sums over components, its starts, and the dynamics of its components."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rankfall as rf
from rankfall._execution import double_precision

KEY = jax.random.key(0)
KEYS = jax.random.split(KEY, 3)


def drawn(shape, components, lanes=(), seed=0):
    rng = np.random.default_rng(seed)
    return rf.CPFactorization([rng.normal(size=(*lanes, n, components)) for n in shape])


def completion(truth, share=0.8, **options):
    where = np.argwhere(np.random.default_rng(0).random(truth.shape) < share)
    return rf.TensorCompletion.from_coo(where, truth[tuple(where.T)], truth.shape, truth=truth, **options)


@pytest.mark.parametrize("lanes", [(), (3,)])
@pytest.mark.parametrize(("shape", "components"), [((4, 3), 2), ((2, 3, 4), 5), ((3, 1, 2, 4), 1), ((2,) * 6, 3)])
def test_full_and_entries(shape, components, lanes):
    start = drawn(shape, components, lanes)
    letters = "abcdef"[: len(shape)]
    expected = np.einsum(",".join(f"...{x}r" for x in letters) + f"->...{letters}", *start.factors)
    np.testing.assert_allclose(start.full(), expected, rtol=1e-12, atol=1e-12)
    where = np.random.default_rng(0).integers(0, shape, (7, len(shape)))
    np.testing.assert_allclose(start.entries(where), expected[(..., *where.T)], rtol=1e-12, atol=1e-12)
    assert (start.shape, start.components, start.lanes) == (shape, components, lanes[0] if lanes else None)
    on_jax = start.like([jnp.asarray(w, jnp.float32) for w in start.factors])
    full, entries = jax.jit(lambda f: (f.full(), f.entries_at(where)))(on_jax)
    np.testing.assert_allclose(full, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(entries, expected[(..., *where.T)], rtol=1e-4, atol=1e-4)


def test_order_two_is_the_matrix_factorization_of_depth_two():
    problem = rf.low_rank_completion((5, 4), 1, 15, key=KEY)
    cp = rf.CPFactorization.init((5, 4), 4, scale=0.1, key=KEY)
    chain = rf.MatrixFactorization([cp.factors[1].T, cp.factors[0]])
    options = {"stop": rf.Stop(steps=300), "record": rf.Record(every=50, measures=["end_to_end"]), "progress": False}
    runs = [rf.train(problem, start, rf.GradientDescent(2e-2), **options) for start in (cp, chain)]
    paths = [run.trajectory["end_to_end"].values for run in runs]
    assert paths[0].shape[1] == 7 and abs(paths[0][0, -1]).max() > 0.3
    np.testing.assert_allclose(paths[0], paths[1], rtol=1e-11, atol=1e-13)


def moved(start, truth):
    """Component norms, squared lengths of the vectors, their change in time under gradient flow, and <-grad, C_r>."""
    with double_precision():
        model = start.like([jnp.asarray(w) for w in start.factors])
        slope = jax.grad(lambda f: ((f.full() - truth) ** 2).sum() / 2)(model)
        flow = jax.tree.map(jnp.negative, slope)

        def sizes(f):
            return f.component_norms(), jnp.stack([(w * w).sum(0) for w in f.factors])

        (norms, squares), (change, lengths) = jax.jvp(sizes, (model,), (flow,))
        down = truth - model.full()
        columns = range(start.components)
        units = [rf.CPFactorization([w[:, [r]] for w in start.factors]).full() / norms[r] for r in columns]
        pull = jnp.stack([jnp.vdot(down, unit) for unit in units])
        return [np.asarray(x) for x in (norms, squares, change, lengths, pull)]


@pytest.mark.parametrize("shape", [(3, 4), (2, 3, 4), (2, 3, 2, 3)])
def test_component_norms_move_as_the_theorem_says(shape):
    truth, order = np.random.default_rng(1).normal(size=shape), len(shape)
    norms, squares, change, lengths, pull = moved(drawn(shape, 3), truth)
    # any start: s' = <-grad, C> sum_n s^2 / |w_n|^2, and (|w_n|^2)' = 2 s <-grad, C> for all n alike
    np.testing.assert_allclose(change, pull * (norms**2 / squares).sum(0), rtol=1e-10)
    np.testing.assert_allclose(lengths, np.broadcast_to(2 * norms * pull, lengths.shape), rtol=1e-10)
    start = rf.CPFactorization.init(shape, 3, kind="balanced", scale=0.5, key=KEY)
    assert start.unbalancedness() < 1e-14
    norms, _, change, _, pull = moved(start, truth)
    np.testing.assert_allclose(change, order * norms ** (2 - 2 / order) * pull, rtol=1e-10)


def test_component_norms_of_an_unbalanced_start_move_between_the_bounds():
    order, start = 3, drawn((2, 3, 4), 6, seed=5)
    norms, squares, change, _, pull = moved(start, np.random.default_rng(2).normal(size=(2, 3, 4)))
    gap = squares.max(0) - squares.min(0)
    assert start.unbalancedness() == pytest.approx(gap.max(), rel=1e-14)
    root = norms ** (2 / order)
    slow, fast = order * norms**2 / (root + gap) * abs(pull), order * (root + gap) ** (order - 1) * abs(pull)
    assert (slow <= abs(change) * (1 + 1e-12)).all() and (abs(change) <= fast * (1 + 1e-12)).all()
    assert (np.sign(change) == np.sign(pull)).all()


def test_training_conserves_and_converges():
    truth = rf.CPFactorization.init((4, 4, 4), 2, scale=0.5, key=KEYS[0]).full()
    problem = completion(truth)
    # Just as many components as the truth has: with more, the loss falls by a power of time.
    start = rf.CPFactorization.init(truth.shape, 2, scale=0.1, key=KEYS[1:])
    run = rf.train(problem, start, rf.AdaptiveDescent(), stop=rf.Stop(loss=1e-10), progress=False)
    assert list(run.stop_reason) == ["loss", "loss"]
    np.testing.assert_allclose(run.final.full(), np.stack([truth] * 2), atol=1e-3)
    fine = rf.train(problem, start.lane(0), rf.GradientDescent(1e-4), stop=rf.Stop(steps=1000), progress=False)
    squares = [[(w * w).sum(0) for w in f.factors] for f in (start.lane(0), fine.final)]
    before, after = (np.stack(s) - s[0] for s in squares)
    np.testing.assert_allclose(before, after, atol=1e-4)


def test_starts():
    assert rf.CPFactorization.init((8, 2, 3), factor_std=1.0, key=KEY).components == 6
    many = rf.CPFactorization.init((4, 4, 4), 5, scale=0.5, key=jax.random.split(KEY, 2000))
    assert abs(many.full().std() / 0.5 - 1) < 0.06
    constant = rf.CPFactorization.init((3, 4, 5), 6, kind="constant", alpha=[1e-3, 1e-2, 0.1], key=KEYS)
    np.testing.assert_allclose(constant.component_norms(), np.outer([1e-3, 1e-2, 0.1], np.ones(6)), rtol=1e-12)
    assert (constant.unbalancedness() < 1e-15).all()
    one = rf.CPFactorization.init((3, 4, 5), 6, kind="constant", alpha=1e-2, key=KEYS[1])
    np.testing.assert_array_equal(one.full(), constant.lane(1).full())


def test_entries_of_a_tensor_that_no_memory_holds():
    start = rf.CPFactorization.init((1000,) * 6, 3, scale=1.0, key=KEY)
    assert np.isfinite(start.entries(np.arange(12).reshape(2, 6))).all()
    with pytest.raises(ValueError, match=r"the full tensor of shape .* takes 8e\+09 GB, but .* ask for entries"):
        start.full()


def start(shape=(3, 3, 3), components=2, **options):
    return rf.CPFactorization.init(shape, components, **({"scale": 1.0, "key": KEY} | options))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: rf.CPFactorization([np.eye(2)]), "factors has 1 matrices, but"),
        (lambda: rf.CPFactorization([np.eye(2), np.ones(2)]), r"factors\[1\] has shape \(2,\), but"),
        (lambda: rf.CPFactorization([np.eye(2), np.eye(3)]), r"factors\[1\] has \(lanes and\) components \(3,\), but"),
        (lambda: start(components=0), "components is 0, but must be an integer of at least 1"),
        (lambda: start(components=2**40), "components is .*, but no memory"),
        (lambda: start(shape=(3,)), r"shape is \(3,\), but must be the extents of two modes or more"),
        (lambda: start(kind="identity"), "kind is 'identity', but"),
        (lambda: start(alpha=1.0), "alpha is 1.0, but"),
        (lambda: start(scale=None), "factor_std is None and scale is None, but"),
        (lambda: start(scale=[1.0, 2.0], key=KEYS), "scale has 2 values, but key has 3 keys"),
        (lambda: start().entries([[0, 0]]), "indices has shape"),
        (lambda: start().entries([[0, 0, 3]]), r"indices\[0\] is \(0, 0, 3\), but"),
        (lambda: start().lane(0), "lane"),
    ],
)
def test_refusals(call, said):
    with pytest.raises(ValueError, match=said):
        call()
