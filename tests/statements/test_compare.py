"""Training beside norms: a norm that is minimised is reported so, one that is not is not, and doubt is said."""

import importlib
import json
import re

import jax
import mpmath
import numpy as np
import pytest
import xarray as xr

import rankfall as rf
from rankfall.report import store_comparison
from rankfall.statements.comparison.results import with_smaller
from rankfall.statements.comparison.verdict import verdict_of

module = importlib.import_module("rankfall.statements.comparison.compare")
KEY = jax.random.key(0)
SCALES = [1e-2, 1e-4, 1e-6]


@pytest.fixture(scope="module")
def proved():
    """Commuting measurements: two factors end at the least nuclear norm, and that is a theorem."""

    def draw(key):
        return rf.commuting_sensing(6, rank=1, measurements=4, key=key)

    norms = ["nuclear", "frobenius", lambda_norm()]
    return rf.compare(draw, norms, [2], scales=SCALES, draws=2, kind="identity", progress=False)


def lambda_norm():
    """The nuclear norm again, as a convex expression."""

    def of_expression(x):
        import cvxpy

        return cvxpy.normNuc(x)

    return rf.references.NormMinimal(expression=of_expression, solver="SCS")


@pytest.fixture(scope="module")
def two_by_two():
    """The talk's problem, where every norm is driven to infinity."""
    return rf.compare(
        rf.two_by_two(), ["nuclear", "schatten-0.5", tallest], [2, 3], scales=SCALES, draws=2, progress=False
    )


def tallest(w):
    """Largest magnitude, of which nothing but values is known."""
    return float(np.abs(w).max())


def test_where_it_is_proved_the_norm_is_minimised(proved):
    nuclear, frobenius, expression = proved.verdicts
    assert nuclear.verdict == expression.verdict == "minimised"
    assert nuclear.excess == pytest.approx(expression.excess, abs=1e-5) and abs(nuclear.excess) < 2e-3
    assert abs(nuclear.growth) < 1e-3 and nuclear.against == 0
    # The control: another norm, of the same runs.
    assert frobenius.verdict == "not minimised" and frobenius.excess > 0.05


def test_norms_that_are_driven_to_infinity(two_by_two):
    for found in two_by_two.verdicts:
        assert found.verdict == "not minimised" and found.against == found.draws == 2
        # sqrt(1 / loss) = 7071 at this loss, and twice that at most in a norm of two entries.
        assert found.excess > 1e3 and found.growth == pytest.approx(0.5, abs=1e-3)
    ranks = two_by_two.data["effective_rank"].isel(scale=-1)
    assert (
        float(ranks.max()) < 1.01 and float(two_by_two.data["effective_rank_of_least"].sel(norm="nuclear").min()) > 1.9
    )


def test_depth_two_is_followed_by_the_flow(two_by_two):
    """Descent would change the sign of the determinant, end near by, and call the norm nearly minimised."""
    descent = rf.compare(
        rf.two_by_two(), ["nuclear"], [2], scales=SCALES, draws=2, dynamics=rf.ExponentialDescent(), progress=False
    )
    assert float(two_by_two.data["norm_of_trained"].sel(norm="nuclear", depth=2).min()) > 1e3
    assert float(descent.data["norm_of_trained"].max()) < 20
    # Of all solutions the determinant is -1; the flow never gets below 0.
    assert (np.linalg.det(two_by_two.data["trained"].values) > -1e-9).all()
    assert (np.linalg.det(descent.data["trained"].values) < -0.99).all()


def test_one_factor_is_minimal_in_frobenius_norm_and_not_in_nuclear_norm():
    """The control of depth: measurements that the identity is not among."""
    problem = rf.MatrixSensing(np.diag([1.0, 2.0])[None], np.array([1.0]))
    found = rf.compare(problem, ["nuclear", "frobenius"], [1], scales=SCALES, draws=1, progress=False)
    nuclear, frobenius = found.verdicts
    assert nuclear.verdict == "not minimised" and nuclear.excess == pytest.approx(0.2, abs=1e-3)
    assert frobenius.verdict == "minimised" and abs(frobenius.excess) < 1e-4


def test_solutions_and_errors_are_kept(proved):
    data = proved.data
    assert set(data["trained"].dims) == {"depth", "draw", "row", "column"}
    problem = rf.commuting_sensing(6, rank=1, measurements=4, key=jax.random.split(jax.random.split(KEY, 2)[0])[0])
    least = data["least"].sel(norm="nuclear", draw=0).values
    assert abs(problem.residuals(least)).max() < 1e-8
    assert float(rf.measures.nuclear_norm(least)) == pytest.approx(float(data["minimum"].sel(norm="nuclear", draw=0)))
    trained = data["trained"].sel(depth=2, draw=0).values
    assert float(problem.loss(trained)) <= 1e-8 * float(problem.loss(np.zeros((6, 6))))
    error = np.linalg.norm(trained - problem.truth) / np.linalg.norm(problem.truth)
    assert float(data["error"].sel(depth=2, draw=0, scale=1e-6)) == pytest.approx(error)


def made(excess, *, status="optimal", below=1.0, fits=True, growth=0.0, scales=(1e-2, 1e-3, 1e-4), size=2):
    """Data of one norm and depth, two draws and three scales, with a least norm of 1."""
    values = 1 + np.broadcast_to(np.asarray(excess, float), (2, 3))
    reasons = np.where(np.broadcast_to(fits, (2, 3)), "loss", "steps")
    dims = ("draw", "scale")
    return xr.Dataset(
        {
            "minimum": ("draw", [1.0, 1.0]),
            "lower_bound": ("draw", [below, below]),
            "status": ("draw", [status, status]),
            "least": (("draw", "row", "column"), np.tile(np.eye(size) / np.sqrt(size), (2, 1, 1))),
            "norm_of_trained": (dims, values),
            "norm_before": (dims, values * 100.0**-growth),
            "loss": (dims, np.full((2, 3), 1e-8)),
            "loss_before": (dims, np.full((2, 3), 1e-6)),
            "stop_reason": (dims, reasons),
        },
        {"norm": "nuclear", "depth": 2, "scale": list(scales)},
    )


@pytest.mark.parametrize(
    ("data", "verdict", "words"),
    [
        (made([0.5, 0.05, 0.001]), "minimised", "within 1 % of the least"),
        (made([0.5, 0.3, 0.3]), "not minimised", "2 of 2 draws"),
        (made([[0.5, 0.3, 0.3], [0.5, 0.05, 0.001]]), "not minimised", "1 of 2 draws"),
        (made([0.5, 0.6, 0.7]), "not minimised", "1.7 times"),
        (made([5.0, 5.0, 5.0], growth=0.5), "not minimised", r"loss\^-0.50"),
        (made([0.5, 0.3, 0.2]), "undecided", "still falls"),
        (made([0.5, 0.05, 0.001], below=0.5), "undecided", "no lower bound"),
        (made([0.5, 0.05, 0.001], below=-np.inf, status="local"), "undecided", "no lower bound"),
        (made([0.5, 0.3, 0.3], below=-np.inf, status="local"), "not minimised", "2 of 2 draws"),
        (made([0.5, 0.3, 0.3], fits=False), "undecided", "4 of the last 4 runs did not reach the loss"),
        (made([0.5, 0.3, 0.3], fits=[[True, True, True], [True, True, False]]), "not minimised", "1 of 2"),
        (made([[0.5, 0.3, 0.3], [9.0, 9.0, 9.0]], fits=[[True] * 3, [False] * 3]), "not minimised", "up to 1.3 times"),
        (made([0.5, 0.05, 0.001], fits=[[True, True, True], [True, True, False]]), "undecided", "1 of the last 4"),
        (made([-0.1, -0.1, -0.1]), "undecided", "the loss is too large"),
        # Within the tolerance, and on the way out of it.
        (made([0.0, 0.003, 0.008]), "undecided", "still rises"),
        (made([0.0, 0.004, 0.006]), "minimised", "within 1 %"),
        (made([0.006, 0.006, 0.006]), "minimised", "within 1 %"),
        # A start as large as the solution tells nothing, however still the norm.
        (made([0.3, 0.3, 0.3], scales=(1e3, 1e2, 1e1)), "undecided", "still falls"),
        # So small a slope is the end of a small matrix; of a large one it may be the beginning of a fall.
        (made([0.0301, 0.03005, 0.03]), "not minimised", "2 of 2"),
        (made([0.0301, 0.03005, 0.03], size=50), "undecided", "by no law that tells where it ends"),
    ],
)  # fmt: skip
def test_verdicts(data, verdict, words):
    found = verdict_of(data, 0.01)
    assert found.verdict == verdict
    assert re.search(words, found.why), found.why


def test_slow_falls_are_not_taken_for_an_end():
    """What falls like the inverse of the logarithm, to zero, is never said not to be minimised."""
    decades = np.arange(2, 40)
    for end in range(3, len(decades)):
        scales = 10.0 ** -decades[:end].astype(float)[-3:]
        excess = (0.3 * 2 / decades[:end])[-3:]
        assert verdict_of(made(excess, scales=scales), 0.01).verdict != "not minimised"
    # Nor is that said of what falls like it to a limit above, until what is left to fall is less than that.
    late = made(0.2 + (0.3 * 2 / decades)[-3:], scales=scales)
    found = verdict_of(late, 0.01)
    assert found.verdict == "not minimised" and 0.15 < found.foretold < 0.2


@pytest.mark.parametrize("weights", [[1, 0.97], [1, 0.97, 0.5], [1, 0.98, 0.9, 0.3], [1, 0.95, 0.94, 0.2, 0.1]])
@pytest.mark.parametrize("many", [1, 4])
def test_no_fall_of_commuting_measurements_is_taken_for_an_end(weights, many):
    """``sum a_i s_i = 1`` with ``s_i = alpha e^(a_i v)``: at every scale either near or undecided."""
    a = np.array([1.0, *np.repeat(weights[1:], many)])
    v = np.linspace(0.0, 460.0, 4601)
    log_alpha = -np.log(np.exp(a * v[:, None] - v[:, None]) @ a) - v
    excess = np.exp(a * v[:, None] + log_alpha[:, None]).sum(axis=1) - 1
    for end in np.linspace(2.0, 200.0, 60):
        scales = 10.0 ** -(end + np.array([-1.0, -0.5, 0.0]))
        there = np.interp(-np.log(scales), -log_alpha, excess)
        found = verdict_of(made(there, scales=scales, size=len(a)), 0.01)
        assert found.verdict == ("minimised" if there[-1] <= 0.01 else "undecided"), (end, there)
        assert found.foretold <= 0.01


CLOSE = np.array([1.0, 0.97, 0.97, 0.97, 0.97])


def implicit(weights, residual, scale, depth):
    """Nuclear norm of the diagonal flow of ``sum a_i s_i = 1``, at 50 digits, where so much of the 1 is missing.

    ``ds_i/dt = L s_i^(2-2/L) a_i r``: at depth 2 ``s_i = alpha exp(a_i v)``, deeper ``s_i^-p = alpha^-p - a_i v`` with
    ``p = 1 - 2/L``; ``v`` is the integral of the residual, and found where the residual is what is missing.
    """
    # What is left of alpha^-p = 1e67 at depth 3 from 1e-200 is of the order of 1.
    with mpmath.workdps(50 + 70):
        a, start, p = [mpmath.mpf(float(w)) for w in weights], mpmath.mpf(scale), 1 - mpmath.mpf(2) / depth

        def solutions(v):
            if depth == 2:
                return [start * mpmath.exp(w * v) for w in a]
            return [(start**-p - w * v) ** (-1 / p) for w in a]

        def missing(v):
            return 1 - sum(w * s for w, s in zip(a, solutions(v), strict=True)) - residual

        # The largest singular value alone is at most 1.
        low, high = mpmath.mpf(0), -mpmath.log(start) if depth == 2 else (start**-p - 1) / a[0]
        for _ in range(420):
            middle = (low + high) / 2
            low, high = (middle, high) if missing(middle) > 0 else (low, middle)
        return float(sum(solutions(low)))


@pytest.fixture(scope="module")
def close():
    """Commuting measurements of close size, which the scale tells apart like its power 0.03."""
    problem = rf.MatrixSensing(np.diag(CLOSE)[None], np.array([1.0]))
    return rf.compare(problem, ["nuclear", "frobenius"], [2, 3], draws=1, kind="identity", progress=False)


def test_close_commuting_measurements_are_told_apart(close):
    """What is 1.022 times the least at 1e-6, and still falls, is the least at 1e-200."""
    nuclear = close.verdicts[:2]
    assert [v.verdict for v in nuclear] == ["minimised"] * 2 and "from 1e-200" in nuclear[0].why
    # The control: the Frobenius norm, which is least at the weights themselves.
    frobenius = close.verdicts[2:]
    assert [v.verdict for v in frobenius] == ["not minimised"] * 2
    assert frobenius[0].excess == pytest.approx(np.linalg.norm(CLOSE) - 1, rel=1e-3)
    assert close.data["scale"].values.tolist() == [*module.SCALES, *module.FURTHER]
    # The same from 1e-6 on is told by no law.
    early = verdict_of(close.data.sel(norm="nuclear", depth=2, scale=list(module.SCALES)), 0.01)
    assert early.verdict == "undecided" and early.excess == pytest.approx(0.0224, abs=1e-4)


@pytest.mark.parametrize("depth", [2, 3])
def test_close_commuting_measurements_against_the_implicit_equation(close, depth):
    of = close.data.sel(norm="nuclear", depth=depth, draw=0)
    for scale in of["scale"].values:
        at = of.sel(scale=scale)
        # Half the square of the residual is the loss.
        exact = implicit(CLOSE, np.sqrt(2 * float(at["loss"])), float(scale), depth)
        assert float(at["norm_of_trained"]) == pytest.approx(exact, rel=1e-6), scale
    assert implicit(CLOSE, 0.0, 1e-200, 2) == pytest.approx(1.0000001, abs=2e-4)


def test_descent_goes_to_no_smaller_starts_and_says_that_it_cannot_tell():
    problem = rf.MatrixSensing(np.diag(CLOSE)[None], np.array([1.0]))
    options = {"scales": [1e-4, 1e-6], "draws": 1, "kind": "identity", "dynamics": rf.ExponentialDescent()}
    (found,) = rf.compare(problem, ["nuclear"], [2], **options, progress=False).verdicts
    assert found.verdict == "undecided" and "smaller scales" in found.why and found.foretold <= 0.01


def test_smaller_starts_are_added_as_far_as_they_end():
    """Of a flow that takes too many steps from the smallest ones, the others count."""
    first = made([0.3, 0.2, 0.1]).expand_dims(["norm", "depth"])
    more = made([0.05, 0.02, 0.01], fits=[[True, True, False], [True] * 3], scales=(1e-12, 1e-25, 1e-50))
    whole = with_smaller(first, more.expand_dims(["norm", "depth"]))
    assert whole["scale"].values.tolist() == [1e-2, 1e-3, 1e-4, 1e-12, 1e-25]
    assert (whole["stop_reason"] == "loss").all()
    np.testing.assert_allclose(whole["norm_of_trained"].squeeze()[0], [1.3, 1.2, 1.1, 1.05, 1.02])


def test_is_stored_as_plain_files(two_by_two, tmp_path):
    folder = store_comparison(two_by_two, tmp_path)
    assert sorted(p.name for p in folder.iterdir()) == ["data.nc", "figure.png", "figure.svg", "verdicts.json"]
    rows = json.loads((folder / "verdicts.json").read_text())
    assert [row["verdict"] for row in rows] == ["not minimised"] * 6
    with xr.open_dataset(folder / "data.nc", engine="h5netcdf") as back:
        again = rf.Comparison(back.load())
    assert again.verdicts == two_by_two.verdicts and str(again) == str(two_by_two)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="did not write"):
        store_comparison(two_by_two, tmp_path)


def test_problems_of_one_distribution_have_one_shape():
    shapes = iter([4, 5])
    with pytest.raises(ValueError, match="one shape"):
        rf.compare(lambda key: rf.low_rank_completion((next(shapes), 4), 1, 8, key=key), draws=2, progress=False)


def test_a_least_norm_with_a_small_gap_is_taken_where_no_other_method_goes(monkeypatch):
    """Near the least number of entries the gap falls slowly, and what is solved exactly is smaller than this."""
    problem = rf.low_rank_completion((170, 170), rank=2, observed=8000, key=KEY)
    monkeypatch.setattr(module, "NuclearNorm", lambda: rf.references.NuclearNorm(gap=1e-15, steps=200))
    found = module._least(rf.references.NormMinimal("nuclear"), problem)
    assert found.status == "inaccurate" and found.gap < 1e-6
    monkeypatch.setattr(module, "NuclearNorm", lambda: rf.references.NuclearNorm(gap=1e-15, steps=1))
    with pytest.raises(ValueError, match="170"):
        module._least(rf.references.NormMinimal("nuclear"), problem)
