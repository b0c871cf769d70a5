"""Elementwise arithmetic as one loop: the same numbers, the same last digit everywhere, and nothing else let in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rankfall._execution import double_precision, takes_hint

kernels = pytest.importorskip("rankfall._execution.kernels", exc_type=ImportError)
LANES = 19


def numbers(count, seed=0):
    return [jnp.asarray(x) for x in np.random.default_rng(seed).normal(size=(count, LANES))]


def product(a, b, c, d):
    """Two products of numbers that a nested function adds, an array of the function's own, and a choice."""
    own = jnp.asarray([3.0, 0.5])
    total = jax.jit(lambda a, b: a * b + c * d)(a, b)
    return jnp.where(total > 0, total - own[0], own[1] * total), a > b


def as_arithmetic(function, *examples):
    return kernels.arithmetic(function, jnp.full((), -0.0, jnp.float64), *examples)


def test_values_are_those_of_the_function():
    with double_precision():
        values = numbers(4)
        plain = as_arithmetic(product, *values)
        kernel = kernels.in_one_kernel(plain, *values)
        expected = product(*values)
        for found in (plain(*values), kernel(*values)):
            np.testing.assert_allclose(found[0], expected[0], rtol=1e-14)
            assert (found[1] == expected[1]).all()


@pytest.mark.skipif(not takes_hint(), reason="of this compiler nothing is known")
def test_one_loop_on_a_compiler_that_takes_it():
    with double_precision():
        values = numbers(4)
        kernel = kernels.in_one_kernel(as_arithmetic(product, *values), *values)
        text = jax.jit(kernel, compiler_options={"xla_cpu_use_fusion_emitters": False}).lower(*values).as_text()
    assert text.count("mhlo.fusion") == 1 and "call" not in text


@pytest.mark.parametrize(
    "function",
    [jax.nn.sigmoid, jnp.exp, jnp.sum, lambda x: x[::-1], lambda x: jnp.stack([x, x]), lambda x: jnp.zeros(LANES) @ x],
    ids=["logistic", "exp", "sum", "reversed", "stacked", "product"],
)
def test_what_is_not_plain_arithmetic_is_left_to_others(function):
    with double_precision():
        assert as_arithmetic(function, *numbers(1)) is None


def test_an_array_of_another_shape_is_left_to_others():
    with double_precision():
        (x,), other = numbers(1), jnp.arange(3.0)
        assert kernels.in_one_kernel(lambda x: (x, other * 2.0), x) is None


def test_an_operation_on_what_is_known_is_done_once_and_outside():
    with double_precision():
        own = jnp.arange(4.0)
        plain = as_arithmetic(lambda x: x * own[1] + x * own[1] * own[2] + own[1], *numbers(1))
        traced = jax.make_jaxpr(plain)(*numbers(1))
    # Two numbers and the zero.
    assert len(traced.consts) == 3 and all(np.shape(c) == () for c in traced.consts)


def test_a_sum_of_two_products_has_one_way_to_be_rounded():
    # The zero makes a chain of it, whichever product comes first in the machine's order.
    with double_precision():
        traced = jax.make_jaxpr(as_arithmetic(lambda a, b: a * a + b * b, *numbers(2)))(*numbers(2))
    (eqn,) = traced.jaxpr.eqns
    names = [inner.primitive.name for inner in eqn.params["jaxpr"].eqns]
    assert names.count("add") == 2 and names.count("mul") == 2
