"""Runs of one shape as lanes of one training: which may go together, and the arrays they make."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..dynamics import Run, train
from ..dynamics.base import AbstractDynamics
from ..factorizations import AbstractModel
from ..problems import AbstractProblem
from . import registry
from .cell import Cell, canonical, dynamics_of, limits, start_of
from .seeds import key_of


def together(cell: Cell) -> str:
    """Return what runs of one training have in common, seeds apart: the settings but those that lanes differ in."""
    settings = cell.settings
    common: dict[str, Any] = {table: settings[table] for table in ("problem", "stop", "record")}
    for kind in ("factorization", "dynamics"):
        lanes = registry.maker(kind, settings[kind]["name"]).lanes
        # A size that is not given is another start than one that is.
        common[kind] = {k: "" if k in lanes and v is not None else v for k, v in settings[kind].items()}
    return canonical(common)


def own(cell: Cell) -> str:
    """Return the seed of a run that must not go together with other seeds: it draws its problem, say."""
    found = registry.maker("dynamics", cell.settings["dynamics"]["name"])
    draws = registry.takes_key(found) and "key" not in found.lanes
    return f" {cell.seed}" if draws or cell.settings["problem"].get("seed") == "each" else ""


def trained(cells: list[Cell], **options: Any) -> Run:
    """Train runs of one shape as lanes of one call."""
    problem = cells[0].problem()
    told = limits(cells[0].settings) | options
    return train(problem, starts(cells, problem), dynamics(cells), **told)


def starts(cells: list[Cell], problem: AbstractProblem) -> AbstractModel:
    """Draw the starts of runs, as lanes in their order."""
    keys = jnp.stack([key_of(cell.seed) for cell in cells])
    table = cells[0].settings["factorization"]
    varied = _varied("factorization", cells)
    drawn = start_of(table, problem, keys, varied)
    if drawn.lanes == len(cells):
        lanes: AbstractModel = drawn
        return lanes
    # A start that is not drawn at random is one for all keys, and some take no arrays.
    singles = [cell.start(problem).as_lanes() for cell in cells]
    stacked: AbstractModel = jax.tree.map(lambda *parts: np.concatenate(parts), *singles)
    return stacked


def dynamics(cells: list[Cell]) -> AbstractDynamics:
    """Make the dynamics of runs, with an array of what they differ in."""
    table = cells[0].settings["dynamics"]
    drawn = registry.takes_key(registry.maker("dynamics", table["name"]))
    keys = jnp.stack([cell.key for cell in cells]) if drawn else cells[0].key
    return dynamics_of(table, keys, _varied("dynamics", cells))


def _varied(kind: str, cells: list[Cell]) -> dict[str, np.ndarray]:
    """Return arrays of what lanes may differ in."""
    tables = [cell.settings[kind] for cell in cells]
    lanes = registry.maker(kind, tables[0]["name"]).lanes & tables[0].keys()
    return {key: np.array([t[key] for t in tables]) for key in sorted(lanes) if tables[0][key] is not None}
