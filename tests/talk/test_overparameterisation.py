import jax
import numpy as np
import pytest
import xarray as xr

import rankfall as rf
from every_room import *
from rankfall.talk.overparameterisation.experiment import padded

PANELS = 4
LOSS = "mse"


def made():
    rows = [
        (family, size, start, repetition)
        for family, sizes, starts in (("tensor", (2, 3, 36, 72), (1e-3, 0.5)), ("matrix", (1, 2, 12, 24), (1e-6, 0.3)))
        for size in sizes
        for start in starts
        for repetition in range(3)
    ]
    family, size, start, repetition = (np.array(column) for column in zip(*rows, strict=True))
    rank = np.where(family == "tensor", 3, 2)
    error = np.where(size < rank, 0.5, np.where(start > 0.1, 1e-5 * size**3.0, 1e-5)) * (1 + repetition)
    lower = np.where(start > 0.1, np.minimum(size, 6), np.minimum(size, rank))
    return xr.Dataset(
        {
            "error": ("run", error),
            "lower": ("run", lower),
            "upper": ("run", np.where(lower == 6, 36, lower)),
        },
        coords={"family": ("run", family), "size": ("run", size), "start": ("run", start)},
        attrs={
            "tensor_rank": 3, "tensor_most": 36, "tensor_extent": 6, "tensor_order": 3, "tensor_starts": [1e-3, 0.5],
            "matrix_rank": 2, "matrix_most": 12, "matrix_extent": 12, "matrix_order": 2, "matrix_starts": [1e-6, 0.3],
            "matrix_depth": 3, "rtol": 1e-3,
        },
    )  # fmt: skip


def test_claims_about_sizes_fall_where_one_run_does(experiment, stored):
    """One run with one more rank, a larger error or another component in use, of the widest of each family."""

    def fallen(chosen, **changed):
        broken = stored.copy(deep=True)
        for variable, value in changed.items():
            broken[variable][np.flatnonzero(chosen)[-1]] = value
        return {c.name for c in experiment.claims(broken) if not c.holds}

    for family in ("tensor", "matrix"):
        mine = stored["family"] == family
        small, widest = stored["start"] < 0.1, stored["size"] == stored["size"].where(mine).max()
        near, far = mine & small & widest, mine & ~small & widest
        rank = int(stored.attrs[f"{family}_rank"])
        assert fallen(near, upper=rank + 1) == {f"{family}-rank-is-found-at-every-size"}
        assert fallen(near, lower=rank - 1) == {f"{family}-rank-is-found-at-every-size"}
        assert fallen(near, error=1e-3) == {f"{family}-is-completed-at-every-size"}
        assert fallen(far, lower=rank) == {f"{family}-rank-grows-from-a-large-start"}
        assert fallen(far, error=1e-3) == {f"{family}-is-not-completed-from-a-large-start"}
        assert fallen(far, stop_reason="st") == {f"{family}-is-not-completed-from-a-large-start"}
        assert fallen(near, used=4.0, effective_rank=2.1) == {
            "tensor-uses-as-many-at-every-size" if family == "tensor" else "matrix-has-one-effective-rank"
        }


@pytest.mark.parametrize("family", ["tensor", "matrix"])
def test_zeros_stay_zeros_and_change_nothing(family):
    """Padded to a larger size, a factorization ends where it ends alone."""
    rng = np.random.default_rng(0)
    key = jax.random.key(1)
    if family == "tensor":
        data = rng.normal(size=(3, 3, 3))
        data[0, 1, 2] = np.nan
        problem = rf.TensorCompletion.from_dense(data, loss="mse")
        start = rf.CPFactorization.init(data.shape, 2, factor_std=0.1, key=key)
    else:
        data = rng.normal(size=(3, 4))
        data[0, 1] = np.nan
        problem = rf.MatrixCompletion.from_dense(data, loss="mse")
        start = rf.MatrixFactorization.init((3, 4), 3, widths=[2, 2], scale=1e-2, key=key)
    wide = padded(start, 5)
    np.testing.assert_array_equal(wide.full(), start.full())
    ends = [
        rf.train(problem, one, rf.ExponentialDescent(), stop=rf.Stop(steps=25), progress=False).final
        for one in (start, wide)
    ]
    np.testing.assert_allclose(ends[1].full(), ends[0].full(), rtol=1e-6, atol=1e-9)
    assert abs(ends[0].full() - start.full()).max() > 0.1
    again = padded(ends[0], 5)
    for mine, other in zip(ends[1].factors, again.factors, strict=True):
        assert mine.shape == other.shape and not np.asarray(mine)[np.asarray(other) == 0].any()
