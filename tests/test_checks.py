"""The validators by themselves: what they let pass, as which type, and the sentence for what they do not."""

from decimal import Decimal
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse

from rankfall import _checks

HUGE = pytest.param(10**5000, id="huge")  # longer than Python writes integers


@pytest.mark.parametrize("value", [2, 2.0, np.int8(2), np.float32(2), np.array(2.0), jnp.float32(2), Fraction(2)])
def test_number(value):
    assert type(_checks.number("p", value)) is float and _checks.number("p", value) == 2


@pytest.mark.parametrize("value", ["2", None, True, np.True_, [2], 2j, Decimal(2), np.timedelta64(2), HUGE, {}, b"2"])
def test_no_number(value):
    with pytest.raises(ValueError, match=r"^p is .*, but must be a real number; take another\.$"):
        _checks.number("p", value, "take another")


@pytest.mark.parametrize("value", [2, np.int8(2), np.array(2), jnp.int32(2)])
def test_integer(value):
    assert type(_checks.integer("k", value, 0)) is int and _checks.integer("k", value, 2) == 2


@pytest.mark.parametrize("value", [2.0, "2", None, True, np.True_, [2], np.timedelta64(2), 1])
def test_no_integer(value):
    with pytest.raises(ValueError, match=r"^k is .*, but must be an integer of at least 2\.$"):
        _checks.integer("k", value, 2)


def test_integers_and_sizes_beyond_computers():
    assert _checks.integer("k", 2**62, 0) == 2**62
    for value in (2**62 + 1, *HUGE.values):
        with pytest.raises(ValueError, match=r"^k is .*, but must be an integer of at most 2\^62\.$"):
            _checks.integer("k", value, 0)
    _checks.room("size", 2**18, 2**36)
    with pytest.raises(ValueError, match=r"^size is 262145, but no memory holds the 6.9e\+10 numbers it asks for\.$"):
        _checks.room("size", 2**18 + 1, (2**18 + 1) ** 2)


@pytest.mark.parametrize("value", [1, np.int64(1), np.float64(1), jnp.float32(1)])
def test_sign(value):
    assert [_checks.sign("s", each) for each in (value, -value, None)] == [1, -1, None]
    assert type(_checks.sign("s", value)) is int


@pytest.mark.parametrize("value", [0, True, "+", 1.5, [1], np.nan])
def test_no_sign(value):
    with pytest.raises(ValueError, match=r"^s is .*, but must be \+1, -1 or None\.$"):
        _checks.sign("s", value)


@pytest.mark.parametrize("value", [(0, 1), [0, 1], np.array([0, 1])])
def test_position(value):
    assert _checks.position("position", value) == (0, 1)


@pytest.mark.parametrize("value", [(0, 2), (0, -1), (0.0, 1.0), (True, False), (0,), (0, 0, 0), 3, None, "ab"])
def test_no_position(value):
    with pytest.raises(ValueError, match=r"^position is .*, but must be one of \(0, 0\), \(0, 1\)"):
        _checks.position("position", value)


def test_real_numbers_of_all_kinds():
    assert _checks.real("x", [Fraction(1, 2), 1, True]).tolist() == [0.5, 1.0, 1.0]
    for value in ([None, 1], np.ma.masked_array([7, 1], [True, False])):
        np.testing.assert_array_equal(_checks.real("x", value), [np.nan, 1.0])
    assert _checks.real("x", [1, np.inf], np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "value",
    ["1", ["1"], np.array(["1", None], dtype=object), [1j], [[1], [1, 2]], {}, object(), jax.random.key(0)],
)
def test_no_real_numbers(value):
    with pytest.raises(ValueError, match=r"^x is .*, but must be an array of real numbers \(rows of one length\)\.$"):
        _checks.real("x", value)


def test_numbers_beyond_a_precision():
    with pytest.raises(ValueError, match=r"^x holds 1e\+39, but must stay within the range of float32; use float64\.$"):
        _checks.real("x", [1.0, 1e39], "float32")


@pytest.mark.parametrize("value", [0, -1.0, np.nan, np.inf, True, [True], [1, 0], [], "1", None, HUGE, [[1], [1, 2]]])
def test_not_positive(value):
    with pytest.raises(ValueError, match=r"^scale is .*, but must be positive and finite\.$"):
        _checks.positive("scale", value)


def test_positive():
    assert _checks.positive("scale", [1, Fraction(1, 2)]).tolist() == [1.0, 0.5]
    assert type(_checks.positive_number("size", np.float32(2))) is float
    with pytest.raises(ValueError, match="size is .* must be a real number"):
        _checks.positive_number("size", [1.0])


def test_words_and_the_nearest():
    _checks.one_of("loss", "mse", ("half_sse", "mse"))
    with pytest.raises(ValueError, match=r"^loss is 'msee', but .* 'half_sse', 'mse'; 'mse' is the nearest\.$"):
        _checks.one_of("loss", "msee", ("half_sse", "mse"))
    for value in (None, ["mse"], np.array(["mse"]), jax.random.key(0), 3):
        with pytest.raises(ValueError, match=r"^loss is .*, but must be one of 'half_sse', 'mse'\.$"):
            _checks.one_of("loss", value, ("half_sse", "mse"))


@pytest.mark.parametrize("value", ["float32", np.float32, np.dtype("float32"), jnp.float32])
def test_precision(value):
    assert _checks.precision("dtype", value) == "float32"


@pytest.mark.parametrize("value", ["float31", "float16", None, int, np, np.ones(2), object, 32])
def test_no_precision(value):
    with pytest.raises(ValueError, match="^dtype is .*, but must be one of 'float64', 'float32'"):
        _checks.precision("dtype", value)


@pytest.mark.parametrize("value", ["", None, 5, b"out", "a\0b", ["out"]])
def test_no_folder(value):
    with pytest.raises(ValueError, match=r"^out is .*, but must be the path of a folder, such as 'out'\.$"):
        _checks.folder("out", value)


def test_what_came_is_one_short_line():
    assert _checks.shortened(np.ones((2, 2))) == "array([[1., 1.], [1., 1.]])"
    assert _checks.shortened(np.float64(2)) == "2.0"
    assert len(_checks.shortened(list(range(1000)))) == 80
    assert _checks.shortened(*HUGE.values) == "an object of type int"


def test_a_sparse_matrix_is_refused_with_the_way_to_convert_it():
    with pytest.raises(ValueError, match=r"^w is .*; a sparse one turns into it with \.toarray\(\)\.$"):
        _checks.real("w", scipy.sparse.csr_array(np.eye(2)))


def test_what_an_object_raises_of_its_own_becomes_a_sentence():
    class Faulty:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("of its own")

    with pytest.raises(ValueError, match="^w is .*, but must be an array of real numbers"):
        _checks.real("w", Faulty())


def test_a_key_of_the_old_kind_is_refused_with_the_way_to_convert_it():
    old = jax.random.PRNGKey(3)
    with pytest.raises(ValueError, match=r"^key is .*; jax\.random\.wrap_key_data\(old\) turns"):
        _checks.key("key", old)
    _checks.key("key", jax.random.wrap_key_data(old))
