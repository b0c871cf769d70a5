import dataclasses
import subprocess
import sys

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

import rankfall as rf
from rankfall import theory
from rankfall.statements import challenges

WEIGHTS = np.array([[1.0, 2.0], [0.5, 3.0]])
LOSS = 1e-6
A, B = 2.0, 3.0


def weighted(w):
    return np.linalg.norm(WEIGHTS * w)


def off_centre(w):
    """Least where x / sqrt(x^2 + 2) is smaller than A, so at the kink x = B."""
    return np.linalg.norm(w) + A * abs(w[0, 0] - B * w[0, 1])


def tilted(w):
    """Frobenius norm of the entries in another basis: (x - 2)^2 + 1 + 1 on the solutions."""
    return np.linalg.norm([w[0, 0] - 2.0 * w[0, 1], w[0, 1], w[1, 0], 0.7 * w[1, 1]])


def barely(w):
    """Weighs the unobserved entry so little that the path ends before it matters."""
    return np.linalg.norm(w * [[1e-5, 1.0], [1.0, 1.0]])


@pytest.fixture(scope="module")
def flow():
    return challenges._path(3, 1e-3, LOSS, None)


@pytest.fixture(scope="module")
def other():
    return challenges._path(3, 1e-3, LOSS, None, det_sign=-1)


@pytest.fixture(autouse=True)
def _one_path(flow, other, monkeypatch, request):
    """The same path for every norm, unless a test is about the path."""
    if "path" not in request.node.name:
        monkeypatch.setattr(challenges, "_path", lambda *_, det_sign=1: flow if det_sign > 0 else other)


CASES = [
    *((f"schatten-{p:g}", None, 0.0, 2.0 ** (1 / p), 1e-12) for p in (0.2, 0.5, 1.0, 2.0, np.inf)),
    *((f"entrywise-{p:g}", None, 0.0, 2.0 ** (1 / p), 1e-12) for p in (0.5, 1.0, 2.0, np.inf)),
    (weighted, 1, 0.0, np.hypot(2.0, 0.5), 1e-12),
    (off_centre, 1, B, np.sqrt(B**2 + 2.0), 1e-6),
    (tilted, 1, 2.0, np.sqrt(2.0), 1e-6),
    (lambda w: max(np.abs(w).max(), abs(w[0, 0] - 5 * w[0, 1]) / 2), 1, 3.0, 1.0, None),
]


@pytest.mark.parametrize(("norm", "c", "x", "least", "near"), CASES)
def test_minimum_path_and_verdict(norm, c, x, least, near):
    if near is None:  # max(|x|, 1, |x - 5| / 2): where the two lines cross
        x, least, near = 5 / 3, 5 / 3, 1e-6
    found = rf.challenge(norm, triangle_constant=c, loss=LOSS)
    assert found.minimiser == pytest.approx(x, abs=near) and found.minimum == pytest.approx(least, rel=1e-9)
    assert found.minimum_at_least <= least * (1 + 1e-12)
    if found.constants.triangle_constant == 1:
        assert found.minimum_at_least == pytest.approx(least, rel=1e-6)
    assert found.constants.certified and found.claim.ok
    # Quasi-norms near it from below: (sqrt(x) + 2)^2 for entrywise p = 1/2.
    assert found.growth_rate == pytest.approx(1.0, abs=0.02 if found.constants.triangle_constant == 1 else 0.15)
    assert found.ratio == pytest.approx(float(found.path["norm"][-1]) / least, rel=1e-9) and found.ratio > 2
    assert (found.path["norm"] >= found.path["bound"] * (1 - 1e-9)).all()
    assert (found.path["bound"] >= found.path["theorem1_bound"] * (1 - 1e-9)).all()


def test_minimum_against_a_direct_search():
    x = np.linspace(-20, 20, 400_001)
    direct = np.sqrt(x**2 + 2) + A * np.abs(x - 0.4)

    def kinked(w):
        return np.linalg.norm(w) + A * abs(w[0, 0] - 0.4 * w[0, 1])

    found = rf.challenge(kinked, triangle_constant=1, loss=LOSS)
    assert found.minimum == pytest.approx(direct.min(), rel=1e-8)
    assert found.minimiser == pytest.approx(x[direct.argmin()], abs=1e-4)


def test_minimum_of_a_quasi_norm_with_two_wells():
    """Wells at x = 1 and x = -4; neither convex nor least at 0."""

    def wells(w):
        parts = w[0, 0] - w[0, 1], w[0, 0] + 4 * w[0, 1], 3 * w[0, 1], w[1, 0], w[1, 1]
        return np.sqrt(np.abs(parts)).sum() ** 2

    found = rf.challenge(wells, triangle_constant=2, loss=LOSS)
    x = np.linspace(-30, 30, 60_001)
    direct = (np.sqrt(np.abs(x - 1)) + np.sqrt(np.abs(x + 4)) + np.sqrt(3) + 1) ** 2
    assert found.minimum == pytest.approx(direct.min(), rel=1e-6)
    assert min(abs(found.minimiser - 1), abs(found.minimiser + 4)) < 1e-6
    assert 0 < found.minimum_at_least <= direct.min() / 2 * 1.1
    assert found.claim.ok


def test_what_is_not_certified_says_so():
    found = rf.challenge(weighted, loss=LOSS)
    sure = rf.challenge(weighted, triangle_constant=1, loss=LOSS)
    assert not found.constants.certified and sure.constants.certified
    for text in (found.claim.statement, found.claim.source, str(found)):
        assert "not certified" in text
    for text in (sure.claim.statement, sure.claim.source, str(sure)):
        assert "not certified" not in text
    assert found.claim.measured == sure.claim.measured


def test_a_norm_that_barely_sees_the_entry_is_not_driven_yet():
    """Negative control: the claim can fail, and says below which loss it would not."""
    found = rf.challenge(barely, triangle_constant=1, loss=LOSS)
    assert not found.claim.holds and "NOT" in str(found) and found.ratio < 1.01
    known = found.constants
    assert theory.generic_norm_bound(found.sure_below, known) > 2 * found.minimum
    assert theory.generic_norm_bound(found.sure_below * 1.02, known) < 2 * found.minimum


@pytest.mark.parametrize("norm", ["nuclear", "schatten-0.5"])
def test_the_control_is_the_flow_from_the_other_sign(norm, flow, monkeypatch):
    claim = rf.challenge(norm, loss=LOSS).claim
    assert claim.holds and claim.control["fails"] and claim.control["measured"] < 1 <= claim.measured
    # Were that one driven too, the control would say so.
    monkeypatch.setattr(challenges, "_path", lambda *_, det_sign=1: flow)
    claim = rf.challenge(norm, loss=LOSS).claim
    assert claim.holds and not claim.control["fails"] and not claim.ok


def weights(row, column, weight):
    """The Frobenius norm with one entry weighed so."""
    mask = np.ones((2, 2))
    mask[row, column] = weight
    return lambda w: np.linalg.norm(w * mask)


def test_a_norm_that_falls_is_not_driven_up():
    """The norm is a thousand times its minimum since it weighs what training still has to bring to 0."""
    found = rf.challenge(weights(1, 1, 1e8), triangle_constant=1, loss=LOSS)
    assert found.ratio > 1e5 and found.growth_rate == pytest.approx(-1.0, abs=0.01)
    assert not found.claim.holds and found.claim.measured == 0 and float(found.path["bound"][-1]) == 0
    text = str(found)
    assert "NOT driven above its minimum yet" in text and "falling like" in text and "says nothing there" in text
    assert "vacuous" in text and "vacuous" in found.claim.statement
    assert found.sure_below == pytest.approx(2.9e-9, rel=0.02)


def test_a_norm_that_rises_before_theorem_1_speaks_is_not_said_to_be_driven(flow, other, monkeypatch):
    """On the first stretch, to loss 0.01, the same norm rises with the entry that is to vanish."""
    short = [one.isel(record=one["loss"].values >= 0.01) for one in (flow, other)]
    monkeypatch.setattr(challenges, "_path", lambda *_, det_sign=1: short[0] if det_sign > 0 else short[1])
    found = rf.challenge(weights(1, 1, 1e8), triangle_constant=1, loss=0.01)
    assert found.growth_rate > 1 and found.ratio > 2 and not found.claim.holds and "NOT shown" in str(found)


@pytest.mark.parametrize(
    ("row", "column", "weight", "driven", "below"),
    # The loss from which on the bound B - |rest| is above twice the minimum: about min(1, weight)^2 / (18 or so).
    [(0, 0, 1e-9, False, 2.8e-20), (1, 1, 1e-9, True, 0.022), (0, 0, 1e12, True, 0.19), (0, 1, 1e12, False, 5.5e-26),
     (1, 0, 1e12, False, 5.5e-26), (1, 1, 1e12, False, 2.9e-13)],
)  # fmt: skip
def test_norms_of_any_weights_are_norms(row, column, weight, driven, below):
    found = rf.challenge(weights(row, column, weight), triangle_constant=1, loss=LOSS)
    least = max(weight, np.sqrt(2)) if row != column else np.sqrt(2)
    assert found.minimiser == 0 and found.minimum == pytest.approx(least)
    assert found.claim.ok == driven and found.sure_below == pytest.approx(below, rel=0.03)
    assert ("driven above its minimum\n" in str(found)) == driven


def test_a_path_that_stays_put_makes_the_claim_false(flow, monkeypatch):
    still = flow.copy(deep=True)
    still["end_to_end"][:] = theory.solution(0.0)
    still["unobserved"][:] = 0.0
    monkeypatch.setattr(challenges, "_path", lambda *_, det_sign=1: still)
    found = rf.challenge("nuclear", loss=LOSS)
    assert not found.claim.holds and not found.claim.ok
    assert found.growth_rate == pytest.approx(0.0, abs=1e-9) and found.ratio == pytest.approx(1.0)


def test_refuses_what_is_no_norm():
    with pytest.raises(ValueError, match="seminorm"):
        rf.challenge(lambda w: abs(w[0, 1]) + abs(w[1, 0]) + abs(w[1, 1]), loss=LOSS)
    with pytest.raises(ValueError, match="homogeneous"):
        rf.challenge(lambda w: np.linalg.norm(w) ** 2, loss=LOSS)
    with pytest.raises(ValueError, match="^norm is schatten-0.005, .* below 1e100"):
        rf.challenge("schatten-0.005", loss=LOSS)


def test_says_it_in_four_lines():
    text = str(rf.challenge("nuclear", loss=LOSS))
    assert len(text.splitlines()) == 4 and max(map(len, text.splitlines())) <= 120
    assert text == repr(rf.challenge("nuclear", loss=LOSS))
    assert text.startswith("nuclear: driven above its minimum") and "x = 0" in text and "certified" in text


def test_is_frozen():
    found = rf.challenge("nuclear", loss=LOSS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.minimum = 0.0
    assert found.path["end_to_end"].dims == ("record", "row", "col")


@pytest.mark.parametrize(("norm", "c"), [("nuclear", None), (barely, 1), (weighted, None), (off_centre, 1)])
def test_figure(norm, c, tmp_path):
    found = rf.challenge(norm, triangle_constant=c, loss=LOSS)
    whole = found.figure()
    assert isinstance(whole, Figure) and len(whole.axes) == 2 and found.name in whole.get_suptitle()
    whole.savefig(tmp_path / "figure.png")
    words = [text.get_text() for ax in whole.axes for text in ax.get_legend().get_texts()]
    assert any("not certified" in w for w in words) == (norm is weighted)
    assert any("theorem 1" in w for w in words) == (norm is not barely)
    for ax in whole.axes:
        assert ax.get_title() and ax.get_xlabel() and ax.get_ylabel()
        assert ax.get_legend().get_window_extent().y1 < ax.get_window_extent().y0


def test_import_stays_light():
    code = "import sys, rankfall; print(sorted({'matplotlib', 'scipy.integrate', 'scipy.optimize'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_path_keeps_the_laws_of_the_flow(depth, seed):
    key = None if seed is None else jax.random.key(seed)
    path = challenges._path(depth, 1e-2, 1e-5, key)
    loss, w = path["loss"].values, path["end_to_end"].values
    assert (np.diff(loss) < 0).all() and loss[-1] == pytest.approx(1e-5, rel=1e-6)
    assert (np.abs(path["unobserved"]) >= theory.unobserved_lower_bound(loss) * (1 - 1e-9)).all()
    assert (np.linalg.det(w) >= -1e-12).all()
