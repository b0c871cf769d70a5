import jax
import numpy as np
import pytest

from rankfall import MatrixFactorization
from rankfall.measures import det_sign, numerical_rank, spectral_norm, unbalancedness

KEY = jax.random.key(0)
MANY = jax.random.split(KEY, 4000)
FEW = jax.random.split(KEY, 6)
RANDOM = ["gaussian", "balanced", "orthogonal"]

# shape, depth, widths; with 4000 or 6 lanes throughout, as every other number of lanes is compiled anew
CHAINS = [
    ((2, 2), 1, None),
    ((2, 2), 3, None),
    ((2, 3), 3, [4, 2]),
    ((2, 2), 3, [5, 3]),
    ((3, 3), 2, [1]),
    ((3, 2), 2, None),
]


def init(shape=(2, 2), depth=3, **options):
    return MatrixFactorization.init(shape, depth, **({"key": KEY, "scale": 1e-2} | options))


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("shape, depth, widths", CHAINS)
def test_scale_is_the_deviation_of_an_end_to_end_entry(kind, shape, depth, widths):
    start = init(shape, depth, kind=kind, widths=widths, scale=1e-3, key=MANY)
    hidden = tuple([min(shape)] * (depth - 1) if widths is None else widths)
    assert start.shape == shape and start.widths == hidden and start.lanes == len(MANY)
    # The mean square of a lane's entries, over 4000 independent lanes: within four standard errors.
    square = (start.full() ** 2).mean(axis=(1, 2)) / 1e-6
    assert abs(square.mean() - 1) <= 4 * square.std() / np.sqrt(len(square)) + 1e-12
    mean = start.full().mean(axis=0) / 1e-3
    assert (np.abs(mean) <= 4.5 / np.sqrt(len(square))).all()
    assert (numerical_rank(start.full()) <= min(*shape, *hidden)).all()


def test_factor_std_is_the_deviation_of_a_factor_entry():
    start = init((2, 3), 3, widths=[4, 2], factor_std=8e-3, scale=None, key=MANY)
    for w in start.factors:
        np.testing.assert_allclose(w.std(), 8e-3, rtol=4 / np.sqrt(2 * w.size))
    # The rule of the published experiments: 1e-6 end to end is 7.94e-3 in a layer at depth 3.
    by_scale = init(scale=1e-6, key=FEW)
    by_factor = init(scale=None, factor_std=(1e-6 / 2) ** (1 / 3), key=FEW)
    np.testing.assert_allclose(by_scale.full(), by_factor.full(), rtol=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 4), (3, 1)])
def test_identity(shape, depth):
    for widths in (None, [max(shape) + 1] * (depth - 1)):
        start = MatrixFactorization.init(shape, depth, kind="identity", alpha=1e-3, widths=widths)
        np.testing.assert_allclose(start.full(), 1e-3 * np.eye(*shape), rtol=1e-14)
        for w in start.factors:
            np.testing.assert_array_equal(w, np.eye(*w.shape) * w[0, 0])
            np.testing.assert_allclose(w[0, 0], 1e-3 ** (1 / depth), rtol=1e-15)
    assert start.lanes is None
    lanes = MatrixFactorization.init(shape, depth, kind="identity", alpha=[1.0, 0.5])
    np.testing.assert_allclose(lanes.full(), np.multiply.outer([1.0, 0.5], np.eye(*shape)), rtol=1e-14)
    assert MatrixFactorization.init((2, 2), depth, kind="identity", det_sign=1).full().tolist() == np.eye(2).tolist()


@pytest.mark.parametrize("scale", [1e-6, 1.0])
@pytest.mark.parametrize("shape, depth, widths", CHAINS)
def test_balanced_is_exactly_balanced(shape, depth, widths, scale):
    start = init(shape, depth, kind="balanced", widths=widths, scale=scale, key=MANY)
    # Rounding of the layers' squares; of 4000 starts some are several times their scale.
    size = np.maximum(spectral_norm(start.full()), scale)
    assert (unbalancedness(start.factors) <= 1e-14 * size ** (2 / depth)).all()
    assert np.median(unbalancedness(start.factors)) <= 2e-15 * scale ** (2 / depth)


def test_orthogonal_layers_are_orthogonal():
    # A layer is a corner of an orthogonal matrix: its columns are orthonormal where it widens, its rows elsewhere.
    start = init((2, 2), 3, kind="orthogonal", widths=[5, 3], key=MANY)
    for w in start.factors:
        tall = w if w.shape[1] > w.shape[2] else np.swapaxes(w, -1, -2)
        gram = np.swapaxes(tall, -1, -2) @ tall
        np.testing.assert_allclose(
            gram, gram[0, 0, 0] * np.broadcast_to(np.eye(gram.shape[-1]), gram.shape), atol=1e-14
        )
    square = init(kind="orthogonal", key=MANY).full() / 1e-2
    gram = np.swapaxes(square, -1, -2) @ square
    np.testing.assert_allclose(gram, np.broadcast_to(2 * np.eye(2), gram.shape), atol=1e-13)


def test_orthogonal_layers_are_uniform():
    # Haar measure on O(2): E (tr Q)^2 = 1, and E tr(Q^2) = 1, which a QR without fixed signs gets wrong.
    q = init((2, 2), 1, kind="orthogonal", scale=1 / np.sqrt(2), key=MANY).full()
    for value in (np.trace(q, axis1=1, axis2=2) ** 2, np.trace(q @ q, axis1=1, axis2=2)):
        assert abs(value.mean() - 1) < 4 * value.std() / np.sqrt(len(value))
    assert abs(np.trace(q, axis1=1, axis2=2).mean()) < 4 / np.sqrt(len(q))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("shape, depth, widths", [((2, 2), 1, None), ((2, 2), 3, None), ((2, 2), 3, [5, 3])])
def test_det_sign_is_honoured(kind, shape, depth, widths, dtype):
    free = init(shape, depth, kind=kind, widths=widths, key=MANY, dtype=dtype)
    drawn = det_sign(free.factors)
    assert abs((drawn == 1).mean() - 0.5) < 4 * 0.5 / np.sqrt(len(drawn))
    for sign in (1, -1):
        start = init(shape, depth, kind=kind, widths=widths, key=MANY, dtype=dtype, det_sign=sign)
        assert (det_sign(start.factors) == sign).all()
        kept = drawn == sign
        for a, b in zip(start.factors, free.factors, strict=True):
            # A lane that has the sign at once is left as it is.
            np.testing.assert_array_equal(a[kept], b[kept])
        if kind == "balanced":
            assert (unbalancedness([w.astype(float) for w in start.factors]) < 1e-6).all()


@pytest.mark.parametrize("kind", RANDOM)
def test_det_sign_of_very_many_lanes(kind):
    # Compiled QR decompositions of this many lanes never returned.
    start = init(kind=kind, det_sign=1, key=jax.random.split(KEY, 20_000))
    assert (det_sign(start.factors) == 1).all()


@pytest.mark.parametrize("kind", RANDOM)
@pytest.mark.parametrize("sign", [None, -1])
def test_a_lane_is_the_single_start_of_its_key(kind, sign):
    options = {"kind": kind, "det_sign": sign}
    lanes = init(key=FEW, **options)
    for index in (0, 3, 5):
        single = init(key=FEW[index], **options)
        assert single.lanes is None
        for a, b in zip(lanes.lane(index).factors, single.factors, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len({w.tobytes() for w in lanes.full()}) == len(FEW)


@pytest.mark.parametrize("kind", RANDOM)
def test_scale_for_each_lane(kind):
    scales = np.geomspace(1e-6, 1.0, 6)
    lanes = init(kind=kind, scale=scales, key=FEW)
    for index in (0, 5):
        single = init(kind=kind, scale=float(scales[index]), key=FEW[index])
        np.testing.assert_allclose(lanes.lane(index).full(), single.full(), rtol=1e-12)
    # one key: the same draw at every scale
    same = init(kind=kind, scale=scales).full() / scales[:, None, None]
    np.testing.assert_allclose(same, np.broadcast_to(same[0], same.shape), rtol=1e-10)


@pytest.mark.parametrize("kind", [*RANDOM, "identity"])
def test_dtype(kind):
    options = {"scale": None, "alpha": 0.01} if kind == "identity" else {}
    double, single = (init(kind=kind, dtype=dtype, **options) for dtype in (np.float64, "float32"))
    for a, b in zip(double.factors, single.factors, strict=True):
        assert type(a) is type(b) is np.ndarray and a.dtype == np.float64 and b.dtype == np.float32
        np.testing.assert_array_equal(a.astype(np.float32), b)
    assert not jax.config.jax_enable_x64


BAD = {
    "depth huge": ({"depth": 2**62}, r"^depth is .* no memory holds the .* numbers it asks for"),
    "widths huge": ({"widths": [2**40, 2**40]}, "^widths is .* no memory"),
    "widths ragged": ({"widths": [[2], [2, 2]]}, "^widths is .* the 2 hidden widths of depth 3"),
    "scale word": ({"scale": "small"}, "^scale is 'small', but must be positive and finite"),
    "scale ragged": ({"scale": [[1.0], [1.0, 2.0]]}, r"^scale is \[\[1"),
    "scale true": ({"scale": True}, "^scale is True"),
    "scale huge": ({"scale": 1e308, "kind": "balanced"}, r"^scale is 1e\+308, .* within the range of float64"),
    "scale lost": ({"scale": 1e-200, "dtype": "float32"}, "^scale is 1e-200, but a start as small is zero in float32"),
    "alpha huge": ({"kind": "identity", "scale": None, "alpha": 1e39, "dtype": "float32"}, r"^alpha is 1e\+39"),
    "alpha lost": ({"kind": "identity", "scale": None, "alpha": 1e-200, "dtype": "float32"}, "^alpha is 1e-200"),
    "sign lost": ({"scale": 1e-200, "dtype": "float32", "det_sign": 1}, "^det_sign is 1, but no start had it in 200"),
    "det_sign true": ({"det_sign": True}, "^det_sign is True"),
    "no keys": ({"key": FEW[:0]}, r"^key has shape \(0,\)"),
    "depth zero": ({"depth": 0}, "^depth is 0"),
    "kind": ({"kind": "xavier"}, "kind is 'xavier'"),
    "dtype": ({"dtype": "float16"}, "dtype is 'float16'"),
    "dtype unknown": ({"dtype": "float17"}, "dtype is 'float17'"),
    "rows": ({"shape": (0, 2)}, "shape's number of rows is 0"),
    "scale negative": ({"scale": -1e-2}, "^scale is -0.01"),
    "scale zero": ({"scale": 0.0}, "^scale is 0.0"),
    "scale nan": ({"scale": [1.0, float("nan")]}, "^scale is"),
    "factor_std negative": ({"scale": None, "factor_std": -1.0}, "^factor_std is -1.0"),
    "both sizes": ({"factor_std": 1.0}, "scale is 0.01 and factor_std is 1.0"),
    "no size": ({"scale": None}, "scale is None and factor_std is None"),
    "balanced factor_std": ({"kind": "balanced", "scale": None, "factor_std": 1.0}, "factor_std is 1.0"),
    "gaussian alpha": ({"alpha": 1.0}, "alpha is 1.0"),
    "identity scale": ({"kind": "identity"}, "scale is 0.01"),
    "identity alpha": ({"kind": "identity", "scale": None, "alpha": 0.0}, "alpha is 0.0"),
    "identity alpha cube": ({"kind": "identity", "scale": None, "alpha": [[1.0]]}, "alpha has shape"),
    "identity widths": ({"kind": "identity", "scale": None, "widths": [1, 2]}, "widths has 1"),
    "no key": ({"key": None}, "key is None"),
    "old key": ({"key": jax.random.PRNGKey(0)}, "key is"),
    "key grid": ({"key": FEW.reshape(2, 3)}, "key has shape"),
    "lanes disagree": ({"key": FEW, "scale": [1.0, 2.0]}, "scale has 2 values"),
    "widths count": ({"widths": [2]}, "widths has 1 entries"),
    "widths zero": ({"widths": [2, 0]}, "widths is 0"),
    "widths float": ({"widths": [2, 2.5]}, "widths is 2.0"),
    "det_sign zero": ({"det_sign": 0}, "det_sign is 0"),
    "det_sign oblong": ({"shape": (2, 3), "det_sign": 1}, "det_sign is 1"),
    "det_sign narrow": ({"widths": [2, 1], "det_sign": -1}, "det_sign is -1"),
    "det_sign identity": ({"kind": "identity", "scale": None, "det_sign": -1}, "det_sign is -1"),
}


@pytest.mark.parametrize("case", BAD)
def test_refusals_name_the_argument(case):
    options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        init(**options)
