import numpy as np

from rankfall.plots.lanes import ends, on_grid


def test_median_is_taken_at_equal_losses():
    loss = np.array([[1.0, 0.1, 0.01], [1.0, 0.1, np.nan], [np.nan] * 3])
    value = -np.log10(loss)
    grid = np.array([1.0, 10**-0.5, 0.1, 0.01])
    expected = [[0, 0.5, 1, 2], [0, 0.5, 1, np.nan], [np.nan] * 4]
    np.testing.assert_allclose(on_grid(loss, value, grid), expected, atol=1e-12)
    np.testing.assert_array_equal(ends(loss, value), [[0.01, 0.1], [2, 1]])


def test_a_rising_loss_does_not_disturb_the_curve():
    found = on_grid(np.array([[1.0, 0.1, 0.5, 0.01]]), np.array([[0.0, 1.0, 99.0, 2.0]]), np.array([0.5, 0.05]))
    np.testing.assert_allclose(found, [[np.log10(2), 1 + np.log10(2)]])
