"""Every experiment in its reduced form: all claims hold, all controls fail, and claims live off the stored data."""

import sys

import numpy as np
import pytest
import xarray as xr

from rankfall.experiments import EXPERIMENTS, load_settings

# Which claims must fall when every stored unobserved entry is a tenth smaller. Not among them are claims of other
# quantities (norms, ranks, chances, balance), those of a place that scaling leaves where it is (the minimiser 0), and
# those that the entry passes by more than a tenth.
NEEDS_ENTRY = {
    "unobserved-entry": {
        "bound-depth-2",
        "bound-depth-3",
        "bound-depth-4",
        "growth-depth-3",
        "growth-depth-4",
        "bound-while-positive",
        "depth-1-stays",
    },
    "norms-and-rank": {"entry-carries-the-norm"},
    "perturbation": {
        *(f"bound-eps-{eps}" for eps in ("0", "0.01", "0.05", "0.1", "0.5")),
        *(f"limit-eps-{eps}" for eps in ("0.05", "0.1", "0.5")),
        *(f"position-({row}, {column})" for row in (0, 1) for column in (0, 1)),
    },
    "solution-set": {"closed-forms"},
    "determinant-sign": {"right-half-grows", "small-imbalance-keeps-sign"},
    "gradient-flow": {*(f"bound-depth-{depth}" for depth in (2, 3, 4, 8)), "growth", "determinant-depth-2"},
    "depth-law": {"law-depth-3", "law-depth-4", "determinant-depth-2", "determinant-is-the-excess"},
    "convergence": {
        "entry-grows-like-the-cube-root-of-time",
        "time-to-the-next-orders",
        "small-starts-pay-the-escape",
        "trace-difference-rises",
    },
    "norm-of-regression": set(),
    "any-norm": set(),
    "exact-recovery": set(),
    "nuclear-norm-or-not": set(),
    "singular-values": set(),
    "spectrum-dynamics": set(),
    "tensor-order3": set(),
    "tensor-order4": set(),
    "component-norms": set(),
    "mapping-rank": set(),
    "circuit-equivalence": set(),
    "overparameterisation": set(),
    "rank-of-data": set(),
    "hierarchical": set(),
    "balancedness": {"depth-2-bears-a-logarithm", "depth-3-bears-a-power"},
}
# Without one unobserved entry, and with the mean of squares as loss.
MEAN_SQUARES = (
    "circuit-equivalence",
    "component-norms",
    "exact-recovery",
    "hierarchical",
    "mapping-rank",
    "nuclear-norm-or-not",
    "overparameterisation",
    "rank-of-data",
    "spectrum-dynamics",
    "tensor-order3",
    "tensor-order4",
)


@pytest.fixture(scope="module", params=list(EXPERIMENTS))
def stored(request, tmp_path_factory):
    """The result of one experiment as it comes back from its file, computed without what is only in an extra."""
    name = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cvxpy", None)
        dataset = EXPERIMENTS[name].compute(load_settings(name), False)
    path = tmp_path_factory.mktemp("stored") / "data.nc"
    dataset.to_netcdf(path, engine="h5netcdf")
    with xr.open_dataset(path, engine="h5netcdf") as back:
        return name, back.load()


def test_every_claim_holds_and_every_control_fails(stored):
    name, dataset = stored
    claims = EXPERIMENTS[name].claims(dataset)
    assert claims and len({c.name for c in claims}) == len(claims)
    assert [c.name for c in claims if not c.holds] == []
    assert [c.name for c in claims if c.control is None or not c.control["fails"]] == []


def test_claims_fall_when_the_stored_entry_is_scaled(stored):
    name, dataset = stored
    entries = [variable for variable in dataset if str(variable).startswith("unobserved")]
    assert entries or name in ("norm-of-regression", "singular-values", *MEAN_SQUARES)
    broken = dataset.assign({variable: 0.9 * dataset[variable] for variable in entries})
    broken.attrs = dataset.attrs
    assert {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds} == NEEDS_ENTRY[name]


def test_claims_about_nothing_do_not_hold(stored):
    name, dataset = stored
    if "lane" not in dataset.dims:
        return
    empty = dataset.assign({v: dataset[v] * np.nan for v in dataset if dataset[v].dtype.kind == "f"})
    empty.attrs = dataset.attrs
    try:
        claims = EXPERIMENTS[name].claims(empty)
    except ValueError:
        return  # refused, which is as good
    assert [c.name for c in claims if c.holds] == []


def test_results_say_which_loss_and_precision_they_are_of(stored):
    name, dataset = stored
    if name == "solution-set":  # no training, no loss
        return
    assert dataset.attrs["loss"] == ("mse" if name in MEAN_SQUARES else "half_sse")
    mixed = name in ("unobserved-entry", "gradient-flow")
    assert set(dataset["dtype"].values) == {"float64", "float32"} if mixed else dataset.attrs["dtype"] == "float64"


def test_claims_about_tensors_fall_when_errors_and_ranks_do(stored):
    """Ten times the error, or one more rank, breaks what is claimed of them."""
    name, dataset = stored
    if not name.startswith("tensor-order"):
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    assert fallen(error=1e3 * dataset["error"]) >= {"rank-1-is-completed", "rank-3-is-completed"}
    assert fallen(upper=dataset["upper"] + 1) == {"rank-1-is-found", "rank-3-is-found"}
    assert fallen(lower=dataset["lower"] * 0 + 1) == {
        "rank-3-is-found", "rank-1-needs-a-small-start", "rank-3-needs-a-small-start",
    }  # fmt: skip
    assert fallen(second=dataset["last"]) >= {"rank-1-uses-no-more", "rank-3-uses-no-more"}


def test_claims_about_components_fall_when_two_are_exchanged(stored):
    name, dataset = stored
    if name != "component-norms":
        return
    turned = dataset["component_norms"].values[..., [1, 0, 3, 2, 4, 5, 6, 7]]
    broken = dataset.assign(
        component_norms=(dataset["component_norms"].dims, turned), law_error=dataset["law_error"] + 1
    )
    broken.attrs = dataset.attrs
    fallen = {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}
    assert {"one-after-another", "all-that-are-needed", "no-more-than-needed", "law-of-the-norms"} <= fallen


def test_components_may_be_learned_in_any_order_but_not_together(stored):
    name, dataset = stored
    if name != "component-norms":
        return

    def one_after_another(columns):
        norms = (dataset["component_norms"].dims, dataset["component_norms"].values[..., columns])
        changed = dataset.assign(component_norms=norms)
        return next(c for c in EXPERIMENTS[name].claims(changed) if c.name == "one-after-another")

    found = one_after_another(range(8))
    assert one_after_another([2, 0, 1, 3, 4, 5, 6, 7]).measured == found.measured and found.holds
    assert not one_after_another([0, 0, 1, 3, 4, 5, 6, 7]).holds


def test_claims_about_mappings_fall_when_ranks_and_errors_rise(stored):
    name, dataset = stored
    if name != "mapping-rank":
        return
    swapped = np.where(dataset["start"].values == "small", "large", "small")
    broken = dataset.assign_coords(start=("lane", swapped))
    assert [c.name for c in EXPERIMENTS[name].claims(broken) if c.holds] == ["by-heart"]
    higher = dataset.assign(zeros_elsewhere=dataset["target"] * 1.5, reconstruction_error=dataset["loss"] + 0.1)
    higher.attrs = dataset.attrs
    fallen = {c.name for c in EXPERIMENTS[name].claims(higher) if not c.holds}
    assert fallen == {"by-heart", *(f"{n}-completes" for n in ("shallow-circuit", "deep-circuit", "tanh-network"))}


def test_claims_about_circuits_fall_with_what_they_are_about(stored):
    """A rounding too many in loss or tensor, or a singular value too many, breaks just the claims about them."""
    name, dataset = stored
    if name != "circuit-equivalence":
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    paths = {"shallow-trajectory", "deep-trajectory", "order-2-trajectory", "order-2-is-depth-2"}
    circuits = dataset["path"].isin(["network", "depth 2"])
    assert fallen(loss=dataset["loss"] * (1 + 1e-10 * circuits)) == paths
    assert fallen(distance=dataset["distance"] + 1e-10) == paths
    assert fallen(output_error=dataset["output_error"] + 1e-11) == {"shallow-outputs", "deep-outputs"}
    assert fallen(gradient_error=dataset["gradient_error"] + 1e-11) == {"shallow-gradients", "deep-gradients"}
    more = dataset["singular_values"] + 1e-6
    assert fallen(singular_values=more) == {"rank-along-the-tree", "rank-of-one-position"}
    fewer = dataset["singular_values"].where(dataset["number"] < 8, 0.0)
    assert fallen(singular_values=fewer) == {"depth-separation"}


def test_claims_about_sizes_fall_where_one_run_does(stored):
    """One run with one more rank, a larger error or another component in use, of the widest of each family."""
    name, dataset = stored
    if name != "overparameterisation":
        return

    def fallen(chosen, **changed):
        broken = dataset.copy(deep=True)
        for variable, value in changed.items():
            broken[variable][np.flatnonzero(chosen)[-1]] = value
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    for family in ("tensor", "matrix"):
        mine = dataset["family"] == family
        small, widest = dataset["start"] < 0.1, dataset["size"] == dataset["size"].where(mine).max()
        near, far = mine & small & widest, mine & ~small & widest
        rank = int(dataset.attrs[f"{family}_rank"])
        assert fallen(near, upper=rank + 1) == {f"{family}-rank-is-found-at-every-size"}
        assert fallen(near, lower=rank - 1) == {f"{family}-rank-is-found-at-every-size"}
        assert fallen(near, error=1e-3) == {f"{family}-is-completed-at-every-size"}
        assert fallen(far, lower=rank) == {f"{family}-rank-grows-from-a-large-start"}
        assert fallen(far, error=1e-3) == {f"{family}-is-not-completed-from-a-large-start"}
        assert fallen(far, stop_reason="st") == {f"{family}-is-not-completed-from-a-large-start"}
        assert fallen(near, used=4.0, effective_rank=2.1) == {
            "tensor-uses-as-many-at-every-size" if family == "tensor" else "matrix-has-one-effective-rank"
        }


def test_claims_about_data_fall_when_variants_are_exchanged(stored):
    name, dataset = stored
    if name != "rank-of-data":
        return

    def fallen(broken):
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    exchanged = dataset.assign_coords(variant=["random images", "random labels", "original"])
    assert fallen(exchanged) >= {
        "low-rank-fits-the-original", "so-for-every-class", "random-data-need-more", "carries-over",
    }  # fmt: skip
    assert fallen(dataset.assign_coords(rank=dataset["rank"].values[::-1])) >= {"errors-fall-with-the-rank"}
    one = dataset.copy(deep=True)
    one["train_error"][0, 0, 6] = one["train_error"][0, 1, 6]
    assert fallen(one) == {"so-for-every-class"}
    assert fallen(dataset * np.nan) == {c.name for c in EXPERIMENTS[name].claims(dataset)}


def test_claims_about_three_factorizations_fall_each_by_what_it_measures(stored):
    name, dataset = stored
    if name != "hierarchical":
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    kinds = ("matrix", "CP", "hierarchical")
    assert fallen(error=dataset["error"] + 0.01) == {f"{kind}-is-completed" for kind in kinds}
    flat = dataset["norms"].where(dataset["component"] != 2, dataset["norms"].isel(component=0))
    assert fallen(norms=flat) == {f"{kind}-one-after-another" for kind in kinds}
    more = dataset["norms"].where(dataset["component"] < 3, dataset["norms"].isel(component=0))
    assert fallen(norms=more) == {f"{kind}-as-many-as-the-rank" for kind in kinds}
    laws = {"law-of-the-local-norms", "law-of-balanced-starts"}
    assert fallen(law_error=dataset["law_error"].roll(rule=-1)) == laws
    assert fallen(law_error=dataset["law_error"] + 1e-6) == laws


def test_claims_about_norms_fall_each_by_what_it_measures(stored):
    name, dataset = stored
    if name != "any-norm":
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    bend = dataset["along_flow"] * dataset["loss"] ** 0.2
    assert fallen(along_flow=bend) == {"every-norm-leaves-its-minimum", "one-rate-for-all"}
    assert fallen(minimiser=dataset["minimiser"] + 1) == {"minimisers-are-near"}
    assert fallen(lower_bound=dataset["lower_bound"] * 0.999) == {"minima-are-certified"}
    assert fallen(where_proved=dataset["where_proved"] * 1.1) == {"where-it-is-proved"}
    everything = {c.name for c in EXPERIMENTS[name].claims(dataset)}
    assert fallen(**{v: dataset[v] * np.nan for v in dataset if dataset[v].dtype.kind == "f"}) == everything


def test_claims_about_the_nuclear_norm_fall_each_by_what_it_measures(stored):
    name, dataset = stored
    if name != "nuclear-norm-or-not":
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    assert fallen(error=dataset["error"].where(dataset["depth"] < 3, 100 * dataset["error"])) == {
        "deep-completes-better-than-the-norm", "depth-helps"}  # fmt: skip
    few = dataset["case_observed"] == dataset["case_observed"].min()
    bound = dataset["least_lower_bound"]
    assert fallen(least_lower_bound=bound.where(~few, 1.02 * bound)) == {"not-the-least-nuclear-norm"}
    assert fallen(least_lower_bound=bound.where(few, 1.01 * bound)) == {"seemingly-the-least-nuclear-norm"}
    assert fallen(effective_rank=2 * dataset["effective_rank"]) == {"lower-rank-than-the-norm"}
    # Nothing is claimed of runs that do not fit.
    stopped = dataset.assign_coords(stop_reason=("run", ["steps"] * dataset.sizes["run"]))
    assert not any(c.holds for c in EXPERIMENTS[name].claims(stopped))


def test_claims_about_recovery_fall_each_by_what_it_measures(stored):
    name, dataset = stored
    if name != "exact-recovery":
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    error, solution = dataset["error"], dataset["solution"]
    assert fallen(error=error.where(solution != "depth 3", 1.0)) == {"training-needs-fewer"}
    assert fallen(error=error.where(solution != "least nuclear norm", error + 0.01)) >= {"recovered-from-enough"}
    assert fallen(error=error.where(solution != "zeros elsewhere", error / 10)) == {"zeros-are-no-completion"}
    assert fallen(gap=dataset["gap"] + 1e-5) == {"certified"}
    turned = error.isel(multiple=slice(None, None, -1)).values
    assert fallen(error=(error.dims, turned)) >= {"more-observations-more-recovery", "recovered-from-enough"}
    everything = {c.name for c in EXPERIMENTS[name].claims(dataset)}
    assert fallen(**{v: dataset[v] * np.nan for v in dataset}) == everything


def test_claims_about_depth_fall_each_by_what_it_measures(stored):
    name, dataset = stored
    if name != "spectrum-dynamics":
        return

    def fallen(**changed):
        broken = dataset.assign(changed)
        broken.attrs = dataset.attrs
        return {c.name for c in EXPERIMENTS[name].claims(broken) if not c.holds}

    assert fallen() == set()
    assert fallen(test_error=dataset["test_error"] + 0.05) == {"deep-is-completed"}
    assert fallen(effective_rank=dataset["effective_rank"] + 2) == {"few-at-half-the-loss"}
    assert fallen(gradient_mean=dataset["gradient_mean"].roll(place=1)) == {"gradient-is-diagonal"}
    assert fallen(law_error=dataset["law_error"].roll(exponent=1)) == {"law-of-the-singular-values"}
    # The second as early as the first; and as much left behind at depth 4 as at depth 3.
    early = dataset["singular_values"].where(dataset["number"] != 1, dataset["singular_values"].isel(number=0))
    assert fallen(singular_values=early) == {"one-after-another"}
    left = dataset["singular_values"] * xr.where((dataset["number"] > 2) & (dataset["depth"] == 4), 3.0, 1.0)
    assert fallen(singular_values=left.transpose("lane", "record", "number")) == {"deeper-leaves-less-behind"}
    exchanged = dataset.assign_coords(depth=("lane", 5 - dataset["depth"].values))
    assert [c.name for c in EXPERIMENTS[name].claims(exchanged) if c.holds] == ["law-of-the-singular-values"]


def test_reduced_forms_go_far_enough():
    for name in EXPERIMENTS:
        reduced, full = load_settings(name), load_settings(name, full=True)
        assert type(reduced) is type(full) and reduced != full
        assert getattr(reduced, "seeds", 3) >= 3
        assert getattr(reduced, "loss", 1e-3) <= 1e-3


def test_every_depth_and_precision_is_there(stored):
    name, dataset = stored
    if name != "unobserved-entry":
        return
    float32 = dataset.sel(lane=dataset["dtype"] == "float32")
    assert set(np.unique(float32["depth"])) == {2, 3, 4}
    reasons = dataset["stop_reason"].values
    assert set(reasons) <= {"loss", "steps"}
