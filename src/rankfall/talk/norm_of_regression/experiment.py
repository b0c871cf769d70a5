"""The warm-up: in linear regression implicit regularization IS a norm."""

from functools import partial

import jax
import numpy as np
import optax
import xarray as xr

from ... import theory
from ..._execution import double_precision
from ...claims import Claim, at_most
from ...dynamics import GradientDescent, Record, Stop, train
from ...dynamics.lanes import not_interrupted, shared_attrs
from ...experiments import Experiment, Settings
from ...factorizations import MatrixFactorization
from ...problems import LinearRegression

SOURCE = "Razin and Cohen (2020), introduction"


class NormOfRegression(Settings):
    """Settings: a Gaussian design with more features than observations."""

    observations: int
    features: int
    weight_decay: float
    steps: int
    records: int


def compute(settings: NormOfRegression, progress: bool) -> xr.Dataset:
    """Train from zero, from w0, and from zero with weight decay."""
    with double_precision():
        keys = jax.random.split(jax.random.key(settings.seed), 3)
        x = np.asarray(jax.random.normal(keys[0], (settings.observations, settings.features), dtype="float64"))
        y = np.asarray(jax.random.normal(keys[1], (settings.observations,), dtype="float64"))
        w0 = np.asarray(jax.random.normal(keys[2], (settings.features,), dtype="float64"))
    problem = LinearRegression(x, y)
    size = float(1.0 / np.linalg.norm(x, 2) ** 2)
    decay = optax.chain(optax.add_decayed_weights(settings.weight_decay), optax.sgd(size))
    stop, record = Stop(steps=settings.steps), Record(log_steps=settings.records, measures=["end_to_end"])
    methods = {
        "from zero": (np.zeros_like(w0), GradientDescent(size), theory.descent_limit(x, y)),
        "from w0": (w0, GradientDescent(size), theory.descent_limit(x, y, w0)),
        "weight decay": (np.zeros_like(w0), GradientDescent(decay), theory.ridge_solution(x, y, settings.weight_decay)),
    }
    least = np.asarray(theory.min_l2_interpolator(x, y))
    values: dict[str, list[np.ndarray]] = {
        "distance": [],
        "distance_to_min_l2": [],
        "norm": [],
        "closed_form_error": [],
    }
    for start, dynamics, limit in methods.values():
        run = train(
            problem, MatrixFactorization([start[:, None]]), dynamics, stop=stop, record=record, progress=progress
        )
        not_interrupted(run)
        w = run.trajectory["end_to_end"].values[0, :, :, 0]
        steps = run.trajectory["step"].values[0]
        exact = np.stack([np.asarray(theory.descent_iterate(x, y, size, int(k), start)) for k in steps])
        values["distance"].append(np.linalg.norm(w - np.asarray(limit), axis=1))
        values["distance_to_min_l2"].append(np.linalg.norm(w - least, axis=1))
        values["norm"].append(np.linalg.norm(w, axis=1))
        values["closed_form_error"].append(np.linalg.norm(w - exact, axis=1))
    dataset = xr.Dataset(
        {name: (("method", "record"), np.stack(v)) for name, v in values.items()},
        coords={"method": list(methods), "step": ("record", steps)},
    )
    dataset.attrs |= shared_attrs([run.trajectory])
    dataset.attrs["min_l2_norm"] = float(np.linalg.norm(least))
    return dataset


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Limits and iterates against closed forms."""
    end = dataset.isel(record=-1)
    claim = partial(at_most, source=SOURCE, expected=0.0, absolute=True)

    def value(name: str, method: str) -> float:
        return float(end[name].sel({"method": method}))

    return [
        claim(
            "min-l2-from-zero",
            "From zero, gradient descent ends at the interpolator of least l2 norm (distance).",
            measured=value("distance_to_min_l2", "from zero"),
            tolerance=1e-9,
            control=("distance from w0", value("distance_to_min_l2", "from w0")),
        ),
        claim(
            "limit-from-w0",
            "From w0 it ends at the interpolator nearest to w0 (distance to the closed form).",
            measured=value("distance", "from w0"),
            tolerance=1e-9,
            control=("distance to the one of least norm", value("distance_to_min_l2", "from w0")),
        ),
        claim(
            "weight-decay",
            "With weight decay it ends at the ridge solution, a different point.",
            measured=value("distance", "weight decay"),
            tolerance=1e-9,
            control=(
                "its distance to the interpolator of least norm",
                value("distance_to_min_l2", "weight decay"),
            ),
        ),
        claim(
            "iterates",
            "Every recorded iterate equals the closed form (largest distance).",
            measured=dataset["closed_form_error"].sel({"method": ["from zero", "from w0"]}).max(),
            tolerance=1e-10,
            control=("the same with weight decay", dataset["closed_form_error"].sel({"method": "weight decay"}).max()),
        ),
    ]


EXPERIMENT = Experiment(
    name="norm-of-regression",
    title="The warm-up, where the answer is a norm",
    question=(
        "Linear regression with more unknowns than equations also has many solutions. Here the old picture is right: "
        "gradient descent from zero ends at the solution of least l2 norm, from any other start at the solution "
        "nearest to it, without being told so. The talk asks whether deep factorizations can be explained this way "
        "too. Weight decay, an explicit regularizer, ends elsewhere."
    ),
    settings=NormOfRegression,
    compute=compute,
    claims=claims,
    published=dict.fromkeys(
        ("min-l2-from-zero", "limit-from-w0", "weight-decay"), ("observations", "features", "weight_decay", "steps")
    ),
)
