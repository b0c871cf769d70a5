import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from rankfall import experiments, plots
from rankfall.plots.lanes import ends, on_grid
from rankfall.theory import unobserved_lower_bound

PANELS = {
    "exact-recovery": 2,
    "nuclear-norm-or-not": 3,
    "any-norm": 3,
    "unobserved-entry": 4,
    "norms-and-rank": 3,
    "perturbation": 2,
    "solution-set": 2,
    "determinant-sign": 6,
    "norm-of-regression": 2,
    "gradient-flow": 3,
    "depth-law": 3,
    "singular-values": 6,
    "spectrum-dynamics": 6,
    "convergence": 3,
    "balancedness": 3,
    "tensor-order3": 4,
    "tensor-order4": 4,
    "component-norms": 4,
    "mapping-rank": 4,
    "circuit-equivalence": 3,
    "overparameterisation": 4,
    "rank-of-data": 3,
    "hierarchical": 9,
}
OVER_LOSS = ["unobserved-entry", "norms-and-rank", "perturbation"]
MAY_BE_EMPTY = [*OVER_LOSS, "gradient-flow", "depth-law", "convergence", "balancedness"]


def _drawn(axes):
    """Finite points of all lines of a panel."""
    return sum(int(np.isfinite(np.asarray(line.get_ydata(), dtype=float)).sum()) for line in axes.get_lines())


def test_every_experiment_has_a_drawing():
    assert set(plots.DRAWINGS) == set(experiments.EXPERIMENTS) == set(PANELS)


def test_refuses_unknown_names():
    with pytest.raises(ValueError, match="'no-such'.*solution-set"):
        plots.draw("no-such", xr.Dataset())


def test_draws(name, dataset, tmp_path):
    whole = plots.draw(name, dataset)
    assert isinstance(whole, Figure) and len(whole.axes) == PANELS[name]
    assert whole.get_suptitle()
    for number, ax in enumerate(whole.axes):
        assert ax.get_title() and ax.get_xlabel() and _drawn(ax) > 0
        assert ax.get_ylabel() or (name == "unobserved-entry" and number > 0)
    for file in ("figure.png", "figure.svg"):
        whole.savefig(tmp_path / file)
        assert (tmp_path / file).stat().st_size > 1000


def test_legends_lie_outside_the_data(name, dataset):
    whole = plots.draw(name, dataset)
    whole.draw_without_rendering()
    for ax in whole.axes:
        if (legend := ax.get_legend()) is not None:
            assert legend.get_window_extent().y1 < ax.get_window_extent().y0


def test_the_drawing_leaves_the_data_as_they_are(name, dataset):
    before = dataset.copy(deep=True)
    plots.draw(name, dataset)
    assert dataset.identical(before)


@pytest.mark.parametrize("name", MAY_BE_EMPTY)
def test_lanes_may_be_missing_or_empty(name, dataset):
    few = dataset.isel(lane=[0, -1]).copy(deep=True)
    few["loss"][0] = np.nan
    few["unobserved"][0] = np.nan
    plots.draw(name, few).draw_without_rendering()


def test_ratings_are_drawn_without_a_rank(ratings):
    whole = plots.draw("spectrum-dynamics", ratings)
    whole.draw_without_rendering()
    assert len(whole.axes) == 5 and "MovieLens" in whole.get_suptitle()
    assert [ax.get_yscale() for ax in whole.axes] == ["log"] * 5
    assert whole.axes[-1].get_ylabel() == "effective rank"


@pytest.mark.parametrize("name", OVER_LOSS)
def test_loss_axes_are_inverted(name, dataset):
    for ax in plots.draw(name, dataset).axes:
        assert ax.get_xscale() == "log" and ax.xaxis_inverted()


@pytest.mark.parametrize("name", ["unobserved-entry"])
def test_the_proved_bound_is_drawn(name, dataset):
    for ax in plots.draw(name, dataset).axes[1:]:
        thick = max(ax.get_lines(), key=lambda line: line.get_linewidth())
        x, y = thick.get_data()
        np.testing.assert_array_equal(y, unobserved_lower_bound(x))


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
