"""Robustness: other observed values, and the unobserved entry in the other positions."""

from typing import Any

import numpy as np
import xarray as xr

from .. import theory
from .._types import Array
from ..dynamics import Record, Stop
from ..problems import two_by_two
from ..theory.claim import Claim, at_least, at_most
from .base import Experiment, Settings, join, last, run_lanes, signed_starts

SOURCE = "Razin and Cohen (2020), theorem 2"
POSITIONS = ((0, 0), (0, 1), (1, 0), (1, 1))


class Perturbation(Settings):
    """Settings: one target loss for each eps, the larger eps going further towards their finite limit."""

    z: float
    z_prime: float
    eps: list[float]
    losses: list[float]
    depth: int
    rate: float
    scale: float
    seeds: int
    steps: int
    position_loss: float
    levels: int


def compute(settings: Perturbation, progress: bool) -> xr.Dataset:
    """Train each perturbation from its required sign; each position from both signs."""
    parts = []
    for eps, loss in zip(settings.eps, settings.losses, strict=True):
        label = {"panel": "eps", "z": settings.z, "z_prime": settings.z_prime, "eps": eps, "position": "(0, 0)"}
        parts.append(_run(settings, label, (0, 0), loss, (1,), progress))
    for position in POSITIONS:
        label = {"panel": "positions", "z": 1.0, "z_prime": 1.0, "eps": 0.0, "position": str(position)}
        parts.append(_run(settings, label, position, settings.position_loss, (1, -1), progress))
    return join(parts)


def _run(
    settings: Perturbation,
    label: dict[str, Any],
    position: tuple[int, int],
    loss: float,
    matches: tuple[int, ...],
    progress: bool,
) -> xr.Dataset:
    problem = two_by_two(label["z"], label["z_prime"], label["eps"], position=position)
    groups = [
        (
            signed_starts(
                (2, 2),
                settings.depth,
                kind="balanced",
                scale=settings.scale,
                seed=settings.seed,
                seeds=settings.seeds,
                det_sign=match * (problem.required_det_sign or 1),
            ),
            settings.rate,
            {**label, "depth": settings.depth, "sign_matches": match > 0},
        )
        for match in matches
    ]
    # Half the sum of squares at W = 0 is the largest loss a small start has.
    top = 0.5 * (label["z"] ** 2 + label["z_prime"] ** 2 + label["eps"] ** 2)
    record = Record(at_losses=np.geomspace(top, loss, settings.levels))
    return run_lanes(problem, groups, Stop(loss=loss, steps=settings.steps), record, progress)


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Bounds for each perturbation and position, limits where they are finite."""
    found = []
    by_eps = dataset.sel(lane=dataset["panel"] == "eps")
    for eps in np.unique(by_eps["eps"].values):
        lanes = by_eps.sel(lane=by_eps["eps"] == eps)
        z, z_prime = float(lanes["z"][0]), float(lanes["z_prime"][0])
        at_start = np.abs(lanes["unobserved"].values[:, 0, 0])
        control = float(at_start.max() / _bound(last(lanes, "loss"), z, z_prime, float(eps)).min())
        found.append(
            at_least(
                f"bound-eps-{eps:g}",
                f"eps = {eps:g}: |unobserved entry| over its proved bound, smallest over all points.",
                SOURCE,
                _worst(lanes, z, z_prime, float(eps)),
                1.0,
                1e-9,
                {"what": "largest entry of a start over the end's bound", "measured": control, "fails": control < 1},
            )
        )
        if eps >= 0.1:
            limit = float(theory.perturbed_limit(z, z_prime, float(eps)))
            before = float(np.abs(lanes["unobserved"].values[:, 0, 0] / limit - 1).min())
            worst = float(np.abs(last(lanes, "unobserved")[:, 0] / limit - 1).max())
            found.append(
                at_most(
                    f"limit-eps-{eps:g}",
                    f"eps = {eps:g}: relative distance of the unobserved entry from z z'/eps = {limit:g} at the end.",
                    SOURCE,
                    worst,
                    0.0,
                    0.05,
                    {"what": "smallest such distance at a start", "measured": before, "fails": before > 0.05},
                    absolute=True,
                )
            )
    by_position = dataset.sel(lane=dataset["panel"] == "positions")
    for position in map(str, POSITIONS):
        here = by_position.sel(lane=by_position["position"] == position)
        right = _worst(here.sel(lane=here["sign_matches"]), 1.0, 1.0, 0.0)
        wrong = _worst(here.sel(lane=~here["sign_matches"]), 1.0, 1.0, 0.0)
        found.append(
            at_least(
                f"position-{position}",
                f"Unobserved entry at {position}, start with the sign the rule asks for: entry over "
                "bound, smallest over all points.",
                SOURCE,
                right,
                1.0,
                1e-9,
                {"what": "starts with the other sign", "measured": wrong, "fails": wrong < 1 - 1e-9},
            )
        )
    return found


def _worst(lanes: xr.Dataset, z: float, z_prime: float, eps: float) -> float:
    loss, entry = lanes["loss"].values, np.abs(lanes["unobserved"].values[..., 0])
    where = np.isfinite(loss)
    bound = _bound(loss[where], z, z_prime, eps)
    return float((entry[where][bound > 0] / bound[bound > 0]).min())


def _bound(loss: Array, z: float, z_prime: float, eps: float) -> Array:
    # P2 can be vacuous where P1 is not.
    return np.maximum(
        theory.perturbed_unobserved_lower_bound(loss, z, z_prime, eps),
        theory.perturbed_unobserved_lower_bound_simple(loss, z, z_prime, eps),
    )


EXPERIMENT = Experiment(
    name="perturbation",
    title="The effect survives other values and other positions",
    question=(
        "Is [[*, 1], [1, 0]] a curiosity? The observed values are changed to [[*, -2], [0.5, eps]]: the unobserved "
        "entry then grows towards z z'/eps, the value that makes the matrix rank 1, which is far from zero for small "
        "eps and infinite for eps = 0. And the unobserved entry is moved to each of the four positions: the same "
        "growth, once the determinant at the start has the sign that the position asks for."
    ),
    settings=Perturbation,
    compute=compute,
    claims=claims,
)
