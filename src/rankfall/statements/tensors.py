"""Statements about tensors: what rank training ends at, how components are learned, and which networks they are."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from .._types import Array, ArrayLike
from ..claims import Claim
from ..dynamics import ExponentialDescent, Run, Stop, train
from ..factorizations import AbstractModel, CPFactorization, HierarchicalFactorization
from ..measures import CPRankBracket, cp_rank_bracket
from ..networks import DeepCircuit, ShallowCircuit, one_hot
from ..problems import TensorCompletion
from ..theory import at_least, at_most

RC, RMC = "Razin and Cohen (2020), section 6", "Razin, Maman and Cohen (2021), theorem 1"
CIRCUITS = "Cohen, Sharir and Shashua (2016), section 3; Razin, Maman and Cohen (2022), section 4"
SMALL, LARGE, RTOL = 1e-3, 0.5, 1e-3


def _target() -> np.ndarray:
    """Return a tensor of CP rank 2 whose components are orthogonal, of norms 1 and 1/2."""
    rng = np.random.default_rng(0)
    factors = [np.linalg.qr(rng.normal(size=(5, 2)))[0] for _ in range(3)]
    return np.asarray(CPFactorization([factors[0] * [1.0, 0.5], *factors[1:]]).full())


def _completed(std: float, rule: ExponentialDescent | None = None) -> tuple[Run, np.ndarray]:
    """Train as many components as any 5 x 5 x 5 tensor needs, on 100 of its 125 entries."""
    target = _target()
    hidden = np.random.default_rng(1).permutation(target.size)[:25]
    seen = ~np.isin(np.arange(target.size), hidden).reshape(target.shape)
    problem = TensorCompletion.from_dense(np.where(seen, target, np.nan), loss="mse", truth=target)
    start = CPFactorization.init(target.shape, factor_std=std, key=jax.random.key(0))
    run = train(problem, start, rule or ExponentialDescent(), stop=Stop(loss=1e-14, steps=2000), progress=False)
    return run, np.where(seen, target, 0.0)


def _bracket(tensor: ArrayLike) -> CPRankBracket:
    return cp_rank_bracket(np.asarray(tensor), RTOL, key=jax.random.key(0), max_rank=4)


def _distance(bracket: CPRankBracket, rank: int) -> int:
    return max(abs(bracket.lower - rank), abs(bracket.upper - rank))


def tensor_rank() -> list[Claim]:
    """From a small start the least tensor rank comes out; the baseline has a higher one."""
    (run, filled), (far, _) = _completed(SMALL), _completed(LARGE)
    near, other = _bracket(run.final.full()), _bracket(far.final.full())
    return [
        at_most(
            "tensor-rank",
            "Trained from factors of 1e-3 on 100 of 125 entries, 25 components end at CP rank 2, the target's "
            f"within a relative error of {RTOL:g} (distance of its bracket from [2, 2]: {near})",
            RC,
            _distance(near, 2),
            0.0,
            control=(f"from factors of 0.5: {other}", _distance(other, 2)),
        ),
        at_least(
            "tensor-rank-of-the-baseline",
            "The observed entries with zeros elsewhere, where descent on the entries themselves ends, have a CP rank "
            "of 4 or more",
            RC,
            _bracket(filled).lower,
            4,
            control=("what the factorization ends at, at the most", near.upper),
        ),
    ]


def components() -> list[Claim]:
    """Components are learned one after another, the sooner the smaller the start."""
    return [
        at_most(
            "components-one-by-one",
            "When the largest component has half its final norm, the second has at most a hundredth of its own "
            "(factors of 1e-3)",
            RMC,
            _second_while_first_grows(SMALL),
            1e-2,
            control=("factors of 0.5", _second_while_first_grows(LARGE)),
        )
    ]


def _second_while_first_grows(std: float) -> float:
    run, _ = _completed(std, ExponentialDescent(agreement=1e-2))
    norms = run.trajectory["component_norms"].values[0]
    first, second = np.argsort(norms[-1])[::-1][:2]
    half = int(np.argmax(norms[:, first] >= norms[-1, first] / 2))
    return float(norms[half, second] / norms[-1, second])


def circuits() -> list[Claim]:
    """Circuits compute the entries of the factorization they are equal to, and its contraction with any input."""
    key, rng, shape = jax.random.key(2), np.random.default_rng(2), (3, 3, 3, 3)
    deep = HierarchicalFactorization.init(shape, 3, factor_std=1.0, key=key)
    shallow = CPFactorization.init(shape, 4, factor_std=1.0, key=key)
    where = rng.integers(0, 3, size=(20, 4))
    vectors = rng.normal(size=(4, 3))
    claims = []
    for name, model, circuit in (
        ("shallow", shallow, ShallowCircuit.from_factorization(shallow)),
        ("deep", deep, DeepCircuit.from_factorization(deep)),
    ):
        claims.append(
            at_most(
                f"{name}-circuit",
                f"The {name} convolutional arithmetic circuit gives the factorization's entries on one-hot inputs and "
                "its contraction on others (largest difference, over the largest entry)",
                CIRCUITS,
                _difference(model, circuit, where, vectors),
                1e-12,
                control=("with two positions exchanged", _difference(model, circuit, where, vectors, [1, 0, 2, 3])),
            )
        )
    return claims


def _difference(
    model: AbstractModel,
    circuit: Callable[[Array], Array],
    where: np.ndarray,
    vectors: np.ndarray,
    order: Sequence[int] = (0, 1, 2, 3),
) -> float:
    """Largest difference of a circuit, shown its inputs in an order of the positions, from its tensor."""
    tensor = np.asarray(model.full())
    shown = [float(circuit(np.asarray(one_hot(place[list(order)], 3), dtype=float))) for place in where]
    entries = np.abs(np.array(shown) - tensor[tuple(where.T)]).max()
    whole = float(circuit(vectors[list(order)])) - np.einsum("abcd,a,b,c,d->", tensor, *vectors)
    return float(max(entries, abs(whole)) / np.abs(tensor).max())
