"""Statements about where gradient flow goes, checked along trajectories."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ..claims import Claim
from ..dynamics import AdaptiveDescent, GradientDescent, LinearFlow, Record, Run, SpectralFlow, Stop, train
from ..factorizations import AbstractModel, MatrixFactorization, SpectralFactorization
from ..problems import AbstractProblem, two_by_two
from ..theory import at_least, at_most, check, close_to

TALK = "Razin and Cohen (2020)"
LANES = 8
LOSS = 1e-10


def _starts(depth: int, det_sign: int = 1, seed: int = 0) -> SpectralFactorization:
    """Balanced starts of four scales, not symmetric, from the same draws for every depth."""
    scales = np.repeat([1e-1, 1e-2, 1e-4, 1e-6], LANES // 4)
    keys = jax.random.split(jax.random.key(seed), LANES)
    drawn = MatrixFactorization.init((2, 2), 2, kind="balanced", scale=scales, det_sign=det_sign, key=keys)
    return SpectralFactorization.from_end_to_end(drawn.full(), depth)


def _flow(problem: AbstractProblem, start: AbstractModel, **stop: Any) -> Run:
    return train(problem, start, SpectralFlow(), stop=Stop(**stop), progress=False)


def _worst(runs: list[Run], wanted: tuple[str, ...]) -> float:
    """Smallest margin of the certificates of these names; a refused run has none."""
    margins = [c.margin if c.certified else -1.0 for run in runs for c in check(run) if c.name.startswith(wanted)]
    return min(margins) if margins else -1.0


def _without(run: Run, wanted: tuple[str, ...]) -> float:
    """Smallest margin of the same inequalities without asking whether their hypotheses hold."""
    return min(c.margin for c in check(run) if c.name.startswith(wanted))


def theorem_1() -> list[Claim]:
    """All norms grow like one over the root of the loss, ranks fall to their infimum."""
    problem = two_by_two()
    runs = [_flow(problem, _starts(depth), loss=LOSS) for depth in (2, 3, 4, 8)]
    wrong = _flow(problem, _starts(3, det_sign=-1), loss=1e-6)
    reached = min(_reached(run) for run in runs)
    tail = f"(depths 2, 3, 4, 8, {LANES} starts each, to loss {LOSS:g}; smallest margin)"
    what = "starts of negative determinant"
    return [
        close_to(
            "flow-reaches-the-loss",
            f"Gradient flow reaches loss {LOSS:g} from all {LANES} starts of each depth (fewest of a depth)",
            f"{TALK}, section 3.3",
            reached,
            LANES,
            0.0,
            ("the wrong side of a perturbed problem, given flow time 1e8", _reached(_stuck())),
        ),
        at_least(
            "theorem-1-entry",
            f"At every loss the unobserved entry is at least the sharp bound {tail}",
            f"{TALK}, theorem 1, sharpened",
            _worst(runs, ("unobserved-entry",)),
            0.0,
            1e-9,
            (what, _without(wrong, ("unobserved-entry",))),
            absolute=True,
        ),
        at_least(
            "theorem-1-norms",
            f"Norms are at least a / sqrt(loss) - b with the constants of the paper {tail}",
            f"{TALK}, theorem 1",
            _worst(runs, ("theorem-1a",)),
            0.0,
            1e-9,
            (what, _without(wrong, ("theorem-1a",))),
            absolute=True,
        ),
        at_least(
            "theorem-1-ranks",
            f"Effective rank and distance to rank 1 are at most the paper's bounds {tail}",
            f"{TALK}, theorem 1",
            _worst(runs, ("theorem-1b", "theorem-1c")),
            0.0,
            1e-9,
            (what, _without(wrong, ("theorem-1b", "theorem-1c"))),
            absolute=True,
        ),
    ]


def _reached(run: Run) -> int:
    return int((np.asarray(run.stop_reason) == "loss").sum())


def _stuck() -> Run:
    """Run starts on the wrong side of a perturbed problem, where the loss cannot fall below e^2 / 2."""
    start = SpectralFactorization.from_end_to_end(np.repeat(np.diag([-1.0, -1.0])[None], LANES, 0), 2)
    return _flow(two_by_two(1.0, 1.0, 0.3), start, flow_time=1e8, loss=LOSS)


def theorem_2() -> list[Claim]:
    """Check the same for perturbed observations, as far as the perturbation lets it."""
    perturbed = ("unobserved-entry", "distance-to-infimal-rank", "effective-rank")
    runs, limits, reached, started = [], [], 0, 0
    for z, z_prime, eps in ((-2.0, 0.5, 0.0), (3.0, 0.2, 0.0), (1.0, 1.0, 0.1), (-2.0, 0.5, 0.05), (1e-1, 2.0, 1e-2)):
        problem = two_by_two(z, z_prime, eps)
        run = _flow(problem, _starts(3, problem.required_det_sign or 1), loss=LOSS, steps=600)
        runs.append(run)
        if eps:
            ended = np.asarray(run.stop_reason) == "loss"
            reached, started = reached + int(ended.sum()), started + ended.size
            last = _last(run, "unobserved")[ended, 0]
            limits.append(float(np.abs(last).min(initial=np.inf) / abs(z * z_prime / eps)) if ended.any() else np.nan)
    wrong = _flow(two_by_two(1.0, 1.0, 0.1), _starts(3, -1), loss=1e-6, steps=600)
    return [
        at_least(
            "theorem-2",
            "Perturbed observations [[*, z], [z', e]]: the bounds of the unobserved entry, "
            "distance and "
            "effective rank hold (five problems, 8 starts each; smallest margin)",
            f"{TALK}, theorem 2, sharpened",
            _worst(runs, perturbed),
            0.0,
            1e-9,
            ("starts of the wrong determinant sign", _without(wrong, perturbed)),
            absolute=True,
        ),
        at_least(
            "theorem-2-limit",
            f"and where e is not 0 the entry ends at |z z' / e| or beyond (smallest share, of the {reached} of "
            f"{started} starts that reach the loss; the others choose the wrong side of 0 and stall at loss e^2 / 2)",
            f"{TALK}, theorem 2",
            float(np.min(limits)),
            0.9,
            0.0,
            ("starts of the wrong sign", float(np.abs(_last(wrong, "unobserved")).min() / 10)),
        ),
    ]


def checker() -> list[Claim]:
    """Put to the checker what it must refuse, and numbers that are wrong by a millionth."""
    problem = two_by_two()
    right = _flow(problem, _starts(3), loss=1e-4)
    unbalanced = MatrixFactorization([0.2 * np.eye(2), 0.1 * np.eye(2)])
    short: dict[str, Any] = {"stop": Stop(steps=2), "record": Record(every=1), "progress": False}
    runs = {
        "the wrong sign": _flow(problem, _starts(3, det_sign=-1), loss=1e-1),
        "an unbalanced start": train(problem, unbalanced, GradientDescent(1e-3), **short),
        "one factor": train(problem, MatrixFactorization([0.1 * np.eye(2)]), GradientDescent(1e-3), **short),
        "single precision": train(
            two_by_two(dtype="float32"), MatrixFactorization([0.3 * np.eye(2, dtype=np.float32)] * 2),
            GradientDescent(1e-3), **short,
        ),
    }  # fmt: skip
    refused = sum(not any(c.certified for c in check(run)) for run in runs.values())
    caveat = check(train(problem, MatrixFactorization([0.3 * np.eye(2)] * 2), AdaptiveDescent(), **short))
    refused += all("the theorem itself is about the flow" in c.reason for c in caveat if c.certified)
    seen = sum(not _certificate(_tampered(right, name, factor), wanted) for name, factor, wanted in _TAMPERS)
    return [
        close_to(
            "checker-refuses",
            f"No certificate is given to a run outside of the theorems ({', '.join(runs)}; and descent has its caveat)",
            TALK,
            refused,
            5,
            0.0,
            ("runs that are of the flow", sum(not any(c.certified for c in check(run)) for run in (right,))),
        ),
        close_to(
            "checker-sees",
            f"A recorded number that violates its bound by a share of 1e-6 is not certified ({len(_TAMPERS)} numbers)",
            TALK,
            seen,
            len(_TAMPERS),
            0.0,
            ("the run as it was", sum(not _certificate(right, wanted) for *_, wanted in _TAMPERS)),
        ),
    ]


# A recorded number, the function of the run that puts it beyond its bound by a millionth, and the certificate.
_TAMPERS = (
    ("unobserved", lambda run, v: v * (1 - 1e-6) / _slack(run, "unobserved-entry"), "unobserved-entry"),
    ("singular_values", lambda run, v: v * (1 + 1e-6) * _slack(run, "theorem-1c"), "theorem-1c"),
    ("effective_rank", lambda run, v: v * (1 + 1e-6) * _slack(run, "theorem-1b"), "theorem-1b"),
    ("energy_error", lambda run, v: v + 1.000001e-6, "energy"),
    ("velocity_error", lambda run, v: v + 1.000001e-6, "velocity"),
)


def _slack(run: Run, name: str) -> float:
    """Ratio of a bound to what was measured at its worst place, or the other way round; at least 1."""
    (claim,) = (c for c in check(run) if c.name == name)
    ratio = float(claim.measured) / float(claim.expected)
    return max(ratio, 1 / ratio)


def _tampered(run: Run, name: str, change: Callable[[Run, np.ndarray], np.ndarray]) -> Run:
    changed = run.trajectory.assign({name: run.trajectory[name].copy(data=change(run, run.trajectory[name].values))})
    return dataclasses.replace(run, trajectory=changed)


def _certificate(run: Run, name: str) -> bool:
    (claim,) = (c for c in check(run) if c.name == name)
    return claim.certified


def _last(run: Run, name: str) -> np.ndarray:
    steps = run.trajectory["step"].values
    at = (steps >= 0).sum(axis=1) - 1
    return np.asarray(run.trajectory[name].values[np.arange(len(at)), at])


def positions() -> list[Claim]:
    """Move the unobserved entry to the other places, with the sign of the determinant turned where it must."""
    runs = []
    for place in ((0, 1), (1, 0), (1, 1)):
        problem = two_by_two(position=place)
        runs.append(_flow(problem, _starts(3, problem.required_det_sign or 1), loss=1e-8))
    wrong = _flow(two_by_two(position=(0, 1)), _starts(3, 1), loss=1e-6)
    return [
        at_least(
            "positions",
            "The theorem holds wherever the unobserved entry is, with the determinant sign "
            "that swapping "
            "rows and columns asks for (three places, 8 starts each; smallest margin)",
            f"{TALK}, section 3.3",
            _worst(runs, ("unobserved-entry",)),
            0.0,
            1e-9,
            ("off the diagonal with the sign of the diagonal", _without(wrong, ("unobserved-entry",))),
            absolute=True,
        ),
    ]


def determinant_sign() -> list[Claim]:
    """Gradient flow of two factors or more never changes the sign of the determinant; one factor does."""
    problem = two_by_two()
    runs = [_flow(problem, _starts(depth, sign), loss=1e-6) for depth in (2, 3) for sign in (1, -1)]
    kept = np.mean([(_last(run, "det_sign") == run.trajectory["det_sign"].values[:, 0]).mean() for run in runs])
    start = MatrixFactorization([np.array([[0.5, 0.0], [0.0, 0.5]])])
    single = train(problem, start, LinearFlow(), stop=Stop(loss=1e-6), record=Record(log_steps=50), progress=False)
    signs = single.trajectory["det_sign"].values[0]
    return [
        close_to(
            "determinant-sign",
            "The determinant keeps the sign it starts with (share of 32 starts of both signs)",
            f"{TALK}, lemma on the determinant",
            float(kept),
            1.0,
            0.0,
            ("one factor, from I/2", float(signs[0] == signs[-1])),
        ),
    ]


def probability_one_half() -> list[Claim]:
    """Random starts have a positive determinant with probability one half."""
    draws, shares = 4000, []
    for depth in (2, 3, 4):
        keys = jax.random.split(jax.random.key(depth), draws)
        starts = MatrixFactorization.init((2, 2), depth, scale=1e-2, key=keys)
        shares.append(float((np.linalg.slogdet(starts.full())[0] > 0).mean()))
    away = max(shares, key=lambda share: abs(share - 0.5))
    # Of factors that are drawn around the identity more than half have a positive determinant.
    layers = np.eye(2) + np.random.default_rng(0).normal(size=(draws, 2, 2, 2)) / 2
    around = float((np.linalg.slogdet(layers[:, 0] @ layers[:, 1])[0] > 0).mean())
    return [
        close_to(
            "probability-one-half",
            f"Gaussian factors have a positive determinant with probability 1/2 "
            f"(depths 2, 3, "
            f"4, {draws} draws each, within four standard deviations; the share farthest from it)",
            f"{TALK}, section 3.3",
            away,
            0.5,
            2 / np.sqrt(draws),
            ("factors drawn around the identity", around),
            absolute=True,
        ),
    ]


def convergence() -> list[Claim]:
    """Depth 2 converges from every positive multiple of the identity."""
    alphas = np.array([1e-3, 1e-2, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0])
    start = SpectralFactorization.from_end_to_end(alphas[:, None, None] * np.eye(2), 2)
    run = _flow(two_by_two(), start, loss=LOSS)
    return [
        at_most(
            "convergence",
            "Depth 2 from alpha I converges to zero loss, for alpha in (0, 1] and beyond "
            "(1e-3 to 20; "
            f"largest loss at the end, asked for {LOSS:g})",
            f"{TALK}, proposition on convergence",
            float(_last(run, "loss").max()),
            LOSS,
            1e-9,
            ("the wrong side of a perturbed problem", float(_last(_stuck(), "loss").max())),
        ),
    ]
