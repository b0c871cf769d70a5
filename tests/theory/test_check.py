"""Certificates of runs: what must hold does, what must not be certified is not, and each statement can fail."""

import dataclasses
import json

import jax
import numpy as np
import pytest
import xarray as xr

import rankfall as rf
from rankfall.theory.family import Family, family

BASE = rf.two_by_two()
DENSE = rf.MatrixCompletion.from_dense
# One kind of record, so that the flow is compiled once.
RECORD = rf.Record(every=1, measures=["end_to_end"])
OF_NORMS = ("schatten-0.5", "nuclear", "frobenius", "spectral")


def start(depth, det_sign=1, kind="balanced", scale=1e-3, lanes=2, **options):
    keys = jax.random.split(jax.random.key(0), lanes)
    return rf.MatrixFactorization.init((2, 2), depth, kind=kind, scale=scale, det_sign=det_sign, key=keys, **options)


def certificates(run, **options):
    return {c.name: c for c in rf.theory.check(run, **options)}


def tampered(run, problem=None, dynamics=None, **changes):
    """The run with variables of its trajectory put through functions (or replaced by values)."""
    trajectory = run.trajectory.copy(deep=True)
    for name, change in changes.items():
        old = trajectory.get(name)
        trajectory[name] = (("lane", "record"), change) if old is None else (old.dims, change(old.values.copy()))
    fields = {"problem": problem, "dynamics": dynamics}
    return dataclasses.replace(run, trajectory=trajectory, **{k: v for k, v in fields.items() if v is not None})


def at_end(change):
    """Apply a change to the last record of lane 0."""

    def apply(values):
        last = np.flatnonzero(np.isfinite(values[0].reshape(len(values[0]), -1)[:, 0]))[-1]
        values[0, last] = change(values[0, last])
        return values

    return apply


@pytest.fixture(scope="module", params=[2, 3, 4])
def flow(request):
    return spectral(request.param)


def spectral(depth, det_sign=1, problem=BASE, loss=1e-12):
    stop = rf.Stop(loss=loss, steps=2_000)
    return rf.train(problem, start(depth, det_sign), rf.SpectralFlow(), stop=stop, record=RECORD, progress=False)


@pytest.fixture(scope="module")
def deep():
    return spectral(4)


@pytest.fixture(scope="module")
def descent():
    """Depth 2: a balanced lane that loses its sign, and an unbalanced one."""
    lanes = rf.MatrixFactorization.stack([start(2, lanes=1), start(2, kind="gaussian", lanes=1)])
    stop = rf.Stop(loss=1e-3, steps=100_000)
    record = rf.Record(at_losses=np.geomspace(1, 1e-3, 60))
    return rf.train(BASE, lanes, rf.GradientDescent(5e-2), stop=stop, record=record, progress=False)


def run_of(problem, matrices, det_sign=None, log_abs_det=None, depth=3.0, p=(0.5, 1.0, 2.0, np.inf)):
    """A run whose records are given matrices; times and all that needs them are not meant."""
    w = np.asarray(matrices)[None]
    s = np.linalg.svd(w, compute_uv=False)
    sign, log_abs = np.linalg.slogdet(w)
    sign, log_abs = (b if a is None else np.asarray(a)[None] for a, b in ((det_sign, sign), (log_abs_det, log_abs)))
    logs = np.log(np.maximum(s, 1e-300))
    logs[..., -1] = log_abs - logs[..., :-1].sum(axis=-1)
    s = np.exp(logs)
    (row, column), count = np.asarray(problem.unobserved_indices)[0], np.arange(w.shape[1])[None]
    spectrum = rf.measures.spectrum
    over = ("lane", "record")
    data = {
        "step": (over, count), "time": (over, count * 1.0), "loss": (over, np.asarray(problem.loss(w))),
        "unobserved": ((*over, "entry"), w[..., row, column, None]), "det_sign": (over, sign),
        "log_abs_det": (over, log_abs), "singular_values": ((*over, "singular_value"), s),
        "log_singular_values": ((*over, "singular_value"), logs),
        "effective_rank": (over, spectrum.effective_rank(s)), "stop_reason": ("lane", ["steps"]),
        "schatten_norm": ((*over, "p"), np.stack([spectrum.schatten_norm(s, q) for q in p], axis=-1)),
    }  # fmt: skip
    trajectory = xr.Dataset(data, coords={"p": list(p)}, attrs={"depth": depth})
    return rf.Run(problem, rf.SpectralFlow(), start(2), trajectory, 0.0)


# How each statement is made to fail, by tampering with the run at depth 4.
def below(values):
    return values * 0.9


def second_far_too_large(values):
    """Twice the first one's inverse is beyond three times sqrt(2 loss) once that is about 1 / x."""
    values[..., 1] = 10.0 / np.maximum(values[..., 0], 1.0)
    return values


# What is said of the matrices themselves, which some tests leave as they are.
OF_MATRICES = ("log-determinant", "short-span")
TAMPERS = {
    "unobserved-entry": {"unobserved": below},
    "unobserved-entry-simple": {"unobserved": at_end(below)},
    **{f"norm-{name}": {"schatten_norm": below} for name in OF_NORMS},
    **{f"theorem-1a-{name}": {"schatten_norm": lambda v: 0.1 * v} for name in OF_NORMS},
    "distance-to-infimal-rank": {"singular_values": second_far_too_large},
    "second-share": {"singular_values": second_far_too_large},
    "rank-suboptimality": {"singular_values": second_far_too_large},
    "theorem-1c": {"singular_values": second_far_too_large},
    "effective-rank": {"effective_rank": at_end(lambda v: v + 1e-4)},
    "theorem-1b": {"effective_rank": at_end(lambda v: v + 1e-4)},
    "loss-never-increases": {"loss": at_end(lambda v: 1.001 * v + 1e-11)},
    "determinant-sign": {"det_sign": at_end(lambda v: -v)},
    "energy": {"energy_error": at_end(lambda v: v + 1e-5)},
    "velocity": {"velocity_error": at_end(lambda v: v + 2e-6)},
    "short-span": {"time": lambda v: 1.001 * v},
    "log-determinant": {"log_abs_det": lambda v: 1.01 * v},
    "gap-is-determinant": {"log_abs_det": lambda v: v + 0.1},
    "depth-law": {"log_abs_det": at_end(lambda v: v + 0.1)},
    "flow-time": {"time": lambda v: 1.1 * v},
}


def test_a_flow_is_certified_to_a_loss_of_1e_minus_12(flow):
    depth = flow.trajectory.attrs["depth"]
    found = certificates(flow)
    absent = {"gap-is-determinant", "depth-law"} if depth == 2 else set()
    assert set(found) == set(TAMPERS) - absent
    assert [(c.name, c.reason) for c in found.values() if not c.certified] == []
    for c in found.values():
        assert c.ok and c.margin >= -c.tolerance and c.reason == ""


def test_the_worst_place_is_where_it_is_said_to_be(flow):
    bound = rf.theory.unobserved_lower_bound
    loss, entry = flow.trajectory["loss"].values, np.abs(flow.trajectory["unobserved"].values[..., 0])
    proved = bound(np.where(np.isfinite(loss), loss, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        slack = np.where(np.isfinite(loss) & (proved > 0), entry / proved - 1, np.inf)
    c = certificates(flow)["unobserved-entry"]
    assert c.margin == slack.min()
    place = c.where["lane"], c.where["record"]
    assert slack[place] == c.margin and c.measured == entry[place] and c.expected == proved[place]
    for name in ("step", "time", "loss"):
        assert c.where[name] == flow.trajectory[name].values[place]


def test_fields_are_those_of_a_claim_and_four_more(flow):
    for c in rf.theory.check(flow):
        record = c.to_dict()
        claim = list(rf.theory.Claim("n", "s", "o", 1, 1, 0, True).to_dict())
        assert list(record) == [*claim, "margin", "where", "certified", "reason"]
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert set(record["where"]) == {"lane", "record", "step", "time", "loss"}


@pytest.mark.parametrize("name", TAMPERS)
def test_every_statement_can_fail(name, deep):
    assert certificates(deep)[name].certified
    c = certificates(tampered(deep, **TAMPERS[name]))[name]
    assert not c.certified and not c.holds and not c.ok
    assert c.margin < -c.tolerance and "violated" in c.reason and f"lane {c.where['lane']}" in c.reason


def test_a_smaller_entry_leaves_the_rest_alone(deep):
    found = certificates(tampered(deep, unobserved=at_end(below)))
    assert {n for n, c in found.items() if not c.certified} == {
        "unobserved-entry", "unobserved-entry-simple", "depth-law"
    }  # fmt: skip
    last = int((deep.trajectory["step"].values[0] >= 0).sum()) - 1
    assert (found["unobserved-entry"].where["lane"], found["unobserved-entry"].where["record"]) == (0, last)
    assert found["unobserved-entry"].margin == pytest.approx(-0.1, rel=1e-6)


def test_balance_is_checked_to_the_tolerance_of_the_dynamics(deep):
    drift = np.full(deep.trajectory["loss"].shape, 1e-5)
    coarse = rf.GradientFlow(balance_tolerance=1e-4)
    assert not certificates(tampered(deep, balance_drift=drift))["balance"].certified
    assert certificates(tampered(deep, balance_drift=drift, dynamics=coarse))["balance"].certified


def refused(run, *words):
    """Nothing of it is certified, and every reason says why."""
    found = rf.theory.check(run)
    assert found
    for c in found:
        assert not c.certified and not c.holds and not c.ok
        assert all(word in c.reason for word in words), c.reason
    return {c.name: c for c in found}


def test_a_wrong_determinant_sign_is_refused_and_breaks_the_bound():
    found = refused(spectral(3, det_sign=-1, loss=1e-6), "sign -1 at the start", "2 of 2 lanes")
    c = found["unobserved-entry"]
    assert c.margin < -0.5 and c.measured < 0.5 * c.expected


def test_one_lane_of_the_wrong_sign_is_enough(deep):
    mixed = tampered(deep, det_sign=lambda v: v * [[1.0], [-1.0]])
    refused(mixed, "1 of 2 lanes, first lane 1")
    good = dataclasses.replace(mixed, trajectory=mixed.trajectory.isel(lane=[0]))
    assert certificates(good)["unobserved-entry"].certified


def test_descent_that_loses_its_sign_is_refused_where_it_does(descent):
    balanced = dataclasses.replace(descent, trajectory=descent.trajectory.isel(lane=[0]))
    found = refused(balanced, "lost its sign")
    sign = balanced.trajectory["det_sign"].values[0]
    first = int(np.argmax(sign <= 0))
    step = balanced.trajectory["step"].values[0, first]
    assert sign[0] > 0 and f"by step {step}," in found["unobserved-entry"].reason
    # While the sign lasts the bound holds, and margins are taken over those records.
    c = found["unobserved-entry"]
    assert c.margin >= 0 and c.where["record"] < first
    assert found["determinant-sign"].where["record"] == first


def test_an_unbalanced_start_is_refused(descent):
    gaussian = dataclasses.replace(descent, trajectory=descent.trajectory.isel(lane=[1]))
    share = descent.trajectory["unbalancedness"].values[1, 0] / descent.trajectory["singular_values"].values[1, 0, 0]
    refused(gaussian, f"unbalanced start: {share:.2g}")
    # Also where the sign is kept.
    kept = tampered(gaussian, det_sign=np.abs)
    reasons = {c.reason for c in rf.theory.check(kept)}
    assert not any("lost its sign" in reason for reason in reasons)
    refused(kept, "unbalanced start")


def test_both_lanes_together(descent):
    refused(descent, "unbalanced start", "1 of 2 lanes, first lane 1", "2 of 2 lanes, first lane 0")


def test_descent_that_keeps_its_sign_is_certified_for_its_matrices(descent):
    balanced = dataclasses.replace(descent, trajectory=descent.trajectory.isel(lane=[0], record=slice(0, 5)))
    c = certificates(balanced)["distance-to-infimal-rank"]
    assert c.certified and c.reason.startswith("of the recorded matrices")


def test_depth_1_is_refused():
    record = rf.Record(every=100)
    run = rf.train(BASE, start(1, kind="gaussian"), rf.GradientDescent(1e-2), stop=rf.Stop(loss=1e-6), record=record,
                   progress=False)  # fmt: skip
    refused(run, "depth 1, but")


def test_single_precision_is_refused():
    narrow, lanes = rf.two_by_two(dtype="float32"), start(2, dtype="float32")
    record = rf.Record(at_losses=np.geomspace(1, 1e-3, 60))
    run = rf.train(narrow, lanes, rf.GradientDescent(5e-2), stop=rf.Stop(loss=1e-3, steps=100_000), record=record,
                   progress=False)  # fmt: skip
    found = refused(run, "single precision", f"{np.finfo(np.float32).eps:.1e}", "lost its sign")
    assert found["unobserved-entry"].tolerance == 1e-4


@pytest.mark.parametrize("end", ["certificate", "diverged", "stalled"])
def test_a_bad_end_is_refused(end, deep):
    refused(tampered(deep, stop_reason=lambda v: np.array(["loss", end])), f"ended with '{end}' (1 of 2 lanes")


def test_records_of_a_diverged_lane_do_not_count(deep):
    run = tampered(deep, loss=at_end(lambda v: np.inf))
    assert certificates(run)["unobserved-entry"].certified


def test_a_sign_that_is_rounding_is_no_sign(deep):
    shallow = spectral(2)
    assert certificates(shallow)["unobserved-entry"].certified
    refused(tampered(shallow, dynamics=rf.EndToEndFlow()), "lost its sign")


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("z", [1.0, -1.0])
def test_positions_and_signs(position, z, deep):
    problem = rf.two_by_two(z, position=position)
    moved = tampered(deep, problem, det_sign=lambda v: v * problem.required_det_sign)
    numbers = {n: (c.certified, c.margin) for n, c in certificates(moved).items() if n not in OF_MATRICES}
    assert numbers == {n: (c.certified, c.margin) for n, c in certificates(deep).items() if n not in OF_MATRICES}
    if problem.required_det_sign < 0:
        refused(tampered(deep, problem), "sign 1 at the start, but it must be -1")


def test_the_loss_in_another_convention(deep):
    mse = rf.two_by_two(loss="mse")
    same = tampered(deep, mse, loss=lambda v: v * 2 / 3, time=lambda v: v * 3 / 2, dissipated=lambda v: v * 2 / 3)
    here, there = certificates(deep), certificates(same)
    for name, c in there.items():
        # The integral behind the log-determinant is the last digits of entries of a million: 1e-8 in it is 1e-5 here.
        close = 1e-5 if name == "log-determinant" else 1e-6
        assert c.certified and c.margin == pytest.approx(here[name].margin, rel=close, abs=1e-12)
    # Taken for half the sum of squares, the smaller numbers ask for a larger entry.
    assert not certificates(tampered(deep, loss=lambda v: v * 2 / 3))["unobserved-entry"].certified


def test_what_attains_the_bound_is_certified():
    loss = np.geomspace(1e-10, 0.49, 200)[::-1]
    worst = rf.theory.extremal_matrix(loss)
    log_det = np.full(200, -800.0)
    run = run_of(BASE, worst, det_sign=np.ones(200), log_abs_det=log_det)
    c = certificates(run)["unobserved-entry"]
    assert c.certified and abs(c.margin) < 1e-12
    nearer = worst * [[1 - 1e-8, 1.0], [1.0, 1.0]]
    c = certificates(run_of(BASE, nearer, det_sign=np.ones(200), log_abs_det=log_det))["unobserved-entry"]
    assert not c.certified and c.margin == pytest.approx(-1e-8, rel=1e-3)


@pytest.mark.parametrize("values", [(1.0, 1.0, 0.0), (-2.0, 0.5, 0.1), (1.0, 3.0, -0.2), (0.1, 0.2, 0.0)])
def test_random_matrices_of_the_required_sign(values, draw_near):
    problem = rf.two_by_two(*values)
    sign = problem.required_det_sign
    sample = draw_near(3, 5_000, *values, sign)
    s = sample.singular_values
    with np.errstate(divide="ignore"):
        log_det = np.maximum(np.log(s).sum(axis=1), -700.0)
    run = run_of(problem, sample.matrices, det_sign=np.full(len(s), sign), log_abs_det=log_det)
    found = certificates(run)
    of_flows = {"loss-never-increases", "gap-is-determinant", "depth-law", "flow-time"}
    about_matrices = [c for name, c in found.items() if name not in of_flows]
    assert len(about_matrices) > 10 and [(c.name, c.reason) for c in about_matrices if not c.certified] == []
    other = draw_near(3, 5_000, *values, -sign)
    with np.errstate(divide="ignore"):
        log_det = np.maximum(np.log(other.singular_values).sum(axis=1), -700.0)
    run = run_of(problem, other.matrices, det_sign=np.full(len(s), -sign), log_abs_det=log_det)
    assert certificates(run)["unobserved-entry"].margin < -0.01


def test_the_perturbed_problem_along_the_flow():
    run = spectral(3, problem=rf.two_by_two(1.0, 2.0, 0.05), loss=1e-6)
    entry = np.abs(run.trajectory["unobserved"].values[:, -1, 0])
    found = certificates(run)
    assert [(c.name, c.reason) for c in found.values() if not c.certified] == []
    assert "effective-rank-linear" in found and "theorem-1b" not in found
    assert (entry[np.isfinite(entry)] > 10).all()
    broken = certificates(tampered(run, unobserved=below, effective_rank=lambda v: v + 1.0))
    assert not broken["unobserved-entry"].certified and not broken["unobserved-entry-simple"].certified
    assert not broken["effective-rank-linear"].certified and not broken["effective-rank"].certified


@pytest.mark.parametrize(("size", "values"), [(3, (1.0, 1.0, 0.0)), (4, (2.0, -3.0, 0.3))])
def test_larger_problems(size, values):
    problem = rf.two_by_two(*values, size=size)
    rng = np.random.default_rng(0)
    target = np.eye(size)
    target[:2, :2] = [[0.0, values[0]], [values[1], values[2]]]
    residual = rng.normal(size=(20_000, size, size)) * 10.0 ** rng.uniform(-4, -0.3, (20_000, 1, 1))
    residual[:, 0, 0] = rng.normal(size=20_000) * 10.0 ** rng.uniform(-1, 4, 20_000)
    matrices = target + residual
    right = np.sign(np.linalg.det(matrices)) == problem.required_det_sign
    found = certificates(run_of(problem, matrices[right]))
    assert set(found) == {"unobserved-entry", "distance-to-infimal-rank", *(f"norm-{n}" for n in OF_NORMS),
                          "loss-never-increases", "determinant-sign"}  # fmt: skip
    assert [(n, c.reason) for n, c in found.items() if not c.certified and n != "loss-never-increases"] == []
    assert found["unobserved-entry"].margin < 1
    wrong = refused(run_of(problem, matrices[~right]), "at the start")
    assert wrong["unobserved-entry"].margin < -0.5 and wrong["distance-to-infimal-rank"].margin < -0.5


def test_bounds_that_say_nothing_are_not_certified():
    matrices = np.array([[[0.1, 0.0], [0.0, 0.1]], [[0.2, 0.1], [0.1, 0.2]]])
    found = certificates(run_of(BASE, matrices))
    for name in ("unobserved-entry", "norm-nuclear", "second-share", "effective-rank", "theorem-1a-nuclear"):
        c = found[name]
        assert not c.certified and c.reason == "vacuous at every record" and c.where == {} and np.isnan(c.margin)
    assert found["distance-to-infimal-rank"].certified and found["theorem-1c"].certified
    one = certificates(run_of(BASE, matrices[:1]))["loss-never-increases"]
    assert not one.certified and one.reason == "there is one record only"


def test_lanes_of_which_nothing_is_said_are_told(deep):
    early = deep.trajectory.isel(record=slice(0, 3))
    lanes = xr.concat([deep.trajectory.isel(lane=[0], record=slice(100, 103)), early.isel(lane=[1])], "lane")
    c = certificates(dataclasses.replace(deep, trajectory=lanes))["unobserved-entry"]
    assert c.certified and c.where["lane"] == 0 and c.reason == "put to no record of 1 of 2 lanes"


def test_records_too_far_apart_say_nothing_of_the_log_determinant(deep):
    sparse = dataclasses.replace(deep, trajectory=deep.trajectory.isel(record=slice(None, None, 20)))
    c = certificates(sparse)["log-determinant"]
    assert not c.certified and "too far apart" in c.reason


def test_norms_are_chosen(deep):
    assert {n for n in certificates(deep, norms=[np.inf, "nuclear"]) if n.startswith("norm-")} == {
        "norm-spectral", "norm-nuclear"
    }  # fmt: skip
    assert not any(n.startswith(("norm-", "theorem-1a")) for n in certificates(deep, norms=[]))
    with pytest.raises(ValueError, match=r"^norms holds 3.0, but .* schatten-0.5, .*\.$"):
        rf.theory.check(deep, norms=[3.0])
    with pytest.raises(ValueError, match=r"^norms is 'nuclear', but .*\.$"):
        rf.theory.check(deep, norms="nuclear")


def test_norms_recorded_by_name_take_part(deep):
    largest = np.abs(deep.trajectory["unobserved"].values[..., 0]) + 1.0
    found = certificates(tampered(deep, max_row_sum=largest))
    assert found["norm-max_row_sum"].certified and found["theorem-1a-max_row_sum"].certified
    assert not certificates(tampered(deep, max_row_sum=0.5 * largest))["norm-max_row_sum"].certified


def test_another_problem_is_refused_by_name(deep):
    sensing = rf.MatrixSensing(np.ones((1, 2, 2)), [1.0])
    with pytest.raises(ValueError, match=r"^run is on a MatrixSensing of shape \(2, 2\), but .*two_by_two.*\.$"):
        rf.theory.check(tampered(deep, sensing))


@pytest.mark.parametrize("position", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("size", [2, 4])
def test_the_family_is_recognised(position, size):
    problem = rf.two_by_two(-2.0, 0.5, 0.1, position=position, size=size)
    found = family(problem)
    assert found == Family(-2.0, 0.5, 0.1, position, size)
    assert found.required_det_sign == problem.required_det_sign and not found.base


def test_the_family_is_recognised_however_the_problem_was_built():
    nan = np.nan
    assert family(DENSE([[nan, 1.0], [1.0, 0.0]], infimal_rank=2)).base
    assert family(rf.MatrixCompletion.from_coo([[1, 1], [0, 0], [0, 1]], [1.0, 1.0, 0.0], (2, 2))).position == (1, 0)
    for other in (
        DENSE([[nan, 0.0], [1.0, 0.0]]),
        DENSE([[nan, 1.0], [nan, 0.0]]),
        DENSE([[1.0, 1.0], [1.0, 0.0]]),
        DENSE([[nan, 1.0, 0.0], [1.0, 0.0, 0.0]]),
        DENSE([[nan, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]),
        DENSE([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, nan]]),
        DENSE([[1.0]]),
        rf.MatrixSensing(np.ones((1, 2, 2)), [1.0]),
        None,
    ):
        assert family(other) is None


@pytest.mark.parametrize("depth", [2, 3])
def test_a_singular_start_is_checked_without_a_warning(depth):
    start = rf.MatrixFactorization([np.full((2, 2), 0.1)] * depth)
    run = rf.train(BASE, start, rf.SpectralFlow(), stop=rf.Stop(loss=1e-3), record=RECORD, progress=False)
    with np.errstate(divide="raise", invalid="raise", over="raise"):
        claims = {claim.name: claim for claim in rf.theory.check(run)}
    assert not claims["determinant-sign"].holds and claims["determinant-sign"].measured == 0
    assert "the matrix is singular, and ln|det W| infinite" in claims["log-determinant"].reason
