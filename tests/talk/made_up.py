"""Runs made up for pictures: plausible numbers, and lanes of unequal length."""

import numpy as np
import xarray as xr

from rankfall import theory

RECORDS = 40


def lanes(rows, end=1e-3):
    """Data set of lanes; each row is a dict of its coordinates, plus ``curve`` (of the loss) and ``start``."""
    random = np.random.default_rng(0)
    loss = np.full((len(rows), RECORDS), np.nan)
    entry = np.full((len(rows), RECORDS, 1), np.nan)
    step = np.full((len(rows), RECORDS), -1)
    for lane, row in enumerate(rows):
        count = RECORDS - lane % 5
        stop = end if row["stop_reason"] == "loss" else 20 * end
        loss[lane, :count] = np.geomspace(row.get("start", 1.0), stop, count)
        entry[lane, :count, 0] = row["curve"](loss[lane, :count]) * (1 + 0.05 * random.random())
        step[lane, :count] = np.arange(count) * 50
    names = [name for name in rows[0] if name not in ("curve", "start")]
    data = {
        "loss": (("lane", "record"), loss),
        "unobserved": (("lane", "record", "entry"), entry),
        "step": (("lane", "record"), step),
        "det_sign": (("lane", "record"), np.where(np.isfinite(loss), 1.0, np.nan)),
    }
    return xr.Dataset(data, coords={name: ("lane", np.array([row[name] for row in rows])) for name in names})


def grown(loss):
    return np.hypot(theory.unobserved_lower_bound(loss), 1e-3 / loss**0.5)


def curve_of(depth, kind):
    if depth == 1:
        return lambda loss: np.full(loss.shape, 1e-5)
    if kind in ("balanced", "gaussian") and depth == 2:
        return lambda loss: np.minimum(grown(loss), 8.0 if kind == "balanced" else 1.0)
    if kind == "negative determinant":
        return lambda loss: np.minimum(grown(loss), 0.5 * 3 ** (depth - 2))
    return grown
