"""The same data in other units: what references find is as many times as large, and no square overflows."""

import jax
import numpy as np
import pytest

import rankfall as rf
from rankfall.references import (
    AlternatingLeastSquares,
    BiasBaseline,
    FillWithZeros,
    MeanBaseline,
    MinimalL2,
    NormMinimal,
    NuclearNorm,
    SoftImpute,
)
from rankfall.references.units import ordinary

UNITS = [1e-170, 1e-8, 1e8, 1e160, 1e300]
RNG = np.random.default_rng(0)
FULL = RNG.normal(size=(5, 2)) @ RNG.normal(size=(2, 4))
SEEN = np.random.default_rng(1).random(FULL.shape) < 0.8
SENSED = rf.low_rank_sensing((3, 3), 1, 7, key=jax.random.key(0))


def completion(unit):
    return rf.MatrixCompletion.from_dense(np.where(SEEN, FULL * unit, np.nan))


def sensing(unit):
    return rf.MatrixSensing(SENSED.measurements, np.asarray(SENSED.values) * unit)


def sensing_in_other_units(unit):
    """The measurements are as many times smaller, so that solutions are larger."""
    return rf.MatrixSensing(np.asarray(SENSED.measurements) / unit, SENSED.values)


def regression(unit):
    return rf.LinearRegression([[1.0, 2.0, 3.0], [0.0, 1.0, 1.0]], np.array([1.0, 2.0]) * unit)


NORMS = ["nuclear", "spectral", "frobenius", "entrywise-1", "max_row_sum", "schatten-1.5", "schatten-0.5",
         "entrywise-0.5", "ky-fan-2"]  # fmt: skip
METHODS = {"zeros": FillWithZeros(), "least squares": MinimalL2(), "splitting": NuclearNorm()}
METHODS |= {norm: NormMinimal(norm) for norm in NORMS}
PROBLEMS = [completion, sensing, sensing_in_other_units, regression]
FAST = ("zeros", "least squares", "splitting", "spectral")
MADE_FOR = [("zeros", completion), *((name, make) for name in FAST[1:] for make in PROBLEMS)]
MADE_FOR += [(name, make) for name in NORMS if name not in FAST for make in PROBLEMS[:3:2]]


@pytest.mark.parametrize("name, make", MADE_FOR, ids=[f"{name}-{make.__name__}" for name, make in MADE_FOR])
def test_norms_know_no_units(name, make):
    method = METHODS[name]
    with np.errstate(all="raise"):  # of the caller's own code
        expected = method.solve(make(1.0))
        # Two of them suffice where a solver takes its time.
        # Two of them suffice where a solver takes its time.
        for unit in UNITS if name in FAST else (1e-170, 1e8):
            found = method.solve(make(unit))
            assert found.status == expected.status and found.gap <= max(1e-6, 2 * expected.gap)
            np.testing.assert_allclose(found.objective, expected.objective * unit, rtol=2e-6)
            assert found.residual <= max(1e-6, 2 * expected.residual) * abs(make(unit).values).max()


SQUARES = {"soft": SoftImpute(), "one penalty": None, "alternating": AlternatingLeastSquares(rank=1), "mean":
           MeanBaseline(), "biases": BiasBaseline()}  # fmt: skip


@pytest.mark.parametrize("name", SQUARES)
def test_least_squares_know_no_units(name):
    def method(unit):
        return SQUARES[name] or SoftImpute(penalty=0.3 * unit)

    with np.errstate(all="raise"):
        expected = method(1.0).solve(completion(1.0))
        for unit in UNITS:
            found = method(unit).solve(completion(unit))
            np.testing.assert_allclose(found.solution / unit, expected.solution, rtol=1e-6, atol=1e-9)
            assert found.status == expected.status
            if 1e-100 < unit < 1e100:
                np.testing.assert_allclose(found.objective, expected.objective * unit**2, rtol=1e-9)
            errors = found.details.get("held_out_error", {})
            ours = [error / unit for error in errors.values()]
            np.testing.assert_allclose(ours, list(expected.details.get("held_out_error", {}).values()), rtol=1e-6)


@pytest.mark.parametrize("name", ["zeros", "least squares", "splitting", *NORMS])
def test_of_nothing_but_zeros_the_least_is_zero(name):
    with np.errstate(all="raise"):
        found = METHODS[name].solve(completion(0.0))
    assert (found.status, found.objective, found.gap, found.residual) == ("optimal", 0.0, 0.0, 0.0)
    assert not found.solution.any()


@pytest.mark.parametrize("unit", [1.0, 1e-100, 1e100])
def test_tolerances_are_in_the_units_of_the_data(unit):
    for method in (NormMinimal("spectral", tolerance=0.1 * unit), NuclearNorm(tolerance=0.1 * unit)):
        found = method.solve(rf.MatrixCompletion.from_dense(np.array([[np.nan, 1.0], [1.0, 0.0]]) * unit))
        least = 0.9 if isinstance(method, NormMinimal) else 1.8
        np.testing.assert_allclose(found.objective, least * unit, rtol=1e-5)


def test_a_function_is_asked_in_the_units_of_the_data():
    def capped(w):
        return min(abs(w).sum(), 50.0) + abs(w[0, 0] - 7.0)

    found = NormMinimal(capped).solve(rf.MatrixCompletion.from_dense(np.array([[np.nan, 40.0], [40.0, 0.0]])))
    assert found.status == "grid" and abs(found.solution[0, 0] - 7.0) < 1e-3


@pytest.mark.parametrize("make", PROBLEMS)
def test_powers_of_two_round_nothing(make):
    units = ordinary(make(2.0**900))
    assert units.solution == 900 + ordinary(make(1.0)).solution
    np.testing.assert_array_equal(units.problem.values, ordinary(make(1.0)).problem.values)
    assert 1 <= abs(np.asarray(units.problem.values)).max() < 2
