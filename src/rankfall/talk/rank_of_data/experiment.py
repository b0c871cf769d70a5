"""Tensor rank as a measure of complexity of data: what predictors of a given CP rank can fit."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr
from jax import lax
from pydantic import Field

from ..._execution import compiled, double_precision, raise_if_interrupted
from ..._types import Array
from ...claims import Claim, at_least, at_most
from ...datasets.images import CLASSES, PIXELS, images
from ...dynamics.lanes import run_all
from ...experiments import Experiment, Settings

SOURCE = "Razin, Maman and Cohen (2021), section 5, figure 3"
VARIANTS = ("original", "random labels", "random images")
# Steps between two looks for Ctrl-C.
CHUNK = 50
# Labels are 2 and 0; with squared errors divided by 4 the error is that of labels 1 and 0.
LABEL = 2.0

Factors = tuple[Any, Any]
Arrays = list[np.ndarray]


class RankOfData(Settings):
    """Settings: the images of each class, the ranks, and the training."""

    train_images: int
    test_images: int
    ranks: list[int]
    # Rank at which random data are still set against the original at rank 1.
    compared: int
    steps: int = Field(multiple_of=CHUNK)
    learning_rate: float
    # Deviation of the factors' entries from their mean.
    spread: float


def compute(settings: RankOfData, progress: bool) -> xr.Dataset:
    """Fit predictors of every rank to the three variants, the ten classes in one compiled batch."""
    del progress  # a few seconds in the reduced form, and no loop of `train`'s to report from
    rng = np.random.default_rng(settings.seed)
    train, test = (images(part, getattr(settings, f"{part}_images")) for part in ("train", "test"))
    noise = [rng.integers(0, 2, x.shape).astype(float) for x in (train, test)]
    labels = [one_against_all(len(x)) for x in (train, test)]
    shuffled = [rng.permuted(y, axis=1) for y in labels]
    # Shape (variant, image, pixel), and (variant, class, image) for the labels.
    x = [np.stack([real, real, random]) for real, random in zip((train, test), noise, strict=True)]
    y = [np.stack([real, random, real]) for real, random in zip(labels, shuffled, strict=True)]
    # The most costly ones first.
    ranks = sorted(settings.ranks, reverse=True)
    found = dict(zip(ranks, run_all([partial(_fit, settings, rank, x, y) for rank in ranks]), strict=True))
    over = ("rank", "variant", "class")
    dataset = xr.Dataset(coords={"rank": settings.ranks, "variant": list(VARIANTS), "class": np.arange(CLASSES)})
    for place, name in enumerate(("train_error", "test_error")):
        dataset[name] = (over, np.stack([found[rank][place] for rank in settings.ranks]))
    dataset["variance"] = ("class", labels[0].var(axis=1) / LABEL**2)
    dataset.attrs = {"images": len(train), "test_images": len(test), "order": PIXELS, "compared": settings.compared}
    dataset.attrs |= {"problem": "one class against all, by a CP factorization", "loss": "mse", "dtype": "float64"}
    return dataset


def one_against_all(count: int) -> np.ndarray:
    """Labels of images sorted by class, a row for each class that is the positive one."""
    return LABEL * (np.arange(count) // (count // CLASSES) == np.arange(CLASSES)[:, None])


def predict(factors: Factors, x: Array) -> Array:
    """Entries of CP tensors of extents 2 at the indices ``x`` (zeros and ones), shape ``(images,)``.

    ``factors`` are the first and the second rows of all modes, each of shape ``(modes, components)``. A product over
    the modes of one of two numbers is, in logarithms, an affine function of ``x``: one matrix product for all images,
    and no partial product that could leave the range of numbers. Signs are counted beside it.
    """
    first, second = factors
    slope, offset = jnp.log(abs(second)) - jnp.log(abs(first)), jnp.log(abs(first)).sum(axis=0)
    # Counts up to the order are exact in single precision, and quicker.
    turns = (second < 0).astype(jnp.float32) - (first < 0)
    negative = lax.stop_gradient(jnp.asarray(x, jnp.float32) @ turns + (first < 0).sum(axis=0))
    return ((1.0 - 2.0 * (negative % 2)) * jnp.exp(x @ slope + offset)).sum(axis=-1)


def _fit(settings: RankOfData, rank: int, x: Arrays, y: Arrays) -> tuple[np.ndarray, np.ndarray]:
    """Errors on training and test images, of one predictor for every variant and class."""
    rng = np.random.default_rng([settings.seed, rank])
    rule = optax.adam(optax.cosine_decay_schedule(settings.learning_rate, settings.steps))
    # Vectors close to (1, 1), so that products of many factors neither vanish nor overflow, and scaled a little so
    # that the first predictions are the mean label.
    mean = (LABEL / CLASSES / rank) ** (1 / PIXELS)
    with double_precision():
        draws = rng.normal(size=(2, *y[0].shape[:2], PIXELS, rank))
        factors = tuple(jnp.asarray(mean * (1 + settings.spread * one)) for one in draws)
        state = (factors, compiled(_over_all(rule.init, 0))(factors))
        advance, given = compiled(_over_all(_steps(rule), 0, None, 0)), (jnp.asarray(x[0]), jnp.asarray(y[0]))
        for _ in range(settings.steps // CHUNK):
            state = jax.block_until_ready(advance(state, *given))
            raise_if_interrupted()
        answer = compiled(_over_all(predict, 0, None))
        values = [np.asarray(answer(state[0], jnp.asarray(part))) for part in x]
    train, test = ((value - label) ** 2 / LABEL**2 for value, label in zip(values, y, strict=True))
    # As published: a test image costs at most what answering 0 costs where 1 is right.
    return train.mean(axis=-1), np.minimum(test, 1.0).mean(axis=-1)


def _over_all(function: Callable[..., Any], *over_classes: int | None) -> Callable[..., Any]:
    """Apply a function to all variants and classes; images are shared by the classes."""
    return jax.vmap(jax.vmap(function, over_classes))


def _steps(rule: optax.GradientTransformation) -> Callable[..., Any]:
    def several(state: Any, x: Array, y: Array) -> Any:
        def step(state: Any, _: None) -> Any:
            factors, memory = state
            slope = jax.grad(lambda w: jnp.mean((predict(w, x) - y) ** 2) / LABEL**2)(factors)
            updates, memory = rule.update(slope, memory)
            return (optax.apply_updates(factors, updates), memory), None

        return lax.scan(step, state, None, CHUNK)[0]

    return several


def claims(dataset: xr.Dataset) -> list[Claim]:
    """Rank 1 on original and random data, more rank, and test images."""
    share = dataset[["train_error", "test_error"]].mean("class") / float(dataset["variance"].mean())
    train, test = share["train_error"], share["test_error"]
    first, more = int(dataset["rank"].min()), int(dataset.attrs["compared"])
    lowest, errors = train.sel(rank=first), dataset["train_error"].sel(rank=first)
    at_random = [name for name in VARIANTS if name != "original"]
    original, labels = ({"variant": name} for name in ("original", "random labels"))
    return [
        at_most(
            "low-rank-fits-the-original",
            f"Rank {first} leaves at most 55 % of the labels' variance on training images (mean of ten classes).",
            SOURCE,
            measured=float(lowest.sel(original)),
            expected=0.55,
            control=("random labels or images, whichever is fitted better", float(lowest.sel(variant=at_random).min())),
        ),
        at_most(
            "so-for-every-class",
            f"Rank {first}: of every class the error is at most 90 % of that on either kind of random data.",
            SOURCE,
            measured=float((errors.sel(original) / errors.sel(variant=at_random)).max()),
            expected=0.9,
            control=(
                "random labels against random images",
                float((errors.sel(labels) / errors.sel(variant="random images")).max()),
            ),
        ),
        at_least(
            "random-data-need-more",
            f"At rank {more} the error on random data is still 1.3 times that of rank {first} on the original.",
            SOURCE,
            measured=float(train.sel(rank=more, variant=at_random).min() / lowest.sel(original)),
            expected=1.3,
            control=(f"the original at rank {more}", float(train.sel(rank=more).sel(original) / lowest.sel(original))),
        ),
        at_most(
            "carries-over",
            f"Rank {first} leaves at most 60 % of the variance on test images.",
            SOURCE,
            measured=float(test.sel(rank=first).sel(original)),
            expected=0.6,
            control=("random labels", float(test.sel(rank=first).sel(labels))),
        ),
        at_most(
            "errors-fall-with-the-rank",
            "On all three the training error falls from each rank to the next (largest quotient of two).",
            SOURCE,
            measured=float(_quotients(train).max()),
            expected=1.0,
            control=("test error with random labels", float(_quotients(test.sel(labels)).max())),
        ),
    ]


def _quotients(error: xr.DataArray) -> np.ndarray:
    values = error.sortby("rank").transpose("rank", ...).values
    return np.asarray(values[1:] / values[:-1])


EXPERIMENT = Experiment(
    name="rank-of-data",
    title="Real data can be fitted with tensors of low rank, random data cannot",
    question=(
        "If training looks for low tensor rank, it can generalise where low rank fits. A classifier of images in two "
        "grey levels is a tensor with a mode for each pixel, and a convolutional arithmetic circuit with one hidden "
        "layer is a CP factorization of it. How well do predictors of rank 1, 2, ... fit images of clothing (8 x 8 "
        "pixels, order 64, one class against the others), the same images with their labels shuffled, and random "
        "images? The published figure has handwritten digits and clothing at full resolution; here it is a part of "
        "the latter, made small."
    ),
    settings=RankOfData,
    compute=compute,
    claims=claims,
    published=dict.fromkeys(
        ("low-rank-fits-the-original", "so-for-every-class", "random-data-need-more", "carries-over"),
        ("train_images", "test_images", "ranks", "compared", "steps", "learning_rate", "spread"),
    ),
)
