"""Gradient flow of balanced factors on ``[[*, 1], [1, 0]]``, as singular values and rotations.

A stand-in for ``train(two_by_two(), start, SpectralFlow(), stop=Stop(loss=loss), record=...)``, which is the same for
any problem; with it this file goes.
"""

from typing import Any

import numpy as np
import xarray as xr

from ._types import Array
from .factorizations import MatrixFactorization

RECORDS = 200


def two_by_two_flow(depth: int, scale: float, loss: float, key: Array | None) -> xr.Dataset:
    """Return the balanced gradient flow of a depth, by record.

    The end-to-end matrix is ``R(a) diag(s, t) R(b)^T`` with positive ``s > t``, so its determinant cannot change sign.
    """
    from scipy.integrate import solve_ivp

    def ahead(time: float, state: np.ndarray) -> float:
        return float(np.log(_loss(_matrix(state)) / loss))

    ahead.terminal = True  # type: ignore[attr-defined]
    # A trial step that goes too far overflows, and is taken back.
    with np.errstate(over="ignore", invalid="ignore"):
        flow = solve_ivp(
            lambda time, state: _velocity(state, depth), (0.0, 1e60), _start(depth, scale, key), method="BDF",
            rtol=1e-9, atol=1e-12, events=ahead, jac=lambda time, state: _jacobian(state, depth),
        )  # fmt: skip
    if flow.status != 1:
        raise ValueError(
            f"loss is {loss:g}, but must be reached: the flow of depth {depth} from scale {scale:g} ended at "
            f"{_loss(_matrix(flow.y[:, -1])):.3g} ({flow.message}); pass a larger loss, or another scale."
        )
    w = _matrix(flow.y)
    level = np.log(_loss(w))
    # The first state at or below each of evenly spaced logarithms of the loss.
    kept = np.unique(np.searchsorted(-level, np.linspace(-level[0], -level[-1] - 1e-12, RECORDS)))
    w = w[kept]
    return xr.Dataset(
        {
            "loss": ("record", _loss(w)),
            "time": ("record", flow.t[kept]),
            "unobserved": ("record", w[:, 0, 0]),
            "end_to_end": (("record", "row", "col"), w),
        },
        attrs={"depth": depth, "scale": scale, "start": "identity" if key is None else "balanced", "loss": "half_sse"},
    )


def _start(depth: int, scale: float, key: Array | None) -> np.ndarray:
    """Return ``log s, log t, a, b`` of the start."""
    if key is None:
        gradient = np.array([[0.0, -1.0], [-1.0, scale]])
        w = scale * (np.eye(2) - 1e-6 * gradient)
    else:
        drawn = MatrixFactorization.init((2, 2), depth, kind="balanced", scale=scale, det_sign=1, key=key)
        w = np.asarray(drawn.full())
    left, values, right = np.linalg.svd(w)
    # Of positive determinant: both are rotations once one column of each has its sign turned where needed.
    turn = np.array([1.0, np.sign(np.linalg.det(left))])
    left, right = left * turn, right * turn[:, None]
    return np.array([*np.log(values), np.arctan2(left[1, 0], left[0, 0]), np.arctan2(right[0, 1], right[0, 0])])


def _matrix(state: np.ndarray) -> np.ndarray:
    """End-to-end matrices, shape (..., 2, 2), of states, shape (4, ...)."""
    s, t = np.exp(state[0]), np.exp(state[1])
    (ca, cb), (sa, sb) = np.cos(state[2:]), np.sin(state[2:])
    entries = (
        s * ca * cb + t * sa * sb,
        s * ca * sb - t * sa * cb,
        s * sa * cb - t * ca * sb,
        s * sa * sb + t * ca * cb,
    )
    return np.stack(entries, axis=-1).reshape(*s.shape, 2, 2)


def _loss(w: np.ndarray) -> Any:
    return 0.5 * ((w[..., 0, 1] - 1.0) ** 2 + (w[..., 1, 0] - 1.0) ** 2 + w[..., 1, 1] ** 2)


def _velocity(state: np.ndarray, depth: int) -> list[float]:
    """Time derivative of the state under gradient flow of balanced factors (Arora, Cohen, Hu, Luo 2019)."""
    (s, t), (a, b) = np.exp(state[:2]), state[2:]
    w = _matrix(state)
    gradient = np.array([[0.0, w[0, 1] - 1.0], [w[1, 0] - 1.0, w[1, 1]]])
    left = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    right = np.array([[np.cos(b), -np.sin(b)], [np.sin(b), np.cos(b)]])
    g = left.T @ gradient @ right
    power, gap = 1.0 - 2.0 / depth, s ** (2.0 / depth) - t ** (2.0 / depth)
    return [
        -depth * s**power * g[0, 0],
        -depth * t**power * g[1, 1],
        -(g[1, 0] * s + g[0, 1] * t) / gap,
        -(g[0, 1] * s + g[1, 0] * t) / gap,
    ]


def _jacobian(state: np.ndarray, depth: int) -> np.ndarray:
    """Central differences: SciPy's own steps grow beyond all bounds along a state that no longer matters, log t."""
    steps = np.diag(1e-7 * np.maximum(np.abs(state), 1.0))
    return np.stack(
        [np.subtract(_velocity(state + h, depth), _velocity(state - h, depth)) / (2.0 * h.max()) for h in steps], axis=1
    )
