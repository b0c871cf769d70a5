"""What is tested of every experiment: the test file of a room imports all of it.

That file also has ``PANELS``, those of the picture, and ``made()``, a small dataset of the form that the experiment
stores. Where an experiment differs from the usual, it has ``LOSS`` and ``DTYPES`` of the results, ``ONE_LABEL_A_ROW``
of the picture, and ``FALL_WITH_THE_ENTRY``: the claims that must fall when every stored unobserved entry is a tenth
smaller.
"""

import fnmatch

import numpy as np
from matplotlib.figure import Figure

from rankfall.talk import EXPERIMENTS

__all__ = [
    "test_claims_about_nothing_do_not_hold",
    "test_claims_fall_when_the_stored_entry_is_scaled",
    "test_draws",
    "test_every_claim_holds_and_every_control_fails",
    "test_lanes_may_be_missing_or_empty",
    "test_legends_lie_outside_the_data",
    "test_loss_axes_are_inverted",
    "test_published_settings_are_those_of_claims_there_are",
    "test_reduced_forms_go_far_enough",
    "test_results_say_which_loss_and_precision_they_are_of",
    "test_the_drawing_leaves_the_data_as_they_are",
]


def test_every_claim_holds_and_every_control_fails(experiment, stored):
    claims = experiment.claims(stored)
    assert claims and len({c.name for c in claims}) == len(claims)
    assert [c.name for c in claims if not c.holds] == []
    assert [c.name for c in claims if c.control is None or not c.control["fails"]] == []


def test_claims_fall_when_the_stored_entry_is_scaled(stored, fallen, request):
    # Claims of other quantities (norms, ranks, chances, balance) stay, as do those of a place that scaling leaves where
    # it is (the minimiser 0), and those that the entry passes by more than a tenth.
    wanted = getattr(request.module, "FALL_WITH_THE_ENTRY", set())
    entries = [variable for variable in stored if str(variable).startswith("unobserved")]
    assert entries or not wanted
    assert fallen(**{variable: 0.9 * stored[variable] for variable in entries}) == wanted


def test_claims_about_nothing_do_not_hold(experiment, stored):
    if "lane" not in stored.dims:
        return
    empty = stored.assign({v: stored[v] * np.nan for v in stored if stored[v].dtype.kind == "f"})
    empty.attrs = stored.attrs
    try:
        claims = experiment.claims(empty)
    except ValueError:
        return  # refused, which is as good
    assert [c.name for c in claims if c.holds] == []


def test_results_say_which_loss_and_precision_they_are_of(stored, request):
    loss = getattr(request.module, "LOSS", "half_sse")
    assert stored.attrs.get("loss") == loss
    if loss is None:  # no training, no precision
        return
    dtypes = getattr(request.module, "DTYPES", {"float64"})
    assert (set(stored["dtype"].values) if len(dtypes) > 1 else {stored.attrs["dtype"]}) == dtypes


def test_published_settings_are_those_of_claims_there_are(experiment, stored):
    """What does not apply at other settings is named by patterns and keys, which nothing else compares."""
    names = [claim.name for claim in experiment.claims(stored)]
    for pattern, keys in experiment.published.items():
        assert any(fnmatch.fnmatchcase(name, pattern) for name in names), pattern
        assert keys and set(keys) <= set(experiment.settings.model_fields) - {"seed"}, pattern


def test_reduced_forms_go_far_enough(name):
    reduced, full = EXPERIMENTS.settings(name), EXPERIMENTS.settings(name, full=True)
    assert type(reduced) is type(full) and reduced != full
    assert getattr(reduced, "seeds", 3) >= 3
    assert getattr(reduced, "loss", 1e-3) <= 1e-3


def _drawn(axes):
    """Finite points of all lines of a panel."""
    return sum(int(np.isfinite(np.asarray(line.get_ydata(), dtype=float)).sum()) for line in axes.get_lines())


def test_draws(draw, dataset, tmp_path, request):
    whole = draw(dataset)
    assert isinstance(whole, Figure) and len(whole.axes) == request.module.PANELS
    assert whole.get_suptitle()
    for number, ax in enumerate(whole.axes):
        assert ax.get_title() and ax.get_xlabel() and _drawn(ax) > 0
        assert ax.get_ylabel() or (getattr(request.module, "ONE_LABEL_A_ROW", False) and number > 0)
    for file in ("figure.png", "figure.svg"):
        whole.savefig(tmp_path / file)
        assert (tmp_path / file).stat().st_size > 1000


def test_legends_lie_outside_the_data(draw, dataset):
    whole = draw(dataset)
    whole.draw_without_rendering()
    for ax in whole.axes:
        if (legend := ax.get_legend()) is not None:
            assert legend.get_window_extent().y1 < ax.get_window_extent().y0


def test_the_drawing_leaves_the_data_as_they_are(draw, dataset):
    before = dataset.copy(deep=True)
    draw(dataset)
    assert dataset.identical(before)


def test_lanes_may_be_missing_or_empty(draw, dataset):
    if "unobserved" not in dataset or "lane" not in dataset["unobserved"].dims:
        return
    few = dataset.isel(lane=[0, -1]).copy(deep=True)
    few["loss"][0] = np.nan
    few["unobserved"][0] = np.nan
    draw(few).draw_without_rendering()


def test_loss_axes_are_inverted(draw, dataset):
    for ax in draw(dataset).axes:
        if ax.get_xlabel().startswith("loss ("):
            assert ax.get_xscale() == "log" and ax.xaxis_inverted()
