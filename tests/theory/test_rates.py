import numpy as np
import pytest

from rankfall import theory

TABLE = {2: (58.93, 1863.4, 58926), 3: (23.03, 496.1, 10687), 4: (13.30, 236.4, 4204)}


@pytest.mark.parametrize("depth", TABLE)
def test_flow_time_table(depth):
    np.testing.assert_allclose(theory.flow_time([1e-2, 1e-3, 1e-4], depth), TABLE[depth], rtol=4e-4)


@pytest.mark.parametrize("depth, measured, scale", [(3, 10851, 1e-6), (4, 4298, 1e-4)])
def test_flow_time_with_escape_is_near_measured_descent(depth, measured, scale):
    together = theory.flow_time(1e-4, depth) + theory.escape_time(scale, depth)
    assert together == pytest.approx(measured, rel=0.015)


def test_depth_two_against_exact_descent():
    path = theory.identity_descent(1e-6, 0.05, 40_000)
    reached = 0.05 * np.argmax(path.loss <= 1e-3)
    assert reached == pytest.approx(1912, rel=2e-3)
    assert theory.flow_time(1e-3, 2) + theory.escape_time(1e-6, 2) == pytest.approx(reached, rel=0.03)


def test_entry_and_loss_agree_on_the_time():
    loss = 10.0 ** np.linspace(-10, -2, 9)[:, None]
    depth = np.arange(2, 9)
    x = theory.unobserved_at_time(theory.flow_time(loss, depth), depth)
    np.testing.assert_allclose(x, np.broadcast_to(1 / np.sqrt(2 * loss), x.shape), rtol=1e-12)
    assert theory.unobserved_at_time(1e5, 2) == pytest.approx((6e5) ** (1 / 3))
    assert theory.unobserved_at_time(0.0, 3) == 0.0 and theory.flow_time(0.0, 3) == np.inf


def test_rate_solves_its_differential_equation():
    t, h = 50.0, 1e-4
    for depth in (2, 3, 5):
        slope = (theory.unobserved_at_time(t + h, depth) - theory.unobserved_at_time(t - h, depth)) / (2 * h)
        x = theory.unobserved_at_time(t, depth)
        assert slope == pytest.approx(depth * x ** (-1 - 2 / depth), rel=1e-7)


def test_escape_time():
    np.testing.assert_allclose(theory.escape_time([1e-6, 1e-4], [3, 4]), [100, 50], rtol=1e-12)
    assert theory.escape_time(1e-6, 2) == pytest.approx(0.5 * np.log(1e6))


def test_step_size_ceiling():
    assert theory.step_size_ceiling(20.0, 2) == pytest.approx(0.1)
    np.testing.assert_allclose(theory.step_size_ceiling([78, -76], [3, 4]), [6e-3, 3e-3], rtol=0.01)
    assert theory.step_size_ceiling(5.0, 1) == 2.0
    assert theory.step_size_ceiling(0.0, 3) == np.inf


def test_depth_law():
    x = np.array([3.0, 70.7, -956.0])
    np.testing.assert_allclose(theory.depth_law_determinant(x, 3), 125 / x**4)
    np.testing.assert_allclose(theory.depth_law_determinant(x, 4), 9 / x**2)
    np.testing.assert_allclose(theory.depth_law_determinant(x, 8), 1.98 * np.abs(x) ** (-2 / 3), rtol=2e-3)
    # |x| sqrt(2 loss) - 1 = -1/x^2 + det, against measured runs.
    for depth, entry, measured, rel in [
        (4, 7071.0, 1.6e-7, 0.01),
        (8, 956.0, 1.98e-2, 0.03),
        (3, 70.7, -1.957e-4, 4e-3),
    ]:
        assert theory.depth_law_determinant(entry, depth) - entry**-2 == pytest.approx(measured, rel=rel)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: theory.flow_time(-1.0, 2), "loss"),
        (lambda: theory.flow_time(1.0, 1), "depth"),
        (lambda: theory.flow_time(1.0, 2.5), "depth"),
        (lambda: theory.unobserved_at_time(-1.0, 2), "t"),
        (lambda: theory.unobserved_at_time(1.0, [2, np.nan]), "depth"),
        (lambda: theory.escape_time(2.0, 2), "scale"),
        (lambda: theory.escape_time(0.0, 2), "scale"),
        (lambda: theory.escape_time(1e-3, np.inf), "depth"),
        (lambda: theory.step_size_ceiling(np.nan, 2), "unobserved"),
        (lambda: theory.step_size_ceiling(1.0, 0), "depth"),
        (lambda: theory.depth_law_determinant(1.0, 2), "depth"),
        (lambda: theory.depth_law_determinant(np.inf, 3), "x"),
    ],
)
def test_wrong_input_is_named(call, name):
    with pytest.raises(ValueError, match=rf"^{name} .*; .*\.$"):
        call()
