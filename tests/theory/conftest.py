"""Random matrices that the theorems speak about, at many scales of the loss."""

from typing import NamedTuple

import numpy as np
import pytest


class Sample(NamedTuple):
    """Matrices with what is known of them better than a singular value decomposition would tell."""

    matrices: np.ndarray
    loss: np.ndarray
    singular_values: np.ndarray

    @property
    def unobserved(self) -> np.ndarray:
        return np.abs(self.matrices[:, 0, 0])

    @property
    def second_share(self) -> np.ndarray:
        return self.singular_values[:, 1] / self.singular_values.sum(axis=1)

    @property
    def effective_rank(self) -> np.ndarray:
        first, second = 1.0 - self.second_share, self.second_share
        return np.exp(-first * np.log(first) - np.where(second > 0, second * np.log(np.maximum(second, 1e-300)), 0.0))


def near_solutions(seed, count, z=1.0, z_prime=1.0, eps=0.0, sign=1, loss_exponents=(-10.0, 0.3)) -> Sample:
    """Completions of ``[[*, z], [z', eps]]`` whose determinant is drawn with the given sign, often tiny or 0."""
    rng = np.random.default_rng(seed)
    d = np.sqrt(2.0 * 10.0 ** rng.uniform(*loss_exponents, count))
    residual = rng.normal(size=(count, 3)) * [1.0, 1.0, rng.choice([1.0, 10.0])]
    # A share of the residuals lies along one axis: random directions alone rarely come near the extremal ones.
    axis = rng.random(count) < 0.2
    residual[axis] = rng.normal(size=(axis.sum(), 3)) * np.eye(3)[rng.integers(0, 3, axis.sum())] + 1e-6
    residual *= (d / np.linalg.norm(residual, axis=1))[:, None]
    w12, w21, w22 = z + residual[:, 0], z_prime + residual[:, 1], eps + residual[:, 2]
    det = sign * 10.0 ** rng.uniform(-12.0, 2.0, count) * (rng.random(count) > 0.3)
    matrices = np.stack([(w12 * w21 + det) / w22, w12, w21, w22], axis=1).reshape(-1, 2, 2)
    loss = 0.5 * ((w12 - z) ** 2 + (w21 - z_prime) ** 2 + (w22 - eps) ** 2)
    first = np.linalg.svd(matrices, compute_uv=False)[:, 0]
    return Sample(matrices, loss, np.stack([first, np.abs(det) / first], axis=1))


def generic(seed, count, sign=1) -> Sample:
    """Gaussian matrices of many sizes, rows swapped where the determinant has the other sign."""
    rng = np.random.default_rng(seed)
    matrices = rng.normal(size=(count, 2, 2)) * 10.0 ** rng.uniform(-3, 2, (count, 1, 1))
    wrong = sign * np.linalg.det(matrices) < 0
    matrices[wrong] = matrices[wrong][:, ::-1]
    loss = 0.5 * ((matrices - [[0.0, 1.0], [1.0, 0.0]]) ** 2 * [[0.0, 1.0], [1.0, 1.0]]).sum(axis=(1, 2))
    return Sample(matrices, loss, np.linalg.svd(matrices, compute_uv=False))


@pytest.fixture(scope="session")
def draw_near():
    return near_solutions


@pytest.fixture(scope="session", params=["near", "generic"])
def positive_sample(request):
    return near_solutions(1, 20_000) if request.param == "near" else generic(2, 20_000)
