"""``IdentityFlow``, ``SymmetricFlow``, ``AlignedFlow``: flows that few numbers describe, as dynamics for ``train``."""

import dataclasses
from typing import Any

import numpy as np

from ..._declared import declared
from ...factorizations import SpectralFactorization
from ...problems import AbstractProblem
from ...problems.losses import HalfSSE
from .flows import AbstractFlow, depths_of, spectral_start
from .reduced import AlignedState, AlignedSystem, IdentityState, IdentitySystem, SymmetricState, SymmetricSystem
from .system import AbstractSystem

# Rounding that a start may carry and still be of the form that is asked for.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "identity-flow", solver=str)
class IdentityFlow(AbstractFlow[SpectralFactorization]):
    """Depth 2 on ``[[*, 1], [1, 0]]`` from a multiple of the identity, as three equations.

    Parameters
    ----------
    rtol : float
        Tolerated error of a step, relative to each number.
    solver : {"auto", "radau"} or diffrax solver
        As in `GradientFlow`.
    clock : {"time", "log_time"}
        As in `GradientFlow`.

    Raises
    ------
    ValueError
        On ``train``: if the problem is another, the depth is not 2, or the start is no positive multiple of the
        identity.

    References
    ----------
    Razin and Cohen (2020), proposition on the convergence from ``alpha I``.

    Examples
    --------
    >>> import rankfall as rf
    >>> start = rf.MatrixFactorization.init((2, 2), depth=2, kind="identity", alpha=1.0)
    >>> run = rf.train(rf.two_by_two(), start, rf.IdentityFlow(), stop=rf.Stop(flow_time=100.0))
    >>> run.final.full()[0, 0].round(9)
    np.float64(7.977702976)
    """

    def prepare(self, problem: AbstractProblem, start: object) -> SpectralFactorization:
        """Check that problem and start are those of the equations, and return the start as lanes."""
        spectral = _base_start("IdentityFlow", problem, start)
        w = np.asarray(spectral.matrix)
        off = np.abs(w - w[:, :1, :1] * np.eye(2)).max(axis=(1, 2))
        if spectral.depth != 2 or (w[:, 0, 0] <= 0).any() or (off > _ROUNDING * w[:, 0, 0]).any():
            raise ValueError(
                f"start has depth {spectral.depth:g} and end-to-end matrix {w[0].tolist()}, but IdentityFlow needs "
                "depth 2 and a positive multiple of the identity; take rf.SpectralFlow()."
            )
        return spectral

    def _start(self, problem: AbstractProblem, start: SpectralFactorization) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, and their determinant signs and depths."""
        w = np.asarray(start.matrix)
        x, zero = w[:, 0, 0], np.zeros(len(w))
        return IdentitySystem(), IdentityState(x, zero, x, 2 * np.log(x), zero), (start.det_sign, depths_of(start))


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "symmetric-flow", solver=str)
class SymmetricFlow(AbstractFlow[SpectralFactorization]):
    """Any depth on ``[[*, 1], [1, 0]]`` from a symmetric positive definite start, as three equations.

    Parameters
    ----------
    rtol : float
        Tolerated error of a step, relative to each number.
    solver : {"auto", "radau"} or diffrax solver
        As in `GradientFlow`.
    clock : {"time", "log_time"}
        As in `GradientFlow`.

    Raises
    ------
    ValueError
        On ``train``: if the problem is another, the depth is below 2, or the start is not symmetric and positive
        definite.

    Notes
    -----
    The numbers are ``ln w11``, ``1 - w12`` and ``ln det W``, none of which cancels; `SpectralFlow` does the same for
    every start.

    References
    ----------
    Arora, Cohen and Hazan (2018), theorem 1, on symmetric matrices.

    Examples
    --------
    >>> import rankfall as rf
    >>> start = rf.SpectralFactorization.from_end_to_end([[1e-2, 0.0], [0.0, 1e-2]], depth=3)
    >>> run = rf.train(rf.two_by_two(), start, rf.SymmetricFlow(), stop=rf.Stop(loss=1e-10))
    >>> round(float(run.final.full()[0, 0]))
    70711
    """

    def prepare(self, problem: AbstractProblem, start: object) -> SpectralFactorization:
        """Check that problem and start are those of the equations, and return the start as lanes."""
        spectral = _base_start("SymmetricFlow", problem, start)
        w = np.asarray(spectral.matrix)
        skew = np.abs(w[:, 0, 1] - w[:, 1, 0]) > _ROUNDING * np.abs(w).max(axis=(1, 2))
        if spectral.depth < 2 or skew.any() or not (spectral.det_sign > 0).all() or (w[:, 0, 0] <= 0).any():
            raise ValueError(
                f"start has depth {spectral.depth:g} and end-to-end matrix {w[0].tolist()}, but SymmetricFlow needs "
                "depth 2 or more and a symmetric positive definite matrix; take rf.SpectralFlow()."
            )
        return spectral

    def _start(self, problem: AbstractProblem, start: SpectralFactorization) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, and their determinant signs and depths."""
        w, zero = np.asarray(start.matrix), np.zeros(start.lanes or 1)
        state = SymmetricState(np.log(w[:, 0, 0]), 1 - w[:, 0, 1], np.asarray(start.log_abs_det), zero)
        return SymmetricSystem(), state, (start.det_sign, depths_of(start))


@dataclasses.dataclass(frozen=True)
@declared("dynamics", "aligned-flow", solver=str)
class AlignedFlow(AbstractFlow[SpectralFactorization]):
    """Every entry observed, from a start in the target's singular vectors: each singular value moves alone.

    Parameters
    ----------
    rtol : float
        Tolerated error of a step, relative to each number.
    solver : {"auto", "radau"} or diffrax solver
        As in `GradientFlow`.
    clock : {"time", "log_time"}
        As in `GradientFlow`.

    Raises
    ------
    ValueError
        On ``train``: if an entry is unobserved, the depth is below 2, or start and target do not share their singular
        vectors.

    Notes
    -----
    ``s' = L s^(2 - 2/L) (target - s)``; at depth 2 the logistic curve, in which small values wait for
    ``ln(target / s) / (2 target)`` before they rise: modes are learned one after another.

    References
    ----------
    Saxe, McClelland and Ganguli (2014), arXiv 1312.6120 (aligned deep linear networks).

    Examples
    --------
    >>> import rankfall as rf
    >>> target = rf.MatrixCompletion.from_dense([[3.0, 0.0], [0.0, 1.0]])
    >>> start = rf.SpectralFactorization.from_end_to_end([[2e-3, 0.0], [0.0, 1e-3]], depth=2)
    >>> run = rf.train(target, start, rf.AlignedFlow(), stop=rf.Stop(flow_time=2.0))
    >>> run.final.singular_values.round(4)
    array([2.9726, 0.0518])
    """

    def prepare(self, problem: AbstractProblem, start: object) -> SpectralFactorization:
        """Check that problem and start are those of the equations, and return the start as lanes."""
        problem.require_least_squares("AlignedFlow")
        if problem.observed_indices is None or problem.observed != problem.shape[0] * problem.shape[1]:
            raise ValueError(
                "problem has entries that nobody observed, or is no completion, but AlignedFlow needs a "
                "MatrixCompletion with every entry observed; take rf.SpectralFlow()."
            )
        spectral = spectral_start("AlignedFlow", problem, start)
        target = problem.adjoint(np.asarray(problem.values))
        seen = np.swapaxes(spectral.left, 1, 2) @ target @ spectral.right
        off = np.abs(seen * (1 - np.eye(spectral.rank))).max()
        outer = max(
            np.abs(target @ spectral.right - spectral.left @ seen).max(),
            np.abs(np.swapaxes(spectral.left, 1, 2) @ target - seen @ np.swapaxes(spectral.right, 1, 2)).max(),
        )
        if spectral.depth < 2 or max(off, outer) > 1e-10 * np.abs(target).max():
            raise ValueError(
                f"start has depth {spectral.depth:g} and is {max(off, outer):.1e} away from the target's singular "
                "vectors, but AlignedFlow needs depth 2 or more and the same singular vectors; take rf.SpectralFlow()."
            )
        return spectral

    def _start(self, problem: AbstractProblem, start: SpectralFactorization) -> tuple[AbstractSystem, Any, Any]:
        """Return the system, the state of lanes, their determinant signs and depths, and the singular vectors."""
        state = AlignedState(np.asarray(start.log_singular_values), np.zeros(start.lanes or 1))
        return AlignedSystem(), state, (start.det_sign, depths_of(start), start.left, start.right)


def _base_start(name: str, problem: AbstractProblem, start: object) -> SpectralFactorization:
    """Return the start on ``[[*, 1], [1, 0]]``; refuse any other problem."""
    observed = problem.observed_indices
    fits = problem.shape == (2, 2) and problem.loss_function == HalfSSE()
    where = observed is not None and observed.tolist() == [[0, 1], [1, 0], [1, 1]]
    base = fits and where and problem.values.tolist() == [1.0, 1.0, 0.0]
    if not base:
        raise ValueError(f"problem is not rf.two_by_two(), but {name} is its flow alone; take rf.SpectralFlow().")
    return spectral_start(name, problem, start)
