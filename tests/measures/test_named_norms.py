"""One dictionary of norms: the same words and functions in every place that takes a norm, with the same values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import rankfall as rf
from rankfall import measures, theory
from rankfall.cli import main
from rankfall.measures.named_norms import named_norm
from rankfall.references import NormMinimal


def singular(w):
    return np.linalg.svd(w, compute_uv=False)


def power_mean(numbers, p):
    largest = numbers.max(axis=-1)
    return largest if p == math.inf else largest * ((numbers / largest[..., None]) ** p).sum(axis=-1) ** (1 / p)


def flat(w):
    return np.abs(w).reshape(*w.shape[:-2], -1)


# What each word means, by NumPy alone.
WORDS = {
    "nuclear": lambda w: singular(w).sum(axis=-1),
    "frobenius": lambda w: np.sqrt((w**2).sum(axis=(-2, -1))),
    "spectral": lambda w: singular(w)[..., 0],
    "max_column_sum": lambda w: np.abs(w).sum(axis=-2).max(axis=-1),
    "max-column-sum": lambda w: np.abs(w).sum(axis=-2).max(axis=-1),
    "max_row_sum": lambda w: np.abs(w).sum(axis=-1).max(axis=-1),
    "max-row-sum": lambda w: np.abs(w).sum(axis=-1).max(axis=-1),
    "schatten-0.5": lambda w: power_mean(singular(w), 0.5),
    "schatten-1": lambda w: singular(w).sum(axis=-1),
    "schatten-3": lambda w: power_mean(singular(w), 3),
    "schatten-inf": lambda w: singular(w)[..., 0],
    "entrywise-.5": lambda w: power_mean(flat(w), 0.5),
    "entrywise-1": lambda w: flat(w).sum(axis=-1),
    "entrywise-4": lambda w: power_mean(flat(w), 4),
    "entrywise-inf": lambda w: flat(w).max(axis=-1),
    "ky-fan-1": lambda w: singular(w)[..., 0],
    "ky-fan-2": lambda w: singular(w)[..., :2].sum(axis=-1),
    "ky-fan-9": lambda w: singular(w).sum(axis=-1),
}
BATCH = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
WEIGHTS = np.array([[1.0, 2.0], [0.5, 3.0]])


def weighted(w):
    return np.sqrt(((WEIGHTS * w) ** 2).sum())


@pytest.fixture(scope="module")
def run():
    """A run of the flow that records every norm by its word."""
    start = rf.MatrixFactorization.init((2, 2), 3, kind="identity", alpha=1e-2)
    record = rf.Record(at_losses=[1e-1, 1e-3], measures=[*WORDS, "end_to_end", "stable_rank", weighted])
    return rf.train(rf.two_by_two(), start, rf.GradientFlow(), stop=rf.Stop(loss=1e-4), record=record, progress=False)


@pytest.mark.parametrize("word", WORDS)
def test_values_of_numpy_and_jax(word):
    expected = WORDS[word](BATCH)
    found = measures.norm(BATCH, word)
    assert isinstance(found, np.ndarray) and found.shape == (2, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_array_equal(NormMinimal(word).value(BATCH), found)
    compiled = jax.jit(lambda w: measures.norm(w, word))(jnp.asarray(BATCH, jnp.float32))
    assert isinstance(compiled, jax.Array)
    np.testing.assert_allclose(compiled, expected, rtol=1e-5)


@pytest.mark.parametrize("word", WORDS)
def test_the_bounds_know_it(word):
    known = theory.norm_constants(word)
    zero = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert known.certified and known.above_entry and known.name == word
    assert known.norm_e11 == known.max_norm_eij == pytest.approx(1.0, rel=1e-14)
    assert known.norm_w0 == pytest.approx(float(WORDS[word](zero)), rel=1e-12)
    assert theory.generic_norm_bound(1e-4, word) == theory.generic_norm_bound(1e-4, known)


def test_record_takes_every_word(run, tmp_path):
    path = run.trajectory
    matrices = path["end_to_end"].values
    run.trajectory.to_netcdf(tmp_path / "data.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "data.nc", engine="h5netcdf") as stored:
        for word, value in WORDS.items():
            assert path[word].dims == ("lane", "record")
            np.testing.assert_allclose(stored[word].values, value(matrices), rtol=1e-12)
        np.testing.assert_allclose(stored["stable_rank"], measures.stable_rank(matrices), rtol=1e-12)
        np.testing.assert_allclose(stored["weighted"], measures.norm(matrices, weighted), rtol=1e-14)


def test_recorded_norms_are_certified_by_any_of_their_words(run):
    asked = ["ky-fan-1", "entrywise-1", "max-row-sum", "schatten-1", math.inf, "schatten-3"]
    found = [one for one in theory.check(run, norms=asked) if one.name.startswith("norm-")]
    # Those that are recorded under another word too go by that.
    names = ["ky-fan-1", "entrywise-1", "max-row-sum", "nuclear", "spectral", "schatten-3"]
    assert [one.name for one in found] == [f"norm-{name}" for name in names] and all(one.holds for one in found)
    # By default each norm once.
    names = [one.name for one in theory.check(run) if one.name.startswith("norm-")]
    assert len(names) == len(set(names)) == 14


@pytest.mark.parametrize("norm", ["max-row-sum", "schatten-0.5", "entrywise-.5", "ky-fan-1", weighted])
def test_challenge(norm):
    found = rf.challenge(norm, triangle_constant=1 if norm is weighted else None, loss=1e-3)
    matrices = found.path["end_to_end"].values
    expected = measures.norm(matrices, weighted) if norm is weighted else WORDS[norm](matrices)
    np.testing.assert_allclose(found.path["norm"], expected, rtol=1e-12)
    assert found.claim.holds and found.constants.certified


def test_compare_and_the_command_line(tmp_path, capsys):
    options = {"depths": [2], "scales": [1e-1, 1e-2], "draws": 1, "progress": False}
    data = rf.compare(rf.two_by_two(), [*WORDS, weighted], **options).data
    trained = data["trained"].values[0, 0]
    for word, value in WORDS.items():
        one = data.sel(norm=word)
        np.testing.assert_allclose(one["norm_of_trained"].values[0, 0, -1], value(trained), rtol=1e-12)
        np.testing.assert_allclose(one["minimum"], value(one["least"].values[0]), rtol=1e-6)
    np.testing.assert_allclose(data["norm_of_trained"].sel(norm="weighted")[0, 0, -1], weighted(trained), rtol=1e-14)
    few = ["max-row-sum", "schatten-0.5", "entrywise-1", "ky-fan-1"]
    words = [option for word in few for option in ("--norm", word)]
    scales = ["--scale", "0.1", "--scale", "0.01"]
    command = ["compare", "two-by-two", *words, *scales, "--depth", "2", "--draws", "1", "--quiet"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    with xr.open_dataset(tmp_path / "comparison" / "data.nc", engine="h5netcdf") as stored:
        assert stored["norm"].values.tolist() == few
        for word in few:
            assert f"{word}, depth 2" in said
            of = stored["norm_of_trained"].sel(norm=word)
            np.testing.assert_allclose(of, data["norm_of_trained"].sel(norm=word), rtol=1e-9)


UNKNOWN = {
    "nuclaer": "nuclear", "max-colum-sum": "max_column_sum", "shatten-0.7": "schatten-0.7", "ky_fan-3": "ky-fan-3",
    "entry-wise-1": "entrywise-1", "schatten-0": "schatten-0.5", "ky-fan-1.5": "ky-fan-2",
}  # fmt: skip
PLACES = {
    "kind is": lambda word: measures.norm(np.eye(2), word),
    "norm is": NormMinimal,
    "norm is ": theory.norm_constants,
    "norm is  ": lambda word: theory.generic_norm_bound(0.1, word),
    "norm is   ": rf.challenge,
    "norms holds": lambda word: rf.compare(rf.two_by_two(), [word], progress=False),
    "measures holds": lambda word: rf.Record(measures=["nuclear", word]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("word", UNKNOWN)
def test_an_unknown_word_is_refused_with_the_nearest(word, place):
    with pytest.raises(ValueError) as caught:
        PLACES[place](word)
    said = str(caught.value)
    assert said.startswith(f"{place.strip()} {word!r}, but must ") and said.endswith(
        f"; {UNKNOWN[word]!r} is the nearest."
    )


def test_an_unknown_word_on_the_command_line_and_of_a_run(run, tmp_path, capsys):
    assert main(["compare", "two-by-two", "--norm", "nuclaer", "--quiet", "--out", str(tmp_path)]) == 2
    assert "norms holds 'nuclaer', but must be" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(ValueError, match=r"^norms holds 'nuclaer', but must hold recorded norms: .*; 'nuclear' is the"):
        theory.check(run, norms=["nuclaer"])
    with pytest.raises(ValueError, match=r"^norms holds 'ky-fan-3', but must hold recorded norms: .*; record others"):
        theory.check(run, norms=["ky-fan-3"])


NO_NORMS = ["", "schatten-", "schatten- 1", "schatten-1_0", "schatten-nan", "schatten--1", "5", "ky-fan-0",
            "ky-fan-inf", "ky-fan-1e400", "NORMS", "norm", None, 3, ["nuclear"]]  # fmt: skip


@pytest.mark.parametrize("word", NO_NORMS)
def test_what_is_no_norm(word):
    with pytest.raises(ValueError, match="^norm is .*, but must be a function of one matrix, or one of 'nuclear'"):
        named_norm("norm", word)


def test_records_of_one_word_are_equal():
    """So that what was compiled for one is used for the other."""
    assert named_norm("norm", "ky-fan-2") == named_norm("kind", "ky-fan-2")
    assert hash(named_norm("norm", "nuclear")) == hash(named_norm("kind", "nuclear"))
    assert named_norm("norm", measures.nuclear_norm) == named_norm("norm", "nuclear")
    assert named_norm("norm", "ky-fan-2") != named_norm("norm", "ky-fan-3")


def test_a_function_that_changes_what_it_sees_changes_nothing():
    def careless(w):
        w *= 0.0
        return 1.0

    given = np.ones((2, 2))
    assert measures.norm(given, careless) == 1.0 and (given == 1).all()
    # A function in JAX sees all digits.
    assert measures.norm(np.full((1, 1), 1 + 1e-12), lambda w: jnp.abs(w).max()) == 1 + 1e-12


@pytest.mark.parametrize("word", WORDS)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(pair=arrays(float, (2, 3, 2), elements=st.floats(-1e3, 1e3).filter(lambda v: v == 0 or abs(v) > 1e-3)))
def test_triangle_constants(word, pair):
    norm = named_norm("norm", word)
    whole, first, second = (float(norm(w)) for w in (pair.sum(axis=0), *pair))
    # Of p < 1 rounding of singular values of rank-one matrices counts, to the power p.
    slack = 1 + 1e-6 if norm.power < 1 else 1 + 1e-12
    assert whole <= norm.triangle_constant * (first + second) * slack + 1e-9
    assert whole**norm.power <= (first**norm.power + second**norm.power) * slack + 1e-9
    assert float(norm(-2.0 * pair[0])) == pytest.approx(2.0 * first, rel=1e-12)


@pytest.mark.parametrize("word", ["schatten-0.5", "entrywise-.5", "schatten-0.2"])
def test_triangle_constants_of_quasi_norms_are_attained(word):
    norm = named_norm("norm", word)
    parts = np.diag([1.0, 0.0]), np.diag([0.0, 1.0])
    assert norm(sum(parts)) == pytest.approx(norm.triangle_constant * sum(map(norm, parts)), rel=1e-12)
    assert norm.triangle_constant > 1
